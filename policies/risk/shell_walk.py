"""From the tree of a script to its simple commands: every node kind is on the list, or the script is not proved.

The tree is trusted for the shape only. Between two children of a node there may be nothing but blanks; words are read again from their
bytes (shell_words.py); here-documents are found a second time in the text (shell_redirects.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tree_sitter import Node

from ...schemas.risk import Level, Reason
from . import shell_loops, shell_simple
from .shell_redirects import heredoc_text, redirect
from .shell_script import Result, Script, Statement, low, union
from .shell_values import NOTHING, TEXT, Output, Unproved

_SEPARATORS = frozenset({";", "\n", ";;"})
_LONE_DASH = re.compile(r"(?:python3?|cat|bash) -[ \t]*<<'?[A-Za-z_][A-Za-z0-9_]*'?[ \t]*\n")
_KEYWORDS = frozenset({"then", "do", "else", "{", "(", "$(", "<(", "done", "}", ")", "fi"})


def walk(script: Script, root: Node) -> list[Reason]:
    """Return the findings of a whole script."""
    try:
        found = script.sequence(root, (script.around.workspace,), NOTHING).reasons
    except Unproved as why:
        found = [why.finding()]
    if not found and root.children and all(child.type == "comment" for child in root.children):
        found = [low("a comment, and nothing else")]
    return found + script.extra


def statement(script: Script, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
    """Judge one statement by the kind of its node.

    Raises:
        Unproved: the kind is not on the list.
    """
    handler = _STATEMENTS.get(node.type)
    if handler is None:
        raise Unproved("node", f"uses a construction that is not understood: {node.type.replace('_', ' ')}")
    return handler(script, node, cwds, stdin)


def sequence(script: Script, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
    """Judge statements one after the other, each from every folder that one before it may have left.

    Raises:
        Unproved: something stands between them that does not separate commands.
    """
    script.gaps(node)
    total = Result([], NOTHING, cwds, cwds)
    ready, outputs = True, 0
    previous_end = node.start_byte
    for child in node.children:
        ready = ready or "\n" in script.text[previous_end : child.start_byte]
        previous_end = child.end_byte
        if child.type == "comment":
            script.comment(child)
        elif child.is_named:
            if not ready:
                raise Unproved("separator", "two commands stand side by side with nothing between them")
            part = script.statement(child, total.anyhow, stdin)
            total.reasons.extend(part.reasons)
            total.succeeded, total.anyhow = part.succeeded, union(total.anyhow, part.anyhow)
            if part.output.kind != "none":
                outputs += 1
                total.output = part.output if outputs == 1 else TEXT
            ready = False
        elif child.type in _SEPARATORS or child.type in _KEYWORDS or script.slice(child).strip() in _KEYWORDS:
            ready = True
        elif child.type == "&":
            total.reasons.append(
                Reason(rule="shell.background", level=Level.HIGH, text="leaves a command running in the background")
            )
            ready = True
        else:
            raise Unproved("node", f"uses {child.type!r}, which is not understood here")
    return total


def _group(script: Script, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
    result = sequence(script, node, cwds, stdin)
    return Result(result.reasons, result.output, cwds, cwds) if node.type == "subshell" else result


def _list(script: Script, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
    script.gaps(node)
    left, operator, right = _shape(node, 3)
    if operator.type not in ("&&", "||"):
        raise Unproved("node", f"joins commands with {operator.type!r}")
    first = script.statement(left, cwds, stdin)
    second = script.statement(right, first.succeeded if operator.type == "&&" else first.anyhow, stdin)
    output = second.output if first.output.kind == "none" else first.output if second.output.kind == "none" else TEXT
    anyhow = union(first.anyhow, second.anyhow)
    return Result(first.reasons + second.reasons, output, second.succeeded if operator.type == "&&" else anyhow, anyhow)


def _pipeline(script: Script, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
    script.gaps(node)
    reasons, output = _pipes(script, node.children, cwds, stdin, after_pipe=True)
    return Result(reasons, output, cwds, cwds)


def _pipes(
    script: Script, children: Sequence[Node], cwds: tuple[str, ...], stdin: Output, *, after_pipe: bool
) -> tuple[list[Reason], Output]:
    """Judge commands and pipes in turn; each command reads what the one before it prints."""
    reasons: list[Reason] = []
    for child in children:
        if child.is_named != after_pipe or (not child.is_named and child.type not in ("|", "|&")):
            raise Unproved("separator", "a pipe of an unexpected shape")
        if child.is_named:
            part = script.statement(child, cwds, stdin)
            reasons.extend(part.reasons)
            stdin = part.output
        after_pipe = not after_pipe
    if after_pipe:
        raise Unproved("separator", "a pipe that leads nowhere")
    return reasons, stdin


def _negated(script: Script, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
    script.gaps(node)
    _, inner = _shape(node, 2)
    result = script.statement(inner, cwds, stdin)
    return Result(result.reasons, result.output, result.anyhow, result.anyhow)


def _redirected(script: Script, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
    if not _LONE_DASH.match(script.slice(node)):  # the parser drops the dash there; to these it means the here-document
        script.gaps(node)
    reasons: list[Reason] = []
    body: Node | None = None
    pipes: list[Node] = []
    silent = False
    for child in node.children:
        if child.type == "file_redirect":
            found, source, quiet = redirect(child, script)
            reasons.extend(found)
            stdin = source or stdin
            silent = silent or quiet
        elif child.type == "heredoc_redirect":
            text, extra = heredoc_text(child, script)
            stdin = Output("value", text)
            pipes.extend(part for part in extra if part.type != "file_redirect")
            for part in extra:
                if part.type == "file_redirect":
                    reasons.extend(redirect(part, script)[0])
        elif child.type == "herestring_redirect":
            stdin = shell_simple.herestring(script, child)
        elif body is None:
            body = child
        else:
            raise Unproved("node", "a redirection of an unexpected shape")
    result = script.statement(body, cwds, stdin) if body is not None else Result([low("only redirects")], NOTHING, cwds, cwds)
    for pipe in pipes:
        found, output = _pipes(script, pipe.children, cwds, result.output, after_pipe=False)
        result = Result(result.reasons + found, output, cwds, cwds)
    return Result(reasons + result.reasons, NOTHING if silent else result.output, result.succeeded, result.anyhow)


def _comment(script: Script, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
    script.comment(node)
    return Result([low("a comment")], NOTHING, cwds, cwds)


def _shape(node: Node, count: int) -> list[Node]:
    if len(node.children) != count:
        raise Unproved("node", f"a {node.type.replace('_', ' ')} of an unexpected shape")
    return list(node.children)


_STATEMENTS: dict[str, Statement] = {
    "command": shell_simple.simple, "variable_assignment": shell_simple.assign, "variable_assignments": shell_simple.assign,
    "test_command": shell_simple.condition, "pipeline": _pipeline, "list": _list, "redirected_statement": _redirected,
    "negated_command": _negated, "compound_statement": _group, "subshell": _group, "if_statement": shell_loops.branch,
    "while_statement": shell_loops.repeat, "for_statement": shell_loops.over_words, "c_style_for_statement": shell_loops.counting,
    "case_statement": shell_loops.choose, "comment": _comment,
}  # fmt: skip
