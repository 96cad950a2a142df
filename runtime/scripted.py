"""A model that answers what it was told to: for tests, ours and yours. It fills our port, and as `chat_model()` LangChain's.

    model = ScriptedModel({"problem": …, "steps": …}, "not JSON", ModelFailed("down", kind="unreachable"))

Rules: replies are given in order, each once; one more question than replies is an error, so that a test notices, unless `otherwise` answers what is
not scripted; everything that was asked is in `asked`. A reply is a text, a JSON value, an object of pydantic's, an error to raise, or a function of the prompt that returns one of these.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from ..schemas.errors import ModelFailed
from ..schemas.prompt import Message, Prompt, Usage
from .models.port import Answer
from .models.reading import read_answer
from .tokens import estimate

T = TypeVar("T", bound=BaseModel)


class ScriptedModel:
    """A model with a script."""

    def __init__(self, *replies: Any, name: str = "scripted:model", finish_reason: str = "stop", otherwise: Any = None) -> None:
        """Make one.

        Args:
            replies: in order, each once.
            otherwise: a reply for every question beyond them, such as second opinions, which are asked at the same time and in any order.
        """
        self.name = name
        self.finish_reason = finish_reason
        self.otherwise = otherwise
        self.asked: list[Prompt] = []
        """Every prompt, in order."""
        self._replies = list(replies)
        self._lock = threading.Lock()

    def will(self, *replies: Any) -> None:
        """Answer these as well, after the others."""
        self._replies += replies

    @property
    def is_spent(self) -> bool:
        """Whether every reply was given."""
        return not self._replies

    def ask(self, prompt: Prompt, schema: type[T]) -> Answer[T]:
        """Give the next reply. Raises: ModelFailed: there is none; or whatever error is next."""
        raw = self._next(prompt)
        usage = Usage(input_tokens=estimate(prompt.text), output_tokens=estimate(raw), estimated=True)
        return read_answer(schema, raw, model=self.name, usage=usage, finish_reason=self.finish_reason)

    def chat_model(self) -> Any:
        """Return a LangChain chat model that gives the same replies and notes the same prompts."""
        return _chat_model(self)

    def _next(self, prompt: Prompt) -> str:
        with self._lock:
            self.asked.append(prompt)
            if not self._replies and self.otherwise is None:
                raise ModelFailed(
                    f"{self.name} was asked {len(self.asked)} times and has no reply left",
                    hint="give it more",
                    kind="script",
                    model=self.name,
                )
            reply = self._replies.pop(0) if self._replies else self.otherwise
        if isinstance(reply, Callable):  # type: ignore[arg-type]
            reply = reply(prompt)
        if isinstance(reply, BaseException):
            raise reply
        return as_text(reply)


def as_text(reply: Any) -> str:
    """Return a reply as the text that a service would send."""
    if isinstance(reply, str):
        return reply
    if isinstance(reply, BaseModel):
        return reply.model_dump_json()
    if isinstance(reply, Mapping | list):
        return json.dumps(reply, ensure_ascii=False)
    raise TypeError(f"a reply is text, JSON, a pydantic object, an error or a function, not {type(reply).__name__}")


def _chat_model(script: ScriptedModel) -> Any:
    # LangChain costs half a second, and only who wants its chat model pays for it.
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

    class ScriptedChatModel(BaseChatModel):
        """A LangChain chat model with a script; it offers no structured output, like the smallest ones."""

        @property
        def _llm_type(self) -> str:
            return script.name.partition(":")[0]

        @property
        def _identifying_params(self) -> dict[str, Any]:
            return {"model": script.name}

        def _get_ls_params(self, stop: list[str] | None = None, **given: Any) -> Any:
            vendor, _, model = script.name.partition(":")
            return {"ls_provider": vendor, "ls_model_name": model, "ls_model_type": "chat"}

        def _generate(
            self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **given: Any
        ) -> ChatResult:
            roles: Mapping[str, Any] = {"system": "system", "ai": "assistant"}
            told = tuple(Message(role=roles.get(message.type, "user"), text=str(message.content)) for message in messages)
            prompt = Prompt(name="langchain", template="", key="", messages=told)
            raw = script._next(prompt)
            usage: Any = {"input_tokens": estimate(prompt.text), "output_tokens": estimate(raw)}
            usage["total_tokens"] = sum(usage.values())
            message = AIMessage(content=raw, usage_metadata=usage, response_metadata={"finish_reason": script.finish_reason})
            return ChatResult(generations=[ChatGeneration(message=message)])

    return ScriptedChatModel()
