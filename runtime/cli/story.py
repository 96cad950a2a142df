"""The story of a run: its log entries as sentences, in order, each with its time and who it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...policies.counted import counted
from ...schemas.event import Event
from .lines import Line, moment, one_line, span, styled

_QUIET = frozenset({"rules", "request", "digest", "key", "receipt", "before", "policy", "tables", "who", "ask"})
_STATES = {"done": "done", "failed": "failed", "not_started": "not started", "in_doubt": "in doubt: nobody knows whether it happened", "abandoned": "given up"}


def story(events: list[Event]) -> Iterator[Line]:
    """Yield one line for each entry."""
    for event in events:
        yield line(event)


def line(event: Event) -> Line:
    """Return one entry as a line."""
    who = "" if event.actor in ("", "system") else f"{one_line(event.actor, 60)}: "
    return styled((f"{event.seq:>5}  {moment(event.at)}  ", "dim"), (who, "bold"), one_line(said(event), 240, prose=True))


def said(event: Event) -> str:
    """Return what an entry says, in words; an unknown kind shows its data."""
    data, kind = event.data, event.type
    number = data.get("step", "?")
    match kind:
        case "run.started":
            tier = f", tier {data['tier']}" if "tier" in data else ""
            return f"asked for a run of {data.get('graph', 'par')}{tier}"
        case "plan.frozen" | "plan.edited":
            how = "plan frozen" if kind == "plan.frozen" else "plan edited; earlier approvals are void"
            return f"{how}: version {data.get('version')}, {counted(data.get('steps', 0), 'step')}, {str(data.get('digest', ''))[:19]}…"
        case "risk.assessed":
            return f"risk assessed as {data.get('level')} ({', '.join(data.get('rules', []))})"
        case "request.opened":
            return f"asks people ({data.get('kind', 'plan')}, {data.get('risk')}): {data.get('request')}"
        case "decision.recorded":
            return f"answers {str(data.get('verdict')).replace('_', ' ')} to {data.get('request')} ({str(data.get('assurance', '')).replace('_', ' ')})"
        case "decision.refused":
            return f"tried to answer {str(data.get('verdict')).replace('_', ' ')}; it does not count ({', '.join(data.get('rules', []))})"
        case "request.settled":
            return f"question {data.get('request')} is {data.get('status')}"
        case "run.status":
            reason = data.get("reason") or data.get("why")
            why = f" ({reason})" if reason else ""
            return f"run {str(data.get('from')).replace('_', ' ')} → {str(data.get('to')).replace('_', ' ')}{why}"
        case "step.dispatched":
            return f"{_call(data)} may run once ({', '.join(data.get('rules', []))})"
        case "step.refused":
            return f"{_call(data)} may not run: {', '.join(data.get('rules', []))}"
        case "run.stop_requested":
            return f"asks the run to stop at the next step{': ' + data['reason'] if data.get('reason') else ''}"
        case "rollback.requested":
            return f"asks to take it back{' to after step ' + str(data['to']) if data.get('to') else ''}"
        case "undo.refused":
            return f"step {number} may not be taken back: {', '.join(data.get('rules', []))}"
        case "problem.vague":
            hints = data.get("hints", [])
            return f"{counted(len(hints), 'warning')} about the document: {'; '.join(hints)}"
        case "model.asked":
            cost = f", ${data['cost_usd']}" if data.get("cost_usd") else ""
            fit = "" if data.get("usable", True) else "; the answer could not be used"
            return f"asked {data.get('model')} ({data.get('exchange')}): {data.get('input_tokens', 0)} + {data.get('output_tokens', 0)} tokens{cost}{fit}"
        case "budget.exceeded" | "planning.stopped":
            return f"planning stopped, and can go on: {data.get('why')}"
        case "opinion.recorded":
            return f"says {data.get('answer')} ({data.get('confidence_pct')} %) in {span(int(data.get('ms', 0)) / 1000)}"
        case "intent.judged":
            return (
                f"intent of {counted(data.get('steps', 0), 'step')}: rules say {data.get('within')} within, {data.get('outside')} outside; of {data.get('asked')} left open"
                f" a model settled {data.get('allowed')}, {data.get('escalated')} go to a person{_why(data)}"
            )
        case "constitution.judged":
            return f"{counted(data.get('asked', 0), 'principle')} put to a model: {data.get('allowed')} kept, {data.get('escalated')} go to a person{_why(data)}"
        case "outside.steers":
            return f"something tried to steer the model: {'; '.join(data.get('warnings', []))}"
        case "artifact.kept":
            return f"kept {data.get('name')} ({counted(data.get('size', 0), 'byte')})"
        case "results.recorded":
            return f"results recorded, success: {_success(data.get('success'))}"
        case "phase.began":
            return f"the {data.get('phase')} begins: {', '.join(data.get('agents', []))}"
        case "phase.agent":
            took = "unchanged since the last time" if data.get("reused") else span(int(data.get("ms", 0)) / 1000)
            return f"agent {data.get('agent')} of the {data.get('phase')} {data.get('outcome')} ({took}){': ' + data['reason'] if data.get('reason') else ''}"
        case "phase.checked":
            failed = ", ".join(data.get("failed", []))
            return f"checkpoint of the {data.get('phase')}: {'passed' if data.get('passed') else 'not passed (' + failed + ')'}"
        case "conflict.resolved":
            return f"says of {data.get('conflict')}: {data.get('holds') or 'neither side'} holds"
        case "rollback.rehearsed":
            return f"the way back was tried in a copy of the workspace: {'it works' if data.get('tested') else 'not tested: ' + '; '.join(data.get('untested', []))}"
        case "release.decided":
            return f"{data.get('decision')}{', a stakeholder is asked' if data.get('asks') else ''}"
    if kind.startswith("step.") and "state" in data:
        return f"{_call(data)} {_STATES.get(data['state'], data['state'])} ({span(int(data.get('ms', 0)) / 1000)})"
    rest = ", ".join(f"{name} {value}" for name, value in data.items() if name not in _QUIET)
    return f"{kind.replace('.', ' ').replace('_', ' ')}{': ' + rest if rest else ''}"


def _call(data: Mapping[str, Any]) -> str:
    way = data.get("direction", "do")
    name = f"measure {data.get('step')} {way}" if way in ("before", "after") else f"{'undo of ' if way == 'undo' else ''}step {data.get('step')}"
    return f"{name}, attempt {data['attempt']}," if data.get("attempt", 1) != 1 else name


def _why(data: Mapping[str, Any]) -> str:
    return f" ({'; '.join(map(str, data['why']))})" if data.get("why") else ""


def _success(value: Any) -> str:
    return {True: "yes", False: "no"}.get(value, "not known")
