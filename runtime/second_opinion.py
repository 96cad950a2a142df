"""Ask a model what the rules leave open: is this step within the intent, is this principle kept? What it answers is kept; it decides nothing.

Rules:
- Asked is about each step of a plan from plain language that the rules cannot place, and about each principle that only a model can judge where a
  plan does more than read. What the rules decided is not asked about.
- Each question once, within two seconds, all of a plan's at the same time; nothing is repaired, because a person is the better second attempt.
- The same question has the same answer: answers are found by the digest of template and texts, also those of other runs. No answer, a late or an
  unreadable one is kept as none.
- An answer that arrived is durable before anything is made of it, and the exchange is kept with the run, redacted.

What an answer means is `governing.py`'s. Source: features D3, D4; seed 3.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from decimal import Decimal
from importlib import import_module
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ..policies.constitution import Principle
from ..policies.intent import Intent, judge
from ..policies.redact import redact
from ..prompts.load import fill, load
from ..schemas.canonical import canonical
from ..schemas.errors import InvalidConfiguration, ModelFailed
from ..schemas.noun import Noun
from ..schemas.plan import Call, Plan, Step
from ..schemas.prompt import Prompt, Usage
from ..schemas.risk import Level
from .models.exchange import Exchange, Journal, exchanged
from .models.langchain import LangChainModel
from .models.openai import OpenAIModel
from .models.port import Model
from .models.talk import asked, nothing

MOST = 24
"""Questions about one plan; what is beyond goes to a person."""
LONGEST = 60_000
_AT_ONCE = 8


class Opinion(Noun):
    """What a model says."""

    answer: Annotated[
        Literal["within", "outside", "unsure"],
        BeforeValidator(lambda said: said.strip().lower() if isinstance(said, str) else said),
    ]
    confidence: float = Field(ge=0, le=1)
    reason: str = Field(max_length=2000)

    @property
    def confidence_pct(self) -> int:
        """In whole percent, rounded down: 0.849 is not yet 0.85, and 0.57 is not 0.5699…."""
        return int(Decimal(repr(self.confidence)) * 100)


@dataclass(frozen=True)
class OpenQuestion:
    """A question that the rules leave open.

    Args:
        about: a step, or a principle.
        prompt: its `key` is what an answer is found by.
    """

    about: int | Principle
    prompt: Prompt

    @property
    def name(self) -> str:
        """For the records: `intent-2-5f0c…`; the digest keeps questions of an edited plan apart."""
        kind = f"intent-{self.about}" if isinstance(self.about, int) else f"principle-{self.about.id}"
        return f"{kind}-{self.prompt.key.removeprefix('sha256:')[:12]}"


@dataclass(frozen=True)
class Said:
    """What came of a question: an opinion with its exchange, or why there is none.

    Args:
        exchange: of what was asked, whether a usable answer came or not.
        ms: how long it took; `None` when nothing was sent.
    """

    question: OpenQuestion
    opinion: Opinion | None
    why: str = ""
    exchange: Exchange | None = None
    ms: int | None = None


def open_intents(plan: Plan, levels: Sequence[Level]) -> tuple[tuple[Intent, OpenQuestion | None], ...]:
    """Judge every step by the rules, with the question that is left where they do not decide.

    Args:
        levels: the assessed level of each step, in order.
    """
    found: list[tuple[Intent, OpenQuestion | None]] = []
    for step, intent in zip(plan.steps, judge(plan, levels, words=plan.asked), strict=True):
        # Half a step is not judged: who sees only its beginning cannot say what it does.
        is_open = not intent.is_decided and bool(plan.asked) and len(_call(step)) <= LONGEST
        found.append((intent, OpenQuestion(step.step, _about_step(step, intent, plan)) if is_open else None))
    return tuple(found)


def open_principles(plan: Plan, level: Level, principles: Sequence[Principle]) -> Iterator[OpenQuestion]:
    """Yield the question about each principle that only a model can judge. Of a plan that only reads there is none.

    Args:
        level: the assessed level of the whole plan.
    """
    wanted = [principle for principle in principles if principle.check == "model"]
    if level is Level.LOW or not wanted:
        return
    calls = "\n".join(line for step in plan.steps for line in _calls(step))
    if len(calls) > LONGEST:
        return  # half a plan is not judged; a plan of this length and level is a person's anyway
    for principle in wanted:
        given = {"principle": principle.text, "request": redact(_wish(plan)), "steps": calls}
        yield OpenQuestion(principle, fill(load("constitution"), given))


def ask(
    model: Model,
    questions: Sequence[OpenQuestion],
    journal: Journal,
    *,
    time_s: float,
    price: Callable[[str, Usage], str | None] = lambda model, usage: None,
) -> tuple[Said, ...]:
    """Ask all questions at the same time, and return what came of each, in order. Raises nothing that a model does.

    Args:
        journal: keeps answers that arrived, and gives those that arrived before.
        time_s: for one answer, in seconds.
    """
    quick = _quick(model, time_s)
    with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="assent opinion") as pool:
        waiting = [pool.submit(copy_context().run, _one, quick, one, journal, time_s, price) for one in questions[:MOST]]
        said = [future.result() for future in waiting]
    return (*said, *(Said(one, None, f"more than {MOST} questions about one plan") for one in questions[MOST:]))


def _one(model: Model, question: OpenQuestion, journal: Journal, time_s: float, price: Callable[[str, Usage], str | None]) -> Said:
    name, prompt = question.name, question.prompt
    began = time.monotonic()
    try:
        answer, ms = asked(model, prompt, Opinion, name, prompt.key, journal, time_s=time_s)
    except ModelFailed as error:
        ms, unanswered = int((time.monotonic() - began) * 1000), journal.unanswered(name, prompt.key)
        exchange = exchanged(name, prompt, nothing(model, error), complaints=(error.message,), unanswered=unanswered, cost_usd="0", ms=ms)
        return Said(question, None, error.message, exchange, ms)
    except InvalidConfiguration as error:
        return Said(question, None, error.message)
    exchange = exchanged(
        name, prompt, answer, complaints=answer.complaints, unanswered=journal.unanswered(name, prompt.key),
        cost_usd=price(answer.model, answer.usage), ms=ms,
    )  # fmt: skip
    return Said(question, answer.value, "; ".join(answer.complaints), exchange, ms)


def _quick(model: Model, time_s: float) -> Model:
    """Let the model itself give up in time where it can, so that nothing of it goes on behind our back."""
    if isinstance(model, OpenAIModel):
        import_module("openai")  # half a second, once; not taken from the time for the answer
        return replace(model, timeout_s=min(model.timeout_s, time_s))
    return replace(model, timeout_s=min(model.timeout_s, time_s)) if isinstance(model, LangChainModel) else model


def _about_step(step: Step, ruled: Intent, plan: Plan) -> Prompt:
    bounds = [*plan.problem.constraints, *(f"out of scope: {one}" for one in plan.problem.out_of_scope)]
    given: Mapping[str, Any] = {
        "request": redact(_wish(plan)),
        "constraints": redact("\n".join(bounds)) or "(none)",
        "step": _call(step),
        "rules": redact("; ".join(ruled.reasons)).replace("\n", " "),
    }
    return fill(load("intent"), given)


def _wish(plan: Plan) -> str:
    return plan.asked or f"{plan.problem.title}\n{plan.problem.description}"


def _calls(step: Step) -> Iterator[str]:
    yield f"{step.step}. {_call(step)}"
    if step.undo is not None:
        yield f"   taken back by: {_call(step.undo)}"


def _call(step: Step | Call) -> str:
    return f"{step.tool} {redact(canonical(step.args).decode())}"

