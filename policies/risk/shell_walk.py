"""From the tree of a script to its simple commands: every node kind is on the list, or the script is not proved.

The tree is trusted for the shape only. Between two children of a node there may be nothing but blanks; words are read again from their
bytes (shell_words.py); here-documents are found a second time in the text; a variable that is set twice has no known value.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tree_sitter import Node

from ...schemas.risk import Level, Reason, Risk
from . import shell_roles, shell_tests
from .shell_commands import Call, judge_command
from .shell_gate import MAX_COMMANDS
from .shell_redirects import heredoc_text, redirect
from .shell_roles import Place
from .shell_table import Table
from .shell_values import NOTHING, NUMBER, TEXT, TOKEN, UNKNOWN, Output, Unproved, Word
from .shell_words import Fields, Reader, Value, value_of
from .surroundings import Surroundings

_MAX_DEPTH = 14
_MAX_WAYS = 64
_MAX_VALUES = 16
_WORDS = frozenset("word string raw_string ansi_c_string concatenation number simple_expansion expansion command_substitution".split())
_WORDS = _WORDS | {"arithmetic_expansion", "brace_expression", "extglob_pattern", "regex", "variable_name", "special_variable_name"}
_SEPARATORS = frozenset({";", "\n", ";;"})
_EASY_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_ARITHMETIC = re.compile(r"(?:\s|[0-9()+*/%<>=!?:&|~^-]|\$?[A-Za-z_][A-Za-z0-9_]*|\$\{[A-Za-z_][A-Za-z0-9_]*\}|\$#)*")


@dataclass(slots=True)
class Result:
    """What a part of the script does: findings, output, and the folders when it succeeded and in any case."""

    reasons: list[Reason] = field(default_factory=list)
    output: Output = TEXT
    succeeded: tuple[str, ...] = ()
    anyhow: tuple[str, ...] = ()


class Walk:
    """One script. `inner` judges the text of a script inside it."""

    def __init__(self, source: bytes, root: Node, around: Surroundings, table: Table, inner: Callable[[str], Risk]) -> None:
        self.text = source.decode("latin-1")
        self._root, self._around, self._table, self._inner = root, around, table, inner
        self._variables: dict[str, Value] = {}
        self._commands = self._statements = self._simple_commands = 0
        self._extra: list[Reason] = []
        self._depth = 0
        self._seen: dict[tuple[str, str, str], tuple[Reason, ...]] = {}
        self._cwds: tuple[str, ...] = (around.workspace,)
        self._openings: dict[int, Node] = {}
        self._sets = _assigned(root, self.text, self._openings)
        self._reader = Reader(self.text, self._value, self._substituted, around.home)
        self.lines: list[str] = []
        """Each simple command with its words worked out, for the rules on known harm."""

    def judge(self) -> list[Reason]:
        """Return the findings of the whole script."""
        try:
            found = self._sequence(self._root, (self._around.workspace,), NOTHING).reasons
        except Unproved as why:
            found = [Reason(rule=why.rule, level=Level.HIGH, text=why.text, lower=why.lower)]
        return found + self._extra

    # --- statements --------------------------------------------------------------------------------------------------------------------
    def _statement(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        self._depth += 1
        try:
            if self._depth > _MAX_DEPTH:
                raise Unproved("nesting", "nests deeper than a person follows")
            handler = _STATEMENTS.get(node.type)
            if handler is None:
                raise Unproved("node", f"uses a construction that is not understood: {node.type.replace('_', ' ')}")
            self._statements += node.type != "comment"
            if self._statements > 3 * MAX_COMMANDS:
                raise Unproved("commands", f"holds more than {MAX_COMMANDS} commands", "split it into smaller steps")
            self._cwds = cwds
            return handler(self, node, cwds, stdin)
        except Unproved as why:
            finding = Reason(rule=why.rule, level=Level.HIGH, text=why.text, lower=why.lower)
            return Result([finding], TEXT, cwds, cwds)
        finally:
            self._depth -= 1

    def _sequence(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        self._gaps(node)
        total = Result([], NOTHING, cwds, cwds)
        ready, outputs = True, 0
        previous_end = node.start_byte
        for child in node.children:
            gap = self.text[previous_end : child.start_byte]
            previous_end = child.end_byte
            ready = ready or "\n" in gap
            if child.type == "comment":
                self._comment(child)
            elif child.is_named:
                if not ready:
                    raise Unproved("separator", "two commands stand side by side with nothing between them")
                part = self._statement(child, total.anyhow, stdin)
                total.reasons.extend(part.reasons)
                total.succeeded, total.anyhow = part.succeeded, _union(total.anyhow, part.anyhow)
                if part.output.kind != "none":
                    outputs += 1
                    total.output = part.output if outputs == 1 else TEXT
                ready = False
            elif child.type in _SEPARATORS or child.type in ("then", "do", "else", "{", "(", "done", "}", ")", "fi"):
                ready = True
            elif child.type == "&":
                total.reasons.append(Reason(rule="shell.background", level=Level.HIGH, text="leaves a command running in the background"))
                ready = True
            else:
                raise Unproved("node", f"uses {child.type!r}, which is not understood here")
        return total

    def _group(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        result = self._sequence(node, cwds, stdin)
        return Result(result.reasons, result.output, cwds, cwds) if node.type == "subshell" else result

    def _list(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        self._gaps(node)
        left, operator, right = _shape(node, 3)
        if operator.type not in ("&&", "||"):
            raise Unproved("node", f"joins commands with {operator.type!r}")
        first = self._statement(left, cwds, stdin)
        second = self._statement(right, first.succeeded if operator.type == "&&" else first.anyhow, stdin)
        output = second.output if first.output.kind == "none" else first.output if second.output.kind == "none" else TEXT
        anyhow = _union(first.anyhow, second.anyhow)
        succeeded = second.succeeded if operator.type == "&&" else anyhow
        return Result(first.reasons + second.reasons, output, succeeded, anyhow)

    def _pipeline(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        self._gaps(node)
        total = Result([], stdin, cwds, cwds)
        expect = True
        for child in node.children:
            if not child.is_named:
                if child.type not in ("|", "|&") or expect:
                    raise Unproved("node", f"uses {child.type!r}, which is not understood here")
                expect = True
                continue
            if not expect:
                raise Unproved("separator", "two commands stand side by side in a pipe")
            part = self._statement(child, cwds, total.output)
            total.reasons.extend(part.reasons)
            total.output, expect = part.output, False
        return total

    def _negated(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        self._gaps(node)
        _, inner = _shape(node, 2)
        result = self._statement(inner, cwds, stdin)
        return Result(result.reasons, result.output, result.anyhow, result.anyhow)

    def _redirected(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        self._gaps(node)
        reasons: list[Reason] = []
        body: Node | None = None
        pipes: list[Node] = []
        silent = False
        for child in node.children:
            if child.type == "file_redirect":
                found, source, quiet = redirect(child, self)
                reasons.extend(found)
                stdin = source or stdin
                silent = silent or quiet
            elif child.type == "heredoc_redirect":
                text, extra = heredoc_text(child, self)
                stdin = Output("value", text)
                for part in extra:
                    if part.type == "file_redirect":
                        reasons.extend(redirect(part, self)[0])
                    else:
                        pipes.append(part)
            elif child.type == "herestring_redirect":
                stdin = self._herestring(child)
            elif body is None and not reasons:
                body = child
            else:
                raise Unproved("node", "a redirection in front of a command")
        result = self._statement(body, cwds, stdin) if body is not None else Result([_low("opens a file")], NOTHING, cwds, cwds)
        if body is None and not reasons:
            reasons.append(_low("only redirects"))
        for pipe in pipes:
            part = self._pipeline_tail(pipe, cwds, result.output)
            result = Result(result.reasons + part.reasons, part.output, cwds, cwds)
        output = NOTHING if silent else result.output
        return Result(reasons + result.reasons, output, result.succeeded, result.anyhow)

    def _pipeline_tail(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        total = Result([], stdin, cwds, cwds)
        for index, child in enumerate(node.children):
            if index % 2 == 0:
                if child.type != "|":
                    raise Unproved("node", "a here-document is followed by something else than a pipe")
                continue
            part = self._statement(child, cwds, total.output)
            total.reasons.extend(part.reasons)
            total.output = part.output
        return total

    def _herestring(self, node: Node) -> Output:
        _, word = _shape(node, 2)
        values = self._reader.single(word.start_byte, word.end_byte)
        return Output("value", values[0].text) if len(values) == 1 and values[0].literal else TEXT

    # --- branches and loops ------------------------------------------------------------------------------------------------------------
    def _if(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        return self._blocks(node, cwds, stdin, ("if", "then", "fi", "elif", "else"))

    def _while(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        return self._blocks(node, cwds, stdin, ("while", "until", "do", "done"))

    def _blocks(self, node: Node, cwds: tuple[str, ...], stdin: Output, keywords: Sequence[str]) -> Result:
        """Judge every part, each from every folder that any part before it may have left."""
        self._gaps(node)
        reasons: list[Reason] = []
        here, moved = cwds, False
        for _ in range(2):
            reasons = []
            for child in node.children:
                if child.type in keywords or child.type in _SEPARATORS:
                    continue
                if child.type == "comment":
                    self._comment(child)
                    continue
                part = (
                    self._blocks(child, here, stdin, keywords)
                    if child.type in ("elif_clause", "else_clause")
                    else self._sequence(child, here, stdin)
                    if child.type == "do_group"
                    else self._statement(child, here, stdin)
                )
                reasons.extend(part.reasons)
                moved = moved or part.anyhow != here
                here = _union(here, part.anyhow)
            if not moved:
                break
        return Result(reasons, TEXT, here, here)

    def _for(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        self._gaps(node)
        if node.children[0].type != "for":
            raise Unproved("node", "uses select, which waits for a person")
        name, values = "", []
        body: Node | None = None
        for child in node.children[1:]:
            if child.type == "variable_name" and not name:
                name = self.slice(child)
            elif child.type == "do_group":
                body = child
            elif child.type in _WORDS:
                for way in self._reader.fields(child.start_byte, child.end_byte):
                    values.extend(way)
            elif child.type not in ("in", ";", "\n"):
                raise Unproved("node", f"uses {child.type!r} in the head of a loop")
        if body is None or not self._may_set(name):
            raise Unproved("variable.special", f"a loop sets {name or 'nothing'}, which may mean something to other programs")
        self._set(name, tuple(Word(v.text, False, v.pattern, v.source) for v in values) or (Word(""),))
        return self._body(body, cwds, stdin)

    def _body(self, body: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        result = self._sequence(body, cwds, stdin)
        if result.anyhow != cwds:  # the second round starts where the first one ended
            result = self._sequence(body, result.anyhow, stdin)
        return Result(result.reasons, TEXT, result.anyhow, result.anyhow)

    def _count(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        text = self.text[node.start_byte : node.end_byte]
        head = re.match(r"for \(\(\s*([a-z_]\w*)\s*=\s*\d+\s*;\s*([a-z_]\w*)\s*(?:<=?|>=?|!=)\s*\d+\s*;\s*([a-z_]\w*)\s*(?:\+\+|--|\+=\s*\d+)\s*\)\)", text)
        body = node.children[-1]
        if not head or len(set(head.groups())) != 1 or body.type != "do_group" or not self._may_set(head[1]):
            raise Unproved("arithmetic", "a counting loop that is more than `for ((i = 0; i < 10; i++))`")
        self._set(head[1], (Word(NUMBER),))
        return self._body(body, cwds, stdin)

    def _case(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        self._gaps(node)
        reasons: list[Reason] = []
        here = cwds
        for child in node.children:
            if child.type == "case_item":
                part = self._case_item(child, here, stdin)
                reasons.extend(part.reasons)
                here = _union(here, part.anyhow)
            elif child.type in _WORDS:
                self._reader.fields(child.start_byte, child.end_byte)
            elif child.type not in ("case", "in", "esac", ";", "\n"):
                raise Unproved("node", f"uses {child.type!r} in a case")
        return Result(reasons or [_low("a case without commands")], TEXT, here, here)

    def _case_item(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        self._gaps(node)
        reasons: list[Reason] = []
        here, patterns = cwds, True
        for child in node.children:
            if child.type == ")":
                patterns = False
            elif patterns and child.type in _WORDS:
                if any(c in self.slice(child) for c in "$`("):
                    raise Unproved("word.pattern", "a case with a pattern that is worked out while it runs")
            elif not patterns and child.is_named and child.type != "comment":
                part = self._statement(child, here, stdin)
                reasons.extend(part.reasons)
                here = _union(here, part.anyhow)
            elif child.type not in ("|", ";;", ";", "\n", "("):
                raise Unproved("node", f"uses {child.type!r} in a case")
        return Result(reasons, TEXT, here, here)

    # --- simple commands ---------------------------------------------------------------------------------------------------------------
    def _simple(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        self._simple_commands += 1
        if self._simple_commands > MAX_COMMANDS:
            raise Unproved("commands", f"holds more than {MAX_COMMANDS} commands", "split it into smaller steps")
        self._gaps(node, blanks=" \t")
        columns: list[tuple[Fields, ...]] = []
        reasons: list[Reason] = []
        prefixes: list[Node] = []
        for child in node.children:
            if child.type == "variable_assignment" and not columns:
                prefixes.append(child)
            elif child.type == "command_name":
                columns.append(self._reader.fields(child.start_byte, child.end_byte))
            elif child.type in _WORDS:
                columns.append(self._reader.fields(child.start_byte, child.end_byte))
            elif child.type == "process_substitution":
                columns.append(((self._process(child, cwds, reasons),),))
            elif child.type == "herestring_redirect":
                stdin = self._herestring(child)
            elif child.type == "file_redirect":
                found, source, _ = redirect(child, self)
                reasons.extend(found)
                stdin = source or stdin
            else:
                raise Unproved("node", f"uses {child.type!r} inside a command")
        if not columns:
            raise Unproved("node", "a command without a name")
        head = columns[0][0][0].text if columns[0] and columns[0][0] else ""
        for prefix in prefixes:
            self._prefix(prefix, head)
        return self._ways(columns, reasons, cwds, stdin)

    def _ways(self, columns: list[tuple[Fields, ...]], reasons: list[Reason], cwds: tuple[str, ...], stdin: Output) -> Result:
        place = Place(self._around, self._table, cwds, self._seen)
        output, moved, first = TEXT, cwds, True
        for way in itertools.islice(itertools.product(*columns), _MAX_WAYS + 1):
            self._commands += 1
            if self._commands > 2 * MAX_COMMANDS:
                raise Unproved("commands", f"stands for more than {MAX_COMMANDS} commands", "split it into smaller steps")
            words = tuple(itertools.chain.from_iterable(way))
            if not words:
                raise Unproved("head.unknown", "a command whose name may be empty")
            self.lines.append(" ".join(word.shown() for word in words))
            try:
                outcome = judge_command(Call(words, place, stdin, self._inner, self._bind))
            except Unproved as why:
                reasons.append(Reason(rule=why.rule, level=Level.HIGH, text=why.text, lower=why.lower))
                reasons.extend(self._secrets_in(words, place))
                return Result(reasons, TEXT, cwds, cwds)
            reasons.extend(outcome.reasons)
            output = outcome.output if first or outcome.output == output else TEXT
            if outcome.moved is not None:
                moved = outcome.moved if first else _union(moved, outcome.moved)
            first = False
        return Result(list(dict.fromkeys(reasons)), output, moved, _union(cwds, moved))

    def _secrets_in(self, words: tuple[Word, ...], place: Place) -> Iterator[Reason]:
        """A command that is not proved anyway: say so when it names a secret."""
        for word in words[1:]:
            if word.literal and 0 < len(word.text) < 256 and not word.text.startswith("-"):
                yield from (r for r in shell_roles.judge_path("path", word.text.lstrip("@"), place) if r.level >= Level.CRITICAL)

    def _process(self, node: Node, cwds: tuple[str, ...], reasons: list[Reason]) -> Word:
        if node.children[0].type != "<(" or self.text[node.start_byte : node.start_byte + 2] != "<(":
            raise Unproved("node", "writes into the input of another command")
        reasons.extend(self._sequence_of(node.children[1:-1], node, cwds).reasons)
        self._cwds = cwds
        return Word("/dev/null")

    def _sequence_of(self, children: Sequence[Node], node: Node, cwds: tuple[str, ...]) -> Result:
        if len(children) != 1 or not children[0].is_named:
            raise Unproved("node", "a substitution with more than one command")
        self._gaps(node)
        return self._statement(children[0], cwds, NOTHING)

    def _test(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        opening = self.slice(node.children[0])
        if opening not in ("[", "[["):
            raise Unproved("arithmetic", "uses (( )), which evaluates text as arithmetic")
        columns = [self._operand(leaf) for leaf in self._leaves(node)]
        place = Place(self._around, self._table, cwds, self._seen)
        call = Call((), place, stdin, self._inner, self._bind)
        reasons: list[Reason] = []
        for way in itertools.islice(itertools.product(*columns), _MAX_WAYS):
            words = [word for fields in way for word in fields]
            if opening == "[[" and any(word.many for word in words):
                words = [Word(word.text, False, word.pattern, word.source) for word in words]
            reasons.extend(shell_tests.condition(words, call, arithmetic=opening == "[["))
        return Result(list(dict.fromkeys(reasons)) or [_low("an empty condition")], NOTHING, cwds, cwds)

    def _leaves(self, node: Node) -> Iterator[Node]:
        self._gaps(node)
        for child in node.children:
            if child.type in ("unary_expression", "binary_expression", "parenthesized_expression", "negated_command", "test_command"):
                yield from self._leaves(child)
            elif child.type == "comment":
                raise Unproved("node", "a comment inside a condition")
            elif self.slice(child) not in ("[", "[[", "]", "]]"):
                yield child

    def _operand(self, node: Node) -> tuple[Fields, ...]:
        text = self.slice(node)
        if node.type == "test_operator" or not node.is_named:
            return ((Word(text),),)
        if node.type in ("regex", "extglob_pattern"):
            if any(c in text for c in "$`") and not re.fullmatch(r"[^$`]*\$?", text):
                raise Unproved("word.pattern", "a condition with a pattern that is worked out while it runs")
            return ((Word("pattern"),),)
        if node.type not in _WORDS:
            raise Unproved("node", f"uses {node.type!r} in a condition")
        return self._reader.fields(node.start_byte, node.end_byte)

    # --- variables and substitutions -----------------------------------------------------------------------------------------------------
    def _assign(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        self._gaps(node)
        for child in node.children if node.type == "variable_assignments" else [node]:
            if child.type != "variable_assignment":
                raise Unproved("node", f"uses {child.type!r} in an assignment")
            self._gaps(child, blanks="")
            name, values = self._assignment(child)
            if not self._may_set(name):
                raise Unproved("variable.special", f"sets {name}, which may change what other programs do")
            self._set(name, values)
        return Result([_low("sets a variable of the script")], NOTHING, cwds, cwds)

    def _assignment(self, node: Node) -> tuple[str, Value]:
        if node.children[0].type != "variable_name" or self.slice(node.children[1]) != "=" or len(node.children) > 3:
            raise Unproved("node", "an assignment to a part of a list, or an appending one")
        name = self.slice(node.children[0])
        if len(node.children) == 2:
            return name, (Word(""),)
        value = node.children[2]
        if value.type not in _WORDS:
            raise Unproved("node", f"assigns {value.type.replace('_', ' ')}")
        return name, self._reader.single(value.start_byte, value.end_byte)

    def _prefix(self, node: Node, head: str) -> None:
        self._gaps(node, blanks="")
        name, values = self._assignment(node)
        separator = name == "IFS" and head == "read" and all(value.literal for value in values)
        if name not in self._table.variables and not separator:
            raise Unproved("variable.special", f"sets {name} for one command, which may change what it does", "leave the variable out")

    def _may_set(self, name: str) -> bool:
        return (bool(_EASY_NAME.fullmatch(name)) and name not in _LOWER_SPECIAL) or name in _UPPER_PLAIN

    def _set(self, name: str, values: Value) -> None:
        once = self._sets.get(name, 0) <= 1
        if once and len(values) > 1 and all(v.text and all(c == NUMBER or c in "0123456789" for c in v.text) for v in values):
            values = (Word(NUMBER),)
        self._variables[name] = values if once and len(values) <= _MAX_VALUES else (Word(UNKNOWN),)

    def _bind(self, name: str, value: Word) -> None:
        if not self._may_set(name):
            raise Unproved("variable.special", f"reads into {name}, which may change what other programs do")
        self._variables[name] = (value,) if self._sets.get(name, 0) <= 1 else (Word(UNKNOWN),)

    def _value(self, name: str) -> Value:
        known = value_of(name, self._variables)
        if known is not None:
            return known
        if name in self._sets:
            return (Word(UNKNOWN),)
        if name == "PWD" and len(self._cwds) == 1:
            return (Word(self._cwds[0]),)
        if name == "HOME":
            return (Word(self._around.home),)
        if name in ("?", "#", "$", "!"):
            return (Word(NUMBER),)
        if name in ("@", "*", "-") or name.isdigit():
            return (Word(UNKNOWN, many=True),)
        if name in self._table.names:
            return (Word(TOKEN),)
        raise Unproved("variable.unknown", f"shows the variable {name}, which may hold a secret", "name a variable that the script sets")

    def _substituted(self, at: int) -> tuple[int, Output]:
        node = self._openings.get(at)
        if node is None:
            raise Unproved("substitution", "a substitution where the parser sees none")
        if node.type == "arithmetic_expansion":
            return node.end_byte, self._arithmetic(node)
        cwds, inner = self._cwds, node.children[1:-1]
        self._gaps(node)
        if len(inner) == 1 and inner[0].type == "file_redirect":  # $(<file)
            result = Result(redirect(inner[0], self)[0])
        elif len(inner) == 1 and inner[0].is_named:
            result = self._statement(inner[0], cwds, NOTHING)
        else:
            result = self._sequence(node, cwds, NOTHING)
        self._cwds = cwds
        bad = [reason for reason in result.reasons if reason.level > Level.LOW]
        if bad or not result.reasons:
            self._extra.extend(bad)
            worst = max(bad, key=lambda reason: reason.level.rank, default=None)
            raise Unproved("substitution.risk", f"runs inside $(...): {worst.text if worst else 'nothing'}")
        return node.end_byte, result.output

    def _arithmetic(self, node: Node) -> Output:
        text = self.slice(node)
        if not text.startswith("$((") or not text.endswith("))") or not _ARITHMETIC.fullmatch(text[3:-2]) or "[" in text:
            raise Unproved("arithmetic", "arithmetic with more than digits and plain variables")
        if re.search(r"(?<![=!<>])=(?!=)|\+\+|--", text):
            raise Unproved("arithmetic", "arithmetic that sets a variable")
        for name in re.findall(r"[A-Za-z_][A-Za-z0-9_]*", text):
            values = value_of(name, self._variables)
            if values is None or any(c not in NUMBER and not c.isdigit() for value in values for c in value.text):
                raise Unproved("arithmetic", f"{name} would be evaluated as arithmetic, and is not known to be a number")
        return Output("number")

    # --- the text behind the tree ------------------------------------------------------------------------------------------------------
    def slice(self, node: Node) -> str:
        """Return the bytes of a node."""
        return self.text[node.start_byte : node.end_byte]

    def fields(self, node: Node) -> tuple[Fields, ...]:
        """Evaluate one word node."""
        if node.type not in _WORDS:
            raise Unproved("node", f"uses {node.type.replace('_', ' ')} where a word has to be")
        return self._reader.fields(node.start_byte, node.end_byte)

    def place(self) -> Place:
        """Return where the present command stands."""
        return Place(self._around, self._table, self._cwds, self._seen)

    def process(self, node: Node) -> tuple[list[Reason], Output]:
        """Judge a process substitution that something reads from."""
        if self.text[node.start_byte : node.start_byte + 2] != "<(":
            raise Unproved("node", "writes into the input of another command")
        result = self._sequence_of(node.children[1:-1], node, self._cwds)
        return result.reasons, result.output

    def _gaps(self, node: Node, *, blanks: str = " \t\n") -> None:
        """Check that nothing stands between the children of a node but blanks."""
        end = node.start_byte
        for child in node.children:
            gap = self.text[end : child.start_byte]
            if gap.strip(blanks):
                raise Unproved("hidden", f"the parser passes over {gap.strip()[:20]!r}")
            end = child.end_byte
        if self.text[end : node.end_byte].strip(blanks):
            raise Unproved("hidden", "the parser passes over the end of a command")

    def _comment(self, node: Node) -> None:
        before = self.text[node.start_byte - 1 : node.start_byte]
        after = self.text[node.end_byte : node.end_byte + 1]
        if not self.slice(node).startswith("#") or "\n" in self.slice(node) or before not in ("", " ", "\t", "\n", ";") or after not in ("", "\n"):
            raise Unproved("comment", "a comment that does not begin or end where bash ends it")

    def _only_comment(self, node: Node, cwds: tuple[str, ...], stdin: Output) -> Result:
        self._comment(node)
        return Result([_low("a comment")], NOTHING, cwds, cwds)


_LOWER_SPECIAL = frozenset("http_proxy https_proxy ftp_proxy all_proxy no_proxy histchars auto_resume allow_null_glob_expansion".split())
_UPPER_PLAIN = frozenset(
    "FILE FILES DIR DIRS N COUNT I J K X Y NAME NAMES VERSION COMMIT BRANCH BASE SRC DST ROOT OUT LOG PATTERN RESULT TOTAL SUM START STOP"
    " TAG LINE WORD MSG DATE TODAY NOW SIZE MAX MIN VAR A B C F D P V".split()
)


def _assigned(root: Node, text: str, openings: dict[int, Node]) -> dict[str, int]:
    """Count how often each variable is set anywhere, and note where each substitution opens."""
    counts: dict[str, int] = {}
    stack = [root]
    while stack:
        node = stack.pop()
        name = ""
        if node.type == "variable_assignment" and node.parent is not None and node.parent.type != "command":
            name = text[node.children[0].start_byte : node.children[0].end_byte]
        elif node.type == "for_statement":
            name = next((text[c.start_byte : c.end_byte] for c in node.children if c.type == "variable_name"), "")
        elif node.type in ("command_substitution", "arithmetic_expansion") and node.children:
            opening = node.children[0]
            openings[opening.end_byte - (2 if node.type == "command_substitution" else 3)] = node
        elif node.type == "command" and node.children and text[node.children[0].start_byte : node.children[0].end_byte] == "read":
            for child in node.children[1:]:
                word = text[child.start_byte : child.end_byte]
                counts[word] = counts.get(word, 0) + 1
        if name:
            counts[name] = counts.get(name, 0) + 1
        stack.extend(node.children)
    return counts


def _shape(node: Node, count: int) -> list[Node]:
    if len(node.children) != count:
        raise Unproved("node", f"a {node.type.replace('_', ' ')} of an unexpected shape")
    return list(node.children)


def _union(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    joined = tuple(dict.fromkeys((*left, *right)))
    if len(joined) > 6:
        raise Unproved("folder.unknown", "may run in too many folders")
    return joined


def _low(text: str) -> Reason:
    return Reason(rule="shell.statement", level=Level.LOW, text=text)


_STATEMENTS: dict[str, Callable[[Walk, Node, tuple[str, ...], Output], Result]] = {
    "command": Walk._simple, "pipeline": Walk._pipeline, "list": Walk._list, "redirected_statement": Walk._redirected,
    "negated_command": Walk._negated, "compound_statement": Walk._group, "subshell": Walk._group, "if_statement": Walk._if,
    "while_statement": Walk._while, "for_statement": Walk._for, "c_style_for_statement": Walk._count, "case_statement": Walk._case,
    "test_command": Walk._test, "variable_assignment": Walk._assign, "variable_assignments": Walk._assign, "comment": Walk._only_comment,
}  # fmt: skip
