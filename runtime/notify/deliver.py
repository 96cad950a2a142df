"""Delivering what the outbox holds: take a notice, write it, send it, record what came of it.

Rules:
- Nothing is held while something is sent: the claim and the mark are transactions of their own, and a run never waits for either.
- Every try ends in bounded time, whatever the receiver does. After a try that failed for now, the rest of its channel waits for the next pass.
- A sender that dies between sending and marking is followed by another one with the same event id. Receivers take an id once.
- An error of a channel is a failed delivery and not the end of the pass; what is said of it holds no secret.

Source: feature B11; threats T33 and T34. It does not decide who is told (`policies.routing`) or when to try again (`policies.backoff`).
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...policies.redact import redact
from ...policies.routing import trial_notice
from ...policies.show import excerpt
from ...schemas.errors import AssentError, NotFound
from ...schemas.notice import Delivery, Notice, Outcome, Posted
from ...schemas.noun import stamp
from ...schemas.results import Results
from ..ledger import log, outbox, plans, requests, runs
from ..ledger.ledger import Ledger
from .channels import Channels
from .render import Facts, render
from .sender import Message, NotConfigured, Sender

GRACE_S = 1.0
"""What a try may take beyond its channel's time before it is left to itself."""
LEASE_S = 30.0
"""Beyond the time of a try, how long a sender may be silent before its notice is due again."""
_SAID_CHARS = 300


@dataclass(frozen=True)
class Counts:
    """What one pass did, in notices."""

    sent: int = 0
    failed: int = 0
    given_up: int = 0

    def plus(self, state: str) -> Counts:
        """Return the counts with one more; `waiting` is a try that failed."""
        return self + Counts(state == "sent", state == "waiting", state == "given_up")

    def __add__(self, other: Counts) -> Counts:
        """Return the sums."""
        return Counts(self.sent + other.sent, self.failed + other.failed, self.given_up + other.given_up)


