"""The tokens of a statement, judged one by one: words that begin a change, names that lead to secrets, and every call by its written name.

This is the part that does not depend on a parser's idea of a dialect: a call is a name before an opening bracket, in all of them. What is
looked up is `tables/sql.yaml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from ...schemas.risk import Level, Reason
from .sql_text import Token, name_of
from .surroundings import Surroundings
from .tables import entries, table

_MOST_REPEATS = 1_000_000


def judge_words(cut: Sequence[Token]) -> Iterator[Reason]:
    """Yield words that begin or betray a change, wherever a dialect could take them for one."""
    for at, token in enumerate(cut):
        if token.kind != "word":
            continue
        before = cut[at - 1] if at else None
        if before is not None and (before.text == "." or before.text == "as") and token.text not in listed("sequences"):
            continue
        called = at + 1 < len(cut) and cut[at + 1].text == "("
        if token.text in listed("statements") | listed("sequences") and not (called and token.text in functions("any")):
            yield refusal("sql.write", f"{token.text.upper()} changes data, or is not known to read only")
        elif token.text in listed("followers") and before is not None and _ends_operand(before, listed("structure")):
            yield refusal("sql.several", f"{token.text.upper()} may begin a second statement", "write AS before an alias")


def _ends_operand(token: Token, structure: frozenset[str]) -> bool:
    if token.kind == "word":
        return token.text not in structure
    return token.kind in ("string", "quoted", "number", "slot") or token.text in (")", "]", "*")


def judge_names(cut: Sequence[Token]) -> Iterator[Reason]:
    """Yield names that lead to secrets: catalogues, schemas, and what columns and tables are called."""
    for at, token in enumerate(cut):
        if token.kind not in ("word", "quoted"):
            continue
        name = name_of(token)
        dotted = at + 2 < len(cut) and cut[at + 1].text == "."
        if name in listed("catalogues"):
            yield refusal("sql.catalogue", f"{name} holds what must not be read by a model", "ask information_schema instead")
        elif dotted and name in schemas() and name_of(cut[at + 2]) not in schemas()[name]:
            yield refusal("sql.catalogue", f"the schema {name} holds accounts and settings")
        elif _secret_name().search(name) and (at == 0 or cut[at - 1].text != "as"):
            yield refusal("sql.secret_name", f"{name[:40]} is named as a secret", "name the columns that are needed, without it")


def judge_calls(cut: Sequence[Token], around: Surroundings, dialect: str | None) -> Iterator[Reason]:
    """Yield calls of functions that are not on the list, by the name as it is written."""
    known = known_functions(around, dialect)
    product = 1.0
    for at, token in enumerate(cut[:-1]):
        if cut[at + 1].text != "(" or token.kind not in ("word", "quoted"):
            continue
        before = cut[at - 1] if at else None
        if _is_structure(token, before) or _names_columns(cut, at, before):
            continue
        name = name_of(token)
        if before is not None and before.text == "." and not _is_plain_schema(cut, at):
            yield refusal("sql.function", f"{name[:60]} is called in a schema of its own, and is not known to be harmless")
        elif name not in known:
            yield refusal(
                "sql.function", f"the function {name[:60]} is not known to be harmless", f"add it to risk.functions: {name[:60]}"
            )
        elif name in listed("heavy"):
            product *= max(_largest(cut, at + 1), 1.0)
    if product > _MOST_REPEATS:
        yield refusal("sql.endless", "makes more than a million rows or characters out of nothing", "ask for less")


def _is_structure(token: Token, before: Token | None) -> bool:
    if token.kind != "word":
        return False
    return token.text in listed("structure") or (
        before is not None and before.text in table("sql")["structure_after"].get(token.text, ())
    )


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


@cache
def listed(key: str) -> frozenset[str]:
    """Return the names below a key of the table; `a.b` is the key b below a."""
    read = table("sql")
    for part in key.split("."):
        read = read[part]
    return frozenset(str(name).lower() for name in (read.split() if isinstance(read, str) else read))


@cache
def functions(dialect: str | None) -> frozenset[str]:
    """Return the functions that are known in a dialect; those of every dialect when it is not known."""
    read = table("sql")["functions"]
    spoken = read if dialect is None else {"any", dialect} & read.keys()
    return frozenset(name for each in spoken for name in str(read[each]).lower().split())


def known_functions(around: Surroundings, dialect: str | None) -> frozenset[str]:
    """Return the functions that may be called: the listed ones and the user's."""
    yours = frozenset(str(entry.get("function", "")).lower() for entry in entries(around.overlay, "functions"))
    return functions(dialect) | yours if yours else functions(dialect)


@cache
def schemas() -> Mapping[str, frozenset[str]]:
    """Return the schemas that hold accounts, with what may be read in them all the same."""
    return {name: frozenset(names) for name, names in table("sql")["schemas"].items()}


@cache
def _secret_name() -> re.Pattern[str]:
    return re.compile(re.sub(r"\s+", "", table("sql")["secret_names"]))


def refusal(rule: str, text: str, lower: str = "") -> Reason:
    """Return a finding that keeps a statement at HIGH."""
    return Reason(rule=rule, level=Level.HIGH, text=text, lower=lower)
