"""What travels through the graph: names of things in the ledger, never the things themselves, and never authority."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict  # the server reads schemas of this one on Python 3.11


class State(TypedDict, total=False):
    """Small JSON values. Forging any of them changes what is looked up, not what is permitted."""

    request: Any
    tier: int | None
    run_id: str
    digest: str
    risk: str
    route: str
    question: dict[str, Any]
    status: str
    success: bool | None
    summary: str


class Input(BaseModel):
    """What starts a run."""

    model_config = ConfigDict(title="Problem", extra="ignore")

    request: Any = Field(
        default=None,
        title="Request",
        description="A written document (YAML text or an object with `problem` and `action`), or plain language where a model is configured.",
        examples=[{"problem": {"title": "List the docs"}, "action": {"steps": [{"step": 1, "tool": "shell", "args": {"command": "ls docs"}}]}}],
    )
    tier: int | None = Field(default=None, ge=1, le=4, title="Tier", description="Authority of the asking agent, 1 (Observer) to 4 (Architect).")
    run_id: str | None = Field(default=None, title="Run", description="An admitted run to go on with; its id is the thread id.")


class Output(TypedDict, total=False):
    """What a finished run says."""

    run_id: str
    status: str
    success: bool | None
    summary: str


class Context(BaseModel):
    """Plain settings that a client may write; nothing here is a permission."""

    model_config = ConfigDict(title="Settings", extra="forbid")

    stepwise: bool = Field(default=False, title="Stepwise", description="Execute one step per super-step, for stepping through.")
