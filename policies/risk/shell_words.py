"""The one evaluator of words: from the bytes between two blanks to the fields that a command receives.

It reads the characters itself and uses the tree only to find where a substitution ends, so that two readers must agree before a word
means anything. Quotes are removed, `~`, braces, plain variables and harmless substitutions are worked out; a value that is only known
while the script runs leaves a hole (see shell_values.py). Anything else raises `Unproved`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping

from .shell_values import CLASS, HOLES, NUMBER, PATHS, QUEST, STAR, TOKEN, UNKNOWN, WILD, Output, Unproved, Word

Fields = tuple[Word, ...]
Value = tuple[Word, ...]
"""The possible values of a variable, each as one quoted field."""

_MAX_FIELDS = 64
_MAX_PIECES = 400
_PLAIN = re.compile(r"[A-Za-z0-9_./,@%+^!-]+")
_BRACES = re.compile(r"\{([A-Za-z0-9_./@%+:=,*?-]*)\}")
_SEQUENCE = re.compile(r"(-?\d{1,4})\.\.(-?\d{1,4})|([a-z])\.\.([a-z])")
_BRACKET = re.compile(r"\[[!^]?[A-Za-z0-9_.,-]+\]")
_VARIABLE = re.compile(r"\$(?:\{(#?)([A-Za-z_][A-Za-z0-9_]*|[0-9?#])\}|([A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]))")
_ANSI = {"n": "\n", "t": "\t", "\\": "\\", "'": "'", '"': '"', "r": "\r", "a": "\a"}
_ENDS = " \t\n;&|()<>"


class Reader:
    """Evaluates words of one source text.

    Args:
        source: the bytes of the command, one character a byte (latin-1), so that offsets are those of the tree.
        variable: a name in, its possible values out; raises `Unproved` when the name is not known to be harmless.
        substitute: the offset of a `$(` or `$((` in, the offset after it and what it prints out.
        home: what `~` stands for.
    """

    def __init__(
        self,
        source: str,
        variable: Callable[[str], Value],
        substitute: Callable[[int], tuple[int, Output]],
        home: str,
    ) -> None:
        self._source, self._variable, self._substitute, self._home = source, variable, substitute, home

    def fields(self, start: int, end: int) -> tuple[Fields, ...]:
        """Return every way in which the word may expand, each as the fields it becomes.

        Raises:
            Unproved: the word holds something that is not understood.
        """
        if end < len(self._source) and self._source[end] not in _ENDS:
            raise Unproved("word.edge", "a word does not end where the parser says it ends")
        ways = [_fields_of(pieces) for pieces in itertools.islice(self._ways(start, end), _MAX_FIELDS + 1)]
        if len(ways) > _MAX_FIELDS:
            raise Unproved("word.many", "a word expands into too many values")
        return tuple(dict.fromkeys(ways))

    def single(self, start: int, end: int) -> Value:
        """Return the possible values of a word that is not split (an assignment, a here-string)."""
        values: list[Word] = []
        for pieces in itertools.islice(self._ways(start, end, split=False), _MAX_FIELDS):
            fields = _fields_of(pieces)
            if len(fields) > 1:
                raise Unproved("word.split", "an assigned value would be split")
            values.append(fields[0] if fields else Word(""))
        return tuple(dict.fromkeys(values))

    def _ways(self, start: int, end: int, *, split: bool = True) -> Iterator[tuple[_Piece, ...]]:
        slots = [[()]] if start == end else self._lex(start, end, split)
        return (tuple(itertools.chain.from_iterable(choice)) for choice in itertools.product(*slots))

    def _lex(self, at: int, end: int, split: bool) -> list[list[tuple[_Piece, ...]]]:
        src, begin = self._source, at
        slots: list[list[tuple[_Piece, ...]]] = []
        slots_append = slots.append
        while at < end:
            char = src[at]
            if len(slots) > _MAX_PIECES:
                raise Unproved("word.long", "a word is made of too many pieces")
            run = _PLAIN.match(src, at, end)
            if run:
                slots_append([(_Piece(run[0], False),)])
                at = run.end()
            elif char == "'":
                close = src.find("'", at + 1, end)
                if close < 0:
                    raise Unproved("word.quote", "a quote is not closed inside its word")
                slots_append([(_Piece(_utf8(src[at + 1 : close]), True),)])
                at = close + 1
            elif char == '"':
                at = self._double(at + 1, end, slots)
            elif char == "\\":
                if at + 1 >= end or not src[at + 1].isascii():
                    raise Unproved("word.escape", "a backslash stands before nothing that is known")
                slots_append([(_Piece(src[at + 1], True),)])
                at += 2
            elif char == "$":
                if src.startswith("$'", at):
                    at = self._ansi(at + 2, end, slots)
                elif src.startswith('$"', at) or src.startswith("$[", at):
                    raise Unproved("word.dollar", 'uses $"..." or $[...]')
                else:
                    at = self._dollar(at, end, slots, quoted=not split)
            elif char == "{" and split:
                at = _braces(src, at, end, slots)
            elif char == "~" and at == begin:
                if at + 1 < end and src[at + 1] != "/":
                    raise Unproved("word.tilde", "uses the home of another user, or ~+ and ~-")
                slots_append([(_Piece(self._home, True),)])
                at += 1
            elif char in "*?" and split:
                slots_append([(_Piece(STAR if char == "*" else QUEST, False, pattern=char),)])
                at += 1
            elif char == "[" and split and (match := _BRACKET.match(src, at, end)):
                slots_append([(_Piece(CLASS, False, pattern=match[0].replace("[^", "[!")),)])
                at = match.end()
            elif char == "[" and split and "]" in src[at:end]:
                raise Unproved("word.bracket", "uses a bracket pattern that is not understood", "quote it")
            elif char in _ENDS or char == "`" or not char.isascii() or (char == "#" and at == begin):
                raise Unproved("word.character", "a word holds a character that ends words")
            else:
                slots_append([(_Piece(char, False),)])
                at += 1
                if char in "=:" and at < end and src[at] == "~":
                    raise Unproved("word.tilde", "uses ~ after = or :", "quote it or write the path out")
        return slots

    def _double(self, at: int, end: int, slots: list[list[tuple[_Piece, ...]]]) -> int:
        src = self._source
        run = at
        slots.append([(_Piece("", True),)])
        while at < end:
            if len(slots) > _MAX_PIECES:
                raise Unproved("word.long", "a word is made of too many pieces")
            char = src[at]
            if char == '"':
                slots.append([(_Piece(_utf8(src[run:at]), True),)])
                return at + 1
            if char == "`":
                raise Unproved("word.back-quote", "a back-quote stands in double quotes")
            if char == "\\" and src[at + 1 : at + 2] in ("$", '"', "\\", "`"):
                slots.append([(_Piece(_utf8(src[run:at]) + src[at + 1], True),)])
                at += 2
                run = at
            elif char == "$" and src[at + 1 : at + 2] not in ("'", '"'):
                slots.append([(_Piece(_utf8(src[run:at]), True),)])
                at = run = self._dollar(at, end, slots, quoted=True)
            else:
                at += 1
        raise Unproved("word.quote", "a quote is not closed inside its word")

    def _ansi(self, at: int, end: int, slots: list[list[tuple[_Piece, ...]]]) -> int:
        out = []
        while at < end and self._source[at] != "'":
            char = self._source[at]
            if char == "\\":
                at += 1
                if self._source[at : at + 1] not in _ANSI:
                    raise Unproved("word.ansi", "uses $'...' with an escape that hides letters")
                char = _ANSI[self._source[at]]
            out.append(char)
            at += 1
        slots.append([(_Piece(_utf8("".join(out)), True),)])
        return at + 1

    def _dollar(self, at: int, end: int, slots: list[list[tuple[_Piece, ...]]], *, quoted: bool) -> int:
        src = self._source
        if src.startswith("$(", at):
            after, output = self._substitute(at)
            if after > end:
                raise Unproved("word.edge", "a substitution does not end inside its word")
            slots.append([(_printed(output, quoted),)])
            return after
        if src.startswith("${", at) or src.startswith("$[", at) or _VARIABLE.match(src, at, end):
            match = _VARIABLE.match(src, at, end)
            if not match:
                raise Unproved("word.expansion", "uses an operator inside ${...}")
            name = match[2] or match[3]
            slots.append(_expanded(Word(NUMBER) if match[1] else None, name, quoted, self._variable))
            return match.end()
        slots.append([(_Piece("$", True),)])  # a dollar before nothing is itself
        return at + 1


class _Piece:
    __slots__ = ("many", "pattern", "quoted", "source", "text")

    def __init__(self, text: str, quoted: bool, *, pattern: str = "", many: bool = False, source: Output | None = None) -> None:
        self.text, self.quoted, self.many, self.source = text, quoted, many, source
        self.pattern = pattern or text


def _expanded(length: Word | None, name: str, quoted: bool, variable: Callable[[str], Value]) -> list[tuple[_Piece, ...]]:
    if length is not None:
        return [(_Piece(NUMBER, quoted),)]
    ways: list[tuple[_Piece, ...]] = []
    for value in variable(name):
        plain = quoted or not (value.many or set(value.text) & {" ", "\t", "\n", UNKNOWN, PATHS, STAR, "*", "?", "["})
        many = value.many if quoted else not plain
        if not quoted and not value.text:
            ways.append(())
        elif not quoted and any(c in " \t\n*?[" for c in value.text):
            ways.append((_Piece(UNKNOWN, False, many=True),))
        else:
            ways.append((_Piece(value.text, quoted, pattern=value.pattern, many=many, source=value.source),))
    return ways


def _printed(output: Output, quoted: bool) -> _Piece:
    if output.kind == "value":
        if quoted or (output.value and not any(c in " \t\n*?[~" for c in output.value)):
            return _Piece(output.value, quoted)
        return _Piece(UNKNOWN, quoted, many=True)
    if output.kind == "none":
        return _Piece("", quoted)
    hole = {"number": NUMBER, "token": TOKEN, "paths": PATHS}.get(output.kind, UNKNOWN)
    return _Piece(hole, quoted, many=not quoted and not output.single, source=output)


def _braces(src: str, at: int, end: int, slots: list[list[tuple[_Piece, ...]]]) -> int:
    match = _BRACES.match(src, at, end)
    if not match:
        raise Unproved("word.braces", "uses braces that are not understood", "write the words out")
    inner = match[1]
    if "," in inner:
        choices = inner.split(",")
        slots.append([(_Piece("", False, many=True), *(_glob_piece(c) for c in choice)) for choice in choices])
    elif sequence := _SEQUENCE.fullmatch(inner):
        low, high = (int(sequence[1]), int(sequence[2])) if sequence[1] else (ord(sequence[3]), ord(sequence[4]))
        if abs(high - low) > 200:
            raise Unproved("word.braces", "counts further than 200")
        if sequence[1]:  # digits are digits: one hole stands for them all
            slots.append([(_Piece(NUMBER, False, many=True),)])
        else:
            slots.append([(_Piece(chr(c), False, many=True),) for c in range(min(low, high), max(low, high) + 1)])
    elif ".." in inner:
        raise Unproved("word.braces", "uses a sequence that is not understood")
    else:
        slots.append([(_Piece(match[0], False),)])
    return match.end()


def _glob_piece(char: str) -> _Piece:
    return _Piece({"*": STAR, "?": QUEST}.get(char, char), False, pattern=char)


def _utf8(text: str) -> str:
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "replace")


def _fields_of(pieces: tuple[_Piece, ...]) -> Fields:
    if not pieces:
        return ()
    if len(pieces) == 1 and pieces[0].text == "" and not pieces[0].quoted:
        return ()
    text = "".join(piece.text for piece in pieces)
    pattern = ""
    if any(c in WILD for c in text):
        pattern = "".join(p.pattern if p.text in WILD or any(c in WILD for c in p.text) else _escaped(p.text) for p in pieces)
    source = next((piece.source for piece in pieces if piece.source is not None), None)
    return (Word(text, any(piece.many for piece in pieces), pattern, source),)


def _escaped(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)


def value_of(name: str, known: Mapping[str, Value]) -> Value | None:
    """Return the values of a variable that the script has set, with the empty one: it may be read before it is set."""
    if name not in known:
        return None
    values = known[name]
    return values if any(not v.text for v in values) else (*values, Word(""))


__all__ = ["HOLES", "Fields", "Reader", "Value", "value_of"]
