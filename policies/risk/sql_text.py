"""The letters of a statement, read so that no dialect could read them otherwise.

A statement is dangerous where two readers disagree: what one takes for a comment or a string, another runs. So the text is cut into tokens
by rules that hold in every dialect, and wherever dialects differ (a back-slash before a quote, `#`, `--` without a blank, nested or
executable comments, dollar quotes, `q'[...]'`, a second statement) the answer is a reason instead of tokens. `sql.py` judges the tokens.

It is linear in the text, which is bounded: 16 KiB, 1,000 tokens, 24 levels of nesting.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from ...schemas.risk import Level, Reason

MOST_BYTES = 16 * 1024
MOST_TOKENS = 1_000
MOST_NESTING = 24

_MOST_NAMED = 6_000  # characters in which a danger is looked for, to name it

_TOKEN = re.compile(
    r"""
      (?P<blank>[ \t\r\n]+)
    | (?P<line>--[^\n]*)
    | (?P<block>/\*.*?\*/)
    | (?P<string>'(?:[^']|'')*+')
    | (?P<quoted>"(?:[^"]|"")*+"|`[^`]*`|\[[A-Za-z_][\w\ $.-]*\])
    | (?P<number>0[xX][0-9A-Fa-f]+(?!\w)|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?!\w))
    | (?P<word>[^\W\d][\w$]*)
    | (?P<slot>\$\d+|%s|%\(\w+\)s|\?(?![?|&])|:[A-Za-z_]\w*(?!\w))
    | (?P<sign>::|:=|<=>|<=|>=|<>|!=|\|\||->>|->|\#>>|\#>|@>|<@|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTE_AFTER_BACKSLASH = re.compile(r"\\['\"]")
_PLAIN_NAME = re.compile(r"[\w $.#@-]*")
_WORDS_ONLY = re.compile(r"--[\w ,.:\-]*")
_STANDARD_STRINGS = frozenset({"postgres", "sqlite", "tsql", "oracle", "duckdb"})
_HASH_IS_SIGN = frozenset({"postgres", "sqlite", "tsql", "oracle", "duckdb"})


@dataclass(frozen=True)
class Token:
    """One token: `word`, `quoted` (a name in quotes), `string`, `number`, `slot` (a bound value) or `sign`; words are in lower case."""

    kind: str
    text: str
    glued: bool
    """Follows the token before it without a blank."""


def tokens(statement: str, dialect: str | None) -> tuple[Token, ...] | Reason:
    """Cut one statement into tokens.

    Args:
        statement: the text as it would be sent.
        dialect: that of the connection, or `None` when not known; then the strictest reading of every dialect holds.

    Returns:
        The tokens without comments, blanks and the closing semicolon, or the reason why they cannot be known.
    """
    refused = _gate(statement)
    if refused:
        return refused
    found: list[Token] = []
    depth, at, glued, ended = 0, 0, False, False
    while at < len(statement):
        match = _TOKEN.match(statement, at)
        if match is None or match.lastgroup is None:
            return _no("sql.letter", "a letter that no dialect knows here")
        kind, text = match.lastgroup, match[0]
        following, at = statement[match.end() : match.end() + 1], match.end()
        problem = _problem(kind, text, statement, at, dialect)
        if problem:
            return problem
        if kind in ("blank", "line", "block"):
            glued = False
            continue
        if text == ";":
            ended = True
            continue
        if ended:
            return _no("sql.several", "more than one statement", "send one statement at a time")
        if kind == "word" and following in ("'", '"') and text.lower() in ("q", "nq", "u"):
            return _no("sql.quotes", "a kind of quote that few dialects know")
        if text == "@" and glued and found and found[-1].kind in ("word", "quoted"):
            return _no("sql.remote", "a name behind @ leads to another database")
        if text == "." and found and found[-1].kind == "number" and glued:
            return _no("sql.letter", "a number that runs into a word")
        if kind == "string" and glued and found[-1].kind == "word" and (_QUOTE_AFTER_BACKSLASH.search(text[1:])):
            return _no("sql.quotes", "a back-slash before a quote, in a kind of text where it may count")
        depth += (text in ("(", "[", "{")) - (text in (")", "]", "}")) + (text.lower() == "case") - (text.lower() == "end")
        found.append(Token(kind, text.lower() if kind == "word" else text, glued))
        glued = True
        if depth > MOST_NESTING or len(found) > MOST_TOKENS:
            return _no("sql.size", "too long or too deeply nested to be judged", "ask for less in one statement")
    return tuple(found) or _no("sql.empty", "no statement is given")


def skeleton(statement: str) -> str:
    """Return the words and signs of any text, literals and comments left out, for patterns that only name a danger. Never fails."""
    text = unicodedata.normalize("NFKC", statement[:_MOST_NAMED])
    text = "".join(character for character in text if unicodedata.category(character) != "Cf")
    text = re.sub(r"/\*!?\d*|\*/|'[^']*'", " ", text)
    return " ".join(re.findall(r"[\w$]+|[^\w\s]", text.lower()))


def name_of(token: Token) -> str:
    """Return what a word or a quoted name calls, in lower case and without quotes."""
    if token.kind != "quoted":
        return token.text.lower()
    quote = token.text[-1]
    return token.text[1:-1].replace(quote * 2, quote).lower()


def _gate(statement: str) -> Reason | None:
    if len(statement) > MOST_BYTES or len(statement.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        return _no("sql.size", f"longer than {MOST_BYTES} bytes", "ask for less in one statement")
    for character in statement:
        if (character < " " and character not in "\t\r\n") or character == "\x7f":
            return _no("sql.control", "holds control characters")
        if character > "\x7f" and (
            unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs")
            or any(plain < "\x80" for plain in unicodedata.normalize("NFKC", character))
        ):
            return _no("sql.lookalike", "holds characters that cannot be seen or only look like others")
    if "\r" in statement.replace("\r\n", ""):
        return _no("sql.control", "holds a carriage return that some readers take for a new line")
    return None


def _problem(kind: str, text: str, statement: str, at: int, dialect: str | None) -> Reason | None:
    if kind == "line":
        spaced = len(text) == 2 or text[2] in " \t\r"
        if not spaced and dialect not in _STANDARD_STRINGS and not _WORDS_ONLY.fullmatch(text.rstrip("\r")):
            return _no(
                "sql.comment", "a comment that begins without a blank is program text in MySQL", "write `-- ` with a blank"
            )
    elif kind == "block":
        if text[2] in "!+" or text[2:4].lower() == "m!":
            return _no("sql.comment.runs", "a comment that the server executes or takes orders from")
        if "/*" in text[2:]:
            return _no("sql.comment", "a comment inside a comment ends differently in different dialects")
    elif kind == "string" or (kind == "quoted" and text[0] == '"'):
        inner = text[1:-1]
        if dialect not in _STANDARD_STRINGS and (_QUOTE_AFTER_BACKSLASH.search(inner) or inner.endswith("\\")):
            return _no("sql.quotes", "a back-slash before a quote ends the text in some dialects and not in others")
        if kind == "quoted" and "\\" in inner:
            return _no("sql.quotes", "a back-slash in a quoted name can spell another name")
    elif kind == "quoted":
        if not _PLAIN_NAME.fullmatch(text[1:-1]):
            return _no("sql.quotes", "a quoted name with unusual letters")
    elif kind == "sign":
        return _sign_problem(text, statement, at, dialect)
    return None


def _sign_problem(text: str, statement: str, at: int, dialect: str | None) -> Reason | None:
    if text in ("'", '"', "`") or (text == "/" and statement[at : at + 1] == "*"):
        return _no("sql.unfinished", "a text, a name or a comment is not closed")
    if text == "\\":
        return _no("sql.backslash", "a back-slash outside a text is an order to the client")
    if text in ("$", "{", "}") or not text.isascii():
        return _no("sql.letter", "a sign that dialects or templates read differently")
    if text == ":=":
        return _no("sql.assigns", "assigns to a variable")
    if text[0] == "#" and dialect not in _HASH_IS_SIGN and statement[at:].partition("\n")[2].strip():
        return _no("sql.comment", "`#` begins a comment in some dialects, and other lines follow it")
    if text[0] in "0123456789":
        return _no("sql.letter", "a number that runs into a word")
    return None


def _no(rule: str, text: str, lower: str = "") -> Reason:
    return Reason(rule=rule, level=Level.HIGH, text=text, lower=lower)
