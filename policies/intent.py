"""Intent-based access control (IBAC), the part that rules can decide: is this step within what was asked for?

    within    the kind of act was asked for, on something that was named, and nothing forbids it
    outside   something that was said forbids it, or an act of this gravity was not asked for at all
    unsure    the rules do not decide; somebody else has to

Rules:
- What was asked for is the person's own words where there are any; a title that a model wrote proves nothing about them.
- It can only add a question: nothing here lets a step run that other policies would stop, and `outside` is a question too.
- A step that is proved to read only is within every intent, unless what it reads was put out of scope.
- A clause of the request that forbids something asks for nothing: `without deleting anything` is no wish to delete.
- Linear in the length of what it reads, which is bounded; a fraction of a millisecond for a step.

Source: feature D3; seed 3 (rules first, threshold 0.85). The words are data, `intent.yaml`. Deliberately absent: asking a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..schemas.plan import Plan, Step
from ..schemas.problem import Problem
from ..schemas.risk import Level
from ..schemas.ruling import Ruling
from .intent_words import WORD, stems, words_of_intent

Answer = Literal["within", "unsure", "outside"]

LONGEST = 20_000
LONGEST_STEP = 8_000
_CLAUSE = re.compile(r"[.;\n]|,|\bbut\b|\bexcept\b")
_REST = re.compile(r"\b(?:other|others|another|else|remaining|rest)\b")
_GRAVE = frozenset({"delete", "send", "operate", "install", "secret", "permit"})
_WRITES = _GRAVE | {"create", "change"}
_ORDER = {"within": 0, "unsure": 1, "outside": 2}


@dataclass(frozen=True)
class Intent:
    """What the rules say of one step.

    Args:
        confidence_pct: in the answer, 0 to 100.
    """

    step: int
    answer: Answer
    confidence_pct: int
    rules: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def is_decided(self) -> bool:
        """Whether nobody else has to be asked."""
        return self.answer != "unsure"


@dataclass(frozen=True)
class _Forbidden:
    said: str
    acts: frozenset[str]
    things: frozenset[str]
    rest: bool = False
    """It names what is left beside what was asked for (`other queries`), so words alone cannot tell whether a step touches it."""


@dataclass(frozen=True)
class Stated:
    """What was asked for, and what was forbidden; made once for a plan by `stated`."""

    asked: frozenset[str]
    things: frozenset[str]
    reads_only: bool
    forbidden: tuple[_Forbidden, ...]
    unclear: tuple[str, ...]
    environment: str | None
    names_production: bool
    is_request: bool = True
    """What was asked for are words that ask; a written problem describes, and a verb in it need not be a wish."""


def judge(plan: Plan, levels: Sequence[Level], *, words: str = "") -> tuple[Intent, ...]:
    """Judge every step of a plan.

    Args:
        plan: frozen.
        levels: the assessed level of each step, in order.
        words: what the person said; where it is empty, the problem's title and description count.
    """
    said = stated(plan.problem, words=words)
    return tuple(judge_step(step, level, said) for step, level in zip(plan.steps, levels, strict=True))


def ruling(intents: Iterable[Intent], *, threshold_pct: int | None = None) -> Ruling:
    """Return what follows: allow when every step is within, at least as certainly as the threshold; otherwise a person is asked."""
    least = words_of_intent().threshold_pct if threshold_pct is None else threshold_pct
    doubtful = [one for one in intents if one.answer != "within" or one.confidence_pct < least]
    if not doubtful:
        return Ruling(answer="allow", rules=("intent.within",))
    doubtful.sort(key=lambda one: -_ORDER[one.answer])
    rules = tuple(dict.fromkeys(rule for one in doubtful for rule in one.rules))
    return Ruling(
        answer="review", rules=rules, reasons=tuple(f"step {one.step}: {reason}" for one in doubtful for reason in one.reasons)
    )


def stated(problem: Problem, *, words: str = "") -> Stated:
    """Read what was asked for."""
    known = words_of_intent()
    text = (words or f"{problem.title}\n{problem.description}")[:LONGEST].lower()
    wishes: list[str] = []
    prohibitions: list[str] = []
    for clause in _CLAUSE.split(text):
        (prohibitions if known.prohibits.search(clause) or known.only.search(clause) else wishes).append(clause)
    wished = stems(" ".join(wishes))
    forbidden, unclear = [], []
    reads_only = False
    for clause in [*prohibitions, *(one.lower() for one in problem.constraints)]:
        if known.only.search(clause):
            reads_only = True
        elif known.prohibits.search(clause):
            # What precedes the prohibition in a clause is still a wish.
            before = known.prohibits.split(clause, maxsplit=1)[0] if clause in prohibitions else ""
            wished |= stems(before)
            forbidden.append(_forbidding(clause[len(before) :]))
        elif not known.elsewhere.search(clause):
            unclear.append(clause.strip())
    forbidden += [
        _Forbidden(f"out of scope: {one}", frozenset(), _things(one.lower()), rest=bool(_REST.search(one.lower()))) for one in problem.out_of_scope
    ]
    systems = frozenset(stem for system in problem.context.affected_systems for stem in stems(system.lower()))
    return Stated(
        asked=frozenset(act for act, verbs in known.asks.items() if verbs & wished),
        things=frozenset((wished | systems) - known.empty - frozenset().union(*known.asks.values())),
        reads_only=reads_only,
        forbidden=tuple(one for one in forbidden if one.things or one.acts),
        unclear=tuple(unclear),
        environment=problem.context.environment,
        names_production=bool(known.production & wished) or problem.context.environment == "production",
        is_request=bool(words),
    )


def judge_step(step: Step, level: Level, said: Stated) -> Intent:
    """Judge one step."""
    whole = "\n".join(_texts(step.args))
    text = whole[:LONGEST_STEP].lower()
    there = stems(text)
    acts = _acts(step, level, text)
    found = list(_findings(acts, level, there, said))
    if len(whole) > LONGEST_STEP:
        found.append(
            (
                "unsure",
                50,
                "intent.too_long",
                f"its arguments are longer than {LONGEST_STEP} characters and were not read as a whole",
            )
        )
    found.sort(key=lambda one: (-_ORDER[one[0]], -one[1]))
    answer, confidence = found[0][0], found[0][1]
    telling = [one for one in found if one[0] == answer]
    return Intent(
        step.step,
        answer,
        confidence,
        tuple(dict.fromkeys(one[2] for one in telling)),
        tuple(dict.fromkeys(one[3] for one in telling)),
    )


def _findings(acts: frozenset[str], level: Level, there: frozenset[str], said: Stated) -> Iterator[tuple[Answer, int, str, str]]:
    known = words_of_intent()
    writes = acts & _WRITES
    for one in said.forbidden:
        if one.acts and not (one.acts & acts):
            continue
        # `no deletions` and `without deleting rows` forbid every deletion, `do not delete invoices` that of invoices.
        telling = one.things - known.kinds or (frozenset() if one.acts else one.things)
        if telling <= there and not one.rest:
            yield "outside", 95, "intent.forbidden", f"this was said: {one.said.strip()!r}"
        elif telling & there:
            yield "unsure", 50, "intent.perhaps_forbidden", f"this was said: {one.said.strip()!r}"
    if said.reads_only and (writes or level > Level.LOW):
        certain = bool(writes)
        yield ("outside" if certain else "unsure"), 95 if certain else 50, "intent.reads_only", "only reading was asked for"
    if known.production & there and not said.names_production:
        if said.environment:
            yield "outside", 90, "intent.environment", f"it names production, and the environment is {said.environment}"
        else:
            yield "unsure", 50, "intent.environment", "it names production, and nobody said that production is meant"
    if level is Level.LOW:
        yield "within", 95, "intent.reads", "it only reads"
        return
    if not acts:
        yield "unsure", 40, "intent.unknown_act", "the rules cannot tell what kind of act this is"
    missing = acts & _WRITES - said.asked
    grave = missing & _GRAVE
    if grave:
        yield "outside", 90, "intent.not_asked", f"nobody asked to {' or to '.join(sorted(grave))}"
    elif missing and said.is_request and "only_read" in said.asked and not said.asked & _WRITES:
        yield (
            "outside",
            90,
            "intent.not_asked",
            f"nobody asked to {' or to '.join(sorted(missing))}; the request only asks to look",
        )
    elif missing:
        yield "unsure", 60, "intent.not_asked", f"nobody said in so many words to {' or to '.join(sorted(missing))}"
    if not (there & said.things):
        yield "unsure", 60, "intent.other_thing", "it touches nothing that the request names"
    for clause in said.unclear:
        yield "unsure", 60, "intent.constraint", f"the rules cannot tell whether this holds: {clause!r}"
    yield "within", 90, "intent.asked", "it was asked for"


def _acts(step: Step, level: Level, text: str) -> frozenset[str]:
    known = words_of_intent()
    if level is Level.LOW:
        return frozenset({"fetch"})
    if step.tool == "sql":
        first = WORD.search(str(step.args.get("statement", "")).lower())
        found = {known.sql.get(first[0], "")} if first else set()
    elif step.tool == "files":
        found = {known.files.get(str(step.args.get("operation", "")), "")}
    elif step.tool == "http":
        found = {known.http.get(str(step.args.get("method", "")).lower(), "")}
    else:
        found = {act for act, pattern in known.patterns.get(step.tool, ()) if pattern.search(text)}
    return frozenset(found - {""})


def _forbidding(clause: str) -> _Forbidden:
    known = words_of_intent()
    here = stems(clause)
    acts = frozenset(act for act, said in known.forbids.items() if said & here)
    return _Forbidden(clause, acts, _things(clause) - frozenset().union(*known.forbids.values()), rest=bool(_REST.search(clause)))


def _things(text: str) -> frozenset[str]:
    return stems(text) - words_of_intent().empty


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
