// What a script adds to the page: live parts follow the server. Everything else works without it.
"use strict";

async function load() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
  // What comes from our own server is escaped there; the parser runs no scripts in it.
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

function follow(element) {
  const source = new EventSource(element.dataset.live);
  let busy = false;
  let again = false;
  async function refresh() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const fresh = await load();
      const part = fresh.getElementById(element.id);
      if (!part) { location.reload(); return; }
      const open = [...element.querySelectorAll("details")].map((one) => one.open);
      // Whoever goes through the page with the keyboard stays where they are.
      const held = element.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      element.replaceChildren(...part.childNodes);
      if (held) [...element.querySelectorAll("a")].find((one) => one.getAttribute("href") === held)?.focus({ preventScroll: true });
      [...element.querySelectorAll("details")].forEach((one, n) => { one.open = open[n] || false; });
      const count = document.querySelector(".top nav");
      const newer = fresh.querySelector(".top nav");
      if (count && newer) count.replaceWith(newer);
      if (!part.dataset.live) {
        // Nothing changes any more, and what stands around the live part (the forms that steer) may have gone with it.
        source.close();
        element.removeAttribute("data-live");
        document.getElementById("main").replaceChildren(...(await load()).getElementById("main").childNodes);
      }
    } finally {
      busy = false;
      if (again) { again = false; refresh(); }
    }
  }
  source.addEventListener("changed", () => {
    if (element.dataset.says) { tell(element); source.close(); } else { refresh(); }
  });
  source.addEventListener("over", () => { source.close(); if (!element.dataset.says) refresh(); });
  window.addEventListener("pagehide", () => source.close());
}

function tell(element) {
  const link = document.createElement("a");
  link.href = location.pathname;
  link.textContent = "Look again";
  link.className = "button";
  element.className = "box bad";
  element.replaceChildren(element.dataset.says + " ", link);
}

document.querySelectorAll("[data-live]").forEach(follow);
document.querySelectorAll("form").forEach((form) => {
  // A second click would be refused by the ledger; a button that cannot be pressed twice says so sooner.
  form.addEventListener("submit", () => setTimeout(() => form.querySelectorAll("button").forEach((one) => { one.disabled = true; }), 0));
});
window.addEventListener("pageshow", () => document.querySelectorAll("button").forEach((one) => { one.disabled = false; }));
