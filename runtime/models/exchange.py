"""Exchange: the record of one question to a model and its answer; and Journal: the answer itself, kept before anything is made of it.

Rules:
- The journal is written and durable the moment an answer arrives, so a process that dies afterwards does not pay for it again. It holds the
  reply as it came, lies in the home (for its owner only) and goes away when the plan is frozen.
- The exchange is for the audit: prompt, template, model, reply, tokens, finish reason, and what was wrong with it. Every text in it is redacted.
- A question of which no answer arrived is counted: it may have been paid for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field

from ...policies.redact import redact
from ...schemas.canonical import digest
from ...schemas.errors import StoreCorrupt
from ...schemas.noun import Noun
from ...schemas.prompt import Message, Prompt, Usage
from ...schemas.results import Artifact
from ..keep import Keep
from .port import Answer


class Reply(Noun):
    """An answer as it came."""

    raw: str
    model: str
    usage: Usage
    finish_reason: str = ""
    refusal: str = ""
    attempts: int = 1
    ms: int = Field(default=0, ge=0, description="How long the answer took.")


class Kept(Noun):
    """A question and the answer that arrived for it."""

    prompt: Prompt
    reply: Reply


class Exchange(Noun):
    """One question and its answer, for the audit."""

    form: str = "assent.exchange/1"
    name: str = Field(description="What it was about and which question it was: plan-1, plan-2.")
    prompt: str = Field(description="Name of the template.")
    template: str = Field(description="Digest of the template.")
    key: str = Field(description="Digest of the template and of what was filled in.")
    messages: tuple[Message, ...]
    model: str
    reply: str
    reply_digest: str = Field(description="Of the reply before it was redacted.")
    finish_reason: str = ""
    refusal: str = ""
    usage: Usage
    cost_usd: str | None = None
    attempts: int = 1
    unanswered: int = Field(default=0, description="Earlier questions whose answers never arrived; they may have been paid for.")
    ms: int = Field(default=0, ge=0, description="How long the answer took.")
    complaints: tuple[str, ...] = ()

    def note(self) -> dict[str, Any]:
        """Return what the log holds of it: names, digests and numbers, no text."""
        found: dict[str, Any] = {
            "exchange": self.name,
            "prompt": self.prompt,
            "template": self.template,
            "key": self.key,
            "model": self.model,
            "reply": self.reply_digest,
            "input_tokens": self.usage.input_tokens,
            "output_tokens": self.usage.output_tokens,
            "estimated": self.usage.estimated,
            "attempts": self.attempts,
            "ms": self.ms,
            "unanswered": self.unanswered,
            "usable": not self.complaints,
        }
        return found if self.cost_usd is None else {**found, "cost_usd": self.cost_usd}


class _Entry(Noun):
    """What a file of the journal holds."""

    key: str
    asked: int = Field(ge=1)
    prompt: Prompt
    reply: Reply | None = None


@dataclass(frozen=True)
class Journal:
    """What one run asked and was answered."""

    keep: Keep
    run_id: str

    def answered(self, name: str, key: str) -> Kept | None:
        """Return a question as it was asked, with the answer that arrived for it.

        Raises:
            StoreCorrupt: the journal cannot be read.
        """
        entry = self._read(name, key)
        return None if entry is None or entry.reply is None else Kept(prompt=entry.prompt, reply=entry.reply)

    def unanswered(self, name: str, key: str) -> int:
        """Return how often a question was asked without an answer."""
        entry = self._read(name, key)
        return 0 if entry is None else entry.asked - (entry.reply is not None)

    def asking(self, name: str, key: str, prompt: Prompt) -> None:
        """Write down that a question goes out."""
        self._write(name, _Entry(key=key, asked=self.unanswered(name, key) + 1, prompt=prompt))

    def arrived(self, name: str, key: str, reply: Reply) -> None:
        """Write down the answer to the question that went out last; durable when this returns."""
        entry = self._read(name, key)
        if entry is None:
            raise ValueError(f"nobody asked {name}")
        self._write(name, entry.model_copy(update={"reply": reply}))

    def forget(self, *beginnings: str) -> None:
        """Remove the replies, or those whose names begin like this; the exchanges stay."""
        for path in (self.keep.folder / self.run_id).glob("*.journal.json"):
            if beginnings and not path.name.startswith(beginnings):
                continue
            path.unlink(missing_ok=True)

    def _write(self, name: str, entry: _Entry) -> None:
        # ASCII, so that whatever half a character a model sends can be written and read back.
        self.keep.write(
            self.run_id, f"{name}.journal.json", json.dumps(entry.model_dump(mode="python"), ensure_ascii=True).encode()
        )

    def _read(self, name: str, key: str) -> _Entry | None:
        path = self.keep.folder / self.run_id / f"{name}.journal.json"
        try:
            entry = _Entry.model_validate(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            raise StoreCorrupt(
                f"the kept answer {path} cannot be read: {error}", hint="remove the file to ask the model again"
            ) from error
        return entry if entry.key == key else None


def exchanged(
    name: str,
    prompt: Prompt,
    answer: Answer[Any],
    *,
    complaints: tuple[str, ...] = (),
    unanswered: int = 0,
    cost_usd: str | None = None,
    ms: int = 0,
) -> Exchange:
    """Return the record of an answer, redacted."""
    return Exchange(
        name=name,
        prompt=prompt.name,
        template=prompt.template,
        key=prompt.key,
        messages=tuple(Message(role=message.role, text=redact(message.text)) for message in prompt.messages),
        model=answer.model,
        reply=redact(answer.raw),
        reply_digest=digest(answer.raw.encode("utf-8", "surrogatepass")),
        finish_reason=answer.finish_reason,
        refusal=redact(answer.refusal),
        usage=answer.usage,
        cost_usd=cost_usd,
        attempts=answer.attempts,
        unanswered=unanswered,
        ms=ms,
        complaints=tuple(map(redact, complaints)),
    )


def keep_exchange(exchange: Exchange, keep: Keep, run_id: str, at: datetime) -> Artifact:
    """Write an exchange into the run's artifact folder; durable when this returns."""
    raw = json.dumps(exchange.as_json(), ensure_ascii=True, indent=1).encode()
    name = f"{exchange.name}.exchange.json"
    path = keep.write(run_id, name, raw)
    return Artifact(
        name=name, digest=digest(raw), size_bytes=len(raw), media_type="application/json", created_at=at, path=str(path)
    )
