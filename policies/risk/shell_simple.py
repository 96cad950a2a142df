"""Simple commands and conditions, from the tree to the words that the table judges.

Every way in which the words can expand is judged, and the worst one counts. A command that is not proved is still searched for the names
of secrets, so that the person sees what it is about.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from tree_sitter import Node

from ...schemas.risk import Level, Reason
from . import shell_roles, shell_tests
from .shell_commands import Call, judge_command
from .shell_gate import MAX_COMMANDS
from .shell_redirects import redirect
from .shell_roles import Place
from .shell_script import WORDS, Result, Script, low, union
from .shell_values import NOTHING, SETTING, TEXT, Output, Unproved, Word
from .shell_words import Fields, Value

_MAX_WAYS = 64
_MAX_WORDS = 400
_CONDITIONS = frozenset({"unary_expression", "binary_expression", "parenthesized_expression", "negated_command", "test_command"})


def simple(script: Script, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
    """Judge one simple command.

    Raises:
        Unproved: a part of it is not a word, or too much of it is not known.
    """
    script.count("command")
    script.gaps(node, blanks=" \t")
    if len(node.children) > _MAX_WORDS:
        raise Unproved("words", f"has more than {_MAX_WORDS} words", "split it into smaller steps")
    columns: list[tuple[Fields, ...]] = []
    reasons: list[Reason] = []
    prefixes: list[Node] = []
    for child in node.children:
        if child.type == "variable_assignment" and not columns:
            prefixes.append(child)
        elif child.type == "command_name" and "$" in script.slice(child):
            raise Unproved(
                "head.unknown", f"the command is only known while it runs: {script.slice(child)}", "write the command out"
            )
        elif child.type == "command_name" or child.type in WORDS:
            columns.append(script.reader.fields(child.start_byte, child.end_byte))
        elif child.type == "process_substitution":
            columns.append(((_process(script, child, reasons),),))
        elif child.type == "herestring_redirect":
            stdin = herestring(script, child)
        elif child.type == "file_redirect":
            found, source, _ = redirect(child, script)
            reasons.extend(found)
            stdin = source or stdin
        else:
            raise Unproved("node", f"uses {child.type!r} inside a command")
    if not columns:
        raise Unproved("node", "a command without a name")
    head = columns[0][0][0].text if columns[0] and columns[0][0] else ""
    for prefix in prefixes:
        _prefix(script, prefix, head)
    return _ways(script, columns, reasons, cwds, stdin)


def _ways(
    script: Script, columns: list[tuple[Fields, ...]], reasons: list[Reason], cwds: tuple[str, ...], stdin: Output
) -> Result:
    place = script.place(cwds)
    output, moved, first = TEXT, cwds, True
    for way in itertools.islice(itertools.product(*columns), _MAX_WAYS + 1):
        script.count("way", 3 * MAX_COMMANDS)
        words = tuple(itertools.chain.from_iterable(way))
        if not words:
            raise Unproved("head.unknown", "a command whose name may be empty")
        script.lines.append(" ".join(word.shown() for word in words)[:400])
        try:
            outcome = judge_command(Call(words, place, stdin, script.inner, script.bind))
        except Unproved as why:
            return Result([*reasons, why.finding(), *_secrets_in(words, place)], TEXT, cwds, cwds)
        reasons.extend(outcome.reasons)
        output = outcome.output if first or outcome.output == output else TEXT
        if outcome.moved is not None:
            moved = outcome.moved if first else union(moved, outcome.moved)
        first = False
    return Result(list(dict.fromkeys(reasons)), output, moved, union(cwds, moved))


def _secrets_in(words: tuple[Word, ...], place: Place) -> Iterator[Reason]:
    """A command that is not proved anyway: say so when it names a secret."""
    for word in words[1:40]:
        if word.literal and 0 < len(word.text) < 256 and not word.text.startswith("-"):
            try:
                yield from (
                    r
                    for r in shell_roles.judge_path("path", word.text.lstrip("@"), place)
                    if r.level >= Level.CRITICAL or "secret" in r.rule
                )
            except Unproved:
                return


def _process(script: Script, node: Node, reasons: list[Reason]) -> Word:
    if script.text[node.start_byte : node.start_byte + 2] != "<(":
        raise Unproved("node", "writes into the input of another command")
    script.gaps(node)
    reasons.extend(script.substitution(node, node.children[1:-1]).reasons)
    return Word("/dev/null")  # a pipe that holds what was judged just now


def herestring(script: Script, node: Node) -> Output:
    """Return the text of `<<< word` as what a command reads."""
    if len(node.children) != 2:
        raise Unproved("node", "a here-string of an unexpected shape")
    values = script.reader.single(node.children[1].start_byte, node.children[1].end_byte)
    return Output("value", values[0].text) if len(values) == 1 and values[0].literal else TEXT


# --- assignments ---------------------------------------------------------------------------------------------------------------------------
def assign(script: Script, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
    """Judge assignments that stand alone.

    Raises:
        Unproved: they set something that is more than a plain variable of the script.
    """
    script.gaps(node, blanks=" \t" if node.type == "variable_assignments" else "")
    for child in node.children if node.type == "variable_assignments" else [node]:
        if child.type != "variable_assignment":
            raise Unproved("node", f"uses {child.type!r} in an assignment")
        name, values = _assignment(script, child)
        script.set(name, values)
    return Result([low("sets a variable of the script")], NOTHING, cwds, cwds)


def _assignment(script: Script, node: Node) -> tuple[str, Value]:
    script.gaps(node, blanks="")
    children = node.children
    if children[0].type != "variable_name" or len(children) not in (2, 3) or script.slice(children[1]) != "=":
        raise Unproved("node", "an assignment to a part of a list, or an appending one")
    name = script.slice(children[0])
    if len(children) == 2:
        return name, (Word(""),)
    if children[2].type not in WORDS:
        raise Unproved("node", f"assigns {children[2].type.replace('_', ' ')}")
    return name, script.reader.single(children[2].start_byte, children[2].end_byte)


def _prefix(script: Script, node: Node, head: str) -> None:
    name, values = _assignment(script, node)
    separator = name == "IFS" and head == "read" and all(value.literal for value in values)
    plain = name in script.table.variables and all(value.literal and SETTING.fullmatch(value.text) for value in values)
    if not plain and not separator:
        raise Unproved(
            "variable.special", f"sets {name} for one command, which may change what it does", "leave the variable out"
        )


# --- conditions ----------------------------------------------------------------------------------------------------------------------------
def condition(script: Script, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
    """Judge `[ ... ]` or `[[ ... ]]`.

    Raises:
        Unproved: it is `(( ))`, or a part of it is not understood.
    """
    opening = script.slice(node.children[0])
    if opening not in ("[", "[["):
        raise Unproved("arithmetic", "uses (( )), which evaluates text as arithmetic")
    leaves = list(_leaves(script, node))
    if opening == "[" and any(script.slice(leaf) in ("<", ">", "<<", ">>", "&&", "||", "(", ")") for leaf in leaves):
        raise Unproved(
            "test.shape", "[ with an operator that the shell takes for itself: > is a redirection there", "quote it, or use [["
        )
    columns = [_operand(script, leaf) for leaf in leaves]
    call = Call((), script.place(cwds), stdin, script.inner, script.bind)
    reasons: list[Reason] = []
    for way in itertools.islice(itertools.product(*columns), _MAX_WAYS):
        script.count("way", 3 * MAX_COMMANDS)
        words = [word for fields in way for word in fields]
        if opening == "[[":  # words are not split there
            words = [Word(word.text, False, word.pattern, word.source) for word in words]
        reasons.extend(shell_tests.condition(words, call, arithmetic=opening == "[["))
    return Result(list(dict.fromkeys(reasons)) or [low("an empty condition")], NOTHING, cwds, cwds)


def _leaves(script: Script, node: Node) -> Iterator[Node]:
    script.gaps(node)
    for child in node.children:
        if child.type in _CONDITIONS:
            yield from _leaves(script, child)
        elif child.type == "comment":
            raise Unproved("node", "a comment inside a condition")
        elif script.slice(child) not in ("[", "[[", "]", "]]"):
            yield child


def _operand(script: Script, node: Node) -> tuple[Fields, ...]:
    text = script.slice(node)
    if node.type == "test_operator" or not node.is_named:
        return ((Word(text),),)
    if node.type in ("regex", "extglob_pattern"):
        if any(c in text.rstrip("$") for c in "$`"):
            raise Unproved("word.pattern", "a condition with a pattern that is worked out while it runs")
        return ((Word("pattern"),),)
    return script.fields(node)
