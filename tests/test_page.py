"""The page, driven as a browser drives it but without one: signing in, forms, escaping, answers, and what is refused."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the page is an extra")


from starlette.testclient import TestClient

from assent.runtime.runtime import Runtime
from assent.runtime.studio import serve
from assent.runtime.studio.entrance import Entrance
from assent.runtime.studio.keys import SESSION_S, TICKET_S, Keys
from assent.runtime.studio.markup import Html, tag
from assent.runtime.studio.web import build
from assent.runtime.testing import FrozenClock, Recorder, recorded
from assent.schemas.errors import InvalidConfiguration
from assent.schemas.plan import Plan
from assent.schemas.run import RunStatus

INJECTION = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'`</textarea></pre>"


class Browser:
    """One person's browser: it keeps cookies, and reads forms as they stand on the page."""

    def __init__(self, entrance: Entrance, *, token: str | None = None) -> None:
        self.entrance = entrance
        self.client = TestClient(build(lambda: entrance), base_url="http://127.0.0.1:8321", follow_redirects=False)
        if token is not None:
            assert self.post("/assent/sign-in", token=token).status_code == 303

    def get(self, path: str) -> Any:
        return self.client.get(path)

    def post(self, path: str, **fields: str) -> Any:
        return self.client.post(path, data=fields)

    def form(self, path: str) -> dict[str, str]:
        """Return the hidden fields of the last form on a page, as the browser would send them."""
        text = self.get(path).text.split("<form ")[-1]
        fields = re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)">', text)
        return {name: html.unescape(value) for name, value in fields}

    def answer(self, request_id: str, answer: str, **more: str) -> Any:
        path = f"/assent/requests/{request_id}"
        return self.post(f"{path}/answer", **{**self.form(path), "answer": answer, **more})


@pytest.fixture
def entrance(door: Callable[..., Runtime]) -> Iterator[Entrance]:
    found = Entrance(door("dora"))
    yield found
    found.wait()


@pytest.fixture
def browser(entrance: Entrance) -> Browser:
    return Browser(entrance, token=entrance.keys.token)


def waiting(entrance: Entrance, plan: Plan | None = None) -> tuple[str, str]:
    """Start a run that waits; returns its id and that of its question."""
    run = entrance.runtime.start(plan or recorded({"effect": "a", "level": "MEDIUM"}))
    return run.id, next(request.id for request in run.requests if request.is_open)


# --- signing in -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/assent/", "/assent/runs", "/assent/runs/run_1", "/assent/requests/req_1", "/assent/requests/req_1/edit"])
def test_nobody_reads_anything_without_signing_in(entrance: Entrance, path: str) -> None:
    found = Browser(entrance).get(path)
    assert found.status_code == 401
    assert "Sign in" in found.text


def test_streams_are_closed_to_who_is_not_signed_in(entrance: Entrance) -> None:
    assert Browser(entrance).get("/assent/board/events").status_code == 401


def test_the_bare_address_leads_to_the_page_and_other_names_nowhere(entrance: Entrance) -> None:
    alone = TestClient(serve.alone(entrance), base_url="http://127.0.0.1:8321", follow_redirects=False)
    assert alone.get("/").headers["location"] == "/assent/"
    assert alone.get("/", headers={"host": "elsewhere.example"}).status_code == 400


def test_a_ticket_signs_in_once(entrance: Entrance) -> None:
    ticket = entrance.keys.ticket()
    first, second = Browser(entrance), Browser(entrance)
    assert first.get(f"/assent/sign-in?ticket={ticket}").headers["location"] == "/assent/"
    assert first.get("/assent/").status_code == 200
    assert second.get(f"/assent/sign-in?ticket={ticket}").status_code == 401
    assert second.get("/assent/").status_code == 401


