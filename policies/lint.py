"""Say what a problem lacks before anybody acts on it: the exact field, what is missing there, and what to write instead.

Rules:
- a hint is about one field and carries a text that can be pasted and completed; `<…>` marks what only the author knows;
- what one hint asks for, no other hint asks for again; a field whose choice is open gets no further hint;
- a problem that says how much, whom it hurts and how one will know gets no hint about any of these.

Source: feature A1; best practices and the good and poor example of the problem/action/results guide. A hint is a warning; refusing is the
caller's choice (`strict_problems`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..schemas.document import Document, Hint, WrittenProblem
from ..schemas.plan import Plan, Step
from ..schemas.problem import Problem
from .criteria import parse_criterion
from .units import is_count, measures
from .wording import Vague, is_placeholder, wording

_NUMBER = re.compile(r"\d")
_WORD = re.compile(r"[A-Za-z][\w/'.-]*")
_SQL = re.compile(r"(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|DROP|ALTER|EXPLAIN|TRUNCATE|GRANT|VACUUM|ANALYZE)\s")
_SYSTEM = re.compile(r"\b[a-z0-9]+-(?:service|db|database|api|server|queue|cache|gateway|cluster|app|worker|frontend|backend)\b")
_WORDS_ONLY = frozenset({"shell", "http", "python"})


def lint(problem: Problem | WrittenProblem, plan: Plan | None = None, *, document: Document | None = None) -> tuple[Hint, ...]:
    """Return what is vague or missing, in the order of the document.

    Args:
        problem: what is to be solved.
        plan: the frozen plan, when there is one; its steps and measures are looked at too.
        document: what was written, when it is at hand; adds lines, choices that were not made and placeholders outside the problem.
    """
    unchosen = list(_unchosen(document))
    open_fields = {hint.field for hint in unchosen}
    found = [*_problem(problem), *_steps(plan), *_measures(plan), *_placeholders(document)]
    hints = unchosen + [hint for hint in found if hint.field not in open_fields]
    lines = document.lines if document else {}
    return tuple(hint.model_copy(update={"line": hint.line or lines.get(hint.field)}) for hint in hints)


def lint_document(document: Document, plan: Plan | None = None) -> tuple[Hint, ...]:
    """Lint a document that may not even have a problem."""
    if document.problem is None:
        return tuple(_unchosen(document)) + tuple(_placeholders(document))
    return lint(document.problem, plan, document=document)


def _unchosen(document: Document | None) -> Iterator[Hint]:
    for one in document.unchosen if document else ():
        choices = ", ".join(one.choices)
        yield Hint(field=one.field, missing="no choice was made", write_instead=f"choose one of {choices}", line=one.line)


def _problem(problem: Problem | WrittenProblem) -> Iterator[Hint]:
    yield from _title(problem)
    yield from _description(problem)
    if not problem.success_criteria:
        yield Hint(
            field="problem.success_criteria",
            missing="a success criterion: nothing says when it is solved",
            write_instead=_criterion_for(problem),
        )
    for number, criterion in enumerate(problem.success_criteria, 1):
        yield from _criterion(criterion, f"problem.success_criteria[{number}]", problem)
    for number, constraint in enumerate(problem.constraints, 1):
        if is_placeholder(constraint):
            yield _unfilled(f"problem.constraints[{number}]", constraint)
    if not problem.constraints:
        yield Hint(
            field="problem.constraints",
            missing="constraints: what it may cost, how long it may take, what must not change",
            write_instead='"Budget: $<amount>", "Timeline: <duration>"',
        )
    context = problem.context
    if context.environment is None:
        yield Hint(
            field="problem.context.environment", missing="where it happens", write_instead="development, staging or production"
        )
    if not context.affected_systems or any(map(is_placeholder, context.affected_systems)):
        named = dict.fromkeys(_SYSTEM.findall(f"{problem.title}\n{problem.description}".lower()))
        yield Hint(
            field="problem.context.affected_systems",
            missing="what it touches",
            write_instead=f"the systems by name, such as [{', '.join(list(named)[:3]) or 'orders-db'}]",
        )
    if context.priority is None:
        yield Hint(field="problem.context.priority", missing="how urgent it is", write_instead="low, medium, high or critical")


def _title(problem: Problem | WrittenProblem) -> Iterator[Hint]:
    title = problem.title
    if not title or is_placeholder(title):
        yield _unfilled("problem.title", title)
        return
    group = _vague(title)
    # A vague word in a title is harmless where something else says how much.
    if group and not _says_how_much(problem):
        yield Hint(
            field="problem.title",
            missing=f"a number: {_quoted(title)} cannot be measured",
            write_instead=f'"{group.title.replace("{subject}", _subject(title) or "<system>")}"',
        )


def _description(problem: Problem | WrittenProblem) -> Iterator[Hint]:
    text = problem.description
    if is_placeholder(text):
        yield _unfilled("problem.description", text.splitlines()[0])
        return
    about = _subject(problem.title) or _subject(text) or "<system>"
    group = _vague(text) or _vague(problem.title)
    checkable = any(_is_checkable(criterion) for criterion in problem.success_criteria)
    if not _says_how_much(problem) and (group or _complaint(text) or not checkable):
        because = f": {_quoted(text)} cannot be measured" if _vague(text) or _complaint(text) else ": nothing says how much"
        yield Hint(
            field="problem.description",
            missing=f"a metric{because}",
            write_instead=f'"{about} {group.metric if group else "<metric>"} went from <before> to <now> since <date>"',
        )
    if not _has_impact(text):
        yield Hint(
            field="problem.description",
            missing="the impact: whom it hurts, and how much",
            write_instead=f'"{about} affects <n> % of <users or requests> and costs <amount> a <period>"',
        )


def _criterion(criterion: str, field: str, problem: Problem | WrittenProblem) -> Iterator[Hint]:
    if is_placeholder(criterion):
        yield _unfilled(field, criterion)
    elif (
        parse_criterion(criterion) is None and not _NUMBER.search(criterion) and not wording().absolute.search(criterion.lower())
    ):
        group = _vague(criterion)
        subject = _subject(criterion) or _subject(problem.title) or "<metric>"
        instead = group.criterion.replace("{subject}", subject) if group else f"{criterion.rstrip('.')}: <metric> < <target>"
        yield Hint(field=field, missing="a number and a comparison", write_instead=f'"{instead}"')


def _is_checkable(criterion: str) -> bool:
    if is_placeholder(criterion):
        return False
    return parse_criterion(criterion) is not None or bool(
        _NUMBER.search(criterion) or wording().absolute.search(criterion.lower())
    )


def _criterion_for(problem: Problem | WrittenProblem) -> str:
    group = _vague(problem.title) or _vague(problem.description)
    subject = _subject(problem.title) or _subject(problem.description) or "<system>"
    return (
        f'"{group.criterion.replace("{subject}", subject)}"' if group else f'"{subject}: <metric> < <target> (currently <value>)"'
    )


def _steps(plan: Plan | None) -> Iterator[Hint]:
    for step in plan.steps if plan else ():
        yield from _step(step)


def _step(step: Step) -> Iterator[Hint]:
    field = f"step {step.step}"
    command = str(step.args.get("command", "")) if step.tool == "shell" else ""
    if is_placeholder(command) and command:
        yield _unfilled(field, command)
    elif _SQL.match(command):
        yield Hint(
            field=field,
            missing=f"the tool for SQL: a shell would look for a program named {command.split()[0]}",
            write_instead=f"tool: sql, args: {{database: <file>, statement: {command[:80]!r}}}",
        )
    elif (
        step.reversible
        and step.undo is None
        and step.rollback_plan
        and step.tool in _WORDS_ONLY
        and "together with step" not in step.rollback_plan
    ):
        yield Hint(
            field=field,
            missing=f"an undo that can be run: {step.rollback_plan[:60]!r} is words, so a person has to do it",
            write_instead="undo: {tool: shell, args: {command: <command that takes it back>}}",
        )


def _measures(plan: Plan | None) -> Iterator[Hint]:
    if plan is None:
        return
    measured = {measure.criterion for measure in plan.measures}
    missing = [
        criterion for criterion in plan.problem.success_criteria if criterion not in measured and not is_placeholder(criterion)
    ]
    if missing:
        yield Hint(
            field="measures",
            missing=f"a measure for {len(missing)} of {len(plan.problem.success_criteria)} success criteria; without one, success stays unknown",
            write_instead=f"- {{criterion: {missing[0]!r}, tool: <tool>, args: {{…}}, read: <field of its output>}}",
        )
    for number, measure in enumerate(plan.measures, 1):
        target = parse_criterion(measure.target or measure.criterion)
        if target is None:
            yield Hint(
                field=f"measures[{number}].target",
                missing="a comparison: neither the criterion nor the target holds exactly one",
                write_instead='target: "< <number>"',
            )
            continue
        (given, _), (wanted, _) = measures(measure.unit), measures(target.unit)
        if wanted and given != wanted and not (given == "" and is_count(wanted)):
            yield Hint(
                field=f"measures[{number}].unit",
                missing=f"a unit that compares with {target.unit}" + (f"; {measure.unit} does not" if measure.unit else ""),
                write_instead=f'unit: "{target.unit}"',
            )


def _placeholders(document: Document | None) -> Iterator[Hint]:
    """Find what a template left outside the problem, whose own hints say more."""
    if document is None:
        return
    for name, value in document.metadata.as_json().items():
        if isinstance(value, str) and is_placeholder(value):
            yield _unfilled(f"metadata.{name}", value)
    if document.action:
        yield from _left_open(document.action.as_json(), "action")


def _left_open(value: object, path: str) -> Iterator[Hint]:
    if isinstance(value, dict):
        for name, child in value.items():
            if name not in ("args", "commands"):
                yield from _left_open(child, f"{path}.{name}")
    elif isinstance(value, list):
        for number, child in enumerate(value, 1):
            yield from _left_open(child, f"{path}[{number}]")
    elif isinstance(value, str) and is_placeholder(value):
        yield _unfilled(path, value)


def _unfilled(field: str, text: str) -> Hint:
    shown = f"; {text[:60]!r} is the template's" if text else ""
    return Hint(field=field, missing=f"your own text{shown}", write_instead="what is true here, or leave the field out")


def _says_how_much(problem: Problem | WrittenProblem) -> bool:
    """Tell whether the title, the description or a criterion holds a measured or measurable value."""
    texts = (problem.title, problem.description)
    return any(map(_has_metric, texts)) or any(parse_criterion(criterion) for criterion in problem.success_criteria)


def _has_metric(text: str) -> bool:
    # A number alone is no metric (`OAuth 2.0`, `step 3`): it has a unit, a comparison or a change.
    return bool(_METRIC.search(text)) or parse_criterion(text) is not None


_METRIC = re.compile(
    r"\d[\d.,]*\s*(?:%|percent\b|ms\b|µs\b|us\b|s\b|sec|min|hours?\b|h\b|days?\b|weeks?\b|[kmgt]i?b\b|bytes\b|rows\b|requests?\b|errors?\b|"
    r"failures?\b|users?\b|times\b|x\b|rps\b|qps\b|req\b|k\b|per\b|/|findings?\b|vulnerabilit|bugs?\b|incidents?\b|tickets?\b|tests?\b|"
    r"files?\b|lines?\b|steps\b|people\b|queries\b|calls\b|crashes\b)|[$€£]\s*\d|\bfrom\s+\d[\w.,%]*\s+to\s+\d",
    re.IGNORECASE,
)


def _has_impact(text: str) -> bool:
    return bool(wording().impact.search(text.lower()))


def _complaint(text: str) -> str:
    found = wording().complaints.search(text.lower())
    return found.group() if found else ""


def _vague(text: str) -> Vague | None:
    words = {word.lower().strip("'.-") for word in _WORD.findall(text)}
    return next((group for group in wording().vague if words & group.words), None)


def _quoted(text: str) -> str:
    """Quote what is vague in a text: the complaint and the words, as they were written."""
    group = _vague(text)
    found = [_complaint(text)] + [word for word in _WORD.findall(text) if group and word.lower().strip("'.-") in group.words]
    return " and ".join(f'"{word}"' for word in dict.fromkeys(filter(None, found))) or f'"{text[:40]}"'


def _subject(text: str) -> str:
    """Return what a text is about: its first sentence without vague and empty words; at most four words."""
    known = wording()
    vague = frozenset().union(*(group.words for group in known.vague))
    words = [word.strip("'.-") for word in _WORD.findall(re.split(r"[.\n;:]\s", text.strip() + " ", maxsplit=1)[0])]
    kept = [word for word in words if word and word.lower() not in known.empty and word.lower() not in vague]
    return " ".join(kept[:4])
