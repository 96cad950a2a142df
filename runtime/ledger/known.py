"""Known: what the ledger says of one run, read once and used for as long as nobody changed it.

A dispatch is decided on the run, its plan, the answers of people as the log proves them, and the calls before it. Reading and proving all of
that anew for each step of a long plan costs more than the commit. So it is kept, with the store's `generation`: a number that changes with
every commit of another connection, everything that was undone, and every write of this one that does not say what it changed here. Those that
say it are a dispatch and its receipt, a weighing, a question that opens, a report, what is kept with a run, and a note.
What was read under another generation is read again, inside the transaction that uses it. Nothing here lasts longer than that, and nothing here
is written.
"""

from __future__ import annotations

import sqlite3
from functools import cached_property
from typing import Any

from ...policies.authority import Assent
from ...schemas.approval import Decision, Request
from ...schemas.dispatch import Dispatch
from ...schemas.run import RunRow
from . import dispatches, grants, log, plans, requests, runs, waiting


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
        self._backup: dict[str, bool] = {}

    @cached_property
    def begun(self) -> dict[str, Any] | None:
        """The entry of the log with which it began. Raises: StoreCorrupt."""
        return log.first(self._c, self.run_id)

    @cached_property
    def run(self) -> RunRow:
        """The run, held against the log. Raises: NotFound, StoreCorrupt."""
        return runs.hold(runs.get(self._c, self.run_id), self.begun)

    @cached_property
    def requests(self) -> tuple[Request, ...]:
        """Every question of the run, oldest first."""
        return tuple(requests.of_run(self._c, self.run_id))

    @cached_property
    def proved(self) -> tuple[tuple[Decision, ...], tuple[int, ...]]:
        """The decisions on it that the log holds, and the numbers of those that it does not."""
        return requests.proved(self._c, self.run_id, self.requests)

    @cached_property
    def contributors(self) -> tuple[str, ...]:
        """Requester, authors and editors."""
        return plans.contributors(self._c, self.run_id, self.run.requester)

    def has_backup(self, digest: str) -> bool:
        """Tell whether the backup may answer the questions about a plan."""
        if digest not in self._backup:
            self._backup[digest] = waiting.backup_since(self._c, self.run_id, digest)
        return self._backup[digest]

    @cached_property
    def may_have_grants(self) -> bool:
        """Whether there is any standing grant to ask for, or this run used one."""
        return grants.may_cover(self._c, self.run_id)

    @property
    def dispatches(self) -> list[Dispatch]:
        """Every dispatched call, in the order in which they began."""
        return sorted((dispatch for calls in self._calls.values() for dispatch in calls.values()), key=dispatches.began)

    def of_step(self, digest: str, step: int, *, measures: bool) -> list[Dispatch]:
        """Return every dispatch of a step (or of a measure) under one plan."""
        return list(self._calls.get((digest, measures, step), {}).values())

    def keep(self, dispatch: Dispatch) -> None:
        """Take note of a call that this connection just dispatched or closed, in the transaction that records it."""
        if "_calls" in self.__dict__:
            _put(self._calls, dispatch)

    def moved(self, run: RunRow) -> None:
        """Take note of where this connection just moved the run."""
        self.run = run

    def asked(self) -> None:
        """Take note that this connection just opened a question."""
        self.__dict__.pop("requests", None)

    @cached_property
    def _calls(self) -> _Calls:
        found: _Calls = {}
        for dispatch in dispatches.of_run(self._c, self.run_id):
            _put(found, dispatch)
        return found


_Calls = dict[tuple[str, bool, int], dict[tuple[str, int], Dispatch]]
"""By digest, whether it measures, and step; then by direction and attempt."""


def _put(calls: _Calls, dispatch: Dispatch) -> None:
    place = dispatch.digest, dispatch.direction in ("before", "after"), dispatch.step
    calls.setdefault(place, {})[dispatch.direction, dispatch.attempt] = dispatch
