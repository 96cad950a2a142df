"""All that the stations of a model-driven agent can touch, and the bounds that it works in. Bound when the graph is built."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..policies.redact import redact
from ..schemas.agent_turn import AgentTurn
from ..schemas.prompt import Prompt, Usage

Asked = tuple[AgentTurn, Usage]


@dataclass(frozen=True)
class Seen:
    """What came of a call: what it gave back, or why it was not made."""

    status: str
    output: Any


@dataclass(frozen=True)
class AgentBounds:
    """How much an agent may use.

    Args:
        turns: questions to the model.
        tokens: of all questions and answers together.
        deadline: on the monotonic clock, in seconds; nothing begins after it.
        seen_chars: of one call's answer that the model is shown.
    """

    turns: int
    tokens: int
    deadline: float
    seen_chars: int = 12_000


@dataclass(frozen=True)
class AgentPorts:
    """The stations' hands.

    Args:
        ask: prompt, number of the turn and what was spent in; the model's answer out, with what it took.
        act: makes one call, or raises `AsksPerson` where a person has to be asked first: tool, arguments and the call's place in, what was seen out.
        tools: name of a tool → what the model is told about it.
        bounds: of this agent.
        now: the monotonic clock.
        hide: takes secrets out of a text before the model sees it.
    """

    ask: Callable[[Prompt, int, Usage], Asked]
    act: Callable[[str, Mapping[str, Any], str], Seen]
    tools: Mapping[str, str]
    bounds: AgentBounds
    now: Callable[[], float] = time.monotonic
    hide: Callable[[str], str] = redact
