"""Commands with something inside: another command, a script, or an effect on the shell itself. Other languages: shell_foreign.py.

What is inside goes back into the assessor when it is there in full; otherwise the command is not proved. The depth is bounded by the
assessor of shell text.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...schemas.risk import Level, Reason
from . import shell_find, shell_foreign, shell_roles, shell_tests
from .shell_flags import parse
from .shell_table import Entry
from .shell_values import PATHS, SETTING, TEXT, UNKNOWN, Output, Unproved, Word

if TYPE_CHECKING:
    from .shell_commands import Call, Outcome

_ONLY_BASH = re.compile(r"\$'|&>|>&[^0-9-]|\[\[|<<<|[<>]\(|\{[^}]*(?:,|\.\.)|\|&|\bfunction\b|==|;;?&")
_EASY_NAME = re.compile(r"[a-z_][a-z0-9_]*")


def _shell(entry: Entry, words: Sequence[Word], call: Call) -> Outcome:
    from .shell_commands import Outcome

    parsed = parse(entry, words, lambda word: True, stop_at_operand=True)
    if "-n" in parsed.flags and "-c" not in parsed.flags and len(parsed.positionals) == 1:
        reasons = shell_roles.judge("path", parsed.positionals[0], call.place)
        return Outcome([*reasons, _low(f"{entry.name} -n checks the syntax of a file")])
    if "-c" in parsed.flags:
        if any(re.match(r"-\w*c\w", word.text) for word in words[: len(words) - len(parsed.positionals)]):
            raise Unproved("flag.unknown", f"{entry.name}: -c has to stand last among its flags")  # -cls is -c -l -s, not `ls`
        text = next(word for name, _, word in parsed.values if name == "-c")
        if not text.literal or len(parsed.positionals) > 1:
            raise Unproved("inner.unknown", f"{entry.name} -c with a text that is not known in full", "write the commands out")
        script = text.text
    elif not parsed.positionals and call.stdin.kind == "value":
        script = call.stdin.value
    else:
        raise Unproved("inner.script", f"{entry.name} runs a file, or what another command prints", "run the commands themselves")
    if entry.name != "bash" and _ONLY_BASH.search(script):
        raise Unproved("inner.dialect", f"{entry.name} may read this text otherwise than bash does", "use bash")
    if call.place.cwds != (call.place.around.workspace,):
        raise Unproved("inner.folder", f"{entry.name} -c in another folder than the workspace", "run it from the workspace")
    return Outcome(list(call.inner(script).findings), TEXT)


def _wrap(entry: Entry, words: Sequence[Word], call: Call) -> Outcome:
    """A command that runs the rest of its words: timeout, nice, time, command, stdbuf."""
    from .shell_commands import Call, judge_command

    parsed = parse(entry, words, lambda word: True, stop_at_operand=True)
    rest = parsed.positionals
    own = len(entry.args)
    if any(not word.literal for word in rest[:own]) or len(rest) <= own:
        raise Unproved("inner.unknown", f"{entry.name} without a command that is known in full")
    outcome = judge_command(Call(rest[own:], call.place, call.stdin, call.inner, call.bind))
    if outcome.moved is not None and entry.name not in ("command", "time"):  # another process cannot move this one
        raise Unproved("folder.unknown", f"{entry.name} cannot change the folder of the shell")
    return outcome


def _command(entry: Entry, words: Sequence[Word], call: Call) -> Outcome:
    from .shell_commands import Outcome

    if words and words[0].text in ("-v", "-V"):
        if any(word.may_be_flag or word.text.startswith("-") for word in words[1:]):
            raise Unproved("flag.unknown", f"{entry.name}: more flags after -v")
        return Outcome([_low("command -v says where a command is")], TEXT)
    return _wrap(entry, words, call)


def _env(entry: Entry, words: Sequence[Word], call: Call) -> Outcome:
    from .shell_commands import Call, judge_command

    rest = list(words)
    while rest and rest[0].literal and re.match(r"[A-Za-z_]\w*=", rest[0].text):
        name, _, value = rest.pop(0).text.partition("=")
        if name not in call.place.table.variables or not SETTING.fullmatch(value):
            raise Unproved("variable.special", f"sets {name}, which may change what other programs do")
    if not rest:
        raise Unproved(
            "command.environment", "prints the whole environment, where secrets are kept", "name one harmless variable"
        )
    if rest[0].text.startswith("-"):
        raise Unproved("flag.unknown", f"{entry.name}: {rest[0].shown()} is not accepted")
    outcome = judge_command(Call(rest, call.place, call.stdin, call.inner, call.bind))
    if outcome.moved is not None:
        raise Unproved("folder.unknown", "env cannot change the folder of the shell")
    return outcome


def _xargs(entry: Entry, words: Sequence[Word], call: Call) -> Outcome:
    from .shell_commands import Call, Outcome, judge_command

    parsed = parse(entry, words, lambda word: True, stop_at_operand=True)
    source = call.stdin
    hole = PATHS if source.kind == "paths" else UNKNOWN
    rest = parsed.positionals or [Word("echo")]
    mark = next((word.text for name, _, word in parsed.values if name == "-I"), None)
    if mark is None:
        filled = [*rest, Word(hole, many=True, source=source)]
    elif not mark or not parsed.positionals:
        raise Unproved("inner.unknown", "xargs -I without a mark or a command")
    else:
        filled = [_filled(word, mark, hole, source) for word in rest]
    if not rest[0].literal or mark in (rest[0].text, ""):
        raise Unproved("head.unknown", "xargs runs a command that is only known while it runs")
    outcome = judge_command(Call(filled, call.place, Output("none"), call.inner, call.bind))
    return Outcome(outcome.reasons, outcome.output)


def _filled(word: Word, mark: str, hole: str, source: Output) -> Word:
    if mark not in word.text:
        return word
    exact = word.text == mark
    return Word(hole if exact else word.text.replace(mark, UNKNOWN), source=source if exact else None)


def _cd(entry: Entry, words: Sequence[Word], call: Call) -> Outcome:
    from .shell_commands import Outcome

    parsed = parse(entry, words, lambda word: True)
    if len(parsed.positionals) > 1 or any(not word.literal for word in parsed.positionals):
        raise Unproved("folder.unknown", "changes to a folder that is only known while it runs", "write the folder out")
    place = call.place
    target = parsed.positionals[0].text if parsed.positionals else place.around.home
    if target == "-" or not target:
        raise Unproved("folder.unknown", "changes back to an earlier folder", "write the folder out")
    moved = tuple(dict.fromkeys(posixpath.normpath(posixpath.join(cwd, target)) for cwd in place.cwds))
    if any(place.around.resolve(folder) != folder and ".." in target for folder in moved):
        raise Unproved("folder.unknown", "leaves a linked folder upwards", "use an absolute path")
    return Outcome([_low("cd changes the folder of the commands after it")], Output("none"), moved)


def _read(entry: Entry, words: Sequence[Word], call: Call) -> Outcome:
    from .shell_commands import Outcome

    parsed = parse(entry, words, lambda word: True)
    names = [word.text for word in parsed.positionals]
    if not names or any(not word.literal or not _EASY_NAME.fullmatch(word.text) for word in parsed.positionals):
        raise Unproved("variable.special", "reads into a variable that is not a plain lower-case name")
    for name in names:
        single = len(names) == 1 and call.stdin.kind in ("paths", "number", "token") and set(parsed.flags) <= {"-r"}
        hole = {"paths": PATHS}.get(call.stdin.kind, UNKNOWN) if single else UNKNOWN
        call.bind(name, Word(hole, source=call.stdin if single else TEXT))
    return Outcome([_low("read takes a line of its input")], Output("none"))


def _set(entry: Entry, words: Sequence[Word], call: Call) -> Outcome:
    from .shell_commands import Outcome

    texts = [word.text for word in words]
    if not texts or not re.fullmatch(r"(?:[-+][euxf]*(?:o (?:pipefail|errexit|nounset|xtrace))?\s?)+", " ".join(texts)):
        raise Unproved("command.set", "changes the options of the shell, or prints its variables")
    if any("x" in text[1:] for text in texts if text[:1] in "-+" and not text.endswith("o")):
        raise Unproved("command.set", "prints every command with its values")
    if any("f" in text for text in texts if text[:1] == "+"):
        raise Unproved("command.set", "changes how names are expanded")
    return Outcome([_low("set makes the shell stricter")], Output("none"))


def _printenv(entry: Entry, words: Sequence[Word], call: Call) -> Outcome:
    from .shell_commands import Outcome

    if not words or any(not word.literal or word.text not in call.place.table.names for word in words):
        raise Unproved(
            "command.environment", "prints variables that may hold secrets", "name one harmless variable, such as PATH"
        )
    return Outcome([_low("printenv prints harmless variables")])


def _low(text: str) -> Reason:
    return Reason(rule="shell.command.inner", level=Level.LOW, text=text)


HANDLERS: dict[str, Callable[[Entry, Sequence[Word], Call], Outcome]] = {
    "shell": _shell, "wrap": _wrap, "command": _command, "env": _env, "xargs": _xargs, "python": shell_foreign.judge_python,
    "sql": shell_foreign.judge_sql, "http": shell_foreign.judge_http,
    "cd": _cd, "read": _read, "set": _set, "printenv": _printenv, "find": shell_find.judge_find, "test": shell_tests.judge_test,
}  # fmt: skip
