"""find: an expression of tests and harmless actions, with the commands of -exec judged like any other.

Accepted: tests and options on the list, -print, -print0, -ls, -printf, -prune, -quit, and -exec of a command that is itself LOW
on any of the files found. -execdir (it moves to folders that nobody has seen), -delete, -ok, -fprint, -fls and whatever is not on the list are refused.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...schemas.risk import Level, Reason
from . import shell_roles
from .shell_table import Entry
from .shell_values import HOLES, PATHS, WILD, Output, Unproved, Word

if TYPE_CHECKING:
    from .shell_commands import Call, Outcome

_LEADING = frozenset({"-L", "-H", "-P", "-O0", "-O1", "-O2", "-O3"})
_BARE = frozenset(
    [
        "!",
        "-not",
        "-a",
        "-and",
        "-o",
        "-or",
        "(",
        ")",
        ",",
        "-empty",
        "-depth",
        "-d",
        "-mount",
        "-xdev",
        "-daystart",
        "-noleaf",
        "-follow",
        "-warn",
        "-nowarn",
        "-readable",
        "-writable",
        "-executable",
        "-nouser",
        "-nogroup",
        "-true",
        "-false",
        "-print",
        "-print0",
        "-ls",
        "-prune",
        "-quit",
        "-ignore_readdir_race",
        "-help",
        "--help",
        "-version",
        "--version",
    ]
)
_NAMES = frozenset(["-name", "-iname", "-path", "-ipath", "-wholename", "-iwholename", "-lname", "-ilname"])
_VALUED = frozenset(
    [
        "-regex",
        "-iregex",
        "-regextype",
        "-type",
        "-xtype",
        "-size",
        "-maxdepth",
        "-mindepth",
        "-mtime",
        "-atime",
        "-ctime",
        "-mmin",
        "-amin",
        "-cmin",
        "-perm",
        "-user",
        "-group",
        "-uid",
        "-gid",
        "-links",
        "-inum",
        "-newermt",
        "-newerat",
        "-newerct",
        "-fstype",
        "-used",
        "-printf",
    ]
)
_FILES = frozenset(["-newer", "-anewer", "-cnewer", "-samefile", "-newermm"])


def judge_find(entry: Entry, words: Sequence[Word], call: Call) -> Outcome:
    """Judge the words after `find`.

    Raises:
        Unproved: a part of the expression is not on the list.
    """
    from .shell_commands import Outcome

    reasons: list[Reason] = []
    at, roots = 0, []
    while at < len(words) and words[at].text in _LEADING:
        at += 1
    while at < len(words) and not words[at].text.startswith(("-", "(", ")", "!", ",")):
        if words[at].may_be_flag and (not words[at].wild or shell_roles.could_be_flag(words[at], call.place)):
            raise Unproved("word.maybe-flag", f"find: {words[at].shown()} could turn out to be an action", "put ./ in front")
        roots.append(words[at])
        at += 1
    for root in roots or [Word(".")]:
        reasons.extend(shell_roles.judge("search", root, call.place))
    expression = words[at:]
    output = _output(expression)
    index = 0
    while index < len(expression):
        word = expression[index]
        text = word.text
        if word.many or any(c in HOLES or c in WILD for c in text):
            raise Unproved("word.maybe-flag", f"find: {word.shown()} could turn out to be an action", "quote it")
        if text in _BARE:
            index += 1
        elif text in _NAMES or text in _VALUED or text in _FILES:
            reasons.extend(_value(text, expression, index + 1, call))
            index += 2
        elif text == "-exec":
            index = _exec(expression, index, output, call, reasons)
        else:
            raise Unproved("flag.unknown", f"find: {word.shown()} is not a test or an action that is known to be harmless")
    reasons.append(Reason(rule="shell.command.read", level=Level.LOW, text="find names files"))
    return Outcome(reasons, output)


def _value(name: str, words: Sequence[Word], index: int, call: Call) -> list[Reason]:
    if index >= len(words):
        raise Unproved("flag.value", f"find: {name} lacks its value")
    word = words[index]
    if word.many:
        raise Unproved("flag.value", f"find: the value of {name} may become several words", "quote it")
    if word.wild:  # unquoted: fine while it matches at most one name
        names = call.place.around.listing(call.place.cwds[0]) if len(call.place.cwds) == 1 else None
        if names is None or sum(fnmatch.fnmatchcase(found, word.pattern) for found in names) > 1 or "/" in word.text:
            raise Unproved("flag.value", f"find: {word.shown()} may become several words", "quote it")
    return shell_roles.judge("meta", word, call.place) if name in _FILES else []


def _exec(words: Sequence[Word], at: int, output: Output, call: Call, reasons: list[Reason]) -> int:
    from .shell_commands import Call, judge_command

    inner: list[Word] = []
    index = at + 1
    while index < len(words):
        word = words[index]
        if word.text == ";" or (word.text == "+" and inner and inner[-1].source is not None):
            break
        if "{}" in word.text:
            found = Output("paths", pattern=output.pattern, rooted=True)
            inner.append(Word(PATHS, many=True, source=found) if word.text == "{}" else Word(word.text.replace("{}", "\ue006")))
        else:
            inner.append(word)
        index += 1
    if index >= len(words) or not inner:
        raise Unproved("inner.unknown", f"find: {words[at].text} does not end")
    reasons.extend(judge_command(Call(inner, call.place, Output("none"), call.inner, call.bind)).reasons)
    return index + 1


def _output(words: Sequence[Word]) -> Output:
    """Find the name patterns of which every file found has to match one: each alternative of the expression has to hold one."""
    texts = [word.text for word in words]
    kind = "text" if {"-printf", "-ls", "-exec", "-help", "--help", "-version", "--version"} & set(texts) else "paths"
    negated_group = any(text in ("!", "-not") and texts[at + 1 : at + 2] == ["("] for at, text in enumerate(texts))
    if "," in texts or negated_group:
        return Output(kind, rooted=True)
    patterns: list[str] = []
    branches: list[int] = [0]
    for at, text in enumerate(texts[:-1]):
        if text in ("-o", "-or"):
            branches.append(0)
        elif text in ("-name", "-iname") and not (at and texts[at - 1] in ("!", "-not")):
            patterns.append(texts[at + 1].replace("\ue000", "*"))
            branches[-1] += 1
    return Output(kind, pattern="\n".join(patterns) if all(branches) else None, rooted=True)
