"""Prompt: what is asked of a model, word for word, and Usage: what the answer took.

Rules: a prompt names the template it was made from; its `key` is the same whenever the same template is filled with the same texts, although
the fences inside differ each time, so answers can be found again by it. Source: DESIGN §7.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .noun import Noun


class Message(Noun):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    text: str


class Prompt(Noun):
    """A filled-in template."""

    name: str = Field(min_length=1, description="Of the template: plan, intent …")
    template: str = Field(description="Digest of the template's bytes.")
    key: str = Field(description="Digest of the template and of every text that was filled in; without the fences.")
    messages: tuple[Message, ...] = Field(min_length=1)

    @property
    def text(self) -> str:
        """Everything that is sent, as one text; for counting tokens."""
        return "\n".join(message.text for message in self.messages)


class Usage(Noun):
    """What an answer took, in tokens."""

    input_tokens: int = Field(default=0, ge=0, description="All of the prompt, cached or not.")
    output_tokens: int = Field(default=0, ge=0, description="All of the answer, reasoning included.")
    cached_tokens: int = Field(default=0, ge=0, description="The part of the input that the service had seen before.")
    reasoning_tokens: int = Field(default=0, ge=0, description="The part of the output that is not shown.")
    estimated: bool = Field(default=False, description="The service did not say; this is an upper estimate.")

    def __add__(self, other: Usage) -> Usage:
        """Add up two answers."""
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            estimated=self.estimated or other.estimated,
        )
