"""When to try again, and when to stop: exponential back-off with a cap, spread by a jitter that is the same every time. Pure.

Rules: the wait doubles from the first one to the cap; each wait lies between half of that and the whole, at a place that the key and the number
of the try choose, so that what failed together is not tried together; what the receiver asks for is honoured, up to a day.
Source: exponential back-off with equal jitter. Deliberately no randomness: a test and a second sender compute the same time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

LONGEST_ASKED_S = 86_400.0
"""The most that a receiver can make us wait."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How patient to be. As shipped: 30 seconds at first, 6 hours at most, 24 tries, which is between two and four days.

    Args:
        first_s: the wait after the first try, in seconds, before jitter.
        cap_s: the longest wait.
        tries: how many tries in all; the last one that fails ends it.
    """

    first_s: float = 30.0
    cap_s: float = 6 * 3600.0
    tries: int = 24

    def __post_init__(self) -> None:
        if not (0 < self.first_s <= self.cap_s and self.tries >= 1):
            raise ValueError("a back-off waits longer than zero seconds, at most its cap, and tries at least once")

    def wait_s(self, attempt: int, key: str, *, asked_s: float = 0.0) -> float | None:
        """Return how long to wait after a try that failed, in seconds; `None` when it was the last one.

        Args:
            attempt: number of the try that failed, from 1.
            key: what spreads the waits: the id of what is tried.
            asked_s: the least that the receiver asks for.
        """
        if attempt >= self.tries:
            return None
        # 2 ** 64 is beyond any cap; a larger exponent would only overflow.
        whole = min(self.cap_s, self.first_s * 2.0 ** min(attempt - 1, 64))
        waited = whole * (0.5 + 0.5 * _fraction(f"{key}:{attempt}"))
        return max(waited, min(asked_s, LONGEST_ASKED_S))


def _fraction(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
