"""Grant: standing permission for a narrow kind of call, given in advance by a person, for a while, a few times, up to a sum."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field, model_validator

from .approval import Actor
from .noun import At, Noun
from .risk import Level


class Grant(Noun):
    """What may be done without a question of its own. Never CRITICAL; as narrow as the person chose."""

    id: str
    by: Actor
    tool: str = Field(min_length=1)
    command: str = Field(default="", description="Exactly this command, statement or code; empty: not bound to one.")
    path: str = Field(default="", description="This path or anything below it, relative to the workspace; empty: not bound to one.")
    host: str = Field(default="", description="This host; empty: not bound to one.")
    workspace: str = Field(default="", description="The workspace that its path and its command are about, as runs record theirs; empty: any.")
    requester: str = Field(default="", description="Only for runs that this actor asked for; empty: for anybody's.")
    highest: Level = Level.HIGH
    uses: int = Field(ge=1, le=1000, description="How many calls it covers.")
    used: int = 0
    budget_usd: str | None = Field(default=None, pattern=r"^\d+(\.\d+)?$", description="Sum of the estimated costs of the covered calls.")
    spent_usd: str = "0"
    reason: str = ""
    given_at: At
    expires_at: At
    revoked_at: At | None = None
    revoked_by: str = ""

    @model_validator(mode="after")
    def _is_narrow(self) -> Grant:
        if not (self.command or self.path or self.host):
            raise ValueError("a grant names a command, a path or a host; a whole tool is not narrow")
        if self.highest is Level.CRITICAL:
            raise ValueError("nothing critical is ever granted in advance")
        if self.expires_at <= self.given_at:
            raise ValueError("a grant ends after it begins")
        return self

    @property
    def uses_left(self) -> int:
        """How many calls it still covers."""
        return max(0, self.uses - self.used)

    @property
    def left_usd(self) -> Decimal | None:
        """What may still be spent; `None`: no bound."""
        return None if self.budget_usd is None else Decimal(self.budget_usd) - Decimal(self.spent_usd)
