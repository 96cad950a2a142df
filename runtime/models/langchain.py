"""The port for any LangChain chat model.

Rules:
- The model's own answer is read, not what LangChain parsed from it: its parsers lose text and usage when they fail, or fail silently.
- A schema goes in the way that the model offers: structured output where its objects are closed, a tool call where they are not (every
  vendor takes open objects there), the schema in words where it offers neither.
- One time for the whole call; repeating is the model's own business (`max_retries`).

Source: langchain-core's `BaseChatModel`. Nothing is imported from LangChain but the types of what came in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from ...policies.redact import redact
from ...schemas.errors import AssentError, ModelFailed
from ...schemas.prompt import Prompt, Usage
from ..tokens import estimate
from .deadline import within
from .openai_wire import spelled_out
from .port import Answer
from .reading import read_answer
from .shape import Shape, shape_of

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True)
class LangChainModel:
    """A LangChain chat model behind the port.

    Args:
        chat: a `BaseChatModel`.
        timeout_s: for one answer, in seconds, whatever the model's own time-out is.
    """

    chat: Any
    timeout_s: float = 120.0

    @property
    def name(self) -> str:
        """The vendor and the model, as far as the chat model tells: `openai:gpt-…`."""
        told: Mapping[str, Any] = {}
        try:
            told = self.chat._get_ls_params()
        except (AttributeError, TypeError):
            told = {}
        vendor = told.get("ls_provider") or str(getattr(self.chat, "_llm_type", "")) or type(self.chat).__name__.lower()
        model = told.get("ls_model_name") or next(
            (found for key in ("model_name", "model") if isinstance(found := getattr(self.chat, key, None), str)), ""
        )
        return f"{vendor}:{model}" if model else str(vendor)

    def ask(self, prompt: Prompt, schema: type[T]) -> Answer[T]:
        """Ask once; see the port."""
        shape = shape_of(schema)
        try:
            message = within(self.timeout_s, lambda: self._message(prompt, shape))
        except TimeoutError:
            raise self._failed(
                "timeout", f"no answer within {self.timeout_s:g} s", "choose a faster model, or give it more time"
            ) from None
        except AssentError:
            raise
        except Exception as error:  # every vendor has errors of its own; here they become ours, and none passes for an answer
            status = getattr(error, "status_code", None)
            kind = {401: "unauthorized", 403: "unauthorized", 404: "not_found", 429: "rate_limited"}.get(
                status or 0, "unreachable"
            )
            said = f"{type(error).__name__}: {redact(str(error))[:300]}"
            raise self._failed(kind, said, "see what the model's own package says about this error") from error
        raw = _raw(message)
        given = getattr(message, "usage_metadata", None)
        usage = _usage(given) if given else Usage(input_tokens=estimate(prompt.text), output_tokens=estimate(raw), estimated=True)
        told: Mapping[str, Any] = getattr(message, "response_metadata", None) or {}
        extra: Mapping[str, Any] = getattr(message, "additional_kwargs", None) or {}
        finish = told.get("finish_reason") or told.get("stop_reason") or told.get("done_reason") or ""
        served = told.get("model_name") or told.get("model")
        return read_answer(
            schema,
            raw,
            model=f"{self.name.partition(':')[0]}:{served}" if served else self.name,
            usage=usage,
            finish_reason=str(finish),
            refusal=str(extra.get("refusal") or ""),
        )

    def _message(self, prompt: Prompt, shape: Shape) -> Any:
        way = {} if shape.is_strict else {"method": "function_calling"}
        schema = {"title": shape.name, "description": f"The answer, as {shape.name}.", **shape.schema}
        try:
            runnable = self.chat.with_structured_output(schema, include_raw=True, **way)
        except (NotImplementedError, ValueError, TypeError, AttributeError):
            return self.chat.invoke(_messages(spelled_out(prompt, shape, "json_object")))
        return runnable.invoke(_messages(prompt))["raw"]

    def _failed(self, kind: str, said: str, hint: str) -> ModelFailed:
        return ModelFailed(f"{self.name}: {said}", hint=hint, kind=kind, model=self.name, attempts=1)


def _messages(prompt: Prompt) -> list[tuple[str, str]]:
    names = {"system": "system", "user": "human", "assistant": "ai"}
    return [(names[message.role], message.text) for message in prompt.messages]


def _raw(message: Any) -> str:
    """Return the arguments of the tool call when there is one, and the text otherwise."""
    for call in getattr(message, "tool_calls", None) or ():
        return json.dumps(call.get("args"), ensure_ascii=False)
    for call in getattr(message, "invalid_tool_calls", None) or ():
        return str(call.get("args") or "")
    content = getattr(message, "content", "")
    if isinstance(content, str):
        return content
    texts = [part if isinstance(part, str) else part.get("text", "") for part in content if isinstance(part, str | Mapping)]
    return "".join(text for text in texts if isinstance(text, str))


def _usage(given: Mapping[str, Any]) -> Usage:
    inputs, outputs = given.get("input_token_details") or {}, given.get("output_token_details") or {}
    return Usage(
        input_tokens=_count(given.get("input_tokens")),
        output_tokens=_count(given.get("output_tokens")),
        cached_tokens=_count(inputs.get("cache_read")),
        reasoning_tokens=_count(outputs.get("reasoning")),
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
