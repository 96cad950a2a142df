"""SQL: is this one statement that only reads?

Rules
- LOW is one statement whose letters no dialect reads otherwise (`sql_text.py`), whose calls are all on the list of functions, and whose
  tree holds nothing but a query (`sql_tree.py`). PRAGMA, SHOW, DESCRIBE and EXPLAIN have small grammars of their own.
- The dialect is that of the connection. When it is not known, PostgreSQL and MySQL have to agree: what either of them reads as something
  else than a query escalates. What neither reads is tried as SQLite and as T-SQL.
- A name that speaks of secrets and a catalogue that holds them escalate: the rows go to a model.
- CREATE INDEX in a SQLite file of the workspace is MEDIUM, because DROP INDEX takes it back. Every other change is at least HIGH.

What it does not do: connect, know the schema, or estimate cost beyond the numbers in the text. User-defined functions are never known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from ...schemas.risk import Level, Reason, Risk
from .sql_text import Token, name_of, skeleton, tokens
from .sql_tree import judge_tree, parse
from .surroundings import Surroundings
from .tables import entries, table

_MOST_REPEATS = 1_000_000
_INDEX = re.compile(r"create (?:unique )?index (?:concurrently )?(?:if not exists )?\S+(?: \. \S+)? on \S+ \(.*\)(?: where .*)?")


def assess_sql(statement: object, around: Surroundings, *, dialect: str | None = None) -> Risk:
    """Judge one SQL statement.

    Args:
        statement: the text as it would be sent.
        around: the place of the action; its dialect is used when none is given.
        dialect: name of the dialect as sqlglot spells it, or `None` when not known.
    """
    if not isinstance(statement, str):
        return Risk.of([_no("sql.payload", "a statement is a text")])
    spoken = dialect or around.dialect
    dangers = tuple(_dangers(statement))
    cut = tokens(statement, spoken)
    if isinstance(cut, Reason):
        return Risk.of((cut, *dangers))
    against = tuple(_against(cut, statement, around, spoken))
    if not against:
        return Risk.of([Reason(rule="sql.read", level=Level.LOW, text="one query that only reads, of functions that are known")])
    if spoken == "sqlite" and not dangers and _is_index(cut, around, spoken):
        text = "creates an index, which DROP INDEX takes back"
        return Risk.of([Reason(rule="sql.index", level=Level.MEDIUM, text=text)])
    return Risk.of((*dangers, *against))


def _against(cut: Sequence[Token], statement: str, around: Surroundings, dialect: str | None) -> Iterator[Reason]:
    """Yield every reason against LOW."""
    first = cut[0].text if cut[0].kind == "word" else cut[0].text[0]
    if first in ("explain", "describe", "desc", "show", "pragma"):
        yield from _named(cut)
        yield from _small(first, cut, statement, around, dialect)
        return
    yield from _words(cut)
    yield from _named(cut)
    yield from _calls(cut, around, dialect)
    yield from _trees(first, statement, dialect)


def _trees(first: str, statement: str, dialect: str | None) -> Iterator[Reason]:
    if first not in ("select", "with", "values", "("):
        yield _no("sql.not_a_query", f"a statement that begins with {first[:20].upper()} is not known to read only")
        return
    read = 0
    for language in (dialect,) if dialect else ("postgres", "mysql"):
        read += yield from _tree(statement, language)
    for language in () if dialect else ("sqlite", "tsql"):
        read += (yield from _tree(statement, language)) if not read else 0
    if not read:
        yield _no("sql.syntax", "the statement cannot be read", "correct the statement, or name the dialect of the connection")


def _tree(statement: str, dialect: str) -> Iterator[Reason]:
    try:
        tree = parse(statement, dialect)
    except RecursionError:
        yield _no("sql.size", "too deeply nested to be judged")
        return 1
    if tree is None:
        return 0
    if isinstance(tree, Reason):
        yield tree
    else:
        yield from judge_tree(tree)
    return 1


def _words(cut: Sequence[Token]) -> Iterator[Reason]:
    """Yield words that begin or betray a change, wherever a dialect could take them for one."""
    rules = _rules()
    for at, token in enumerate(cut):
        if token.kind != "word":
            continue
        before = cut[at - 1] if at else None
        if before is not None and (before.text == "." or before.text == "as"):
            continue
        called = at + 1 < len(cut) and cut[at + 1].text == "("
        if token.text in rules["statements"] and not (called and token.text in rules["functions"]):
            yield _no("sql.write", f"{token.text.upper()} changes data, or is not known to read only")
        elif token.text in rules["followers"] and before is not None and _ends_operand(before, rules["structure"]):
            yield _no("sql.several", f"{token.text.upper()} may begin a second statement", "write AS before an alias")


def _ends_operand(token: Token, structure: frozenset[str]) -> bool:
    if token.kind == "word":
        return token.text not in structure
    return token.kind in ("string", "quoted", "number", "slot") or token.text in (")", "]", "*")


def _named(cut: Sequence[Token]) -> Iterator[Reason]:
    """Yield names that lead to secrets: catalogues, schemas, and what columns and tables are called."""
    rules = _rules()
    for at, token in enumerate(cut):
        if token.kind not in ("word", "quoted"):
            continue
        name = name_of(token)
        dotted = at + 2 < len(cut) and cut[at + 1].text == "."
        if name in rules["catalogues"]:
            yield _no("sql.catalogue", f"{name} holds what must not be read by a model", "ask information_schema instead")
        elif dotted and name in rules["schemas"] and name_of(cut[at + 2]) not in rules["schemas"][name]:
            yield _no("sql.catalogue", f"the schema {name} holds accounts and settings")
        elif _secret_name().search(name) and (at == 0 or cut[at - 1].text != "as"):
            yield _no("sql.secret_name", f"{name[:40]} is named as a secret", "name the columns that are needed, without it")


def _calls(cut: Sequence[Token], around: Surroundings, dialect: str | None) -> Iterator[Reason]:
    """Yield calls of functions that are not on the list, by the name as it is written."""
    rules = _rules()
    known = rules["functions"] | rules.get(f"functions.{dialect}", frozenset())
    if dialect is None:
        known = rules["functions.all"]
    yours = frozenset(str(entry.get("function", "")).lower() for entry in entries(around.overlay, "functions"))
    product = 1.0
    for at, token in enumerate(cut[:-1]):
        if cut[at + 1].text != "(" or token.kind not in ("word", "quoted"):
            continue
        before = cut[at - 1] if at else None
        if (token.kind == "word" and token.text in rules["structure"]) or _names_columns(cut, at, before):
            continue
        name = name_of(token)
        if before is not None and before.text == "." and not _is_plain_schema(cut, at):
            yield _no("sql.function", f"{name[:60]} is called in a schema of its own, and is not known to be harmless")
        elif name not in known and name not in yours:
            yield _no("sql.function", f"the function {name[:60]} is not known to be harmless", f"add it to risk.functions: {name[:60]}")
        elif name in rules["heavy"]:
            product *= max(_largest(cut, at + 1), 1.0)
    if product > _MOST_REPEATS:
        yield _no("sql.endless", "makes more than a million rows or characters out of nothing", "ask for less")


def _names_columns(cut: Sequence[Token], at: int, before: Token | None) -> bool:
    """Answer whether `name (` opens a list of columns (an alias after AS or a bracket, a CTE) or a type, instead of a call."""
    if before is None:
        return False
    if before.text in ("as", ")", "::", "with", "recursive"):
        return True
    if before.text != ",":
        return False
    end = at + 2
    while end < len(cut) and (cut[end].kind in ("word", "quoted") or cut[end].text == ","):
        end += 1
    tail = [token.text for token in cut[end : end + 4]]
    return tail[:3] == [")", "as", "("] and tail[3:] in (["select"], ["with"], ["values"])


def _is_plain_schema(cut: Sequence[Token], at: int) -> bool:
    return at >= 2 and name_of(cut[at - 2]) in ("pg_catalog", "safe", "net") and (at < 3 or cut[at - 3].text != ".")


def _largest(cut: Sequence[Token], opening: int) -> float:
    """Return the largest number in the arguments of a call; infinite when they calculate or name small spans of time."""
    depth, largest = 0, 1.0
    for token in cut[opening:]:
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0:
            break
        if token.text in ("*", "^", "**", "<<") or (token.kind == "string" and re.search(r"second|\dms|\dus", token.text)):
            return float("inf")
        if token.kind == "number":
            largest = max(largest, float(int(token.text, 16)) if token.text[:2].lower() == "0x" else float(token.text))
    return largest


def _small(first: str, cut: Sequence[Token], statement: str, around: Surroundings, dialect: str | None) -> Iterator[Reason]:
    if first == "pragma":
        yield from _pragma(cut[1:])
    elif first == "show":
        yield from _show(cut[1:])
    else:
        yield from _explain(cut[1:], statement, around, dialect)


def _pragma(cut: Sequence[Token]) -> Iterator[Reason]:
    rules = _rules()
    names = [name_of(token) for token in cut]
    if len(names) > 2 and names[1] == ".":
        names = names[2:]
    asks = len(names) == 4 and names[0] in rules["pragmas.asking"] and names[1] == "(" and names[3] == ")"
    if not (asks or (len(names) == 1 and names[0] in rules["pragmas.asking"] | rules["pragmas.bare"])):
        yield _no("sql.pragma", "this PRAGMA is not known to read only", "use PRAGMA table_info(name), index_list(name) and the like")


def _show(cut: Sequence[Token]) -> Iterator[Reason]:
    rules = _rules()
    words = [token.text for token in cut if token.kind == "word"]
    plain = all(token.kind in ("word", "quoted", "string", "number") or token.text in (".", "=", ",", "%") for token in cut)
    if not plain or not words or words[0] not in rules["shows"] or rules["hidden_shows"].intersection(words):
        yield _no("sql.show", "this SHOW is not known to be harmless")


def _explain(cut: Sequence[Token], statement: str, around: Surroundings, dialect: str | None) -> Iterator[Reason]:
    begins = next((at for at, token in enumerate(cut) if token.text in ("select", "with", "values")), None)
    head = cut if begins is None else cut[:begins]
    if begins is None:  # DESCRIBE table
        if not 1 <= len(cut) <= 5 or any(token.kind not in ("word", "quoted") and token.text != "." for token in cut):
            yield _no("sql.explain", "what is explained is not known to read only")
        yield from _words(cut)
        return
    options = {"query", "plan", "analyze", "verbose", "format", "json", "text", "tree", "traditional", "yaml", "xml", "extended", "buffers",
               "costs", "timing", "summary", "settings", "true", "false", "on", "off", "for", "partitions", "(", ")", ",", "="}  # fmt: skip
    if any(token.text not in options for token in head):
        yield _no("sql.explain", "an option of EXPLAIN that is not known")
    inner = re.search(r"(?is)\b(?:select|with|values)\b.*", statement)
    yield from _against(cut[begins:], inner[0] if inner else "", around, dialect)


def _is_index(cut: Sequence[Token], around: Surroundings, dialect: str | None) -> bool:
    words = " ".join(name_of(token) for token in cut)
    harmless = not any(_words(cut[1:])) and not any(_calls(cut[cut.index(next(t for t in cut if t.text == "(")) :], around, dialect))
    return _INDEX.fullmatch(words) is not None and harmless


def _dangers(statement: str) -> Iterator[Reason]:
    words = skeleton(statement)
    for entry in table("sql")["critical"]:
        if _pattern(entry["pattern"]).search(words):
            yield Reason(rule=entry["rule"], level=Level.CRITICAL, text=entry["text"])


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.DOTALL)


@cache
def _secret_name() -> re.Pattern[str]:
    return re.compile(re.sub(r"\s+", "", table("sql")["secret_names"]))


@cache
def _rules() -> Mapping[str, frozenset[str] | Mapping[str, frozenset[str]]]:
    read = table("sql")
    functions = {f"functions.{dialect}": frozenset(str(names).lower().split()) for dialect, names in read["functions"].items()}
    return {
        **functions,
        "functions": functions["functions.any"],
        "functions.all": frozenset().union(*functions.values()),
        **{key: frozenset(read[key]) for key in ("heavy", "catalogues", "shows", "hidden_shows")},
        **{key: frozenset(str(read[key]).split()) for key in ("structure", "statements", "followers")},
        "pragmas.asking": frozenset(read["pragmas"]["asking"]),
        "pragmas.bare": frozenset(read["pragmas"]["bare"]),
        "schemas": {name: frozenset(names) for name, names in read["schemas"].items()},
    }


def _no(rule: str, text: str, lower: str = "") -> Reason:
    return Reason(rule=rule, level=Level.HIGH, text=text, lower=lower)
