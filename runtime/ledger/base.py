"""What every part of the ledger stands on: the store, the rules in force, the plans and risks that this process knows, and who listens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ...policies.plan_risk import PlanRisk
from ...policies.policy import Policy
from ...policies.routing import notices_for
from ...schemas.approval import Request
from ...schemas.errors import IllegalTransition, StoreCorrupt
from ...schemas.event import Event
from ...schemas.notice import Route
from ...schemas.plan import Plan
from ...schemas.risk import Level
from ...schemas.run import RunRow, RunStatus
from . import log, outbox, plans, runs
from .known import Known
from .rows import REMEDY
from .store import Store

_MOST_KNOWN = 64


class Base:
    """One open ledger."""

    def __init__(
        self, path: Path, *, policy: Policy, assess: Callable[..., PlanRisk], clock: Callable[[], datetime], routes: Sequence[Route] = (),
        rules: Callable[[], Policy] | None = None,
    ) -> None:
        """Open the ledger.

        Args:
            assess: the risk of a plan under the rules of now, in the workspace named as a second argument where the run has one of its own; pure for
                one plan, policy and workspace, so its answers are kept by digest.
            clock: returns the wall time, aware.
            rules: returns the rules of now, where they can change while the ledger is open; asked before anything is weighed, decided or dispatched.
            routes: which notices go to which channels.

        Raises:
            StoreError: see `Store`.
        """
        self.store = Store(path, clock=clock)
        self.policy = policy
        self._rules = rules
        self.clock = clock
        self.routes = tuple(routes)
        self._assess = assess
        self._risks: dict[tuple[str, str], PlanRisk] = {}
        self._workspaces: dict[str, str] = {}
        self._plans: dict[str, Plan] = {}
        self._runs_known: dict[str, Known] = {}
        self.listeners: list[Callable[[Event], None]] = []
        self._told = 0
        with self.store.read() as c:
            name = c.execute("SELECT value FROM meta WHERE key = 'deployment'").fetchone()
        if name is None:
            self.store.close()
            raise StoreCorrupt(f"{path} is damaged: it has lost its name", hint=REMEDY)
        self.deployment = str(name[0])

    def risk(self, plan: Plan, run_id: str = "") -> PlanRisk:
        """Return the risk of a plan under the rules of now, as the world was at the last `look_again`.

        Args:
            run_id: the run that follows the plan; its steps act in the workspace in which it was started, and are judged there.
        """
        where = self.workspace(run_id) if run_id else ""
        found = self._risks.get((plan.digest, where))
        if found is None:
            found = self._risks[plan.digest, where] = self._assess(plan, where) if where else self._assess(plan)
        return found

    def workspace(self, run_id: str) -> str:
        """Return the workspace of a run as it was recorded when the run was admitted; empty where none was.

        Raises:
            StoreCorrupt: what the run was asked for is not what the log says; acting somewhere else than was approved is no small thing.
        """
        found = self._workspaces.get(run_id)
        if found is None:
            with self.store.read() as c:
                named = runs.workspace(c, run_id, self._known(c, run_id).begun)
            if named is None:
                return ""
            found = self._workspaces[run_id] = named
        return found

    def look_again(self) -> None:
        """Assess plans anew from here on: what a path leads to may have changed since they were assessed, and the rules may have."""
        self._risks.clear()
        self._runs_known.clear()
        self.renew_rules()

    def renew_rules(self) -> None:
        """Take the rules of now.

        Raises:
            InvalidConfiguration: somebody made them unreadable; nothing goes on until they can be read.
        """
        if self._rules is not None:
            found = self._rules()
            if found is not self.policy:
                self.policy = found
                self._risks.clear()
                self._runs_known.clear()

    def _plan_in_force(self, c: Any, run: RunRow) -> Plan | None:
        if not run.version:
            return None
        found = self._plans.get(run.digest)
        if found is None:
            found = plans.get(c, run.id, run.version)
            if found is not None:
                # Keyed by the digest computed from the bytes, so a row changed behind our back cannot change what this process runs.
                self._plans[found.digest] = found
        return found

    def events(self, run_id: str = "", *, after: int = 0, limit: int = -1) -> list[Event]:
        """Return log entries in order."""
        with self.store.read() as c:
            return log.events(c, run_id, after=after, limit=limit)

    def _known(self, c: Any, run_id: str) -> Known:
        """Return what is known of a run, read again where anything may have changed; inside a transaction or under the store's lock."""
        generation = self.store.look()
        found = self._runs_known.get(run_id)
        if found is None or found.generation != generation:
            if len(self._runs_known) >= _MOST_KNOWN:
                self._runs_known.clear()
            found = self._runs_known[run_id] = Known(c, run_id, generation)
        return found

    def _move(self, c: Any, run: RunRow, status: RunStatus, at: datetime, actor: str, **data: Any) -> RunRow:
        """Change the state of a run, in a transaction that keeps what is known of it. Raises: IllegalTransition."""
        moved = runs.move(c, run, status, at, actor, **data)
        self._known(c, run.id).moved(moved)
        return moved

    def _write(self, *, deferred: bool = False, keeping: bool = False) -> contextlib.AbstractContextManager[Any]:
        writing = self.store.write(deferred=deferred, keeping=keeping)
        return self._told_of(writing) if self.listeners else writing

    @contextlib.contextmanager
    def _told_of(self, writing: contextlib.AbstractContextManager[Any]) -> Iterator[Any]:
        with writing as c:
            yield c
        self._tell_committed()

    def _tell(self) -> None:
        fresh = self.events(after=self._told) if self._told else []
        with self.store.read() as c:
            self._told = log.head(c)[0]
        for event in fresh:
            for listener in list(self.listeners):
                listener(event)

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` for every entry that this process commits from now on; returns what ends it."""
        if not self._told:
            with self.store.read() as c:
                self._told = max(1, log.head(c)[0])
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def _require(self, c: Any, run: RunRow) -> Plan:
        plan = self._plan_in_force(c, run)
        if plan is None:
            raise IllegalTransition(f"run {run.id} has no plan yet", hint="resume it; planning comes first")
        return plan

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Let deferred writes wait for the next full write or the end of the block."""
        with self.store.together():
            yield
        self._tell_committed()

    def flush(self) -> None:
        """Commit what deferred writes left open."""
        self.store.flush()
        self._tell_committed()

    def _tell_committed(self) -> None:
        if self.listeners and not self.store.connection.in_transaction:
            self._tell()

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def time(self, now: datetime | None = None) -> datetime:
        """Return the time that the ledger goes by: the later of `now`, or the clock, and the newest entry of the log."""
        with self.store.read() as c:
            return self._time(c, now)

    def _time(self, c: Any, now: datetime | None) -> datetime:
        return log.now(c, self.clock if now is None else lambda: now)

    def _tell_people(self, c: Any, event: str, subject: Request | RunRow, at: datetime, *, risk: Level | None = None, people: Iterable[str] = ()) -> None:
        """Put what people are to be told into the outbox, in the transaction that makes it true."""
        if self.routes:
            outbox.enqueue(c, notices_for(event, subject, self.routes, risk=risk, people=people), at)
