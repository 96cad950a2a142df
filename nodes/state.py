"""What travels through the graph: names of things in the ledger, never the things themselves, and never authority."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
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

    # Whatever a caller in this process gives is read; a form offers the two things that a person can write.
    request: Annotated[Any, WithJsonSchema({"anyOf": [{"type": "string", "title": "Text"}, {"type": "object", "title": "Document"}]})] = Field(
        default=None,
        title="Request",
        description="A written document (YAML text or an object with `problem` and `action`), or plain language where a model is configured.",
        examples=[
            "problem: {title: List the docs}\naction:\n  steps:\n    - {step: 1, description: look, commands: [ls docs]}\n",
            {"problem": {"title": "List the docs"}, "action": {"steps": [{"step": 1, "tool": "shell", "args": {"command": "ls docs"}}]}},
        ],
    )
    tier: int | None = Field(default=None, ge=1, le=4, title="Tier", description="Authority of the asking agent, 1 (Observer) to 4 (Architect).", examples=[2])
    run_id: str | None = Field(default=None, title="Run", description="Empty for a new run. The id of a run that was started elsewhere, to look at it and go on with it here.", examples=["run_0123456789abcdef"])


class Output(TypedDict, total=False):
    """What a finished run says."""

    run_id: Annotated[str, Field(title="Run")]
    status: Annotated[str, Field(title="Status", description="completed, failed, rejected, expired, denied, cancelled or rolled_back.", examples=["completed"])]
    success: Annotated[bool | None, Field(title="Success", description="Whether every measured criterion was met; empty: not everything was measured.")]
    summary: Annotated[str, Field(title="Summary")]


class Context(BaseModel):
    """Plain settings that a client may write; nothing here is a permission."""

    model_config = ConfigDict(title="Settings", extra="forbid")

    stepwise: bool = Field(default=False, title="Stepwise", description="Execute one step per super-step, for stepping through.")
