"""What the tests of embedding share: a chat model with a script, which calls tools, and an agent around it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr


def extra(module: str) -> Any:
    """Return a module of an optional extra; without it the test is skipped, but never where everything has to be held."""
    return importlib.import_module(module) if os.environ.get("CI") else pytest.importorskip(module, reason=f"{module} is not installed")


class Says(BaseChatModel):
    """Says what it was told to, turn by turn, and keeps what it was shown."""

    _turns: Iterator[AIMessage] = PrivateAttr()
    _shown: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "says"

    @property
    def shown(self) -> list[list[BaseMessage]]:
        """What it was shown in each turn."""
        return self._shown

    def bind_tools(self, tools: Sequence[Any], **given: Any) -> Says:
        """Take note of nothing: the script knows the tools."""
        return self

    def _generate(self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **given: Any) -> ChatResult:
        self._shown.append(list(messages))
        return ChatResult(generations=[ChatGeneration(message=next(self._turns))])


def says(*turns: AIMessage | str) -> Says:
    """Return a model with a script: messages, or texts."""
    model = Says()
    model._turns = iter([turn if isinstance(turn, AIMessage) else AIMessage(turn) for turn in turns])
    return model


def calls(*made: tuple[str, dict[str, Any]], text: str = "", first: int = 1) -> AIMessage:
    """Return a turn that calls tools: (name, arguments) each; their ids are call_1, call_2 …"""
    return AIMessage(text, tool_calls=[{"name": name, "args": args, "id": f"call_{n}"} for n, (name, args) in enumerate(made, first)])


def told(state: dict[str, Any]) -> list[ToolMessage]:
    """Return what the tools told the model, in order."""
    return [message for message in state["messages"] if isinstance(message, ToolMessage)]


def on(thread: str) -> Any:
    """Return the configuration of a thread."""
    return {"configurable": {"thread_id": thread}}


START = {"messages": [("user", "go")]}
