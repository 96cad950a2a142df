"""From the words after a head to its flags and positionals, by the exact spellings of the table.

Abbreviated long options are refused although getopt takes them; short flags may stand together; a word that is not fully known may stand
where a flag could be read only if no flag of the tool does harm. Nothing is guessed: what does not fit raises `Unproved`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .shell_table import Entry, Flag
from .shell_values import HOLES, NUMBER, Unproved, Word


@dataclass(slots=True)
class Parsed:
    """What was found: `flags` with the role and word of each value, `positionals` in order."""

    flags: list[str] = field(default_factory=list)
    values: list[tuple[str, str, Word]] = field(default_factory=list)
    positionals: list[Word] = field(default_factory=list)


def parse(
    entry: Entry, words: Sequence[Word], starts_with_dash: Callable[[Word], bool], *, stop_at_operand: bool = False
) -> Parsed:
    """Split `words` by the flags that `entry` accepts.

    Args:
        starts_with_dash: could this word with a wildcard become a flag?
        stop_at_operand: the first positional ends the flags, and everything from it on is positional (wrappers, sub-commands).

    Raises:
        Unproved: a flag is not accepted here, is abbreviated, or lacks its value.
    """
    out = Parsed()
    at = 0
    while at < len(words):
        word = words[at]
        text = word.text
        if text == "--" and not word.many:
            out.positionals.extend(words[at + 1 :])
            if stop_at_operand and at + 1 < len(words) and words[at + 1].text.startswith("-"):
                raise Unproved("flag.unknown", f"{entry.name}: a command that begins with a dash")
            return out
        if not text.startswith("-") or text == "-":
            if stop_at_operand:
                out.positionals.extend(words[at:])
                return out
            if word.may_be_flag and not entry.wild and (not word.wild or starts_with_dash(word)):
                raise Unproved(
                    "word.maybe-flag",
                    f"{entry.name}: {word.shown()} could turn out to be a flag",
                    "write -- before it, or ./ in front",
                )
            out.positionals.append(word)
            at += 1
            if entry.style == "posix":  # the first operand ends the flags: nothing after it can turn out to be one
                out.positionals.extend(words[at:])
                return out
            continue
        if word.many and not (text.startswith("--") and "=" in text and not any(c in HOLES for c in text)):
            raise Unproved("word.maybe-flag", f"{entry.name}: {word.shown()} expands into several words with a flag among them")
        at = _flag(entry, words, at, out)
    return out


def _flag(entry: Entry, words: Sequence[Word], at: int, out: Parsed) -> int:
    text = words[at].text
    exact = entry.flags.get(text)
    if exact is not None:
        return _take(entry, text, exact, words, at, out)
    if "-#" in entry.flags and text[1:] and all(c in NUMBER or (c.isascii() and c.isdigit()) for c in text[1:]):
        out.flags.append("-#")
        return at + 1
    if text.startswith("--") or entry.style == "go":
        name, equals, value = text.partition("=")
        flag = entry.flags.get(name)
        if flag is None or not equals or len(flag.roles) != 1:
            raise _unknown(entry, words[at])
        out.flags.append(name)
        out.values.append((name, flag.roles[0], _tail(words[at], value)))
        return at + 1
    return _cluster(entry, words, at, out)


def _cluster(entry: Entry, words: Sequence[Word], at: int, out: Parsed) -> int:
    """Read `-abcVALUE`: flags without values, then perhaps one that takes the rest."""
    text = words[at].text
    for index in range(1, len(text)):
        name = "-" + text[index]
        flag = entry.flags.get(name)
        if flag is None:
            if "-#" in entry.flags and text[index].isdigit() and text[index].isascii():
                continue
            raise _unknown(entry, words[at])
        rest = text[index + 1 :]
        if flag.roles and rest:
            if len(flag.roles) != 1:
                raise _unknown(entry, words[at])
            out.flags.append(name)
            out.values.append((name, flag.roles[0], _tail(words[at], rest)))
            return at + 1
        if not rest:
            return _take(entry, name, flag, words, at, out)
        out.flags.append(name)
    raise _unknown(entry, words[at])


def _take(entry: Entry, name: str, flag: Flag, words: Sequence[Word], at: int, out: Parsed) -> int:
    out.flags.append(name)
    if flag.attached_only:
        return at + 1
    for offset, role in enumerate(flag.roles, 1):
        if at + offset >= len(words):
            raise Unproved("flag.value", f"{entry.name}: {name} lacks its value")
        value = words[at + offset]
        if value.many or value.wild:
            raise Unproved("flag.value", f"{entry.name}: the value of {name} may become several words", "quote it")
        out.values.append((name, role, value))
    return at + 1 + len(flag.roles)


def _tail(word: Word, text: str) -> Word:
    """The value attached to a flag; a wildcard in it is kept only as a hole."""
    return Word(text, word.many, "", word.source)


def _unknown(entry: Entry, word: Word) -> Unproved:
    return Unproved(
        "flag.unknown", f"{entry.name}: {word.shown()} is not a flag that is known to be harmless", "leave the flag out"
    )
