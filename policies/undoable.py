"""Tell whether a written rollback plan is itself something that can be run: by proof, never by resemblance.

Rules:
- a statement for a database counts when it parses as exactly one change with a bounded target; a query undoes nothing;
- a command line counts when every command in it is a program that exists, the grammar has no error in it, and it does not read as prose;
- everything else stays words for a person. Not running a true undo costs a question; running a sentence costs more.

Source: sqlglot's grammars, tree-sitter's grammar of bash. Whether a program exists is asked through a port; nothing is looked up here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from ..schemas.plan import Call

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

LONGEST = 10_000

# Only these are handed to the parser: it reads `drop the index` as a command it does not know, and says so on standard error.
_STATEMENT = re.compile(
    r"\s*(?:drop\s+(?:table|index|view|trigger|column|schema|sequence|materialized\s+view)\b|create\s+(?:unique\s+|temp(?:orary)?\s+|or\s+"
    r"replace\s+)*(?:table|index|view|trigger)\b|alter\s+table\s+\S+\s+(?:add|drop|rename|alter)\b|(?:insert|replace)\s+(?:or\s+\w+\s+)?into\b"
    r"|update\s+\S+\s+set\b|delete\s+from\b)",
    re.IGNORECASE,
)
# Words of a sentence that are no arguments of a command.
_PROSE = re.compile(
    r"(?:the|an|of|sure|your|our|its|this|that|previous|needed|necessary|should|please|then|manually)[.,;:]?", re.IGNORECASE
)
_WORD = re.compile(r"[a-z0-9._/+-]+")


def undo_of(words: str, tool: str, args: dict[str, Any], which: Callable[[str], object]) -> Call | None:
    """Return the call that a rollback plan is, or None when it is words.

    Args:
        words: the rollback plan as written.
        tool: of the step that it takes back.
        args: of that step.
        which: finds a program by its name; anything false means that there is none.
    """
    text = words.strip()
    if not text or len(text) > LONGEST:
        return None
    if tool == "sql" and _is_change(text, str(args.get("dialect", "sqlite"))):
        return Call(tool="sql", args={key: args[key] for key in ("database", "dialect") if key in args} | {"statement": text})
    if tool == "shell" and _is_command_line(text, which):
        return Call(tool="shell", args={"command": text})
    return None


def _is_change(text: str, dialect: str) -> bool:
    if not _STATEMENT.match(text):
        return False
    # Costs a tenth of a second, and most documents never need it.
    import sqlglot
    from sqlglot import exp

    try:
        statements = [statement for statement in sqlglot.parse(text, read=dialect) if statement is not None]
    except (sqlglot.errors.SqlglotError, ValueError, RecursionError):
        return False
    if len(statements) != 1:
        return False
    (statement,) = statements
    if isinstance(statement, exp.Update | exp.Delete):
        # Without a condition it is more likely a sentence, or a mistake; `undo:` still says it plainly.
        return statement.args.get("where") is not None
    return isinstance(statement, exp.Insert | exp.Create | exp.Drop | exp.Alter)


def _is_command_line(text: str, which: Callable[[str], object]) -> bool:
    first = text.split(None, 1)[0]
    if not _WORD.fullmatch(first) or any(_PROSE.fullmatch(word) for word in text.split()):
        return False
    root = _parser().parse(text.encode()).root_node
    if root.has_error:
        return False
    commands = [node.child_by_field_name("name") for node in _walk(root) if node.type == "command"]
    names = [node.text.decode() if node is not None and node.text else "" for node in commands]
    return bool(names) and first == names[0] and all(_WORD.fullmatch(name) and which(name) for name in names)


@cache
def _parser() -> Parser:
    import tree_sitter
    import tree_sitter_bash

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


def _walk(root: Node) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.children))