def test_an_old_ticket_and_an_old_session_are_worth_nothing(entrance: Entrance, clock: FrozenClock) -> None:
    ticket = entrance.keys.ticket()
    old = Browser(entrance, token=entrance.keys.token)
    clock.advance(TICKET_S + 1)
    assert Browser(entrance).get(f"/assent/sign-in?ticket={ticket}").status_code == 401
    assert old.get("/assent/").status_code == 200
    clock.advance(SESSION_S)
    assert old.get("/assent/").status_code == 401


def test_the_cookie_is_kept_from_scripts_and_other_sites(entrance: Entrance) -> None:
    found = Browser(entrance).post("/assent/sign-in", token=entrance.keys.token).headers["set-cookie"]
    assert "HttpOnly" in found
    assert "SameSite=lax" in found
    assert "Path=/assent" in found
    assert entrance.keys.token not in found


@pytest.mark.parametrize("cookie", ["", "x", "owner.1.x.y", "owner.99999999999.aa." + "0" * 64, "é.é.é.é"])
def test_a_made_up_session_is_none(entrance: Entrance, cookie: str) -> None:
    assert entrance.keys.session(cookie) is None


def test_a_wrong_token_is_refused(entrance: Entrance) -> None:
    assert Browser(entrance).post("/assent/sign-in", token="guess").status_code == 401


def test_signing_out_ends_the_session_also_for_a_copied_cookie(browser: Browser) -> None:
    cookie = browser.client.cookies["assent_session"]
    token = browser.form("/assent/")  # the only form of the page is the one that signs out
    assert browser.post("/assent/sign-out", **token).status_code == 303
    assert browser.entrance.keys.session(cookie) is None


@pytest.mark.parametrize("path", ["//evil.example/", "https://evil.example/", "/assent/../../x?", "/assent//evil.example", "/elsewhere", "/assent/\\evil"])
def test_signing_in_never_leads_elsewhere(entrance: Entrance, path: str) -> None:
    found = Browser(entrance).post("/assent/sign-in", token=entrance.keys.token, next=path)
    assert found.headers["location"] in ("/assent/", "/assent/../../x")
    assert found.headers["location"].startswith("/assent/")


def test_somebody_else_signs_in_with_a_token_of_their_own(entrance: Entrance, door: Callable[..., Runtime]) -> None:
    token = entrance.keys.give("lena")
    run_id, request_id = waiting(entrance)
    lena = Browser(entrance, token=token)
    assert lena.answer(request_id, "approve").status_code == 303
    entrance.wait()
    decision = entrance.runtime.ledger.request(request_id).decisions[0]
    assert (decision.actor.id, decision.actor.assurance.value) == ("lena", "authenticated")
    assert entrance.runtime.run(run_id).status is RunStatus.COMPLETED
    entrance.keys.take_away("lena")
    assert lena.get("/assent/").status_code == 401, "the session ends with the token"


def test_only_digests_of_other_peoples_tokens_are_kept(entrance: Entrance) -> None:
    token = entrance.keys.give("lena")
    assert all(token not in path.read_text() for path in entrance.keys.folder.iterdir())
    assert {path.stat().st_mode & 0o777 for path in entrance.keys.folder.iterdir()} == {0o600}
    with pytest.raises(InvalidConfiguration):
        entrance.keys.give("stranger")


def test_a_restart_keeps_tokens_and_sessions(entrance: Entrance, browser: Browser) -> None:
    again = Keys(entrance.runtime.home.root, owner=entrance.runtime.actor, policy=entrance.runtime.policy, clock=entrance.runtime.clock)
    assert again.token == entrance.keys.token
    assert again.session(browser.client.cookies["assent_session"]) is not None


# --- forms ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["no mark", "mark of another session", "another origin", "origin null"])
def test_a_form_of_another_site_changes_nothing(entrance: Entrance, browser: Browser, way: str) -> None:
    _, request_id = waiting(entrance)
    fields = {**browser.form(f"/assent/requests/{request_id}"), "answer": "approve"}
    headers = {}
    if way == "no mark":
        del fields["csrf"]
    elif way == "mark of another session":
        fields["csrf"] = entrance.keys.csrf("another")
    else:
        headers["origin"] = "null" if way == "origin null" else "http://evil.example"
    found = browser.client.post(f"/assent/requests/{request_id}/answer", data=fields, headers=headers)
    assert found.status_code == 403
    assert entrance.runtime.ledger.request(request_id).is_open


