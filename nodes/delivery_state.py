"""What travels through a delivery beside what travels through `par`: what the next phase looks at, and the digest of what it found."""

from __future__ import annotations

from typing import Any

from .state import State


class DeliveryState(State, total=False):
    """Small JSON values. A forged one makes agents refuse or a station look something else up; it passes no checkpoint."""

    inputs: dict[str, Any]
    consolidated: str
