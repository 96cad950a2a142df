"""One script while it is judged: its bytes, its variables, its folders, and how often anything was looked at.

A variable that is set twice anywhere has no known value, nor has one that is read before it is set. A variable that the script does not
set may hold a secret of the environment, so only the names in the table may be shown. Arithmetic evaluates names as expressions, so it is
accepted for digits and for variables that are known to hold digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tree_sitter import Node

from ...schemas.risk import Level, Reason, Risk
from .shell_gate import MAX_COMMANDS
from .shell_roles import Place
from .shell_table import Table
from .shell_values import NUMBER, TEXT, TOKEN, UNKNOWN, Output, Unproved, Word
from .shell_words import Fields, Reader, Value, value_of
from .surroundings import Surroundings

_MAX_DEPTH = 14
_MAX_VALUES = 16
_MAX_FOLDERS = 6
WORDS = frozenset(
    {
        "word",
        "string",
        "raw_string",
        "ansi_c_string",
        "concatenation",
        "number",
        "simple_expansion",
        "expansion",
        "command_substitution",
    }
    | {"arithmetic_expansion", "brace_expression", "extglob_pattern", "regex", "variable_name", "special_variable_name"}
)
_EASY_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_ARITHMETIC = re.compile(r"(?:\s|[0-9()+*/%<>=!?:&|~^-]|\$?[A-Za-z_][A-Za-z0-9_]*|\$\{[A-Za-z_][A-Za-z0-9_]*\}|\$#)*")
_SETS = re.compile(r"(?<![=!<>])=(?!=)|\+\+|--")
_LOWER_SPECIAL = frozenset({"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy", "histchars", "auto_resume"})
_UPPER_PLAIN = re.compile(
    r"FILES?|DIRS?|NAMES?|COUNT|VERSION|COMMIT|BRANCH|BASE|SRC|DST|ROOT|OUT|LOG|PATTERN|RESULT|TOTAL|SUM|START|STOP|TAG|LINE|WORD|MSG|DATE|TODAY"
    r"|NOW|SIZE|MAX|MIN|VAR|[A-Z]"
)


@dataclass(slots=True)
class Result:
    """What a part of the script does: findings, output, and the folders when it succeeded and in any case."""

    reasons: list[Reason] = field(default_factory=list)
    output: Output = TEXT
    succeeded: tuple[str, ...] = ()
    anyhow: tuple[str, ...] = ()


Statement = Callable[["Script", Node, tuple[str, ...], Output], Result]
"""How a node is judged: the script, the node, the folders it may run in, and what it reads."""


class Script:
    """The state of one judgement.

    Args:
        source: the text as bytes.
        root: its tree.
        inner: judges the text of a script inside this one.
        statement: judges one statement.
        sequence: judges the statements of a block.
    """

    def __init__(
        self, source: bytes, root: Node, around: Surroundings, table: Table, *,
        inner: Callable[[str], Risk], statement: Statement, sequence: Statement,
    ) -> None:  # fmt: skip
        self.text = source.decode("latin-1")
        self.around, self.table, self.inner = around, table, inner
        self._statement, self._sequence = statement, sequence
        self.cwds: tuple[str, ...] = (around.workspace,)
        self.lines: list[str] = []
        """Each simple command with its words worked out, for the rules on known harm."""
        self.extra: list[Reason] = []
        """What was found inside substitutions."""
        self._variables: dict[str, Value] = {}
        self._seen: dict[tuple[str, str, str], tuple[Reason, ...]] = {}
        self._openings: dict[int, Node] = {}
        self._sets = _assigned(root, self.text, self._openings)
        self.reader = Reader(self.text, self._value, self._substituted, around.home)
        self._counts = {"command": 0, "statement": 0, "way": 0}
        self._depth = 0

    def statement(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        """Judge one statement; what is not understood in it becomes a HIGH finding, so that the rest is judged as well."""
        self._depth += 1
        try:
            if self._depth > _MAX_DEPTH:
                raise Unproved("nesting", "nests deeper than a person follows")
            self.count("statement", 3 * MAX_COMMANDS)
            self.cwds = cwds
            return self._statement(self, node, cwds, stdin)
        except Unproved as why:
            return Result([why.finding()], TEXT, cwds, cwds)
        finally:
            self._depth -= 1

    def sequence(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        """Judge the statements of a block, each from every folder that one before it may have left."""
        return self._sequence(self, node, cwds, stdin)

    def count(self, what: str, most: int = MAX_COMMANDS) -> None:
        """Count one more command, statement or way of expansion.

        Raises:
            Unproved: there are too many to be judged, or to be read by a person.
        """
        self._counts[what] += 1
        if self._counts[what] > most:
            raise Unproved("commands", f"holds, or stands for, more than {MAX_COMMANDS} commands", "split it into smaller steps")

    def place(self, cwds: tuple[str, ...] | None = None) -> Place:
        """Return where a command stands; the present folders when none are named."""
        return Place(self.around, self.table, self.cwds if cwds is None else cwds, self._seen)

    # --- the text behind the tree --------------------------------------------------------------------------------------------------------
    def slice(self, node: Node) -> str:
        """Return the bytes of a node."""
        return self.text[node.start_byte : node.end_byte]

    def fields(self, node: Node) -> tuple[Fields, ...]:
        """Evaluate one word.

        Raises:
            Unproved: it is not a word, or it is not understood.
        """
        if node.type not in WORDS:
            raise Unproved("node", f"uses {node.type.replace('_', ' ')} where a word has to be")
        return self.reader.fields(node.start_byte, node.end_byte)

    def gaps(self, node: Node, *, blanks: str = " \t\n") -> None:
        """Check that nothing stands between the children of a node but blanks.

        Raises:
            Unproved: the parser passes over something.
        """
        end = node.start_byte
        for child in node.children:
            gap = self.text[end : child.start_byte]
            if gap.strip(blanks):
                raise Unproved("hidden", f"the parser passes over {gap.strip()[:20]!r}")
            end = child.end_byte
        if self.text[end : node.end_byte].strip(blanks):
            raise Unproved("hidden", "the parser passes over the end of a command")

    def comment(self, node: Node) -> None:
        """Check that a comment begins and ends where bash begins and ends it.

        Raises:
            Unproved: it does not.
        """
        before, after = self.text[node.start_byte - 1 : node.start_byte], self.text[node.end_byte : node.end_byte + 1]
        text = self.slice(node)
        if not text.startswith("#") or "\n" in text or before not in ("", " ", "\t", "\n", ";") or after not in ("", "\n"):
            raise Unproved("comment", "a comment that does not begin or end where bash ends it")

    # --- variables -----------------------------------------------------------------------------------------------------------------------
    def may_set(self, name: str) -> bool:
        """Is this the name of a plain variable, that means nothing to the shell or to other programs?"""
        return (bool(_EASY_NAME.fullmatch(name)) and name not in _LOWER_SPECIAL) or bool(_UPPER_PLAIN.fullmatch(name))

    def set(self, name: str, values: Value) -> None:
        """Record the values that a variable may have from here on.

        Raises:
            Unproved: the name may mean something to other programs.
        """
        if not self.may_set(name):
            raise Unproved("variable.special", f"sets {name or 'nothing'}, which may change what other programs do")
        once = self._sets.get(name, 0) <= 1
        if once and len(values) > 1 and all(v.text and all(c == NUMBER or c in "0123456789" for c in v.text) for v in values):
            values = (Word(NUMBER),)
        self._variables[name] = values if once and len(values) <= _MAX_VALUES else (Word(UNKNOWN),)

    def bind(self, name: str, value: Word) -> None:
        """Record what `read` puts into a variable."""
        self.set(name, (value,))

    def _value(self, name: str) -> Value:
        known = value_of(name, self._variables)
        if known is not None:
            return known
        if name in self._sets and self.may_set(name):  # read before it is set, or set somewhere else as well
            return (Word(UNKNOWN),)
        if name == "PWD" and len(self.cwds) == 1:
            return (Word(self.cwds[0]),)
        if name == "HOME":
            return (Word(self.around.home),)
        if name in ("?", "#", "$", "!"):
            return (Word(NUMBER),)
        if name in ("@", "*", "-") or name.isdigit():
            return (Word(UNKNOWN, many=True),)
        if name in self.table.names:
            return (Word(TOKEN),)
        raise Unproved(
            "variable.unknown", f"shows the variable {name}, which may hold a secret", "name a variable that the script sets"
        )

    # --- substitutions -------------------------------------------------------------------------------------------------------------------
    def _substituted(self, at: int) -> tuple[int, Output]:
        node = self._openings.get(at)
        if node is None:
            raise Unproved("substitution", "a substitution where the parser sees none")
        if node.type == "arithmetic_expansion":
            return node.end_byte, self._arithmetic(node)
        self.gaps(node)
        result = self.substitution(node, node.children[1:-1])
        bad = [reason for reason in result.reasons if reason.level > Level.LOW]
        if bad or not result.reasons:
            self.extra.extend(bad)
            worst = max(bad, key=lambda reason: reason.level.rank, default=None)
            raise Unproved("substitution.risk", f"runs inside $(...): {worst.text if worst else 'nothing'}")
        return node.end_byte, result.output

    def substitution(self, node: Node, inner: Sequence[Node]) -> Result:
        """Judge what stands in `$(...)` or `<(...)`, and come back to the present folders."""
        from .shell_redirects import redirect
        from .shell_values import NOTHING

        cwds = self.cwds
        try:
            if len(inner) == 1 and inner[0].type == "file_redirect":  # $(<file)
                return Result(redirect(inner[0], self)[0])
            if len(inner) == 1 and inner[0].is_named:
                return self.statement(inner[0], cwds, NOTHING)
            return self.sequence(node, cwds, NOTHING)
        finally:
            self.cwds = cwds

    def _arithmetic(self, node: Node) -> Output:
        text = self.slice(node)
        inside = text[3:-2]
        if not text.startswith("$((") or not text.endswith("))") or not _ARITHMETIC.fullmatch(inside) or _SETS.search(inside):
            raise Unproved("arithmetic", "arithmetic with more than digits and plain variables")
        for name in re.findall(r"[A-Za-z_][A-Za-z0-9_]*", inside):
            values = value_of(name, self._variables)
            if values is None or any(c != NUMBER and not (c.isascii() and c.isdigit()) for value in values for c in value.text):
                raise Unproved("arithmetic", f"{name} would be evaluated as arithmetic, and is not known to be a number")
        return Output("number", single=True)


def union(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    """Join two sets of folders.

    Raises:
        Unproved: there are too many to judge every path in each.
    """
    joined = tuple(dict.fromkeys((*left, *right)))
    if len(joined) > _MAX_FOLDERS:
        raise Unproved("folder.unknown", "may run in too many folders")
    return joined


def low(text: str) -> Reason:
    """Return the finding that a part of the script is harmless in itself."""
    return Reason(rule="shell.statement", level=Level.LOW, text=text)


def _assigned(root: Node, text: str, openings: dict[int, Node]) -> dict[str, int]:
    """Count how often each variable is set anywhere, and note where each substitution opens."""
    counts: dict[str, int] = {}
    stack = [root]
    while stack:
        node = stack.pop()
        children = node.children
        kind = node.type
        names: list[str] = []
        if kind == "variable_assignment":
            if node.parent is not None and node.parent.type != "command":
                names = [text[children[0].start_byte : children[0].end_byte]]
        elif kind in ("for_statement", "c_style_for_statement"):
            names = [text[c.start_byte : c.end_byte] for c in children if c.type == "variable_name"]
        elif kind in ("command_substitution", "arithmetic_expansion") and children:
            openings[children[0].end_byte - (2 if kind == "command_substitution" else 3)] = node
        elif kind == "command" and "read" in text[node.start_byte : node.end_byte]:
            names = [text[c.start_byte : c.end_byte] for c in children]
        for name in names:
            counts[name] = counts.get(name, 0) + 1
        stack.extend(children)
    return counts
