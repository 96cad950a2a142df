"""The page in a real browser without a window: answering, live progress, hostile text, a keyboard, a phone. Leaves screenshots.

Set ASSENT_SCREENSHOTS to a folder to keep them. Skipped where there is no Chromium or no Playwright, unless in CI.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if not os.environ.get("CI") and (CHROMIUM is None or importlib.util.find_spec("playwright") is None or importlib.util.find_spec("uvicorn") is None):
    pytest.skip("there is no Chromium, no Playwright or no server", allow_module_level=True)

import httpx
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright

from assent.runtime.runtime import Runtime
from assent.runtime.studio.entrance import Entrance
from assent.runtime.studio.web import build
from assent.runtime.testing import Recorder, recorded
from assent.schemas.plan import Plan
from assent.schemas.run import RunStatus

INJECTION = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script></textarea></pre>"
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "color_scheme": "dark", "has_touch": True}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("ASSENT_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def entrance(door: Callable[..., Runtime]) -> Iterator[Entrance]:
    found = Entrance(door("lena"))
    yield found
    found.wait()


@pytest.fixture
def address(entrance: Entrance) -> Iterator[str]:
    """A server over the entrance, in a thread of this process."""
    server = uvicorn.Server(uvicorn.Config(build(lambda: entrance), host="127.0.0.1", port=0, log_level="error", timeout_graceful_shutdown=1, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not (server.started and server.servers):
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/assent"
    server.should_exit = True
    thread.join()


class Seen:
    """A page, with what went wrong in it."""

    def __init__(self, chromium: Browser, address: str, entrance: Entrance, **how: Any) -> None:
        self.context = chromium.new_context(**how)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        self.page.on("dialog", lambda dialog: self.wrong.append(dialog.message))
        self.address = address
        self.page.goto(f"{address}/sign-in?ticket={entrance.keys.ticket()}")

    def leave(self) -> None:
        """Close it. Away from the page first: a context that is closed while its page loads sometimes never answers."""
        self.page.goto("about:blank")
        self.context.close()


@pytest.fixture
def seen(chromium: Browser, address: str, entrance: Entrance) -> Iterator[Seen]:
    found = Seen(chromium, address, entrance)
    yield found
    found.leave()
    assert found.wrong == []


def waiting(entrance: Entrance, *effects: Any, **more: Any) -> tuple[str, str]:
    run = entrance.runtime.start(recorded(*(effects or ({"effect": "a", "level": "MEDIUM"},)), **more))
    return run.id, next(request.id for request in run.requests if request.is_open)


def test_approve(seen: Seen, entrance: Entrance, recorder: Recorder, shots: Path) -> None:
    run_id, request_id = waiting(entrance, {"effect": "add the index", "level": "MEDIUM"}, {"effect": "tell the team", "level": "HIGH"}, title="Orders take too long to find")
    page = seen.page
    link = page.locator(f"a[href='/assent/requests/{request_id}']")
    expect(link).to_be_visible()  # the inbox was open before the question was asked: it came by itself
    page.screenshot(path=shots / "inbox.png", full_page=True)
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Orders take too long to find")
    page.screenshot(path=shots / "request.png", full_page=True)
    page.get_by_label("Reason").fill("staging only")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"**/assent/runs/{run_id}")
    expect(page.locator(".title .badge")).to_have_text("completed")
    page.screenshot(path=shots / "run.png", full_page=True)
    assert recorder.names == ["add the index", "tell the team"]


def test_reject(seen: Seen, entrance: Entrance, recorder: Recorder, shots: Path) -> None:
    run_id, request_id = waiting(entrance)
    page = seen.page
    page.goto(f"{seen.address}/requests/{request_id}")
    page.get_by_label("Reason").fill("not today")
    page.get_by_role("button", name="Reject").click()
    expect(page.locator(".title .badge")).to_have_text("rejected")
    page.screenshot(path=shots / "rejected.png", full_page=True)
    entrance.wait()
    assert entrance.runtime.run(run_id).status is RunStatus.REJECTED
    assert recorder.names == []


def test_edit_with_a_difference(seen: Seen, entrance: Entrance, recorder: Recorder, shots: Path) -> None:
    _, request_id = waiting(entrance, {"effect": "wipe the cache", "level": "HIGH"})
    page = seen.page
    page.goto(f"{seen.address}/requests/{request_id}")
    page.get_by_role("link", name="Edit").click()
    page.screenshot(path=shots / "edit.png", full_page=True)
    document = page.get_by_label("The plan")
    document.fill(document.input_value().replace("wipe the cache", "warm the cache").replace("level: HIGH", "level: MEDIUM"))
    page.get_by_role("button", name="Show what changes").click()
    expect(page.locator("ins", has_text="+ warm the cache")).to_be_visible()
    page.screenshot(path=shots / "difference.png", full_page=True)
    page.get_by_role("button", name="Edit again").click()
    expect(page.get_by_label("The plan")).to_have_value(document.input_value())
    page.get_by_role("button", name="Show what changes").click()
    page.get_by_role("button", name="Save the edit").click()
    page.get_by_role("link", name="Look and answer").click()
    expect(page.locator(".title .badge")).to_have_text("MEDIUM")
    assert recorder.names == []
    page.get_by_role("button", name="Approve").click()
    expect(page.locator(".title .badge")).to_have_text("completed")
    entrance.wait()
    assert recorder.names == ["warm the cache"]


def test_progress_is_live(seen: Seen, entrance: Entrance, recorder: Recorder, shots: Path) -> None:
    _, request_id = waiting(entrance, {"effect": "one", "level": "MEDIUM"}, {"effect": "two", "level": "MEDIUM", "outcome": "hangs"}, {"effect": "three", "level": "MEDIUM"})
    page = seen.page
    try:
        page.goto(f"{seen.address}/requests/{request_id}")
        page.get_by_role("button", name="Approve").click()
        expect(page.locator(".step.is-done")).to_have_count(1)
        expect(page.locator(".step.is-dispatched")).to_contain_text("record two")
        page.evaluate("window.still_the_same_page = true")
        page.screenshot(path=shots / "progress.png", full_page=True)
        assert page.locator(".title .badge").inner_text() == "running"
    finally:
        recorder.release()
    expect(page.locator(".step.is-done")).to_have_count(3)
    expect(page.locator(".title .badge")).to_have_text("completed")
    expect(page.get_by_role("button", name="Cancel the run")).to_have_count(0)
    assert page.evaluate("window.still_the_same_page"), "it followed the run without being loaded again"


def test_a_request_that_somebody_else_answers_says_so(seen: Seen, entrance: Entrance) -> None:
    _, request_id = waiting(entrance)
    seen.page.goto(f"{seen.address}/requests/{request_id}")
    entrance.runtime.decide(request_id, "reject", actor="lou")
    expect(seen.page.get_by_role("status")).to_contain_text("Somebody answered this meanwhile")
    seen.page.get_by_role("link", name="Look again").click()
    expect(seen.page.locator("main")).to_contain_text("nothing left to decide")


def hostile() -> Plan:
    return recorded({"effect": INJECTION, "level": "MEDIUM"}, title=INJECTION, intent=INJECTION, problem={"description": INJECTION, "success_criteria": (INJECTION,)})


def test_hostile_text_stays_text(seen: Seen, entrance: Entrance, shots: Path) -> None:
    run = entrance.runtime.start(hostile())
    request_id = next(one.id for one in run.requests if one.is_open)
    page = seen.page
    for number, path in enumerate(("/", f"/requests/{request_id}", f"/requests/{request_id}/edit", f"/runs/{run.id}")):
        page.goto(seen.address + path)
        assert page.title() != "owned"
        assert page.locator("img").count() == 0
        assert page.locator("script").count() == 1
        assert "onerror=" in page.content()
        page.screenshot(path=shots / f"hostile-{number}.png", full_page=True)
    # Text that arrives by way of the live part is text as well.
    page.goto(f"{seen.address}/runs/{run.id}")
    entrance.runtime.decide(request_id, "reject", reason=INJECTION)
    expect(page.locator(".title .badge")).to_have_text("rejected")
    assert page.title() != "owned"
    assert page.locator("img").count() == 0


def test_everything_works_with_the_keyboard_alone(seen: Seen, entrance: Entrance, recorder: Recorder) -> None:
    _, request_id = waiting(entrance)
    page = seen.page
    page.goto(f"{seen.address}/requests/{request_id}")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.value") == "approve":
            break
    page.keyboard.press("Enter")
    expect(page.locator(".title .badge")).to_have_text("completed")
    assert recorder.names == ["a"]


def test_it_works_without_scripts(chromium: Browser, address: str, entrance: Entrance, recorder: Recorder) -> None:
    _, request_id = waiting(entrance)
    plain = Seen(chromium, address, entrance, java_script_enabled=False)
    plain.page.goto(f"{address}/requests/{request_id}")
    plain.page.get_by_role("button", name="Approve").click()
    plain.page.wait_for_url("**/assent/runs/*")
    entrance.wait()
    plain.page.reload()
    expect(plain.page.locator(".title .badge")).to_have_text("completed")
    plain.leave()
    assert recorder.names == ["a"]


def test_it_fits_a_phone(chromium: Browser, address: str, entrance: Entrance, shots: Path) -> None:
    run_id, request_id = waiting(entrance, {"effect": "x" * 300, "level": "HIGH"}, title="A title that is much longer than the screen of a telephone is wide")
    phone = Seen(chromium, address, entrance, **PHONE)
    for name, path in (("inbox", "/"), ("request", f"/requests/{request_id}"), ("edit", f"/requests/{request_id}/edit"), ("run", f"/runs/{run_id}")):
        phone.page.goto(address + path)
        phone.page.screenshot(path=shots / f"phone-{name}.png")
        assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390, f"{name} is wider than the screen"
        small = phone.page.evaluate("[...document.querySelectorAll('main button, main a.button')].filter(e => e.getBoundingClientRect().height < 40).length")
        assert small == 0, f"{name} has buttons too small for a thumb"
    phone.leave()


def test_the_decision_stands_beside_the_plan_where_there_is_room_and_one_touch_away_where_there_is_not(
    chromium: Browser, address: str, entrance: Entrance, shots: Path
) -> None:
    _, request_id = waiting(entrance, *[{"effect": f"step {n}", "level": "HIGH"} for n in range(12)], title="A plan that is longer than any screen")
    wide = Seen(chromium, address, entrance, viewport={"width": 1280, "height": 860})
    wide.page.goto(f"{address}/requests/{request_id}")
    for _ in range(2):
        expect(wide.page.get_by_role("button", name="Approve")).to_be_in_viewport()
        wide.page.mouse.wheel(0, 4000)
    expect(wide.page.get_by_role("link", name="Decide", exact=True)).not_to_be_visible()
    wide.page.screenshot(path=shots / "wide-request.png")
    wide.leave()
    phone = Seen(chromium, address, entrance, **PHONE)
    phone.page.goto(f"{address}/requests/{request_id}")
    expect(phone.page.get_by_role("button", name="Approve")).not_to_be_in_viewport()
    phone.page.get_by_role("link", name="Decide", exact=True).tap()
    expect(phone.page.get_by_role("button", name="Approve")).to_be_in_viewport()
    phone.page.screenshot(path=shots / "phone-decide.png")
    phone.leave()


# The colour of a text against what it stands on, as WCAG 2 computes it; large text may have less.
_PALE = """() => {
  const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const colour = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = colour(getComputedStyle(at).backgroundColor);
      if (found.length < 4 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll('body *')) {
    const text = [...element.childNodes].filter((one) => one.nodeType === 3).map((one) => one.data.trim()).join('');
    const box = element.getBoundingClientRect();
    if (!text || box.width === 0 || box.right < 0 || element.disabled) continue;
    const style = getComputedStyle(element);
    const [one, other] = [light(colour(style.color)), light(ground(element))].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const enough = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    if ((one + 0.05) / (other + 0.05) < enough) found.push(`${text.slice(0, 40)}: ${((one + 0.05) / (other + 0.05)).toFixed(2)}`);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(chromium: Browser, address: str, entrance: Entrance, recorder: Recorder, shots: Path, scheme: Any) -> None:
    levels = [{"effect": level, "level": level} for level in ("LOW", "MEDIUM", "HIGH")]
    _, request_id = waiting(entrance, *levels, {"effect": "x", "level": "CRITICAL"}, title="Every level of risk")
    done, asked = waiting(entrance, {"effect": "b", "level": "MEDIUM", "outcome": "failed"})
    entrance.runtime.decide(asked, "approve")
    seen = Seen(chromium, address, entrance, viewport={"width": 1280, "height": 860}, color_scheme=scheme)
    for name, path in (("inbox", "/"), ("runs", "/runs"), ("request", f"/requests/{request_id}"), ("edit", f"/requests/{request_id}/edit"), ("failed", f"/runs/{done}"), ("settled", f"/requests/{asked}"), ("nowhere", "/nowhere")):
        seen.page.goto(address + path)
        seen.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert seen.page.evaluate(_PALE) == [], name
        seen.page.screenshot(path=shots / f"{scheme}-{name}.png", full_page=True)
    seen.leave()


def test_an_empty_inbox_says_so_and_fills_by_itself(seen: Seen, entrance: Entrance, shots: Path) -> None:
    expect(seen.page.locator("main")).to_contain_text("Nothing waits for a person.")
    expect(seen.page.locator("main")).to_contain_text("assent run plan.yaml")
    seen.page.screenshot(path=shots / "empty.png")
    waiting(entrance, title="The first question")
    expect(seen.page.get_by_role("link", name="The first question").first).to_be_visible()
    expect(seen.page.locator("#waiting")).to_have_text("1")


def test_a_page_that_changes_by_itself_leaves_the_keyboard_where_it_was(seen: Seen, entrance: Entrance) -> None:
    _, first = waiting(entrance, title="The first")
    link = seen.page.locator(f"a[href='/assent/requests/{first}']")
    link.focus()
    waiting(entrance, title="The second")
    expect(seen.page.locator(".cards:not(.slim) .card")).to_have_count(2)
    expect(link).to_be_focused()


def test_the_command_serves_on_loopback_only_and_ends_when_asked(home: Path, workspace: Path) -> None:
    start = (
        "import typer; from assent.runtime.cli.command import command; from assent.runtime.cli import serve; app = typer.Typer(); app.callback()(lambda: None); "
        "command(app, 'serve', panel='People')(serve.serve); app()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", start, "serve", "--port", "0", "--json", "--home", str(home), "--workspace", str(workspace)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        address = told["url"]
        assert address.startswith("http://127.0.0.1:")
        with httpx.Client() as http:
            assert http.get(address).status_code == 303
            inbox = address.split("/sign-in")[0] + "/"
            assert "Inbox" in http.get(inbox).text
            assert http.get(inbox, headers={"host": "evil.example"}).status_code == 400, "a name that was pointed at this machine"
        assert Path(told["token_file"]).stat().st_mode & 0o077 == 0
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said == b""
