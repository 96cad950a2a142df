"""Upkeep: everything that is due with time. Safe to call from cron, from two places at once, and after a week off."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..policies.policy import Policy
from ..schemas.errors import AssentError, NotFound, RunBusy
from ..schemas.notice import Delivery, Route
from .home import Home
from .keep import Keep
from .ledger.ledger import Ledger
from .locks import Locks
from .settings import Settings

if TYPE_CHECKING:
    from .notify.channels import Channels
    from .notify.deliver import Background
    from .run import Run


_SHORTEST_SECRET = 6


class Upkeep:
    """What has to happen although nobody calls for it."""

    ledger: Ledger
    policy: Policy
    home: Home
    keep: Keep
    locks: Locks
    clock: Callable[[], datetime]
    channels: Channels | None
    settings: Settings
    checkpoints: Any
    resume: Callable[[str], Run]
    _telling: Background | None
    _stuck: list[AssentError]

    def sweep(self, now: datetime | None = None) -> dict[str, int]:
        """Do what is due: expire requests and end their runs, remind, call backup, escalate, go on with runs whose window has opened, remove
        what retention no longer keeps, deliver notices.

        Args:
            now: an aware time to sweep for; the clock by default. A time before the newest log entry counts as that entry's.

        Returns:
            how many of each thing this call did.

        Raises:
            AssentError: a run could not go on, for example because its tool is gone; raised when everything else that was due is done.
        """
        self._stuck.clear()
        done = {"expired": 0, "reminded": 0, "backup": 0, "escalated": 0, "resumed": 0, "erased": 0, "notices": 0}
        for request_id in self.ledger.due(now):
            request = self.ledger.expire(request_id, now)
            if not request.is_open:
                done["expired"] += 1
                self._go_on(request.run_id)
        names = {"remind": "reminded", "backup": "backup", "escalate": "escalated"}
        for due in self.ledger.waiting_due(now):
            done[names[due.kind]] += 1
        done["resumed"] = sum(self._go_on(run_id) for run_id in self._window_opened(now))
        done["erased"] = len(self.prune(now=now))
        done["notices"] = self.deliver(now)
        if self._stuck:
            raise self._stuck[0]
        return done

    def prune(self, *, now: datetime | None = None, dry_run: bool = False) -> list[str]:
        """Remove the details of runs that ended long ago: plan, receipts, results, artifacts and checkpoints. The log and the decisions stay.

        Args:
            dry_run: only return what would go.

        Returns:
            the ids of the runs: with `dry_run` those that would lose their details, otherwise those that this call took them from.
        """
        found = self.ledger.retention_due(now)
        if dry_run:
            return found
        self.ledger.prune_notices(now)
        gone = []
        for run_id in found:
            with contextlib.suppress(RunBusy), self.locks.own(run_id):
                # The ledger's rows last: while they are there, a call that was cut short is made good by the next one.
                shutil.rmtree(self.keep.folder / run_id, ignore_errors=True)
                if self.home.checkpoints.exists():
                    self.checkpoints.delete_thread(run_id)
                if self.ledger.erase(run_id, now):
                    gone.append(run_id)
                self.locks.forget(run_id)
        return gone

    def deliver(self, now: datetime | None = None) -> int:
        """Deliver notices that are due; returns how many were sent. What fails stays in the outbox and is tried again later."""
        if self.channels is None:
            return 0
        from .notify.deliver import deliver_due

        return deliver_due(self.ledger, self.channels, now, known=self.known_secrets).sent

    def try_channel(self, name: str) -> Delivery:
        """Send a trial notice to one channel and return what came of it. Raises: NotFound."""
        if self.channels is None:
            raise NotFound("no channels are configured", hint="add `notify:` to config.yaml")
        from .notify.deliver import test_channel

        return test_channel(self.channels, name, self.clock())

    def _tell(self) -> None:
        """Start delivering in the background, so that no run waits for a receiver."""
        if self.channels is not None and (self._telling is None or not self._telling.again()):
            from .notify.deliver import in_background

            self._telling = in_background(self.ledger, self.channels, known=self.known_secrets)

    def _finish_telling(self) -> None:
        if self._telling is not None:
            self._telling.finish()

    @property
    def known_secrets(self) -> tuple[str, ...]:
        """Every value that only this runtime knows to be secret: what the configuration gives to processes. No text that leaves may hold one."""
        return tuple(value for value in self.settings.environment.values() if len(value) >= _SHORTEST_SECRET)

    def _window_opened(self, now: datetime | None) -> list[str]:
        at = self.ledger.time(now)
        found = []
        for row in sorted(self.ledger.runs(status="running", limit=-1), key=lambda row: (row.created_at, row.id)):
            until = self.ledger.waits_until(row.id)
            if until is not None and until <= at:
                found.append(row.id)
        return found

    def _go_on(self, run_id: str) -> bool:
        try:
            self.resume(run_id)
        except RunBusy:
            return False
        except AssentError as error:
            # One run that cannot go on must not keep everybody else waiting.
            self._stuck.append(error)
            return False
        return True


def read_channels(settings: Settings, policy: Policy) -> tuple[Channels | None, Sequence[Route]]:
    """Return the channels and routes of a configuration; nothing of them is loaded where none are configured.

    Raises:
        InvalidConfiguration: names key and remedy.
    """
    if not settings.notify:
        return None, ()
    from .notify.channels import Channels, check_roles, read_notify

    found = read_notify(settings.notify)
    check_roles(found, policy.roles)
    return Channels(found), found.routes
