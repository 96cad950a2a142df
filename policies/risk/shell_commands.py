"""One simple command against the table: its head, its flags, and what stands in each place.

A command is LOW when its head stands in the table by its bare name (or in /bin, /usr/bin), every flag is accepted, and every word is
harmless in the role that the table gives to its place. Commands with a language or another command inside go to shell_inner.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ...schemas.risk import Level, Reason, Risk
from . import shell_inner, shell_roles
from .shell_flags import Parsed, parse
from .shell_roles import Place
from .shell_table import Entry
from .shell_values import HOLES, NOTHING, TEXT, Output, Unproved, Word

_STANDARD = ("/bin/", "/usr/bin/")
_SHELL_ONLY = frozenset({"cd", "read", "set"})
_LISTS = frozenset({"-l", "-L", "--files-with-matches", "--files-without-match", "--files"})
_FILTERS = frozenset(
    {
        "-v",
        "-i",
        "-E",
        "-F",
        "-w",
        "-x",
        "-P",
        "-e",
        "-s",
        "--invert-match",
        "--ignore-case",
        "--extended-regexp",
        "--fixed-strings",
    }
)


@dataclass(slots=True)
class Call:
    """A simple command as it will run: its words, what it reads, where, and how to judge what is inside it."""

    words: Sequence[Word]
    place: Place
    stdin: Output = NOTHING
    inner: Callable[[str], Risk] = field(default=lambda text: Risk.of(()))
    bind: Callable[[str, Word], None] = field(default=lambda name, value: None)


@dataclass(slots=True)
class Outcome:
    """What was found, what is printed, and the folders afterwards if it succeeded (`None`: unchanged)."""

    reasons: list[Reason] = field(default_factory=list)
    output: Output = TEXT
    moved: tuple[str, ...] | None = None


def judge_command(call: Call) -> Outcome:
    """Judge one simple command.

    Raises:
        Unproved: something in it is not on the list of what is understood.
    """
    head = call.words[0]
    if not head.literal:
        raise Unproved("head.unknown", f"the command is only known while it runs: {head.shown()}", "write the command out")
    name = _bare(head.text)
    rest = call.words[1:]
    table = call.place.table
    tail = tuple(word.text for word in rest)
    if len(tail) <= 3 and all(word.literal for word in rest) and name in table.probes.get(tail, ()):
        return Outcome([_low(name, "asks a tool for its version or its help")])
    entry = table.commands.get(name)
    if entry is not None and name != head.text and entry.run in _SHELL_ONLY:
        raise Unproved("head.path", f"{head.text} is not the builtin of that name", f"write {name}")
    if entry is None:
        raise Unproved(
            "command.unknown", f"{name} is not in the table of commands", "add it to risk.commands in the configuration"
        )
    return judge_entry(entry, rest, call)


def judge_entry(entry: Entry, words: Sequence[Word], call: Call) -> Outcome:
    """Judge the words after a head (or after a sub-command) by one entry; the first form that fits decides."""
    if entry.run:
        handler = shell_inner.HANDLERS.get(entry.run)
        if handler is None:
            raise Unproved("table.run", f"{entry.name}: no handler is called {entry.run}")
        return handler(entry, words, call)
    if entry.forms:
        return _first_form(entry, words, call)
    if entry.subs:
        parsed = parse(entry, words, lambda word: True, stop_at_operand=True)
        reasons = _values(parsed, call)
        if parsed.positionals:
            sub = parsed.positionals[0]
            if not sub.literal or sub.text not in entry.subs:
                raise Unproved("command.sub", f"{entry.name} {sub.shown()} is not a sub-command that is known to be harmless")
            outcome = judge_entry(entry.subs[sub.text], parsed.positionals[1:], call)
            return Outcome(reasons + outcome.reasons, outcome.output, outcome.moved)
        if not parsed.flags:
            raise Unproved("command.sub", f"{entry.name} needs a sub-command")
        return Outcome([*reasons, _low(entry.name, "asks a tool about itself")])
    if entry.style == "free":  # every word is text, whatever it looks like
        return Outcome([_low(entry.name)], _output(entry, Parsed(positionals=list(words)), call))
    parsed = parse(entry, words, lambda word: shell_roles.could_be_flag(word, call.place))
    return judge_parsed(entry, parsed, call)


def judge_parsed(entry: Entry, parsed: Parsed, call: Call) -> Outcome:
    """Judge flags and positionals that were already told apart."""
    if entry.any_of and not entry.any_of.intersection(parsed.flags):
        raise Unproved("flag.missing", f"{entry.name} is harmless only with one of {' '.join(sorted(entry.any_of))}")
    reasons = _values(parsed, call)
    for index, word in enumerate(parsed.positionals):
        if index < len(entry.args):
            role = entry.args[index]
            fills_the_rest = index == len(entry.args) - 1 and role == entry.rest
            if (word.many or word.wild) and not fills_the_rest:
                raise Unproved(
                    "argument.many", f"{entry.name}: {word.shown()} may become several words in a place for one", "quote it"
                )
        elif entry.rest:
            role = entry.rest
        else:
            raise Unproved("argument.count", f"{entry.name} takes no further argument here: {word.shown()}")
        reasons.extend(shell_roles.judge(role, word, call.place))
    if entry.default and len(parsed.positionals) <= len(entry.args):
        reasons.extend(shell_roles.judge(entry.default, Word("."), call.place))
    if entry.level > Level.LOW:
        text = f"{entry.name} changes things: as the table says, {entry.level.value}"
        reasons.append(Reason(rule="shell.command.write", level=entry.level, text=text))
    else:
        reasons.append(_low(entry.name))
    return Outcome(reasons, _output(entry, parsed, call))


def _values(parsed: Parsed, call: Call) -> list[Reason]:
    reasons: list[Reason] = []
    for _, role, word in parsed.values:
        reasons.extend(shell_roles.judge(role, word, call.place))
    return reasons


def _first_form(entry: Entry, words: Sequence[Word], call: Call) -> Outcome:
    refused: Unproved | None = None
    best: Outcome | None = None
    for form in entry.forms:
        try:
            outcome = judge_entry(form, words, call)
        except Unproved as why:
            refused = refused or why
            continue
        worst = max((reason.level for reason in outcome.reasons), key=lambda level: level.rank)
        if worst == Level.LOW:
            return outcome
        best = best or outcome
    if best is not None:
        return best
    raise refused or Unproved("command.form", f"{entry.name}: no accepted form fits")


def _output(entry: Entry, parsed: Parsed, call: Call) -> Output:
    """What the command prints, by `kind:flags` of the table: the kind holds only while no other flag than these is given."""
    kind, _, detail = entry.output.partition(":")
    words = parsed.positionals
    operands = words[len(entry.args) :] if entry.rest else words
    plain = set(parsed.flags) <= set(detail.split(","))
    if kind in ("none", "echo", "cwd"):
        return _known(kind, words, call)
    if kind == "top" and parsed.flags == ["--show-toplevel"] and not words:
        return Output("value", call.place.around.workspace)
    if kind in ("top", "token"):
        one = plain and all(word.literal and not word.text.startswith("-") for word in words)
        return Output("token", single=True) if one else TEXT
    if kind == "number":
        return Output("number") if plain and not operands else TEXT
    if kind == "same":
        return call.stdin if plain and not operands and call.stdin.kind in ("paths", "number") else TEXT
    if kind == "grep" and not _LISTS & set(parsed.flags):
        passes = set(parsed.flags) <= _FILTERS and not operands and call.stdin.kind == "paths"
        return call.stdin if passes else TEXT
    if kind == "grep":
        return TEXT if "--label" in parsed.flags else _paths(parsed, detail, operands)
    if kind == "names":  # git diff --name-only
        return (
            Output("paths") if "--name-only" in parsed.flags and not {"--line-prefix", "--relative"} & set(parsed.flags) else TEXT
        )
    if kind == "repository" and plain:  # git names nothing outside it
        return _paths(parsed, "args", words)
    if kind == "paths" and plain:
        inside = not any(shell_roles.judge("search", word, call.place) for word in words)
        return _paths(parsed, "args", words) if inside else TEXT
    if kind == "found":
        return _paths(parsed, detail, operands)
    return TEXT


def _known(kind: str, words: Sequence[Word], call: Call) -> Output:
    if kind == "none":
        return NOTHING
    if kind == "cwd":
        return Output("value", call.place.cwds[0]) if len(call.place.cwds) == 1 else TEXT
    texts = [word.text for word in words]
    if all(word.literal for word in words) and not any("\\" in text or text.startswith("-") for text in texts):
        return Output("value", " ".join(texts))
    return _echoed(words)


def _echoed(words: Sequence[Word]) -> Output:
    """What echo prints of one word with a hole is that hole; anything else is text."""
    if len(words) == 1 and words[0].source is not None and words[0].text in HOLES:
        return words[0].source
    return TEXT


def _paths(parsed: Parsed, detail: str, operands: Sequence[Word]) -> Output:
    pattern = None
    if detail == "args":
        given = [word.text for word in operands]
        pattern = given[0] if len(given) == 1 and operands[0].literal and given[0].startswith("*") else None
        return Output("paths", pattern=pattern, rooted=False)
    found = [word.text for name, _, word in parsed.values if name in detail.split(",")]
    if len(found) == 1 and found[0] and not found[0].startswith("!"):
        pattern = found[0].replace("\ue000", "*") if "*" in found[0] or "\ue000" in found[0] else f"*.{found[0].lstrip('.')}"
    return Output("paths", pattern=pattern, rooted=bool(operands) and all(word.literal for word in operands))


def _bare(head: str) -> str:
    for folder in _STANDARD:
        if head.startswith(folder) and "/" not in head[len(folder) :]:
            return head[len(folder) :]
    if "/" in head:
        raise Unproved("head.path", f"{head} is a file, whatever its name says", "use the bare name of a known tool")
    return head


def _low(name: str, what: str = "only reads and prints") -> Reason:
    return Reason(rule="shell.command.read", level=Level.LOW, text=f"{name} {what}")
