"""The text of a notice shows what will run and nothing else: nothing hidden, nothing forged, nothing secret, and bounded."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.policies.plan_risk import PlanRisk
from assent.policies.routing import notices_for
from assent.runtime.notify.render import Facts, render
from assent.runtime.testing import FrozenClock, recorded
from assent.schemas.approval import Need, Question, Request, Verdict
from assent.schemas.notice import EVENTS, Notice, Route
from assent.schemas.plan import Plan, Step
from assent.schemas.problem import Problem
from assent.schemas.risk import Level, Reason, Risk

NOW = FrozenClock()()
KNOWN = "correct-horse-battery-staple"
HOSTILE = st.text(alphabet=st.one_of(st.characters(codec="utf-8"), st.sampled_from("\n\r\t\x1b\u202e\u200b\u2066\ufeff\x00\\<>&*_`:[]")), max_size=400)


def request(plan: Plan, **more: Any) -> Request:
    given: dict[str, Any] = {
        "id": "req_1", "run_id": "run_1", "kind": Question.PLAN, "digest": plan.digest, "risk": Level.HIGH, "options": (Verdict.APPROVE, Verdict.REJECT),
        "need": Need(roles=("lead",)), "requester": "dora", "opened_at": NOW, "decide_by": NOW,
    }  # fmt: skip
    return Request(**(given | more))


def told(plan: Plan, event: str = "request.opened", risk: PlanRisk | None = None, link: str = "", **more: Any) -> Any:
    asked = request(plan, **more)
    (notice,) = notices_for(event, asked, [Route(events=("*",), channels=("x",))])
    return render(Facts(notice, NOW, plan, risk, asked), sent_at=NOW, known=[KNOWN], link=link)


def plan_of(*steps: dict[str, Any], **more: Any) -> Plan:
    return Plan(problem=Problem(title=more.pop("title", "t")), steps=tuple(Step(step=n, **step) for n, step in enumerate(steps, 1)), **more)


@given(HOSTILE, HOSTILE, HOSTILE.filter(bool), HOSTILE, HOSTILE)
@settings(max_examples=150, deadline=None)
def test_no_text_can_hide_break_a_line_or_pass_for_another_one(title: str, command: str, name: str, author: str, intent: str) -> None:
    quiet = told(plan_of({"tool": "shell", "args": {"a": "b"}}, title="t", author="c", intent="d"))
    message = told(plan_of({"tool": "shell", "args": {name: command}}, title=title or "t", author=author, intent=intent))
    words = next((n for n, line in enumerate(message.lines) if line.startswith("IN THE WORDS")), len(message.lines) + 1)
    for line in message.lines[:words]:
        assert re.fullmatch(r"[\x20-\x7e]*", line), line
    for line in message.lines:
        assert line.isprintable() or line == "", line
    there = sum(1 for text in (title or "t", intent) if text.strip())
    assert len(message.lines) == len(quiet.lines) - (2 - there if there else 4)
    assert [line[:6] for line in message.lines[: words - 2]] == [line[:6] for line in quiet.lines[: words - 2]]
    assert re.fullmatch(r"[\x20-\x7e]+", message.subject) and message.subject == quiet.subject, "no text of a plan is in the subject"


def test_the_risky_call_is_seen_among_a_hundred_harmless_ones() -> None:
    low, high = Risk.of([Reason(rule="r", level=Level.LOW, text="")]), Risk.of([Reason(rule="r", level=Level.CRITICAL, text="")])
    plan = plan_of(*[{"tool": "shell", "args": {"command": f"echo {n}"}} for n in range(99)], {"tool": "shell", "args": {"command": "rm -rf /srv"}})
    message = told(plan, risk=PlanRisk(whole=high, steps=(*[low] * 99, high), undos=(None,) * 100, measures=()))
    assert "step 100: [CRITICAL] shell" in message.text and "rm -rf /srv" in message.text
    assert "92 more calls of the same or lower risk are not shown here" in message.text


def test_what_is_too_long_is_counted_and_its_end_is_seen() -> None:
    message = told(plan_of({"tool": "shell", "args": {"command": "true " + " " * 5000 + "; rm -rf /srv"}}))
    assert "rm -rf /srv" in message.text and "characters not shown" in message.text
    many = told(plan_of({"tool": "x", "args": {f"a{n:02}": n for n in range(30)}}))
    assert "22 more arguments are not shown here" in many.text


@given(HOSTILE, st.integers(1, 40), st.integers(0, 20))
@settings(max_examples=30, deadline=None)
def test_a_notice_is_bounded(text: str, steps: int, args: int) -> None:
    step = {"tool": "shell", "args": {f"{n}{text}": text * 20 for n in range(args)}, "undo": {"tool": "y", "args": {"z": text * 50}}}
    message = told(plan_of(*[step] * steps, title=text * 10 or "t", intent=text * 50))
    assert len(message.text) < 40_000 and len(message.subject) < 200


@pytest.mark.parametrize(
    "args",
    [
        {"command": f"curl -H 'Authorization: Bearer {KNOWN}' x"}, {"password": "hunter2-hunter2"}, {"nested": {"deep": [{"password": "hunter2-hunter2"}]}},
        {KNOWN: 1}, {"env": {KNOWN: "a"}}, {"list": [KNOWN, {"a": KNOWN}]}, {"token": "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"},
        {"url": f"https://user:{KNOWN}@example.org/"}, {"b": __import__("base64").b64encode(f"x{KNOWN}y".encode()).decode()},
    ],
)  # fmt: skip
def test_a_secret_in_an_argument_is_hidden_wherever_it_stands(args: dict[str, Any]) -> None:
    message = told(plan_of({"tool": "shell", "args": args}), link="https://a.example.org/{request}")
    left = message.text + message.subject + json.dumps(dict(message.data))
    for secret in (KNOWN, "hunter2-hunter2", "ghp_16C7", "correct-horse", "battery-staple"):
        assert secret not in left, secret
    assert "[redacted" in left


@pytest.mark.parametrize("before", range(120, 180, 6))
def test_a_secret_is_not_cut_into_pieces_that_nobody_recognises(before: int) -> None:
    message = told(plan_of({"tool": "shell", "args": {"text": "x" * before + " " + KNOWN + " " + "y" * 300}}))
    assert "correct" not in message.text and "staple" not in message.text and "characters not shown" in message.text
    for cut in (before, before + 60):
        long = "x" * cut + " " + KNOWN + " " + "y" * 400
        said = told(plan_of({"tool": long, "args": {}}, title=long, intent=long, author=long), need=Need(roles=(long,)))
        assert "correct" not in said.text and "staple" not in said.text, cut


def test_even_what_the_configuration_says_is_redacted() -> None:
    message = told(recorded("a"), link=f"https://a.example.org/{KNOWN}/{{request}}")
    assert "https://a.example.org/" in message.text and KNOWN not in message.text + json.dumps(dict(message.data))


@given(st.sampled_from(["title", "intent", "author", "tool", "key", "value", "role", "person"]), st.text(alphabet="ab \n\\\"'", max_size=30), st.text(alphabet="ab \n\\\"'", max_size=30))
@settings(max_examples=60, deadline=None)
def test_a_known_secret_is_hidden_in_every_field(field: str, before: str, after: str) -> None:
    secret = f"{before}{KNOWN}{after}"
    plan = plan_of(
        {"tool": secret if field == "tool" else "t", "args": {secret if field == "key" else "k": secret if field == "value" else "v"}},
        title=secret if field == "title" else "t", intent=secret if field == "intent" else "", author=secret if field == "author" else "",
    )  # fmt: skip
    need = Need(roles=(secret if field == "role" else "lead",), not_from=(secret if field == "person" else "dora",))
    message = told(plan, need=need)
    assert KNOWN not in message.text + message.subject + json.dumps(dict(message.data))


def test_every_event_can_be_written_and_says_what_happened() -> None:
    plan = recorded("a")
    subjects = set()
    for event in EVENTS:
        notice = Notice(id="ntc_" + "0" * 24, event=event, run_id="run_1", request_id="req_1", kind=Question.PLAN, digest=plan.digest, version=1, risk=Level.LOW)
        message = render(Facts(notice, NOW, plan), sent_at=NOW)
        subjects.add(message.subject)
        assert "req_1" in message.text and "run_1" in message.text and message.data["event"] == event
        assert ("assent approve" in message.text) is (event in EVENTS[:4])
    assert len(subjects) == len(EVENTS)


def test_a_step_in_doubt_is_asked_about_in_its_own_words() -> None:
    message = told(recorded("a"), kind=Question.IN_DOUBT, subject={"direction": "do", "step": 1, "tool": "shell\n[x]", "key": "k"})
    assert "assent settle req_1 happened|did-not-happen|abandon" in message.text and "assent approve" not in message.text
    assert "do 1 with shell\\n[x]" in message.text


def test_without_the_plan_it_says_so() -> None:
    notice = Notice(id="ntc_" + "0" * 24, event="run.failed", run_id="run_1", digest="sha256:" + "0" * 64, version=1)
    assert "no longer kept" in render(Facts(notice, NOW), sent_at=NOW).text


def test_a_link_only_leads_there() -> None:
    message = told(recorded("a"), link="https://a.example.org/{request}?run={run}", id="req_1/../approve?x=1&y=<script>")
    assert message.data["link"] == "https://a.example.org/req_1approvex1yscript?run=run_1"
    assert "it only leads there" in message.text
