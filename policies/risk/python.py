"""Python: does this program only compute?

Rules
- LOW is a program whose every node, import, name and attribute is on the list: modules are open to listed names only, builtins likewise, and
  a module may be used for nothing but such a name. Nothing that reaches files, processes, connections, frames or code can then be had.
- No name or attribute with two underscores except the few that describe, and no text with `__` in it: such texts serve to reach attributes by
  name. `format` is taken on literals only, and its fields are read.
- A name that the program does not bind and that is no listed builtin escalates.
- A file of the workspace that has the name of an imported module would run in its place, and escalates.
- Attributes and classes by computed names are closed too (`python_guards.py`).
- What the sizes say is bounded before the parser sees it: 12 KiB, 40 levels of brackets, no long chains of unary operators.

What it does not do: decide whether a program ends or how much memory it takes, beyond the two plainest forms. Python is run under limits of
time and memory, and best in an isolated interpreter, whatever its level.
"""

from __future__ import annotations

import ast
import re
import unicodedata
import warnings
from collections.abc import Iterator

from ...schemas.risk import Level, Reason, Risk
from .paths import is_own, is_secret
from .python_tree import judge_nodes
from .surroundings import Surroundings
from .tables import table

MOST_BYTES = 12 * 1024
MOST_NODES = 5_000
MOST_NESTING = 40

_CHAIN = re.compile(r"(?:(?:[-+~]|\bnot\b|\blambda\b[^:\n]{0,20}:|\bawait\b)[ \t\\\n]*){30}")
_COOKIE = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*(?!utf-?8\b|ascii\b)", re.MULTILINE)


def assess_python(code: object, around: Surroundings) -> Risk:
    """Judge a Python program.

    Args:
        code: the whole program as it would be run.
        around: the place of the action.
    """
    if not isinstance(code, str):
        return Risk.of([_no("python.payload", "a program is a text")])
    against = tuple(_against(code, around))
    if against:
        return Risk.of((*against, *_dangers(code, around)))
    return Risk.of([Reason(rule="python.pure", level=Level.LOW, text="computes with listed names only")])


def _against(code: str, around: Surroundings) -> Iterator[Reason]:
    sized = _gate(code)
    if sized:
        yield sized
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the parser warns about odd escapes; that is the author's affair
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        yield _no("python.syntax", f"the program cannot be read ({type(error).__name__})")
        return
    nodes = []
    for node in ast.walk(tree):
        nodes.append(node)
        if len(nodes) > MOST_NODES:
            yield _no("python.size", "too long to be judged", "split it into smaller programs")
            return
    yield from judge_nodes(nodes)
    yield from _shadowed(nodes, around)


def _shadowed(nodes: list[ast.AST], around: Surroundings) -> Iterator[Reason]:
    """Yield imports that a file of the workspace would answer: Python looks there before it looks at its own library."""
    tops = {alias.name.partition(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    tops |= {str(node.module).partition(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
    if not tops:
        return
    names = frozenset(around.listing(around.workspace) or ())
    for top in sorted(tops):
        package = top in names and "__init__.py" in (around.listing(f"{around.workspace}/{top}") or ())
        if package or any(f"{top}{ending}" in names for ending in (".py", ".pyc", ".so")):
            yield _no("python.shadowed", f"a file of the workspace would be imported as {top[:60]}", f"rename {top[:60]}.py")


def _gate(code: str) -> Reason | None:
    if len(code) > MOST_BYTES or len(code.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        return _no("python.size", f"longer than {MOST_BYTES} bytes", "split it into smaller programs")
    depth = deepest = 0
    for sign in code:
        if sign in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif sign in ")]}":
            depth -= 1
        elif sign > "\x7f" and unicodedata.category(sign) in ("Cf", "Cs", "Co", "Cn"):
            return _no("python.invisible", "holds characters that cannot be seen")
    if deepest > MOST_NESTING or code.count("{") > 400 or _CHAIN.search(code):
        return _no("python.nesting", "too deeply nested to be judged")
    if _COOKIE.search(code):
        return _no("python.coding", "declares another coding, in which it would be another program")
    return None


def _dangers(code: str, around: Surroundings) -> Iterator[Reason]:
    text = unicodedata.normalize("NFKC", code[:MOST_BYTES])
    for entry in table("python")["critical"]:
        if re.search(entry["pattern"], text):
            yield Reason(rule=entry["rule"], level=Level.CRITICAL, text=entry["text"])
    for quoted in re.findall(r"""["']([^"'\n]{1,200})["']""", text)[:20]:
        if is_own(quoted, around):
            yield Reason(rule="path.control.own", level=Level.CRITICAL, text="names a file of the runtime that governs this agent")
            return
        if is_secret(quoted, around):
            yield Reason(rule="path.secret", level=Level.CRITICAL, text="names a file that holds secrets")
            return


def _no(rule: str, text: str, lower: str = "") -> Reason:
    return Reason(rule=rule, level=Level.HIGH, text=text, lower=lower)
