"""Known: what the ledger says of one run, read once and used for as long as nobody changed it.

A dispatch is decided on the run, its plan, the answers of people as the log proves them, and the calls before it. Reading and proving all of
that anew for each step of a long plan costs more than the commit. So it is kept, with the store's `generation`: a number that changes with
every commit of another connection, every write of this one but a dispatch and its receipt, and everything that was undone. What was read under
another generation is read again, inside the transaction that uses it. Nothing here lasts longer than that, and nothing here is written.
"""

from __future__ import annotations

import sqlite3
from functools import cached_property

from ...policies.authority import Assent
from ...schemas.approval import Decision
from ...schemas.dispatch import Dispatch
from ...schemas.run import RunRow
from . import dispatches, grants, plans, requests, runs, waiting


class Known:
    """One run, as it stands in the store at one generation. Used under the store's lock."""

    def __init__(self, c: sqlite3.Connection, run_id: str, generation: int) -> None:
        self._c = c
        self.run_id = run_id
        self.generation = generation
        self.assent: Assent | None = None
        """What the answers add up to; kept by `dispatch`."""
        self.checkpoint: bool | None = None
        """Whether checkpoint 1 of a delivery holds; kept by `dispatch`, `None` for a run without one."""

    @cached_property
    def run(self) -> RunRow:
        """The run, held against the log. Raises: NotFound, StoreCorrupt."""
        return runs.hold(self._c, runs.get(self._c, self.run_id))

    @cached_property
    def proved(self) -> tuple[tuple[Decision, ...], tuple[int, ...]]:
        """The decisions on it that the log holds, and the numbers of those that it does not."""
        return requests.proved(self._c, self.run_id)

    @cached_property
    def contributors(self) -> tuple[str, ...]:
        """Requester, authors and editors."""
        return plans.contributors(self._c, self.run_id)

    @cached_property
    def has_backup(self) -> bool:
        """Whether the backup may answer the questions about the plan in force."""
        return waiting.backup_since(self._c, self.run_id, self.run.digest)

    @cached_property
    def may_have_grants(self) -> bool:
        """Whether there is any standing grant to ask for, or this run used one."""
        return grants.any_given(self._c) or bool(grants.used_by(self._c, self.run_id))

    @property
    def dispatches(self) -> list[Dispatch]:
        """Every dispatched call, in the order in which they began."""
        return list(self._calls.values())

    def of_step(self, digest: str, step: int, *, measures: bool) -> list[Dispatch]:
        """Return every dispatch of a step (or of a measure) under one plan."""
        return [self._calls[key] for key in self._keys.get((digest, measures, step), ())]

    def keep(self, dispatch: Dispatch) -> None:
        """Take note of a call that this connection just dispatched or closed, in the transaction that records it."""
        if "_calls" not in self.__dict__:
            return
        if dispatch.key not in self._calls:
            self._keys.setdefault(_place(dispatch), []).append(dispatch.key)
        self._calls[dispatch.key] = dispatch

    @cached_property
    def _calls(self) -> dict[str, Dispatch]:
        return {dispatch.key: dispatch for dispatch in dispatches.of_run(self._c, self.run_id)}

    @cached_property
    def _keys(self) -> dict[tuple[str, bool, int], list[str]]:
        found: dict[tuple[str, bool, int], list[str]] = {}
        for key, dispatch in self._calls.items():
            found.setdefault(_place(dispatch), []).append(key)
        return found


def _place(dispatch: Dispatch) -> tuple[str, bool, int]:
    return dispatch.digest, dispatch.direction in ("before", "after"), dispatch.step
