"""What has to happen to a question that waits too long, as data."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .noun import Noun

Blocker = Literal["technical_blocker", "approval_blocker", "resource_blocker", "policy_blocker"]


class Due(Noun):
    """One thing that is due for a request: remind, let the backup approve too, escalate."""

    request_id: str
    kind: Literal["remind", "backup", "escalate"]
    number: int = Field(default=1, ge=1, description="Which reminder or which step of the escalation; each happens once.")
    to: tuple[str, ...] = ()
    why: str = ""