def test_reading_an_address_never_answers(entrance: Entrance, browser: Browser) -> None:
    _, request_id = waiting(entrance)
    assert browser.get(f"/assent/requests/{request_id}/answer?answer=approve").status_code in (404, 405)
    assert entrance.runtime.ledger.request(request_id).is_open


def test_a_form_about_another_version_is_refused(entrance: Entrance, browser: Browser) -> None:
    _, request_id = waiting(entrance)
    found = browser.answer(request_id, "approve", digest="sha256:" + "0" * 64)
    assert found.status_code == 409
    assert entrance.runtime.ledger.request(request_id).is_open


def test_a_form_that_is_too_large_is_not_read(browser: Browser) -> None:
    assert browser.post("/assent/sign-out", text="x" * (1024 * 1024 + 1)).status_code == 413


# --- answers ----------------------------------------------------------------------------------------------------------------------------


def test_approving_lets_the_run_go_on(entrance: Entrance, browser: Browser, recorder: Recorder) -> None:
    run_id, request_id = waiting(entrance)
    assert f"/assent/requests/{request_id}" in browser.get("/assent/").text
    found = browser.answer(request_id, "approve", reason="looked at it")
    assert found.headers["location"] == f"/assent/runs/{run_id}"
    entrance.wait()
    assert recorder.names == ["a"]
    assert entrance.runtime.ledger.request(request_id).decisions[0].reason == "looked at it"
    page = browser.get(f"/assent/runs/{run_id}").text
    assert "completed" in page
    assert "Results" in page
    assert "answers approve" in page


def test_rejecting_ends_the_run(entrance: Entrance, browser: Browser, recorder: Recorder) -> None:
    run_id, request_id = waiting(entrance)
    browser.answer(request_id, "reject", reason="no")
    entrance.wait()
    assert entrance.runtime.run(run_id).status is RunStatus.REJECTED
    assert recorder.names == []
    assert "there is nothing left to decide" in browser.get(f"/assent/requests/{request_id}").text
    assert browser.post(f"/assent/requests/{request_id}/answer", **{**browser.form("/assent/"), "answer": "approve"}).status_code == 409


def test_an_edit_is_shown_before_it_counts_and_needs_its_own_approval(entrance: Entrance, browser: Browser, recorder: Recorder) -> None:
    run_id, request_id = waiting(entrance)
    path = f"/assent/requests/{request_id}/edit"
    page = browser.get(path).text
    text = html.unescape(re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)[1])  # type: ignore[index]
    fields = {**browser.form(path), "text": text.replace("effect: a", "effect: b").replace("\n", "\r\n")}
    looked = browser.post(path, **fields, go="look")
    assert "<del>- a</del>" in looked.text
    assert "<ins>+ b</ins>" in looked.text
    assert entrance.runtime.ledger.request(request_id).is_open, "looking changes nothing"
    assert browser.post(path, **fields, go="save").status_code == 303
    entrance.wait()
    run = entrance.runtime.run(run_id)
    assert run.status is RunStatus.AWAITING_APPROVAL
    assert run.plan is not None
    assert run.plan.steps[0].args["effect"] == "b"
    assert recorder.names == []
    browser.answer(next(one.id for one in run.requests if one.is_open), "approve")
    entrance.wait()
    assert recorder.names == ["b"]


def test_an_edit_that_cannot_be_read_says_where_and_keeps_the_text(entrance: Entrance, browser: Browser) -> None:
    _, request_id = waiting(entrance)
    path = f"/assent/requests/{request_id}/edit"
    found = browser.post(path, **browser.form(path), text="problem: [oops\n<b>", go="look")
    assert found.status_code == 422
    assert "problem: [oops\n&lt;b&gt;</textarea>" in found.text
    assert "plan.yaml" in found.text


