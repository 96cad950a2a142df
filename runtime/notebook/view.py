"""What a notebook shows of each noun."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...policies.counted import counted
from ...policies.plan_risk import PlanRisk
from ...schemas.approval import Request
from ...schemas.consolidated import CheckpointResult, Consolidated
from ...schemas.event import Event, Verification
from ...schemas.plan import Plan
from ...schemas.results import Outcome, Results
from ...schemas.risk import Risk
from ..cli.lines import moment
from ..run import Run
from .html import badge, box, code, fold, items, table, text

if TYPE_CHECKING:
    from ..runtime import Runtime

_DIGITS = re.compile(r"((?:sha256:)?\b[0-9a-f]{8})[0-9a-f]{24,}")
_MOST_FINDINGS = 40
_MET = {True: "met", False: "not met", None: "not known"}


@dataclass(frozen=True)
class Shown:
    """Something as a notebook displays it; as text, its HTML."""

    html: str

    def _repr_html_(self) -> str:
        return self.html

    def __str__(self) -> str:
        return self.html


def show(thing: Any, runtime: Runtime | None = None) -> Shown:
    """Return something as rich HTML.

    Args:
        thing: a Plan, Request, Run, Results, Risk or Verification, the Consolidated or CheckpointResult of a phase; or a list of requests, runs or events.
        runtime: the home that it belongs to; with it, plans are shown with their risk and with what each call will do.

    Raises:
        TypeError: nothing is known of such a thing.
    """
    if isinstance(thing, Run):
        return Shown(_run(thing))
    for kind, drawn in _KINDS.items():
        if isinstance(thing, kind):
            return Shown(drawn(thing, runtime))
    if isinstance(thing, Sequence) and not isinstance(thing, str | bytes):
        return Shown(_several(thing))
    raise TypeError(f"there is no view of {type(thing).__name__}; show a Plan, Request, Run, Results, Risk, Verification, what a phase gave, or a list of requests, runs or events")


def steps_of(plan: Plan, runtime: Runtime | None, run_id: str = "") -> str:
    """Return the steps of a plan as a table: with previews and risks where the runtime is known."""
    known = _known(runtime)
    if runtime is None:
        return table(("", "step", "call"), [(str(s.step), text(s.description), code(_call(s.tool, s.args))) for s in plan.steps])
    from ..cli.steps import seen_steps

    risk = runtime.ledger.risk(plan, run_id)
    rows = []
    for step, seen in zip(plan.steps, seen_steps(plan, risk, runtime.tools, runtime.place(run_id)), strict=True):
        above = [finding for finding in seen.findings if finding.level.value != "LOW"]
        why = items(text(finding.text, known=known) for finding in above)
        told = text(step.description, known=known)
        rows.append((str(step.step), badge(seen.level), f"{told}{code(seen.headline, known=known)}{fold('all of it', code(seen.detail, known=known)) if seen.detail else ''}",
                     f'<span class="q">{text(seen.undo, known=known)}</span>{why}'))  # fmt: skip
    return table(("", "risk", "what will happen", "undo, and why this risk"), rows)


def _plan(plan: Plan, runtime: Runtime | None) -> str:
    known = _known(runtime)
    risk: PlanRisk | None = None if runtime is None else runtime.ledger.risk(plan)
    level = "" if risk is None else f" {badge(risk.whole.level.value)}"
    criteria = fold("success criteria", items(text(one, known=known) for one in plan.problem.success_criteria), is_open=True)
    measures = fold("measures", items(f"{text(m.criterion)}{code(_call(m.tool, m.args), known=known)}" for m in plan.measures))
    return box(
        f"{text(plan.problem.title, known=known)}{level}", text(plan.problem.description, known=known), criteria, steps_of(plan, runtime), measures,
        f'<div class="q">{text(plan.digest)}</div>',
    )  # fmt: skip


def _request(request: Request, runtime: Runtime | None) -> str:
    known = _known(runtime)
    need = request.need
    who = f"{counted(need.approvals, 'approval')} by {' or '.join(need.roles)}"
    rows = [("asked by", text(request.requester)), ("takes", text(who + (f"; not by {', '.join(need.not_from)}" if need.not_from else "")))]
    if request.decide_by is not None:
        rows.append(("until", text(moment(request.decide_by))))
    if request.subject.get("why"):
        rows.append(("why", text(request.subject["why"], known=known)))
    rows += [(text(d.verdict.value), f"{text(d.actor.id)} {text(d.reason, known=known)}") for d in request.decisions]
    plan = None if runtime is None else runtime.ledger.plan(request.run_id)
    steps = steps_of(plan, runtime, request.run_id) if plan is not None and plan.digest == request.digest else ""
    title = f"{badge(request.risk.value)} {text(request.title, known=known)} {badge(request.status.value)}"
    return box(title, table((), rows), steps, f'<div class="q">{text(request.id)} · {text(request.digest)}</div>')


def _run(run: Run) -> str:
    runtime = run._runtime
    row, plan, found = run.row, run.plan, run.results
    known = _known(runtime)
    level = "" if plan is None else badge(runtime.ledger.risk(plan, run.id).whole.level.value)
    title = f"{text(row.title, known=known)} {badge(row.status.value)} {level}"
    parts = [f'<div class="q">{text(row.id)} · asked by {text(row.requester)} · {text(moment(row.created_at))}</div>']
    if found is not None:
        parts.append(results_of(found, known))
    elif plan is not None:
        parts.append(progress_of(run, plan))
    parts += [f"<div>waits for {text(' or '.join(r.need.roles))}: {text(r.id)}</div>" for r in run.requests if r.is_open]
    return box(title, *parts)


def progress_of(run: Run, plan: Plan) -> str:
    """Return the steps of a run with what became of each so far."""
    rows = [d for d in run._runtime.ledger.dispatches(run.id) if d.digest == plan.digest and d.direction in ("do", "undo")]
    state = {d.step: ("undone" if d.direction == "undo" and d.state.value == "done" else d.state.value) for d in rows}
    known = _known(run._runtime)
    told = [(str(s.step), badge(state.get(s.step, "not yet")), f"{text(s.description, known=known)}{code(_call(s.tool, s.args), known=known)}") for s in plan.steps]
    return table(("", "", "step"), told)


def results_of(found: Results, known: Sequence[str] = ()) -> str:
    """Return the report of a run, without a frame."""
    def value(outcome: Outcome, reading: Any) -> str:
        return "–" if reading is None else text(f"{reading:g} {outcome.unit}".strip() if isinstance(reading, float) else f"{reading} {outcome.unit}".strip(), known=known)

    outcomes = [
        (text(o.criterion, known=known), value(o, o.before), value(o, o.after), text(o.improvement) if o.improvement else "–", text(_MET[o.met] + (f": {o.note}" if o.note and o.met is None else "")))
        for o in found.outcomes
    ]
    steps = [
        (str(s.step), badge("undone" if s.undone else s.status), text(s.description, known=known), text(s.summary, known=known), text(f"{s.duration_ms} ms"))
        for s in found.steps
    ]
    parts = [table(("criterion", "before", "after", "better by", ""), outcomes) if outcomes else "", table(("", "", "step", "what happened", "took"), steps)]
    if found.root_cause is not None:
        parts.append(f"<div><b>{text(found.root_cause.finding, known=known)}</b></div>{items(text(e, known=known) for e in found.root_cause.evidence)}")
    for title, lines in (("not taken back", found.not_undone), ("lessons", found.lessons_learned), ("left to do", tuple(f.action for f in found.follow_ups))):
        parts.append(fold(title, items(text(line, known=known) for line in lines), is_open=title == "not taken back"))
    success = {True: "success", False: "no success", None: "success not known: not everything was measured"}[found.success]
    approved = f" · approved by {text(', '.join(found.approved_by))}" if found.approved_by else ""
    return f"<div>{text(success)} · ${text(found.costs.actual_usd)}{approved}</div>{''.join(parts)}"


def _results(found: Results, runtime: Runtime | None) -> str:
    known = _known(runtime)
    return box(f"{text(found.title, known=known)} {badge(found.status)}", results_of(found, known))


def _risk(risk: Risk, runtime: Runtime | None) -> str:
    rows = [(badge(f.level.value), text(f.text), f'<span class="q">{text(f.rule)}</span>', text(f.lower)) for f in risk.findings]
    return box(badge(risk.level.value), table(("", "finding", "rule", "lower with"), rows))


def _verification(found: Verification, runtime: Runtime | None) -> str:
    title = f"{badge('verified' if found.ok else 'failed')} {text('the log is whole' if found.ok else 'the log does not verify')}"
    return box(title, f'<div class="q">{counted(found.entries, "entry", "entries")}, head {text(found.head)}</div>', items(text(one) for one in found.problems))


def _consolidated(found: Consolidated, runtime: Runtime | None) -> str:
    outcomes = [
        (text(a.agent_id), badge(a.outcome.value), text(a.reason) or text(found.summaries.get(a.agent_id, "")), text(f"{a.took_s:.1f} s") if a.took_s else "")
        for a in found.agents
    ]
    weight = {word: place for place, word in enumerate(("critical", "high", "medium", "low", "info"))}
    findings = [
        (badge(f.severity.upper() if f.severity != "info" else f.severity), text(f.subject), text(f.text or f"{f.aspect} {_json(f.value)}"), text(", ".join(f.agents)))
        for f in sorted(found.findings, key=lambda f: weight.get(f.severity, 9))[:_MOST_FINDINGS]
    ]
    more = f'<div class="q">{len(found.findings) - _MOST_FINDINGS:,} more findings</div>' if len(found.findings) > _MOST_FINDINGS else ""
    conflicts = items(f"{text(c.aspect)} of {text(c.subject)}: {text('; '.join(f'{s.agent_id} says {_json(s.value)}' for s in c.sides))}" for c in found.conflicts)
    work = items(f"{text(w.action)} <span class=\"q\">{text(', '.join(w.agents))}</span>" for w in found.decisions.priority_order[:_MOST_FINDINGS])
    return box(
        f"{text(found.phase)} {badge(found.risk_assessment.level.value)}", table(("agent", "", "what it said", "took"), outcomes),
        f"<div>{text(found.decisions.implementation_strategy)}</div>", fold("contradictions", conflicts, is_open=True),
        fold(counted(len(found.findings), "finding"), table(("", "about", "", "by"), findings) + more) if findings else "", fold("to do, in this order", work),
    )  # fmt: skip


def _checkpoint(found: CheckpointResult, runtime: Runtime | None) -> str:
    rows = [(badge("met" if c.met else "not met"), text(c.text), text(c.reason)) for c in found.criteria]
    title = f"{text(found.phase)} {badge('passed' if found.passed else 'not passed')}"
    return box(title, table(("", "criterion", "why"), rows), f"<div>{text(found.question)}</div>" if found.question else "")


def _several(things: Sequence[Any]) -> str:
    if not things:
        return box(text("nothing"))
    if all(isinstance(one, Request) for one in things):
        rows = [(badge(r.risk.value), text(r.title), text(r.requester), text(moment(r.opened_at)), text(r.id)) for r in things]
        return box(text(f"{len(things)} waiting"), table(("risk", "", "asked by", "since", "request"), rows))
    if all(isinstance(one, Run) for one in things):
        runs = [(badge(r.status.value), text(r.row.title), text(moment(r.row.updated_at)), text(r.id)) for r in things]
        return box(text(counted(len(things), "run")), table(("", "", "changed", "run"), runs))
    if all(isinstance(one, Event) for one in things):
        rows = [(str(e.seq), f'<span class="n">{text(moment(e.at))}</span>', text(e.actor), text(e.type), text(_in_short(e.data))) for e in things]
        return box(text(counted(len(things), "entry", "entries")), table(("", "at", "by", "what", ""), rows))
    raise TypeError("a list is shown when it holds only requests, only runs or only events")


def _in_short(data: Mapping[str, Any]) -> str:
    """Return the data of an entry as words; of a digest or a key its first eight digits, which is what people compare."""
    words = []
    for name, value in data.items():
        said = value if isinstance(value, str) else _json(value)
        words.append(f"{name} {_DIGITS.sub(lambda found: f'{found[1]}…', said)}")
    return "; ".join(words)


def _known(runtime: Runtime | None) -> tuple[str, ...]:
    return () if runtime is None else tuple(runtime.known_secrets)


def _call(tool: str, args: Mapping[str, Any]) -> str:
    return "\n".join([tool, *(f"  {name}: {value if isinstance(value, str) else _json(value)}" for name, value in args.items())])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


_KINDS: dict[type, Callable[[Any, Runtime | None], str]] = {
    Plan: _plan, Request: _request, Results: _results, Risk: _risk, Verification: _verification, Consolidated: _consolidated, CheckpointResult: _checkpoint,
}  # fmt: skip
