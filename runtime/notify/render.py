"""The text of a notice: what waits, how risky it is, who may decide and until when, and the command that answers.

Rules:
- Written by code from the ledger's facts and the plan's bytes. The author's own words come last and are marked as theirs.
- Each argument stands on a line of its own behind a prefix, and no text can break a line, so nothing can pass for another line.
- The riskiest calls are shown when not all fit; what is left out is counted, and a long value shows head, counted marker and tail.
- Redacted first, then made visible, and the whole is redacted again before it leaves. All of it is ASCII but for words in the author's script.
- There is nothing in it with which anybody could answer: commands ask at the door who one is, and a link only leads there.

Source: threats T16, T32 and T34. Deliberately no HTML and no markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...policies.plan_risk import PlanRisk
from ...policies.redact import redact
from ...policies.show import excerpt, visible
from ...schemas.approval import Question, Request
from ...schemas.notice import TEST, WAITS, Notice
from ...schemas.noun import stamp
from ...schemas.plan import Plan
from ...schemas.results import Results
from .calls import line, shown_calls
from .sender import Message

_WORDS_CHARS = 300
_LIST = 12
_ASKS = {
    Question.PLAN: "a plan waits for approval",
    Question.IN_DOUBT: "it is not known whether a step happened",
    Question.OVERRUN: "a run asks to go beyond its estimate",
    Question.GATE: "a gate waits for approval",
    Question.CONFLICT: "a conflict waits for a decision",
    Question.REVIEW: "a result waits for review",
}
_BEFORE = {"request.reminded": "reminder: ", "request.backup_called": "backup called: ", "request.escalated": "escalated: "}


@dataclass(frozen=True)
class Facts:
    """What there is to say.

    Args:
        plan: the version that the notice is about; `None` when it is no longer kept.
        risk: of its calls.
        request: as it stands now, which may be settled.
        results: of a run that is over.
        at: when it happened.
    """

    notice: Notice
    at: datetime
    plan: Plan | None = None
    risk: PlanRisk | None = None
    request: Request | None = None
    results: Results | None = None


def render(facts: Facts, *, sent_at: datetime, known: Sequence[str] = (), link: str = "") -> Message:
    """Write a notice.

    Args:
        sent_at: when this try is made.
        known: values that are secret whatever they look like.
        link: address with `{request}` or `{run}` in it.
    """
    notice = facts.notice
    subject = line(_subject(notice), known)
    command = f"assent show {notice.request_id or notice.run_id}" if notice.event != TEST else ""
    lines = [subject, "", *_facts(facts, known), *_answers(notice, command, link), *_calls(facts, known), *_words(facts, known)]
    # Once more over the whole: what is harmless line by line may not be when it stands together.
    text = redact("\n".join(lines), known=known)
    data = _data(facts, subject, text, command, _address(notice, link))
    return Message(
        id=notice.id, subject=subject, lines=tuple(text.split("\n")), data=_clean(data, known), at=facts.at, sent_at=sent_at, people=notice.people
    )


def _subject(notice: Notice) -> str:
    level = f"{notice.risk.value}: " if notice.risk is not None else ""
    return f"[assent] {level}{_headline(notice)} ({notice.request_id or notice.run_id or notice.id})"


def _headline(notice: Notice) -> str:
    subject, _, what = notice.event.partition(".")
    if notice.event == TEST:
        return "a test of this channel"
    if notice.event in WAITS:
        return _BEFORE.get(notice.event, "") + _ASKS[notice.kind or Question.PLAN]
    if notice.event == "request.approvals_void":
        return "the plan was changed, earlier approvals are void"
    return f"the {subject} is {what.replace('_', ' ')}"


def _facts(facts: Facts, known: Sequence[str]) -> Iterator[str]:
    notice, request = facts.notice, facts.request
    if notice.event in WAITS and request is not None and not request.is_open:
        yield f"Settled meanwhile: {request.status.value}; there is nothing left to do."
    if notice.why:
        yield _pair("Why", line(notice.why, known))
    if notice.risk is not None:
        yield _pair("Risk", notice.risk.value)
    if notice.event in WAITS:
        yield _pair("May decide", line(_who(notice), known))
        yield _pair("Decide by", _moment(notice.decide_by) if notice.decide_by else "no limit")
    if notice.request_id:
        yield _pair("Request", visible(notice.request_id))
    if notice.run_id:
        yield _pair("Run", visible(notice.run_id))
    if notice.digest:
        yield _pair("Plan", f"version {notice.version}, {visible(notice.digest)}")
    if notice.people:
        yield _pair("Concerns", line(_some(notice.people), known))
    yield _pair("Happened", _moment(facts.at))
    if request is not None and request.kind is Question.IN_DOUBT:
        about = request.subject
        yield _pair("In doubt", line(f"{about.get('direction', '')} {about.get('step', '')} with {about.get('tool', 'a tool')}", known))
    if facts.results is not None:
        yield _pair("Success", _success(facts.results))


def _who(notice: Notice) -> str:
    people = "one person" if notice.approvals <= 1 else f"{notice.approvals} different people"
    not_from = f"; not {_some(notice.not_from)}" if notice.not_from else ""
    return f"{people} with the role {' or '.join(notice.roles) or '(none)'}{not_from}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LIST} more" if len(names) > _LIST else ""
    return ", ".join(names[:_LIST]) + more


def _success(results: Results) -> str:
    met = [outcome.met for outcome in results.outcomes]
    said = "not known" if results.success is None else "yes" if results.success else "no"
    return f"{said}; {sum(one is True for one in met)} of {len(met)} criteria met, {sum(one is None for one in met)} not measured"


def _answers(notice: Notice, command: str, link: str) -> Iterator[str]:
    if not command:
        return
    yield _pair("Look", command)
    if notice.event in WAITS and notice.kind is Question.IN_DOUBT:
        yield _pair("Answer", f"assent settle {notice.request_id} happened|did-not-happen|abandon")
    elif notice.event in WAITS:
        yield _pair("Answer", f"assent approve {notice.request_id}  or  assent reject {notice.request_id}")
    if link:
        yield _pair("Link", f"{_address(notice, link)}  (it only leads there; who you are is asked there)")


def _address(notice: Notice, link: str) -> str:
    # Ids are letters, digits and underscores by construction; anything else does not get into an address.
    ids = {"request": notice.request_id or notice.run_id, "run": notice.run_id}
    for name, value in ids.items():
        link = link.replace(f"{{{name}}}", "".join(char for char in value if char.isascii() and (char.isalnum() or char in "_-")))
    return link


def _calls(facts: Facts, known: Sequence[str]) -> Iterator[str]:
    if facts.plan is not None:
        yield ""
        yield from shown_calls(facts.plan, facts.risk, known)
    elif facts.notice.digest:
        yield from ("", "The plan is no longer kept here.")


# --- the author's words ---------------------------------------------------------------------------------------------------------------


def _words(facts: Facts, known: Sequence[str]) -> Iterator[str]:
    plan = facts.plan
    if plan is None:
        return
    said = [("title", plan.problem.title), ("solution", plan.intent), ("problem", plan.problem.description)]
    said = [(name, text) for name, text in said if text.strip()]
    if said:
        author = f" {line(plan.author, known, 80)}" if plan.author else ""
        yield from ("", f"IN THE WORDS OF THE AUTHOR{author} (not checked against what will run)")
        for name, text in said:
            hidden = redact(text, known=known)
            shown = visible(hidden, letters=True) if len(hidden) <= _WORDS_CHARS else excerpt(hidden, _WORDS_CHARS).shown
            yield f"  {name}: {shown}"


# --- forms ----------------------------------------------------------------------------------------------------------------------------


def _data(facts: Facts, subject: str, text: str, command: str, link: str) -> dict[str, Any]:
    notice = facts.notice
    found: dict[str, Any] = {
        "form": "assent.notice/1", "id": notice.id, "event": notice.event, "at": stamp(facts.at), "subject": subject, "text": text,
        "people": list(notice.people),
    }  # fmt: skip
    given: dict[str, Any] = {
        "run": notice.run_id, "request": notice.request_id, "digest": notice.digest, "command": command, "link": link, "why": notice.why,
        "kind": notice.kind.value if notice.kind else "", "risk": notice.risk.value if notice.risk else "", "version": notice.version,
        "state": facts.request.status.value if facts.request is not None else "", "decide_by": stamp(notice.decide_by) if notice.decide_by else "",
        "may_decide": {"roles": list(notice.roles), "approvals": notice.approvals, "not_from": list(notice.not_from)} if notice.event in WAITS else {},
    }  # fmt: skip
    return found | {key: value for key, value in given.items() if value}


def _clean(value: Any, known: Sequence[str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _clean(inner, known) for key, inner in value.items()}
    if isinstance(value, list):
        return [_clean(inner, known) for inner in value]
    return redact(value, known=known) if isinstance(value, str) else value


def _pair(name: str, value: str) -> str:
    return f"{name.ljust(11)}{value}"


def _moment(at: datetime) -> str:
    return stamp(at)[:16].replace("T", " ") + " UTC"
