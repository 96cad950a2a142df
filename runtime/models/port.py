"""The port to a model: a prompt and a shape in, an answer out.

Rules:
- One call of `ask` is one answer of the service. What came back is an `Answer`, whatever it is worth; only when nothing came back is it an
  error. So the caller can keep an answer that was paid for before anything is made of it.
- The reply is validated here and never by a vendor's library, whose errors carry neither the text nor what it cost.
- Repairing is not the port's business: `talk.py` does it, the same way for every adapter.

Source: DESIGN §7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel

from ...schemas.prompt import Prompt, Usage

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What a model answered.

    Args:
        value: the validated object; `None` when the reply is not one, and `complaints` says why.
        raw: the reply's text, exactly.
        model: the model as the service names it.
        finish_reason: `stop`, `length`, `content_filter` …, as the service says it.
        refusal: what the model said instead of answering.
        attempts: how often it was sent until an answer came.
        fault: what kind of unusable answer this is: `refused`, `truncated`, `empty`, `invalid`; empty when it is usable.
    """

    value: T | None
    complaints: tuple[str, ...]
    raw: str
    model: str
    usage: Usage
    finish_reason: str = ""
    refusal: str = ""
    attempts: int = 1
    fault: str = ""


@runtime_checkable
class Model(Protocol):
    """A model."""

    @property
    def name(self) -> str:
        """Who wrote what it answers: `openai:gpt-…`."""
        ...

    def ask(self, prompt: Prompt, schema: type[T]) -> Answer[T]:
        """Ask once.

        Raises:
            ModelFailed: no answer came, within the time that the model was given; `kind` says why.
            InvalidConfiguration: the key or the package that it needs is not there.
        """
        ...
