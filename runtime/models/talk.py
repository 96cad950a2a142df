"""Talk with a model until it gives what was asked for: one question, and one more with everything that was wrong. Then it is an error.

Rules:
- Refused, cut off, empty, not JSON, of the wrong shape, or of the right shape and still wrong for whoever asked: each gets the same one
  chance to be mended, and the model sees its own reply beside the complaints.
- An answer is in the journal before anything is made of it; what is there is not asked again, in this process or the next.
- Every exchange is recorded, also those of a talk that fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from ...prompts.load import fill, load
from ...schemas.canonical import canonical, digest
from ...schemas.errors import ModelFailed
from ...schemas.prompt import Message, Prompt, Usage
from .deadline import within
from .exchange import Exchange, Journal, Reply, exchanged
from .port import Answer, Model
from .reading import read_answer

T = TypeVar("T", bound=BaseModel)
R = TypeVar("R")

_ROUNDS = 2
_SHOWN = 20_000
_GRACE_S = 0.25
"""For a model that keeps the time itself to say so, with its own reason."""


class Unfit(Exception):
    """An answer of the right shape that cannot be used; says why."""

    def __init__(self, complaints: tuple[str, ...]) -> None:
        super().__init__("; ".join(complaints))
        self.complaints = complaints


@dataclass(frozen=True)
class Talk(Generic[R]):
    """What came of it.

    Args:
        result: what was made of the usable answer.
        model: that gave it.
        usage: of all answers.
    """

    result: R
    model: str
    usage: Usage


def talk(
    model: Model,
    prompt: Prompt,
    schema: type[T],
    make: Callable[[T], R],
    *,
    name: str,
    journal: Journal,
    record: Callable[[Exchange], None],
    price: Callable[[str, Usage], str | None] = lambda model, usage: None,
    allow: Callable[[Prompt, Usage], None] = lambda prompt, spent: None,
    key: str = "",
) -> Talk[R]:
    """Ask, and ask once more when the answer cannot be used.

    Args:
        make: makes of an answer what the caller needs, or raises `Unfit` with everything that is wrong.
        name: of the talk, for the records; its questions are name-1 and name-2.
        journal: keeps answers.
        record: takes the record of every answer.
        price: model and usage in, decimal USD out, or `None`.
        allow: is told of every question before it goes out, with what was spent, and raises when it may not.
        key: what the first question is known by after a crash; the prompt's own by default. What a run sees of its surroundings may change
            between two processes, and an answer that was paid for is still the answer.

    Raises:
        ModelFailed: no answer, or none that can be used; `complaints` says what was wrong with the last one.
    """
    usage = Usage()
    key = key or prompt.key
    for number in range(1, _ROUNDS + 1):
        step = f"{name}-{number}"
        there = journal.answered(step, key)
        if there is None:
            allow(prompt, usage)
        else:
            # What was asked then, and not what would be asked now, is what was answered.
            prompt = there.prompt
        began = time.monotonic()
        try:
            answer, ms = asked(model, prompt, schema, step, key, journal)
        except ModelFailed as error:
            # What was asked is kept also where nothing came back; it may have been paid for.
            ms = int((time.monotonic() - began) * 1000)
            record(exchanged(step, prompt, nothing(model, error), complaints=(error.message,), unanswered=journal.unanswered(step, key), cost_usd="0", ms=ms))
            raise
        unanswered = journal.unanswered(step, key)
        usage += answer.usage
        complaints = answer.complaints
        if answer.value is not None:
            try:
                result = make(answer.value)
            except Unfit as error:
                complaints = error.complaints
            else:
                cost = price(answer.model, answer.usage)
                record(exchanged(step, prompt, answer, unanswered=unanswered, cost_usd=cost, ms=ms))
                return Talk(result, answer.model, usage)
        record(
            exchanged(
                step, prompt, answer, complaints=complaints, unanswered=unanswered, cost_usd=price(answer.model, answer.usage), ms=ms
            )
        )
        if number < _ROUNDS:
            prompt = _repair(prompt, answer, complaints)
            # Of what was answered and not of what was wrong with it: after a crash the same answer leads to the same next question.
            key = digest(canonical([key, digest(answer.raw.encode("utf-8", "surrogatepass"))]))
    raise _failed(answer, complaints, usage)


def asked(
    model: Model, prompt: Prompt, schema: type[T], name: str, key: str, journal: Journal, *, time_s: float | None = None
) -> tuple[Answer[T], int]:
    """Ask once and keep the answer; one that arrived before is read again, and its prompt is what was asked then.

    Args:
        name: of the question in the journal.
        key: what the question is known by.
        time_s: give up after so many seconds, whatever the model does; `None` leaves that to the model.

    Returns:
        The answer, and how long it took in milliseconds.

    Raises:
        ModelFailed, InvalidConfiguration: none came.
    """
    there = journal.answered(name, key)
    if there is not None:
        kept = there.reply.model_dump(exclude={"raw", "usage", "ms"})
        return read_answer(schema, there.reply.raw, usage=there.reply.usage, **kept), there.reply.ms
    journal.asking(name, key, prompt)
    began = time.monotonic()
    try:
        answer = model.ask(prompt, schema) if time_s is None else within(time_s + _GRACE_S, lambda: model.ask(prompt, schema))
    except TimeoutError:
        raise ModelFailed(
            f"{model.name}: no answer within {time_s:g} s", hint="choose a faster model, or give it more time", kind="timeout", model=model.name
        ) from None
    ms = int((time.monotonic() - began) * 1000)
    reply = Reply(
        raw=answer.raw,
        model=answer.model,
        usage=answer.usage,
        finish_reason=answer.finish_reason,
        refusal=answer.refusal,
        attempts=answer.attempts,
        ms=ms,
    )
    journal.arrived(name, key, reply)
    return answer, ms


def nothing(model: Model, error: ModelFailed) -> Answer[Any]:
    """Return the answer that did not come, for the record."""
    return Answer(value=None, complaints=(error.message,), raw="", model=model.name, usage=Usage(), finish_reason=str(error.fields.get("kind", "")))


def _repair(prompt: Prompt, answer: Answer[T], complaints: tuple[str, ...]) -> Prompt:
    said = answer.raw[:_SHOWN]
    after = prompt
    if said.strip():
        after = prompt.model_copy(update={"messages": (*prompt.messages, Message(role="assistant", text=said))})
    return fill(load("repair"), {"complaints": "\n".join(f"- {complaint}" for complaint in complaints)}, after=after)


def _failed(answer: Answer[T], complaints: tuple[str, ...], usage: Usage) -> ModelFailed:
    kind = answer.fault or "unfit"
    what = {
        "refused": "refused",
        "truncated": "did not come to an end",
        "empty": "gave no answer",
        "invalid": "did not answer in the form that was asked for",
        "unfit": "answered with what cannot be used",
    }[kind]
    lines = "\n".join(f"  {complaint}" for complaint in complaints)
    return ModelFailed(
        f"{answer.model} {what}, also after it was told what was wrong:\n{lines}",
        hint="say it differently, use another model, or write the plan: `assent new plan.yaml`",
        kind=kind,
        model=answer.model,
        complaints=list(complaints),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
    )
