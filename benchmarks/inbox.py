"""How long the first page of the inbox takes with 10,000 and with 100,000 requests pending, for each filter and order.

    python benchmarks/inbox.py [--most 100000] [--rounds 200]

The requests are put into a real ledger, with the mixture of levels, tags, urgencies and requesters that `_request` makes: one in fifty is critical,
one in a thousand has the tag `rare`, and the newest request of all is the only one with the tag `last`. Prints a table; exits with 1 when the
median of a page of one filter or two is over the bar (5 ms at 10,000, 10 ms at 100,000).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from assent.policies.approvals import need
from assent.runtime.ledger import log, requests
from assent.runtime.runtime import Runtime
from assent.runtime.testing import FrozenClock, authenticated, recorded
from assent.schemas.approval import Question, Request, Urgency
from assent.schemas.risk import Level

BARS_MS = {10_000: 5.0, 100_000: 10.0}
_PEOPLE = {
    "dora": ["developer"], "lena": ["lead"], "ada": ["admin"], "amos": ["admin"], "guest": [],
    "robot": {"roles": ["developer", "lead", "admin"], "kind": "agent"}, "auditor": ["auditor"],
}  # fmt: skip
_URGENCIES: tuple[Urgency, ...] = ("normal", "normal", "normal", "low", "high", "critical")


def main() -> int:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description="Time the first page of the inbox.")
    parser.add_argument("--most", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=100)
    given = parser.parse_args()
    slow = 0
    with tempfile.TemporaryDirectory() as folder:
        home, clock = Path(folder) / "home", FrozenClock()
        (Path(folder) / "workspace").mkdir()

        def door(who: str) -> Runtime:
            config = {"actors": _PEOPLE, "preset": "team", "roles": ["developer", "lead", "admin", "auditor"]}
            return Runtime(home, workspace=Path(folder) / "workspace", config=config, clock=clock, actor=authenticated(who))

        there = 0
        for size in sorted(size for size in BARS_MS if size <= given.most):
            with door("lena") as runtime:
                begun = time.perf_counter()
                _fill(runtime, clock, there, size)
                took = time.perf_counter() - begun
            there = size
            print(f"\n{size:,} pending (filled in {took:.1f} s)   bar {BARS_MS[size]:.0f} ms")
            print(f"{'page of 50':44} {'rows':>5} {'median ms':>10} {'p99 ms':>8}")
            doors = {who: door(who) for who in ("lena", "ada", "guest", "auditor", "robot")}
            for name, look in _pages(doors):
                rows, median, p99 = _time(look, given.rounds)
                over = median > BARS_MS[size] and not name.startswith("worst case")
                slow += over
                print(f"{name:44} {rows:>5} {median:>10.2f} {p99:>8.2f}{'   OVER' if over else ''}")
            for runtime in doors.values():
                runtime.close()
    return 1 if slow else 0


def _pages(doors: dict[str, Runtime]) -> list[tuple[str, Callable[[], list[Request]]]]:
    lena = doors["lena"]
    found: list[tuple[str, dict[str, Any]]] = [
        ("oldest first", {}), ("by urgency", {"order": "urgency"}), ("risk HIGH", {"risk": "HIGH"}), ("risk CRITICAL", {"risk": "CRITICAL"}),
        ("risk CRITICAL by urgency", {"risk": "CRITICAL", "order": "urgency"}), ("tag production (a third)", {"tag": "production"}),
        ("tag rare (1 in 1,000)", {"tag": "rare"}), ("tag rare by urgency", {"tag": "rare", "order": "urgency"}), ("tag last (one, the newest)", {"tag": "last"}),
        ("tag that nothing has", {"tag": "nothing"}), ("tag production, risk CRITICAL", {"tag": "production", "risk": "CRITICAL"}),
        ("tag last, risk CRITICAL", {"tag": "last", "risk": "CRITICAL"}), ("older than 4 hours", {"older_than": "4 hours"}),
        ("older than 4 hours by urgency", {"older_than": "4 hours", "order": "urgency"}), ("older than 100 years", {"older_than": "36000 days"}),
    ]  # fmt: skip
    pages: list[tuple[str, Callable[[], list[Request]]]] = [(name, lambda options=options: lena.inbox(**options)) for name, options in found]  # type: ignore[misc]
    for who in ("lena", "ada", "guest", "auditor", "robot"):
        for order in ("oldest", "urgency"):
            pages.append((f"mine: {who} ({', '.join(doors[who].actor.roles) or 'no role'}), {order}", lambda who=who, order=order: doors[who].inbox(mine=True, order=order)))  # type: ignore[misc]  # noqa: PERF401
    # Nothing has both, and neither is rare: every row of one list is held against the other.
    pages.append(("worst case, no bar: mine, HIGH, production", lambda: lena.inbox(mine=True, risk="HIGH", tag="production")))
    return pages


def _fill(runtime: Runtime, clock: FrozenClock, start: int, stop: int) -> None:
    plan = recorded("x")
    with runtime.ledger.store.write() as c:
        for number in range(start, stop):
            clock.advance(0.01)
            request = _request(runtime, plan, number, stop)
            requests.open_new(c, request, log.now(c, clock))


def _request(runtime: Runtime, plan: Any, number: int, stop: int) -> Request:
    level = Level.CRITICAL if number % 50 == 7 else (Level.MEDIUM, Level.HIGH, Level.LOW)[number % 3]
    tags = [("development", "staging", "production")[number % 3], f"system-{number % 400}"]
    tags += ["rare"] if number % 1000 == 999 else []
    tags += [f"last-{stop}", "last"] if number == stop - 1 else []
    requester = f"agent-{number % 20}"
    needed = need(level, plan, [requester], runtime.policy)
    if needed is None:
        needed = need(Level.MEDIUM, plan, [requester], runtime.policy)
    assert needed is not None
    return Request(
        id=f"req_{number * 2654435761 % 2**64:016x}", run_id=f"run_{number:016x}", kind=Question.PLAN, digest=plan.digest, risk=level,
        title=f"Change number {number} of something", subject={"key": "plan"}, need=needed, requester=requester,
        urgency=_URGENCIES[number % len(_URGENCIES)], tags=tuple(tags), opened_at=runtime.clock(), decide_by=runtime.clock() + timedelta(days=7),
    )  # fmt: skip


def _time(look: Callable[[], list[Request]], rounds: int) -> tuple[int, float, float]:
    rows = len(look())
    took: list[float] = []
    stop = time.perf_counter() + 5
    while len(took) < rounds and (time.perf_counter() < stop or len(took) < 3):
        begun = time.perf_counter()
        look()
        took.append((time.perf_counter() - begun) * 1000)
    took.sort()
    return rows, statistics.median(took), took[min(len(took) - 1, int(len(took) * 0.99))]


if __name__ == "__main__":
    sys.exit(main())