def test_a_secret_is_neither_shown_nor_lost_by_an_edit(entrance: Entrance, browser: Browser) -> None:
    token = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
    run_id, request_id = waiting(entrance, recorded({"effect": f"use {token}", "level": "MEDIUM"}, {"effect": "b", "level": "MEDIUM"}))
    path = f"/assent/requests/{request_id}/edit"
    page = browser.get(path).text
    assert token not in page
    assert token not in browser.get(f"/assent/requests/{request_id}").text
    text = html.unescape(re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)[1])  # type: ignore[index]
    fields = browser.form(path)
    dropped = browser.post(path, **fields, text=re.sub(r"\[redacted:[a-z-]+\]", "mine", text), go="look")
    assert dropped.status_code == 422
    assert browser.post(path, **fields, text=text.replace("effect: b", "effect: c"), go="save").status_code == 303
    entrance.wait()
    plan = entrance.runtime.run(run_id).plan
    assert plan is not None
    assert [step.args["effect"] for step in plan.steps] == [f"use {token}", "c"]
    assert token not in browser.get(f"/assent/runs/{run_id}").text


def test_a_step_in_doubt_is_settled(entrance: Entrance, browser: Browser, clock: FrozenClock) -> None:
    run_id, request_id = waiting(entrance, recorded({"effect": "a", "level": "MEDIUM", "outcome": "unknown"}))
    browser.answer(request_id, "approve")
    entrance.wait()
    doubt = next(one.id for one in entrance.runtime.run(run_id).requests if one.is_open)
    page = browser.get(f"/assent/requests/{doubt}").text
    assert "It is not known whether this happened" in page
    assert "Approve" not in page
    clock.advance(hours=1)
    browser.answer(doubt, "happened")
    entrance.wait()
    assert entrance.runtime.run(run_id).status is RunStatus.COMPLETED


def test_who_may_not_decide_gets_no_buttons_and_no_decision(entrance: Entrance, recorder: Recorder) -> None:
    _, request_id = waiting(entrance)
    guest = Browser(entrance, token=entrance.keys.give("guest"))
    assert "You cannot answer this" in guest.get(f"/assent/requests/{request_id}").text
    request = entrance.runtime.ledger.request(request_id)
    found = guest.post(f"/assent/requests/{request_id}/answer", **{**guest.form("/assent/"), "digest": request.digest, "whole": "yes", "answer": "approve"})
    assert found.status_code == 403
    assert recorder.names == []


def test_an_agent_with_every_role_cannot_decide(entrance: Entrance, recorder: Recorder) -> None:
    _, request_id = waiting(entrance)
    robot = Browser(entrance, token=entrance.keys.give("robot"))
    request = entrance.runtime.ledger.request(request_id)
    found = robot.post(f"/assent/requests/{request_id}/answer", **{**robot.form("/assent/"), "digest": request.digest, "whole": "yes", "answer": "approve"})
    assert found.status_code == 403
    assert recorder.names == []


def test_what_was_not_shown_whole_is_not_approved_in_passing(entrance: Entrance, browser: Browser, recorder: Recorder) -> None:
    _, request_id = waiting(entrance, recorded({"effect": "x" * 3000, "level": "MEDIUM"}))
    page = browser.get(f"/assent/requests/{request_id}").text
    assert "Not all of it is shown" in page
    assert browser.answer(request_id, "approve").status_code == 403
    whole = browser.get(f"/assent/requests/{request_id}?all=1").text
    assert "Not all of it is shown" not in whole
    assert "x" * 3000 in whole
    assert browser.answer(request_id, "approve", unseen="yes").status_code == 303


