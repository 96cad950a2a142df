"""What travels through a model-driven agent: the conversation so far and where it is in it.

It is bounded by the agent's turns and tokens, and needs no checkpointer: answers of the model are in a journal and calls in the ledger, so an
agent that is begun again comes to the same place without asking or calling anything twice.
"""

from __future__ import annotations

from typing import Any, TypedDict


class AgentState(TypedDict, total=False):
    """JSON values."""

    message: dict[str, Any]
    facts: dict[str, Any]
    prompt: dict[str, Any]
    turn: int
    spent: dict[str, Any]
    calls: list[dict[str, Any]]
    made: int
    steers: list[str]
    report: dict[str, Any] | None
