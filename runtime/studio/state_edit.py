"""What of a run's state may be edited over the server's API, and what an edit comes to.

Rules:
- A run goes from station to station by its edges. An edit stands in for what the last station wrote and for no other's, so what comes next is what
  came next before: nothing is skipped.
- What people said may be edited: `request`, and `tier` while the run is not admitted. What stations found out is not: the ledger knows it.
- Before the run is admitted an edit is what it looks like. Afterwards a changed request is an `edit` of the plan that waits, recorded under the name
  of whoever the server authenticated: it is assessed anew, and nobody has approved it. Where no such question is open, nothing can be edited.
- Values that come back as they were are no edit: Studio sends all that it shows.

Why not all of it: whatever else were written, the ledger would permit nothing by it; but people would look at a state that nobody is in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ...nodes.state import Input
from ...schemas.approval import Actor, Request, Verdict
from ...schemas.errors import Complaint, InvalidDocument, NotAllowed, StaleDecision
from ..runtime import Runtime
from .gate import Gate, was_shown

EDITABLE = ("request", "tier")
_COPY = "copy the thread and edit the copy at the checkpoint before `plan`: that is a run of its own"


@dataclass(frozen=True)
class Bookmark:
    """The checkpoint that is edited: whose it is, what it holds, and which station wrote it."""

    thread_id: str
    values: Mapping[str, Any]
    station: str


def edit_state(gate: Gate, runtime: Runtime, actor: Actor, mark: Bookmark, values: Any, as_node: str | None) -> dict[str, Any]:
    """Hold an edit against the rules above, record it where it is one of the plan, and return what is to be written.

    Args:
        values: what the client sent; `None` forks the checkpoint as it is.
        as_node: for which station, as the client says; `None`: it does not.

    Raises:
        NotAllowed: it would skip a station, or write what only stations write.
        StaleDecision: nothing can be edited any more, or somebody else's edit was not seen.
        InvalidDocument, InvalidPlan: what was written cannot be read.

    Side effects: a decision in the ledger.
    """
    if as_node is not None and as_node != mark.station:
        raise NotAllowed(f"writing as `{as_node}` would skip a station", hint=f"this checkpoint was written by `{mark.station}`; edit as that, or leave `as_node` out")
    if values is not None and not isinstance(values, Mapping):
        raise NotAllowed("state is edited by values, not by commands", hint=f"send an object with {' or '.join(EDITABLE)}")
    changed = {str(name): value for name, value in (values or {}).items() if name not in mark.values or mark.values[name] != value}
    closed = sorted(set(changed) - set(EDITABLE))
    if closed:
        raise NotAllowed(f"`{closed[0]}` is written by stations only", hint=f"{' and '.join(EDITABLE)} can be edited; what stations found out is in the ledger")
    run_id = gate.run_of(mark.thread_id)
    named = mark.values.get("run_id")
    if named and named != run_id:
        raise NotAllowed(f"this thread is a copy of one of run {named}", hint=f"edit it on its own thread; or {_COPY}")
    if not changed:
        return {}
    if run_id:
        _edit_plan(runtime, actor, run_id, changed)
    else:
        _checked({**mark.values, **changed})
    return changed


def _checked(values: Mapping[str, Any]) -> None:
    try:
        Input.model_validate({name: values.get(name) for name in EDITABLE})
    except ValidationError as error:
        raise InvalidDocument([Complaint(where=".".join(map(str, one["loc"])), expected=one["msg"]) for one in error.errors()], file="the edit") from error


def _edit_plan(runtime: Runtime, actor: Actor, run_id: str, changed: Mapping[str, Any]) -> None:
    if "tier" in changed:
        raise StaleDecision(f"the tier of run {run_id} was settled when it was admitted", hint=_COPY)
    document = changed["request"]
    if not isinstance(document, Mapping) and not (isinstance(document, str) and "\n" in document.strip()):
        # A line of text would be read as words for a model, or as the name of a file on the server's disk.
        raise InvalidDocument([Complaint(where="request", expected="the changed plan as an object, or as a document of several lines")], file="the edit")
    runtime.ledger.look_again()
    asked = runtime.ledger.requests(run_id)
    request = _editable(asked, runtime)
    if request is None:
        raise StaleDecision(f"no question of run {run_id} is open that an edit could answer", hint=f"the plan can be edited until it is decided; {_COPY}")
    if not was_shown(actor, request, asked):
        raise StaleDecision("the plan was edited by somebody else meanwhile", hint="look at what waits now, and answer it with an edit")
    runtime.decide(request.id, Verdict.EDIT.value, edit=document, reason="edited as state", actor=actor, resume=False)


def _editable(asked: list[Request], runtime: Runtime) -> Request | None:
    waiting = (runtime.ledger.request(one.id) for one in asked)
    return next((one for one in waiting if one.is_open and Verdict.EDIT in one.options), None)