def test_a_run_is_cancelled_by_its_requester_and_not_by_a_stranger(entrance: Entrance, browser: Browser) -> None:
    run_id, _ = waiting(entrance)
    guest = Browser(entrance, token=entrance.keys.give("guest"))
    assert "Cancel the run" not in guest.get(f"/assent/runs/{run_id}").text
    assert guest.post(f"/assent/runs/{run_id}/cancel", **guest.form("/assent/")).status_code == 403
    assert browser.post(f"/assent/runs/{run_id}/cancel", **browser.form("/assent/"), reason="not now").status_code == 303
    entrance.wait()
    assert entrance.runtime.run(run_id).status is RunStatus.CANCELLED


def test_what_is_not_there_is_said_so(browser: Browser) -> None:
    for path in ("/assent/runs/run_0", "/assent/requests/req_0", "/assent/nowhere", "/assent/runs/run_0/events"):
        assert browser.get(path).status_code == 404


# --- hostile text -----------------------------------------------------------------------------------------------------------------------


def hostile() -> Plan:
    return recorded(
        {"effect": INJECTION, "level": "MEDIUM"}, title=INJECTION, intent=INJECTION, alternatives=(INJECTION,), author=INJECTION,
        problem={"description": INJECTION, "success_criteria": (INJECTION,), "context": {"environment": "staging", "affected_systems": (INJECTION,)}},
    )  # fmt: skip


def test_no_text_of_a_plan_becomes_markup_on_any_page(entrance: Entrance, browser: Browser) -> None:
    run_id, request_id = waiting(entrance, hostile())
    edit = f"/assent/requests/{request_id}/edit"
    pages = [browser.get(path).text for path in ("/assent/", "/assent/runs", f"/assent/runs/{run_id}", f"/assent/requests/{request_id}", edit)]
    pages.append(browser.post(edit, **browser.form(edit), text=f"problem: {INJECTION}\n", go="look").text)
    browser.answer(request_id, "reject", reason=INJECTION)
    entrance.wait()
    pages += [browser.get(f"/assent/runs/{run_id}").text, browser.get(f"/assent/requests/{request_id}").text]
    for page in pages:
        assert "&lt;script&gt;alert(1)" in page, "the text is there"
        assert "<script>alert" not in page
        assert "<img" not in page
        assert page.count("<script") == 1, "only our own"
        assert page.count("</textarea>") == page.count("<textarea")


def test_characters_that_steer_are_made_visible(entrance: Entrance, browser: Browser) -> None:
    run_id, request_id = waiting(entrance, recorded({"effect": "safe\u202egnp.exe\u200b", "level": "MEDIUM"}, title="a\u202eb"))
    for path in (f"/assent/requests/{request_id}", f"/assent/runs/{run_id}", "/assent/"):
        page = browser.get(path).text
        assert "\u202e" not in page
        assert "\u200b" not in page
        assert "u{202E}" in page


def test_every_answer_forbids_what_does_not_belong(entrance: Entrance, browser: Browser) -> None:
    for path in ("/assent/", "/assent/nowhere", "/assent/sign-in", "/assent/page.css", "/assent/page.js", "/assent/runs/run_0"):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
    assert browser.get("/assent/").headers["cache-control"] == "no-store"


def test_markup_is_only_what_tag_made() -> None:
    assert tag("p", "<b>", Html("<i></i>"), None, ["&", [tag("br")]]) == "<p>&lt;b&gt;<i></i>&amp;<br></p>"
    assert tag("a", "x", href="/assent/?a=\"b'", title='"><script>') == '<a href="/assent/?a=&quot;b&#x27;" title="&quot;&gt;&lt;script&gt;">x</a>'
    bad: list[dict[str, Any]] = [{"href": "javascript:alert(1)"}, {"href": "//evil"}, {"src": "http://evil"}, {"onclick": "x"}, {"style": "x"}, {"action": "/\\evil"}]
    for attributes in bad:
        with pytest.raises(ValueError, match=r"address|run something"):
            tag("a", "x", **attributes)

