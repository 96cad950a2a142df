"""Ask a model what the rules did not decide: is this step within the intent, is this principle kept? It can only add a question.

Rules:
- `within` counts from the threshold on (0.85); everything else, no model, no answer, a late answer or an unreadable one is a question to a person.
- One question each, within two seconds; nothing is repaired, because a person is the better second attempt.
- The same question has the same answer: answers are kept by the digest of template and texts, failures are not.
- How often, how long and how it ended is counted, for the monthly review.

Source: features D3, D4; seed 3. Deliberately absent: the rules themselves (`policies/intent.py`, `policies/constitution.py`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from ..policies.constitution import Principle
from ..policies.intent import Intent, Stated, judge_step, stated
from ..policies.redact import redact
from ..prompts.load import fill, load
from ..schemas.canonical import canonical
from ..schemas.errors import InvalidConfiguration, ModelFailed
from ..schemas.noun import Noun
from ..schemas.plan import Plan, Step
from ..schemas.prompt import Prompt
from ..schemas.risk import Level
from .models.deadline import within
from .models.port import Model

TIME_S = 2.0
_MOST_KEPT = 4096


class Opinion(Noun):
    """What a model says."""

    answer: Annotated[
        Literal["within", "outside", "unsure"],
        BeforeValidator(lambda said: said.strip().lower() if isinstance(said, str) else said),
    ]
    confidence: float = Field(ge=0, le=1)
    reason: str = Field(max_length=2000)


@dataclass
class Tally:
    """What was asked and how it ended; for the metrics of the monthly review.

    Args:
        asked: questions, kept answers included.
        allowed: answered `within`, certainly enough.
        escalated: left to a person.
        kept: answered from an earlier answer.
        failed: of those left to a person, because no answer came.
        latencies_ms: of every question that went to the model.
    """

    asked: int = 0
    allowed: int = 0
    escalated: int = 0
    kept: int = 0
    failed: int = 0
    latencies_ms: list[int] = field(default_factory=list)


class SecondOpinion:
    """A model for what rules leave open. Can be asked from any thread."""

    def __init__(
        self, model: Model | None, *, threshold_pct: int = 85, time_s: float = TIME_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Make one.

        Args:
            model: that is asked; `None`: everything is left to a person.
            threshold_pct: from here on `within` needs no person.
            time_s: for one answer, in seconds.
            clock: a monotonic clock, in seconds.
        """
        self.model = model
        self.threshold_pct = threshold_pct
        self.time_s = time_s
        self.clock = clock
        self.tally = Tally()
        self._kept: dict[str, Opinion] = {}
        self._lock = threading.Lock()

    def intents(self, plan: Plan, levels: Iterable[Level], *, words: str = "") -> tuple[Intent, ...]:
        """Judge every step: rules first, and the model where they do not decide."""
        said = stated(plan.problem, words=words)
        return tuple(
            self.intent(step, judge_step(step, level, said), plan, said, words)
            for step, level in zip(plan.steps, levels, strict=True)
        )

    def intent(self, step: Step, ruled: Intent, plan: Plan, said: Stated, words: str = "") -> Intent:
        """Return what the rules decided, or what the model says where they did not."""
        if ruled.is_decided:
            return ruled
        asked = words or f"{plan.problem.title}\n{plan.problem.description}"
        bounds = [*plan.problem.constraints, *(f"out of scope: {one}" for one in plan.problem.out_of_scope)]
        prompt = fill(
            load("intent"),
            {
                "request": redact(asked),
                "constraints": redact("\n".join(bounds)) or "(none)",
                "step": _call(step),
                "rules": redact("; ".join(ruled.reasons)).replace("\n", " "),
            },
        )
        opinion, why = self._opinion(prompt)
        if opinion is None:
            return Intent(ruled.step, "unsure", ruled.confidence_pct, (*ruled.rules, "intent.no_model"), (*ruled.reasons, why))
        pct = _pct(opinion)
        return Intent(
            ruled.step,
            opinion.answer,
            pct,
            ("intent.model",),
            (f"the model says {opinion.answer} ({pct} %): {redact(opinion.reason)}",),
        )

    def principle(self, principle: Principle, plan: Plan, *, words: str = "") -> Intent:
        """Ask whether a plan keeps a principle; `step` 0 stands for the whole plan."""
        asked = words or f"{plan.problem.title}\n{plan.problem.description}"
        prompt = fill(
            load("constitution"),
            {
                "principle": principle.text,
                "request": redact(asked),
                "steps": "\n".join(f"{step.step}. {_call(step)}" for step in plan.steps),
            },
        )
        opinion, why = self._opinion(prompt)
        rule = f"constitution.{principle.id}"
        if opinion is None:
            return Intent(0, "unsure", 0, (rule,), (f"nobody judged {principle.id!r}: {why}",))
        pct = _pct(opinion)
        return Intent(
            0,
            opinion.answer,
            pct,
            (rule,),
            (f"{principle.id}: the model says {opinion.answer} ({pct} %): {redact(opinion.reason)}",),
        )

    def _opinion(self, prompt: Prompt) -> tuple[Opinion | None, str]:
        with self._lock:
            self.tally.asked += 1
            kept = self._kept.get(prompt.key)
        if kept is not None:
            return self._counted(kept, "", kept=True)
        if self.model is None:
            return self._counted(None, "no model is configured")
        model = self.model
        began = self.clock()
        try:
            answer = within(self.time_s, lambda: model.ask(prompt, Opinion))
            opinion, why = answer.value, "; ".join(answer.complaints)
        except TimeoutError:
            opinion, why = None, f"the model did not answer within {self.time_s:g} s"
        except (ModelFailed, InvalidConfiguration) as error:
            opinion, why = None, error.message
        took_ms = int((self.clock() - began) * 1000)
        with self._lock:
            self.tally.latencies_ms.append(took_ms)
            if opinion is not None:
                if len(self._kept) >= _MOST_KEPT:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[prompt.key] = opinion
        return self._counted(opinion, why)

    def _counted(self, opinion: Opinion | None, why: str, *, kept: bool = False) -> tuple[Opinion | None, str]:
        allowed = opinion is not None and opinion.answer == "within" and _pct(opinion) >= self.threshold_pct
        with self._lock:
            self.tally.kept += kept
            self.tally.failed += opinion is None
            self.tally.allowed += allowed
            self.tally.escalated += not allowed
        return opinion, why


def _pct(opinion: Opinion) -> int:
    # In decimals, rounded down: 0.849 is not yet 0.85, and 0.57 is not 0.5699….
    return int(Decimal(repr(opinion.confidence)) * 100)


def _call(step: Step) -> str:
    return f"{step.tool} {redact(canonical(step.args).decode())}"
