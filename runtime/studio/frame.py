"""The frame of every page: head, navigation, who is signed in, and errors. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ...schemas.errors import AssentError
from .markup import Child, Html, exact, here, join, paragraphs, tag

ROOT = "/assent"


@dataclass(frozen=True)
class Frame:
    """What a page knows of the person who looks at it."""

    name: str = ""
    csrf: str = ""
    waiting: int = 0
    here: str = ""

    def page(self, title: str, *children: Child, refresh_s: int = 0) -> Html:
        """Return a whole page.

        Args:
            refresh_s: without scripts, the page is loaded again after so many seconds; 0: never.
        """
        head = tag(
            "head", tag("meta", charset="utf-8"), tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"), tag("title", f"{title} · assent"),
            tag("link", rel="stylesheet", href=f"{ROOT}/page.css"), tag("link", rel="icon", type="image/svg+xml", href=f"{ROOT}/page.svg"),
             tag("script", src=f"{ROOT}/page.js", defer=True),
            tag("noscript", tag("meta", http_equiv="refresh", content=refresh_s)) if refresh_s else None,
        )  # fmt: skip
        main = tag("main", *children, id="main", tabindex="-1")
        body = tag("body", here("main", "To the content", "skip"), self._top(), main)
        return join(Html("<!doctype html>\n"), tag("html", head, body, lang="en"))

    def form(self, action: str, *children: Child, **attributes: object) -> Html:
        """Return a form that can only have come from this session."""
        return tag("form", tag("input", type="hidden", name="csrf", value=self.csrf), *children, method="post", action=action, **attributes)

    def _top(self) -> Html:
        brand = tag("a", "assent", href=f"{ROOT}/", class_="brand")
        if not self.name:
            return tag("header", brand, class_="top")
        count = tag("span", f"{self.waiting}", class_="count", id="waiting", aria_label=f"{self.waiting} waiting") if self.waiting else None
        links = [
            tag("a", "Inbox", count, href=f"{ROOT}/", aria_current="page" if self.here == "inbox" else None),
            tag("a", "Runs", href=f"{ROOT}/runs", aria_current="page" if self.here == "runs" else None),
        ]
        leave = self.form(f"{ROOT}/sign-out", tag("span", exact(self.name, limit=40), class_="who"), tag("button", "Sign out", class_="quiet"), class_="leave")
        return tag("header", brand, tag("nav", links, aria_label="Pages"), leave, class_="top")


def error_page(frame: Frame, status: int, message: str, hint: str = "", back: str = f"{ROOT}/") -> Html:
    """Return a page that says what went wrong and what to do."""
    titles = {401: "Signed out", 403: "Not allowed", 404: "Not found", 409: "It changed meanwhile", 413: "Too large", 422: "Not understood"}
    title = titles.get(status, "It did not work")
    lines = tag("pre", paragraphs(message), class_="said") if "\n" in message else tag("p", paragraphs(message))
    return frame.page(title, tag("h1", title), lines, tag("p", paragraphs(hint), class_="dim") if hint else None, tag("p", tag("a", "Back", href=back, class_="button")))


def trouble(error: AssentError) -> Html:
    """Return an error as a box on a page."""
    return tag("div", tag("pre", paragraphs(error.message), class_="said"), tag("p", paragraphs(error.hint), class_="dim") if error.hint else None, class_="box bad", role="alert")


def sign_in_page(path: str, *, failed: str = "") -> Html:
    """Return the page that asks for the token."""
    form = tag(
        "form", tag("input", type="hidden", name="next", value=path), tag("label", "Token", for_="token"),
        tag("input", type="password", id="token", name="token", required=True, autocomplete="off", autofocus=True),
        tag("button", "Sign in", class_="primary"), method="post", action=f"{ROOT}/sign-in", class_="stack",
    )  # fmt: skip
    invited = tag("p", "The owner's token is in the file door/token of the home; others are invited with ", tag("code", "assent serve --invite NAME"), ".", class_="dim")
    told = tag("p", failed, class_="box bad", role="alert") if failed else None
    return Frame().page(
        "Sign in", tag("div", tag("h1", "Sign in"), told, tag("p", "Use the address that the server printed at its start, or paste your token."), form, invited, class_="door")
    )
