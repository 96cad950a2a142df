"""What a notebook shows of each noun."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...policies.plan_risk import PlanRisk
from ...schemas.approval import Request
from ...schemas.event import Event, Verification
from ...schemas.plan import Plan
from ...schemas.results import Outcome, Results
from ...schemas.risk import Risk
from ..cli.lines import moment
from ..run import Run
from .html import badge, box, code, fold, items, table, text

if TYPE_CHECKING:
    from ..runtime import Runtime

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
        thing: a Plan, Request, Run, Results, Risk or Verification; or a list of requests, runs or events.
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
    raise TypeError(f"there is no view of {type(thing).__name__}; show a Plan, Request, Run, Results, Risk, Verification, or a list of requests, runs or events")


def steps_of(plan: Plan, runtime: Runtime | None) -> str:
    """Return the steps of a plan as a table: with previews and risks where the runtime is known."""
    known = _known(runtime)
    if runtime is None:
        return table(("", "step", "call"), [(str(s.step), text(s.description), code(_call(s.tool, s.args))) for s in plan.steps])
    from ..cli.steps import seen_steps

    risk = runtime.ledger.risk(plan)
    rows = []
    for step, seen in zip(plan.steps, seen_steps(plan, risk, runtime.tools, runtime.place("")), strict=True):
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
    who = f"{need.approvals} approval{'s' if need.approvals > 1 else ''} by {' or '.join(need.roles)}"
    rows = [("asked by", text(request.requester)), ("takes", text(who + (f"; not by {', '.join(need.not_from)}" if need.not_from else "")))]
    if request.decide_by is not None:
        rows.append(("until", text(moment(request.decide_by))))
    if request.subject.get("why"):
        rows.append(("why", text(request.subject["why"], known=known)))
    rows += [(text(d.verdict.value), f"{text(d.actor.id)} {text(d.reason, known=known)}") for d in request.decisions]
    plan = None if runtime is None else runtime.ledger.plan(request.run_id)
    steps = steps_of(plan, runtime) if plan is not None and plan.digest == request.digest else ""
    title = f"{badge(request.risk.value)} {text(request.title, known=known)} {badge(request.status.value)}"
    return box(title, table((), rows), steps, f'<div class="q">{text(request.id)} · {text(request.digest)}</div>')


def _run(run: Run) -> str:
    runtime = run._runtime
    row, plan, found = run.row, run.plan, run.results
    known = _known(runtime)
    level = "" if plan is None else badge(runtime.ledger.risk(plan).whole.level.value)
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
    return box(title, f'<div class="q">{found.entries:,} entries, head {text(found.head)}</div>', items(text(one) for one in found.problems))


def _several(things: Sequence[Any]) -> str:
    if not things:
        return box(text("nothing"))
    if all(isinstance(one, Request) for one in things):
        rows = [(badge(r.risk.value), text(r.title), text(r.requester), text(moment(r.opened_at)), text(r.id)) for r in things]
        return box(text(f"{len(things)} waiting"), table(("risk", "", "asked by", "since", "request"), rows))
    if all(isinstance(one, Run) for one in things):
        runs = [(badge(r.status.value), text(r.row.title), text(moment(r.row.updated_at)), text(r.id)) for r in things]
        return box(text(f"{len(things)} runs"), table(("", "", "changed", "run"), runs))
    if all(isinstance(one, Event) for one in things):
        rows = [(str(e.seq), text(moment(e.at)), text(e.actor), text(e.type), code(_json(e.data))) for e in things]
        return box(text(f"{len(things)} entries"), table(("", "at", "by", "what", ""), rows))
    raise TypeError("a list is shown when it holds only requests, only runs or only events")


def _known(runtime: Runtime | None) -> tuple[str, ...]:
    return () if runtime is None else tuple(runtime.known_secrets)


def _call(tool: str, args: Mapping[str, Any]) -> str:
    return "\n".join([tool, *(f"  {name}: {value if isinstance(value, str) else _json(value)}" for name, value in args.items())])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


_KINDS: dict[type, Callable[[Any, Runtime | None], str]] = {
    Plan: _plan, Request: _request, Results: _results, Risk: _risk, Verification: _verification,
}  # fmt: skip
