"""Other languages inside shell text: Python code, SQL statements and HTTP requests go to the assessor of their own kind.

Only text that is there in full is passed on. What a client reads before the language begins (dot commands, back-slash commands, files that
stand in front of Python's modules) is judged here, by a short list.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...schemas.risk import Level, Reason
from . import http, python, shell_roles, sql
from .shell_flags import parse
from .shell_table import Entry
from .shell_values import TEXT, Unproved, Word

if TYPE_CHECKING:
    from .shell_commands import Call, Outcome

_DOT_COMMANDS = re.compile(r"\.(?:tables|schema|databases|indexes|indices|fullschema|dbinfo)(?: [A-Za-z0-9_%]+)?")
_PSQL_COMMANDS = re.compile(r"\\(?:d[tvimsnuf]?\+?|l\+?|conninfo)(?: [A-Za-z0-9_.*]+)?")


def judge_python(entry: Entry, words: Sequence[Word], call: Call) -> Outcome:
    """Judge python with -c, -m, or code on its standard input.

    Raises:
        Unproved: it runs a file, or code that is not known in full.
    """
    from .shell_commands import Outcome

    parsed = parse(entry, words, lambda word: True, stop_at_operand=True)
    values = {name: word for name, _, word in parsed.values}
    rest = parsed.positionals
    if "-c" in values:
        if not values["-c"].literal or any(not word.literal for word in rest):
            raise Unproved(
                "inner.unknown", "python -c with code that is not known in full", "write the code out in single quotes"
            )
        code = values["-c"].text
    elif "-m" in values:
        return _python_module(entry, values["-m"], rest, call)
    elif call.stdin.kind == "value" and (not rest or [word.text for word in rest] == ["-"]):
        code = call.stdin.value
    else:
        raise Unproved("inner.script", "python runs a file, or what another command prints")
    if not {"-I"} & set(parsed.flags):
        _refuse_shadows(call, set())
    return Outcome(list(python.assess_python(code, call.place.around).findings), TEXT)


def _python_module(entry: Entry, module: Word, rest: list[Word], call: Call) -> Outcome:
    from .shell_commands import judge_entry

    sub = entry.subs.get(module.text) if module.literal else None
    if sub is None:
        raise Unproved("inner.module", "python -m runs a module that is not on the list")
    _refuse_shadows(call, {module.text.partition(".")[0]})
    return judge_entry(sub, rest, call)


def _refuse_shadows(call: Call, also: set[str]) -> None:
    """`python -c` and `-m` look for modules in the working directory first: a file there named like one would run."""
    names = (sys.stdlib_module_names | also) - {"test"}
    for cwd in call.place.cwds:
        for found in call.place.around.listing(cwd) or ():
            if found in also or (found.endswith(".py") and found[:-3] in names):
                raise Unproved("inner.module", f"{found} in {cwd} stands in front of a module of that name", "add -I")


def judge_sql(entry: Entry, words: Sequence[Word], call: Call) -> Outcome:
    """Judge sqlite3, psql and mysql: every text of the role `sql` is a statement, and at least one has to be there.

    Raises:
        Unproved: there is none, one is not known in full, or the client has a command of its own in it.
    """
    from .shell_commands import Outcome

    parsed = parse(entry, words, lambda word: True)
    statements: list[Word] = [word for _, role, word in parsed.values if role == "sql"]
    reasons = [r for _, role, word in parsed.values if role != "sql" for r in shell_roles.judge(role, word, call.place)]
    for index, word in enumerate(parsed.positionals):
        role = entry.args[index] if index < len(entry.args) else entry.rest
        if role == "sql":
            statements.append(word)
        elif not role or word.many:
            raise Unproved("argument.count", f"{entry.name} takes no further argument here: {word.shown()}")
        else:
            reasons.extend(shell_roles.judge(role, word, call.place))
    if not statements and call.stdin.kind == "value":
        statements = [Word(call.stdin.value)]
    if not statements:
        raise Unproved("inner.session", f"{entry.name} without a statement opens a session")
    dialect = {"sqlite3": "sqlite", "psql": "postgres"}.get(entry.name, "mysql")
    for word in statements:
        if not word.literal:
            raise Unproved("inner.unknown", f"{entry.name} with a statement that is not known in full", "write the statement out")
        text = word.text.strip()
        harmless = {"sqlite": _DOT_COMMANDS, "postgres": _PSQL_COMMANDS}.get(dialect)
        if harmless is not None and harmless.fullmatch(text):
            continue
        if "\\" in text or text.startswith("."):
            raise Unproved("inner.client-command", f"{entry.name} reads commands of its own in {text[:40]!r}")
        reasons.extend(sql.assess_sql(text, call.place.around, dialect=dialect).findings)
    return Outcome([*reasons, _low(f"{entry.name} with statements that were judged")], TEXT)


def judge_http(entry: Entry, words: Sequence[Word], call: Call) -> Outcome:
    """Judge curl and wget that read one or more addresses and show the answer.

    Raises:
        Unproved: an address or a header is not known in full, or the answer goes into a file.
    """
    from .shell_commands import Outcome

    parsed = parse(entry, words, lambda word: True)
    headers: dict[str, str] = {}
    method = "HEAD" if {"-I", "--head", "--spider"} & set(parsed.flags) else "GET"
    reasons: list[Reason] = []
    urls = list(parsed.positionals)
    for _, role, word in parsed.values:
        if not word.literal:
            raise Unproved("inner.unknown", f"{entry.name} with a value that is not known in full")
        if role == "header":
            name, _, value = word.text.partition(":")
            headers[name.strip()] = value.strip()
        elif role == "method":
            method = word.text
        elif role == "url":
            urls.append(word)
        else:
            reasons.extend(shell_roles.judge(role, word, call.place))
    if not urls or any(not word.literal or any(c in word.text for c in "{}[]") for word in urls):
        raise Unproved("inner.unknown", f"{entry.name} with an address that is not known in full", "write the address out")
    if entry.name == "wget" and not any(
        word.text == "-" for name, _, word in parsed.values if name in ("-O", "--output-document")
    ):
        raise Unproved("command.download", "wget writes what it fetches into a file")
    for word in urls:
        address = word.text if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", word.text) and "://" in word.text else f"http://{word.text}"
        reasons.extend(http.assess_http({"method": method, "url": address, "headers": headers}, call.place.around).findings)
    return Outcome(reasons, TEXT)


def _low(text: str) -> Reason:
    return Reason(rule="shell.command.inner", level=Level.LOW, text=text)
