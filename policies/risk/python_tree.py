"""The tree of a Python program, as a whitelist: nodes, imports, names, attributes and texts.

What it keeps and why is told in `python.py`. Names are taken without regard to scopes: a name that is bound anywhere counts as bound, and a
name that stands for a module anywhere is held to the rules for modules everywhere. That is coarser than Python, and errs to the safe side.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from string import Formatter

from ...schemas.risk import Level, Reason
from .python_guards import FRAMES, judge_guards
from .tables import table

_NODES = frozenset(
    """Module Expression Expr Assign AnnAssign AugAssign NamedExpr For While If IfExp With withitem Try TryStar ExceptHandler Raise Assert Pass
    Break Continue Return Yield YieldFrom Delete Global Nonlocal FunctionDef Lambda arguments arg ClassDef Import ImportFrom alias Call
    keyword Name Attribute Subscript Slice Starred Constant JoinedStr FormattedValue List Tuple Set Dict ListComp SetComp DictComp
    GeneratorExp comprehension BoolOp BinOp UnaryOp Compare And Or Not Add Sub Mult MatMult Div Mod Pow LShift RShift BitOr BitXor BitAnd
    FloorDiv Invert UAdd USub Eq NotEq Lt LtE Gt GtE Is IsNot In NotIn Load Store Del Match match_case MatchValue MatchSingleton MatchSequence
    MatchMapping MatchClass MatchStar MatchAs MatchOr TypeAlias TypeVar ParamSpec TypeVarTuple Interpolation TemplateStr""".split()  # noqa: SIM905 - a list of words, read as prose
)


def judge_nodes(nodes: list[ast.AST]) -> Iterator[Reason]:
    """Yield every reason against taking a program for a mere computation.

    Args:
        nodes: all nodes of the tree, each parent before its children (`ast.walk`).
    """
    yield from _Reader(nodes).against()


class _Reader:
    """Reads the nodes of one program: first what its names are bound to, then every node."""

    def __init__(self, nodes: list[ast.AST]) -> None:
        self._nodes = nodes
        self._modules: dict[str, set[str]] = {}
        self._bound: set[str] = set()
        self._texts: dict[str, set[str | None]] = {}
        self._bases = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        self._literal: set[int] = set()
        self._origins: dict[str, set[str]] = {"type": {"builtins.type"}}
        for node in nodes:
            self._bind(node)

    def against(self) -> Iterator[Reason]:
        """Yield every reason against LOW."""
        for node in self._nodes:
            kind = type(node).__name__
            if kind not in _NODES:
                yield _no("python.node", f"{kind} is not known to be harmless")
            yield from self._identifiers(node)
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from _imports(node)
            elif isinstance(node, ast.Name):
                yield from self._name(node)
            elif isinstance(node, ast.Attribute):
                yield from self._attribute(node)
            elif isinstance(node, ast.Constant):
                yield from _constant(node.value)
            elif isinstance(node, ast.While | ast.BinOp):
                yield from _endless(node)
        yield from judge_guards(self._nodes, self._origin)

    def _origin(self, node: ast.AST) -> frozenset[str]:
        """Return the listed names that an expression may stand for, for example `enum.Enum`."""
        if isinstance(node, ast.Name):
            return frozenset(self._origins.get(node.id, ()))
        if isinstance(node, ast.Attribute):
            return frozenset(f"{module}.{node.attr}" for module in self._modules_of(node.value))
        return frozenset()

    def _bind(self, node: ast.AST) -> None:
        """Note what a node binds. Parents are read before their children."""
        match node:
            case ast.Assign(targets=[ast.Name() as target], value=ast.Constant(value=str() as text)):
                self._literal.add(id(target))
                self._texts.setdefault(target.id, set()).add(text)
            case ast.Name(ctx=ast.Store()):
                self._bound.add(node.id)
                if id(node) not in self._literal:
                    self._texts.setdefault(node.id, set()).add(None)
            case ast.FunctionDef(name=str() as name) | ast.ClassDef(name=str() as name) | ast.arg(arg=str() as name):
                self._take(name)
            case ast.ExceptHandler(name=str() as name) | ast.MatchAs(name=str() as name) | ast.MatchStar(name=str() as name):
                self._take(name)
            case ast.MatchMapping(rest=str() as name):
                self._take(name)
            case ast.Import():
                for alias in node.names:
                    module = alias.name if alias.asname else alias.name.partition(".")[0]
                    self._modules.setdefault(alias.asname or module, set()).add(module)
            case ast.ImportFrom():
                self._bind_from(node)

    def _bind_from(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            whole, name = f"{node.module}.{alias.name}", alias.asname or alias.name
            if whole in _modules():
                self._modules.setdefault(name, set()).add(whole)
            elif name == "*":
                self._bound |= _modules().get(node.module or "", frozenset())
                for each in _modules().get(node.module or "", ()):
                    self._origins.setdefault(each, set()).add(f"{node.module}.{each}")
            else:
                self._take(name)
                self._origins.setdefault(name, set()).add(whole)

    def _take(self, name: str) -> None:
        self._bound.add(name)
        self._texts.setdefault(name, set()).add(None)

    def _identifiers(self, node: ast.AST) -> Iterator[Reason]:
        for field, value in ast.iter_fields(node):
            for text in value if isinstance(value, list) else (value,):
                if (
                    not isinstance(text, str)
                    or isinstance(node, ast.Constant | ast.Attribute | ast.Name | ast.alias)
                    or field == "module"
                ):
                    continue
                if "__" in text and not (isinstance(node, ast.FunctionDef) and text in _words("methods")):
                    yield _no("python.hidden_name", f"the name {text[:40]} reaches into the machinery of Python")
                elif text in _words("never"):
                    yield _no("python.name", f"{text} is bound to something else than it is known for")

    def _name(self, node: ast.Name) -> Iterator[Reason]:
        name = node.id
        if name in _words("never") or ("__" in name and name not in _words("names")):
            yield _no("python.name", f"{name[:40]} is not known to be harmless")
        elif name in self._modules:
            if not isinstance(node.ctx, ast.Load) or id(node) not in self._bases:
                yield _no("python.module", f"the module {name[:40]} is passed on or changed, instead of being asked for a name")
        elif (
            isinstance(node.ctx, ast.Load)
            and name not in self._bound
            and name not in _words("builtins")
            and name not in _words("names")
        ):
            yield _no("python.name", f"{name[:40]} is not bound by the program and not known to be harmless")

    def _attribute(self, node: ast.Attribute) -> Iterator[Reason]:
        name = node.attr
        modules = self._modules_of(node.value)
        if modules:
            known = all(name in _modules().get(module, ()) or f"{module}.{name}" in _modules() for module in modules)
            if not known or not isinstance(node.ctx, ast.Load):
                yield _no("python.attribute", f"{min(modules)[:40]}.{name[:40]} is not known to be harmless")
            elif all(f"{module}.{name}" in _modules() for module in modules) and id(node) not in self._bases:
                yield _no("python.module", f"the module {name[:40]} is passed on, instead of being asked for a name")
        elif "__" in name:
            on_super = (
                isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name) and node.value.func.id == "super"
            )
            if name not in _words("attributes") and not (on_super and name in _words("methods")):
                yield _no("python.hidden_name", f"the attribute {name[:40]} reaches into the machinery of Python")
        elif FRAMES.fullmatch(name):
            yield _no("python.attribute", f"the attribute {name[:40]} reaches frames, code or attributes by name")
        elif name == "format":
            yield from self._format(node.value)

    def _modules_of(self, node: ast.expr) -> set[str]:
        """Return the modules that an expression may stand for; empty when it stands for none."""
        if isinstance(node, ast.Name):
            return self._modules.get(node.id, set())
        if isinstance(node, ast.Attribute):
            return {f"{module}.{node.attr}" for module in self._modules_of(node.value) if f"{module}.{node.attr}" in _modules()}
        return set()

    def _format(self, receiver: ast.expr) -> Iterator[Reason]:
        texts: set[str | None] = {None}
        if isinstance(receiver, ast.Constant):
            texts = {receiver.value} if isinstance(receiver.value, str) else {None}
        elif isinstance(receiver, ast.Name):
            texts = self._texts.get(receiver.id, {None})
        for text in texts:
            if text is None or not _fields_are_plain(text):
                yield _no("python.format", "format on a text that is not written here can reach attributes", "use an f-string")
                return


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[Reason]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name not in _modules() or "__" in (alias.asname or ""):
                yield _no("python.import", f"the module {alias.name[:60]} is not known to be harmless")
        return
    if node.level or node.module not in _modules():
        yield _no("python.import", f"the module {(node.module or '.')[:60]} is not known to be harmless")
        return
    for alias in node.names:
        listed = alias.name in _modules()[node.module] or f"{node.module}.{alias.name}" in _modules() or alias.name == "*"
        if not listed or "__" in (alias.asname or "") or (alias.asname or alias.name) in _words("never"):
            yield _no("python.import", f"{node.module}.{alias.name[:60]} is not known to be harmless")


def _constant(value: object) -> Iterator[Reason]:
    if isinstance(value, str | bytes):
        text = value if isinstance(value, str) else value.decode("latin-1")
        if "__" in text and text != "__main__":
            yield _no("python.hidden_text", "a text with two underscores can name what a program may not")


def _endless(node: ast.While | ast.BinOp) -> Iterator[Reason]:
    if isinstance(node, ast.While):
        always = isinstance(node.test, ast.Constant) and bool(node.test.value)
        if always and not any(
            isinstance(each, ast.Break | ast.Return | ast.Raise | ast.Yield | ast.YieldFrom) for each in ast.walk(node)
        ):
            yield _no("python.endless", "a loop without an end")
        return
    right, left = _number(node.right), _number(node.left)
    if isinstance(node.op, ast.Pow) and ((right is None and isinstance(node.right, ast.BinOp)) or (right or 0) > 10_000):
        yield _no("python.endless", "a power so large that it may not end")
    if isinstance(node.op, ast.LShift) and (right or 0) > 10_000_000:
        yield _no("python.endless", "a number so large that it may not end")
    if isinstance(node.op, ast.Mult):
        for one, other in ((node.left, right), (node.right, left)):
            if (
                isinstance(one, ast.List | ast.Tuple | ast.Constant | ast.JoinedStr)
                and _number(one) is None
                and (other or 0) > 10_000_000
            ):
                yield _no("python.endless", "a value so large that it may not fit")


def _number(node: ast.expr) -> float | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        base, power = _number(node.left), _number(node.right)
        return (
            None
            if base is None or power is None
            else float("inf")
            if abs(power) > 300 or abs(base) > 1e9
            else float(abs(base)) ** power
        )
    return None


def _fields_are_plain(text: str) -> bool:
    """Answer whether the fields of a format text reach nothing but plain attributes and items, at two levels of nesting."""
    try:
        parts = [part for part in Formatter().parse(text) if part[1] is not None]
        inner = [part for _, _, spec, _ in parts if spec for part in Formatter().parse(spec) if part[1] is not None]
    except ValueError:
        return False
    names = [name for _, field, _, _ in (*parts, *inner) for name in re.split(r"[.\[\]]", field or "")[1:]]
    return not any(name.startswith("_") or FRAMES.fullmatch(name) for name in names)


@cache
def _modules() -> dict[str, frozenset[str]]:
    return {name: frozenset(str(names).split()) for name, names in table("python")["modules"].items()}


@cache
def _words(key: str) -> frozenset[str]:
    return frozenset(str(table("python")[key]).split())


def _no(rule: str, text: str, lower: str = "") -> Reason:
    return Reason(rule=rule, level=Level.HIGH, text=text, lower=lower)
