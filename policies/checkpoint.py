"""The validation checkpoint of a phase: criteria as data, an answer for each, and what is done when one does not hold.

Rules:
- Only `passed` leads on; there is no argument, setting or state that overrides a criterion.
- Re-runs come first, because they may cure the rest, and are bounded by the phase; then conflicts are put before a person; then people are asked.
- A check that lacks its arguments is not met.

| check | holds when | arguments |
|---|---|---|
| agents_completed | so many agents reported | `at_least` (all of them) |
| no_critical_conflicts | every critical conflict is resolved | |
| section_complete | the section of the synthesis is there, each key known, each of `filled` not empty | `section`, `keys`, `filled` |
| risk_documented | the combined risk has reasons, and every report that arrived is in it | |
| strategy_defined | there is a strategy | |
| no_finding | no finding is as severe as this | `from` (critical) |

Source: E3, validation checkpoint 1 of the phases document.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..schemas.agent_message import SEVERITIES
from ..schemas.consolidated import CheckpointAction, CheckpointResult, Consolidated, CriterionResult
from ..schemas.phase import Criterion, FaultCategory, PhaseSpec
from .phase_recovery import narrowed, strategy

_Verdict = tuple[bool, str, tuple[str, ...]]


def check(spec: PhaseSpec, consolidated: Consolidated, *, attempt: int) -> CheckpointResult:
    """Hold a synthesis against the criteria of its phase.

    Args:
        attempt: how often agents were run again already.
    """
    results = tuple(_judged(criterion, spec, consolidated) for criterion in spec.criteria)
    failed = [one for one in results if not one.met]
    if not failed:
        return CheckpointResult(phase=spec.name, passed=True, criteria=results, action="go on")
    reruns = _reruns(spec, consolidated, failed, attempt)
    conflicts = tuple(one.id for one in consolidated.conflicts if one.critical and one.resolution is None)
    action: CheckpointAction
    if reruns:
        action, question = "rerun", ""
    elif conflicts and any(one.on_failure == "resolve" for one in failed):
        action, question = "resolve", f"{len(conflicts)} contradictions between agents need a person: which side holds?"
    else:
        action, question = "ask", "; ".join(f"{one.text}: {one.reason}" for one in failed)
    return CheckpointResult(phase=spec.name, passed=False, criteria=results, action=action, reruns=reruns, conflicts=conflicts, question=question)


def _judged(criterion: Criterion, spec: PhaseSpec, found: Consolidated) -> CriterionResult:
    met, reason, agents = _CHECKS[criterion.check](criterion.args, spec, found)
    return CriterionResult(id=criterion.id, text=criterion.text, met=met, reason=reason, on_failure=criterion.on_failure, agents=() if met else agents)


def _reruns(spec: PhaseSpec, found: Consolidated, failed: list[CriterionResult], attempt: int) -> dict[str, tuple[str, ...]]:
    if attempt >= spec.reruns:
        return {}
    category = {one.agent_id: one.category for one in found.agents}
    asking = {one.agent_id for one in found.agents if one.outcome == "asks"}
    reruns = {}
    for agent_id in dict.fromkeys(agent for one in failed if one.on_failure == "rerun" for agent in one.agents):
        # An agent that asks would only ask again; a report that lacks something is a fault of the agent.
        what = "ask" if agent_id in asking else strategy(category.get(agent_id) or FaultCategory.AGENT_FAILURE, attempt)
        if what != "ask":
            reruns[agent_id] = narrowed(spec.agent(agent_id), attempt + 1 if what == "narrower scope" else attempt)
    return reruns


def _agents_completed(args: Mapping[str, Any], spec: PhaseSpec, found: Consolidated) -> _Verdict:
    arrived = {one.agent_id for one in found.agents if one.has_reported}
    known = {one.agent_id: one for one in found.agents}
    missing = [agent.id for agent in spec.agents if agent.id not in arrived]
    least = args.get("at_least", len(spec.agents))
    if len(arrived) >= least:
        return True, f"{len(arrived)} of {len(spec.agents)} agents reported", ()
    said = ", ".join(f"{one} ({known[one].outcome.value}: {known[one].reason})" if one in known else f"{one} (no answer)" for one in missing)
    return False, f"{len(arrived)} of {len(spec.agents)} agents reported; missing: {said}", tuple(missing)


def _no_critical_conflicts(args: Mapping[str, Any], spec: PhaseSpec, found: Consolidated) -> _Verdict:
    left = [one for one in found.conflicts if one.critical and one.resolution is None]
    if not left:
        return True, f"{len(found.conflicts)} conflicts, none critical and unresolved", ()
    return False, "; ".join(f"{one.aspect} of {one.subject}: " + " against ".join(f"{side.agent_id} says {str(side.value)[:80]}" for side in one.sides) for one in left[:5]), ()


def _section_complete(args: Mapping[str, Any], spec: PhaseSpec, found: Consolidated) -> _Verdict:
    name = str(args.get("section", ""))
    agents = tuple(agent for section, agent in spec.consolidate.sections.items() if section == name)
    section = found.sections.get(name)
    if not isinstance(section, Mapping) or not section:
        return False, f"there is no {name or 'section named'}", agents
    lacking = [str(key) for key in args.get("keys", ()) if section.get(key) is None]
    empty = [str(key) for key in args.get("filled", ()) if not section.get(key)]
    if lacking or empty:
        return False, f"{name} lacks {', '.join([*lacking, *empty])}", agents
    return True, f"{name} has {', '.join(str(key) for key in section)[:200]}", ()


def _risk_documented(args: Mapping[str, Any], spec: PhaseSpec, found: Consolidated) -> _Verdict:
    risk = found.risk_assessment
    unread = [one.agent_id for one in found.agents if one.has_reported and one.agent_id not in risk.by_agent]
    if not risk.notes or unread or not risk.by_agent:
        return False, f"the risk rests on {len(risk.by_agent)} reports" + (f" and not on {', '.join(unread)}" if unread else ""), ()
    return True, f"{risk.level.value}: {risk.notes[0].text[:200]}", ()


def _strategy_defined(args: Mapping[str, Any], spec: PhaseSpec, found: Consolidated) -> _Verdict:
    said = found.decisions.implementation_strategy
    return bool(said), said or "no report arrived that a strategy could rest on", ()


def _no_finding(args: Mapping[str, Any], spec: PhaseSpec, found: Consolidated) -> _Verdict:
    wanted = args.get("from", "critical")
    if wanted not in SEVERITIES:
        return False, f"{wanted!r} is no severity", ()
    severe = [one for one in found.findings if SEVERITIES.index(one.severity) <= SEVERITIES.index(wanted)]
    if not severe:
        return True, f"no finding is {wanted} or worse", ()
    return False, "; ".join(f"{one.subject}: {one.text or one.value}"[:160] for one in severe[:5]), ()


_CHECKS: dict[str, Callable[[Mapping[str, Any], PhaseSpec, Consolidated], _Verdict]] = {
    "agents_completed": _agents_completed,
    "no_critical_conflicts": _no_critical_conflicts,
    "section_complete": _section_complete,
    "risk_documented": _risk_documented,
    "strategy_defined": _strategy_defined,
    "no_finding": _no_finding,
}