def deliver_due(
    ledger: Ledger,
    channels: Channels,
    now: datetime | None = None,
    *,
    limit: int = 100,
    budget_s: float = 60.0,
    known: Sequence[str] = (),
    monotonic: Callable[[], float] = time.monotonic,
    lock: contextlib.AbstractContextManager[object] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Counts:
    """Send what is due.

    Args:
        now: an aware time; the ledger's clock by default. Time that the pass itself takes is added to it.
        limit: most notices to try.
        budget_s: begin no other try after this many seconds. A pass takes at most this and one try.
        known: values that are secret whatever they look like; those of the channels are added.
        monotonic: measures what the pass takes, in seconds.
        lock, stopped: held around every use of the ledger, and asked before it; see `in_background`.

    Side effects: the network; rows and log entries of the ledger. Safe to call twice at once and from another process.
    """
    one = _Pass(ledger, channels, now, (*known, *channels.secrets), monotonic, lock or contextlib.nullcontext(), stopped)
    counts = Counts()
    tried = 0
    for channel in one.channels():
        for posted in one.due(channel, limit - tried):
            if tried >= limit or one.elapsed() >= budget_s or stopped():
                return counts
            state = one.deliver(posted)
            if state is None:
                continue
            tried += 1
            counts = counts.plus(state)
            if state == "waiting":
                break  # the receiver is not well, or wants to be left alone for a while
    return counts


def in_background(ledger: Ledger, channels: Channels, *, budget_s: float = 15.0, known: Sequence[str] = ()) -> Background:
    """Send what is due in a thread that ends by itself and never keeps the process alive."""
    return Background(ledger, channels, budget_s, known)


class Background:
    """A pass in a thread. Call `finish` before the ledger is closed."""

    def __init__(self, ledger: Ledger, channels: Channels, budget_s: float, known: Sequence[str]) -> None:
        self._lock = threading.RLock()
        self._is_stopped = False
        self._is_asked = False
        self.counts: Counts | None = None
        """What the pass did; `None` until it is over. A pass that was stopped, or that the store refused, counts nothing."""
        self._thread = threading.Thread(target=self._go, args=(ledger, channels, budget_s, known), name="assent notify", daemon=True)
        self._thread.start()

    def _go(self, ledger: Ledger, channels: Channels, budget_s: float, known: Sequence[str]) -> None:
        counts = Counts()
        while True:
            self._is_asked = False
            with contextlib.suppress(_Stopped, AssentError):  # what the store refused is still due, and the next pass tells
                counts += deliver_due(ledger, channels, budget_s=budget_s, known=known, lock=self._lock, stopped=lambda: self._is_stopped)
            with self._lock:
                if not self._is_asked or self._is_stopped:
                    self.counts = counts
                    return

    def again(self) -> bool:
        """Ask for another pass after this one, for what was put into the outbox meanwhile. Returns false when it is over and a new one is needed."""
        with self._lock:
            self._is_asked = True
            return self.counts is None

    def finish(self, patience_s: float = 2.0) -> bool:
        """Wait for the pass, at most `patience_s` seconds; after that it no longer touches the ledger. Returns whether it had ended."""
        self._thread.join(patience_s)
        with self._lock:
            self._is_stopped = True
        return not self._thread.is_alive()


def test_channel(channels: Channels, name: str, now: datetime) -> Delivery:
    """Send a notice that tells of nothing, at once and beside the outbox.

    Raises:
        NotFound: no channel of that name is configured.
    """
    sender = channels.sender(name)
    if sender is None:
        raise NotFound(f"there is no channel {name!r}", hint=f"the configured ones are: {', '.join(channels) or 'none'}; add it under `notify.channels` in config.yaml")
    notice = trial_notice(name, stamp(now))
    known = channels.secrets
    return _clean(_tried(sender, lambda: render(Facts(notice, now), sent_at=now, known=known), channels.time_s(name)), known)


class _Stopped(Exception):
    """The ledger is about to be closed."""


class _Pass:
    """One pass: where time is read, and where the ledger is touched."""

    def __init__(
        self,
        ledger: Ledger,
        channels: Channels,
        now: datetime | None,
        known: Sequence[str],
        monotonic: Callable[[], float],
        lock: contextlib.AbstractContextManager[object],
        stopped: Callable[[], bool],
    ) -> None:
        self._ledger, self._channels, self._known = ledger, channels, known
        self._monotonic, self._lock, self._stopped = monotonic, lock, stopped
        self._began = monotonic()
        with self._using():
            self._start = ledger.clock() if now is None else now

    @contextlib.contextmanager
    def _using(self) -> Iterator[None]:
        with self._lock:
            if self._stopped():
                raise _Stopped
            yield

    def elapsed(self) -> float:
        """Return the seconds since the pass began."""
        return self._monotonic() - self._began

    def channels(self) -> list[str]:
        """Return the channels for which something is due."""
        with self._using(), self._ledger.store.read() as c:
            return outbox.channels(c, self._now(c))

    def due(self, channel: str, limit: int) -> list[Posted]:
        """Return what is due for a channel."""
        with self._using(), self._ledger.store.read() as c:
            return outbox.due(c, self._now(c), max(0, limit), channel=channel)

    def deliver(self, posted: Posted) -> str | None:
        """Try one; return its state afterwards, `None` if another sender has it."""
        sender = self._channels.sender(posted.channel)
        time_s = self._channels.time_s(posted.channel) if sender is not None else 0.0
        with self._using(), self._ledger.store.write() as c:
            taken = outbox.claim(c, posted, self._now(c), time_s + GRACE_S + LEASE_S)
        if taken is None:
            return None
        delivery = _clean(self._delivered(taken, sender, time_s), self._known)
        with self._using(), self._ledger.store.write() as c:
            return outbox.mark(c, taken, delivery, self._now(c), self._channels.settings.backoff).state

    def _delivered(self, taken: Posted, sender: Sender | None, time_s: float) -> Delivery:
        settings = self._channels.settings
        if taken.attempts > settings.backoff.tries:
            # Only tries whose sender died before it could say anything lead here.
            return Delivery(outcome=Outcome.NEVER, said=f"{taken.attempts - 1} tries ended without a word")
        if sender is None:
            return Delivery(outcome=Outcome.LATER, said=f"no channel {taken.channel!r} is configured here")
        try:
            with self._using():
                facts = gather(self._ledger, taken.notice, taken.at)
        except AssentError as error:
            return Delivery(outcome=Outcome.LATER, said=f"what it is about cannot be read: {error.message}")
        sent_at = self._wall()
        return _tried(sender, lambda: render(facts, sent_at=sent_at, known=self._known, link=settings.link), time_s)

    def _wall(self) -> datetime:
        return self._start + timedelta(seconds=self.elapsed())

    def _now(self, c: sqlite3.Connection) -> datetime:
        return log.now(c, self._wall)


def gather(ledger: Ledger, notice: Notice, at: datetime) -> Facts:
    """Look up what a notice is about. What retention removed is simply not there."""
    request = results = plan = risk = None
    with ledger.store.read() as c:
        if notice.request_id:
            with contextlib.suppress(NotFound):
                request = requests.get(c, notice.request_id)
        raw = runs.results(c, notice.run_id) if notice.event.startswith("run.") else None
        plan = plans.get(c, notice.run_id, notice.version) if notice.version else None
    if raw is not None:
        results = Results.model_validate_json(raw)
    if plan is not None:
        with contextlib.suppress(AssentError, KeyError):  # a tool that is no longer there; its calls are shown with a risk that is not known
            risk = ledger.risk(plan, notice.run_id)
    return Facts(notice, at, plan, risk, request, results)


def _tried(sender: Sender, message: Callable[[], Message], time_s: float) -> Delivery:
    """Write and send in a thread of its own, so that no receiver, resolver or library can hold the pass beyond its time."""
    box: list[Delivery] = []

    def go() -> None:
        try:
            box.append(sender.send(message()))
        except NotConfigured as error:
            box.append(Delivery(outcome=Outcome.LATER, said=str(error)))
        except Exception as error:  # noqa: BLE001 - whatever breaks in a channel is a failed delivery, and must not end the others
            box.append(Delivery(outcome=Outcome.LATER, said=f"{type(error).__name__}: {error}"))

    thread = threading.Thread(target=go, name="assent notify try", daemon=True)
    thread.start()
    thread.join(time_s + GRACE_S)
    return box[0] if box else Delivery(outcome=Outcome.LATER, said=f"no answer within {time_s:g} seconds")


def _clean(delivery: Delivery, known: Sequence[str]) -> Delivery:
    # An answer may repeat what it was sent, and an exception what it was called with.
    return delivery.model_copy(update={"said": excerpt(redact(delivery.said, known=known), _SAID_CHARS).shown if delivery.said else ""})
