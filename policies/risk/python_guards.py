"""Doors that are opened without a forbidden name: ways to reach an attribute, or to make a class, from a text that the program computes.

A list of names is not enough in Python. `match x: case object(gi_frame=f)` reaches an attribute without asking for one; a class with computed
names can be made by `type(int)(...)`, `Enum("E", names)` or `ABCMeta(...)`; `wraps(f, updated=...)` reads attributes by name; an enumeration
converts a whole module. So these are held to their plain uses, and private names to those that the program itself defines.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from ...schemas.risk import Level, Reason

FRAMES = re.compile(
    r"(?:gi|cr|ag)_(?:frame|code|yieldfrom|await|running|suspended)|tb_(?:frame|next|lasti|lineno)|f_(?:back|builtins|code|globals|locals|trace)"
    r"|co_\w+|func_\w+|im_\w+|mro|format_map|vformat|get_field|with_traceback|attrname|register_at_fork"
)
_ONE_ARGUMENT = frozenset({"builtins.type", "functools.wraps"})
_LITERALS = frozenset(
    {f"enum.{name}" for name in ("Enum", "IntEnum", "StrEnum", "Flag", "IntFlag", "ReprEnum")}
    | {"types.SimpleNamespace", "typing.NamedTuple", "typing.TypedDict"}
)
_SHOWS = frozenset({"print", "str", "repr", "isinstance", "issubclass"})
_TYPES = frozenset({"int", "str", "float", "bool", "bytes", "bytearray", "list", "tuple", "dict", "set", "frozenset"})
_NAMED_TUPLE = frozenset({"_asdict", "_replace", "_fields", "_make", "_field_defaults"})
_PRIVATE_DOORS = re.compile(
    r"_(?:evaluate|convert|getframe|eval|exec|import|modules?|globals|builtins|os|sys|io|loader|spec|thread|subprocess)\w*"
)

Origin = Callable[[ast.AST], frozenset[str]]


def judge_guards(nodes: list[ast.AST], origin: Origin) -> Iterator[Reason]:
    """Yield every use of a guarded door that is not its plain one.

    Args:
        nodes: all nodes of the tree.
        origin: a name or an attribute in, the listed names that it may stand for out (`enum.Enum`).
    """
    parents = {id(child): node for node in nodes for child in ast.iter_child_nodes(node)}
    defined = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    defined |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    defined |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    for node in nodes:
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            stands_for = origin(node)
            if stands_for & _ONE_ARGUMENT and not _is_one_argument(node, parents, "builtins.type" in stands_for):
                yield _no("python.type", "type and wraps are taken with one argument, where the answer is only looked at")
            elif stands_for & _LITERALS and not _is_literal_use(node, parents):
                yield _no("python.made", "a class or an object is made from names that are not written here")
            elif "abc.ABCMeta" in stands_for and not isinstance(parents.get(id(node)), ast.keyword):
                yield _no("python.made", "a metaclass is called, or passed on")
        if isinstance(node, ast.Attribute):
            yield from _private(node, defined)
        elif isinstance(node, ast.ClassDef):
            yield from _class(node, origin)
        elif isinstance(node, ast.MatchClass):
            yield from _pattern(node)


def _is_one_argument(node: ast.AST, parents: dict[int, ast.AST], only_looked_at: bool) -> bool:
    call = parents.get(id(node))
    if not isinstance(call, ast.Call) or call.func is not node or call.keywords or len(call.args) != 1:
        return False
    if isinstance(call.args[0], ast.Starred):
        return False
    around = parents.get(id(call))
    if not only_looked_at or isinstance(around, ast.Attribute | ast.Compare | ast.FormattedValue | ast.Expr):
        return True
    return (
        isinstance(around, ast.Call)
        and around.func is not call
        and isinstance(around.func, ast.Name)
        and around.func.id in _SHOWS
    )


def _is_literal_use(node: ast.AST, parents: dict[int, ast.AST]) -> bool:
    around = parents.get(id(node))
    if isinstance(around, ast.ClassDef):
        return True
    if not isinstance(around, ast.Call) or around.func is not node or any(keyword.arg is None for keyword in around.keywords):
        return False
    return all(_is_written_here(each) for each in around.args)


def _is_written_here(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id in _TYPES
    if isinstance(node, ast.List | ast.Tuple):
        return all(_is_written_here(each) for each in node.elts)
    if isinstance(node, ast.Dict):
        return all(each is not None and _is_written_here(each) for each in (*node.keys, *node.values))
    return isinstance(node, ast.Constant)


def _private(node: ast.Attribute, defined: set[str]) -> Iterator[Reason]:
    name = node.attr
    if not name.startswith("_") or "__" in name or name in _NAMED_TUPLE:
        return
    if name.endswith("_") or name not in defined or _PRIVATE_DOORS.fullmatch(name):
        yield _no("python.private", f"the private name {name[:40]} is not one that the program defines")


def _class(node: ast.ClassDef, origin: Origin) -> Iterator[Reason]:
    for keyword in node.keywords:
        if keyword.arg is None or (keyword.arg == "metaclass" and "abc.ABCMeta" not in origin(keyword.value)):
            yield _no("python.made", "a class is made by something else than class")
    enumeration = any(name.startswith("enum.") for base in node.bases for name in origin(base))
    if enumeration and not any(isinstance(each, ast.Assign) for each in node.body):
        yield _no("python.made", "an enumeration without members can be called to make another")


def _pattern(node: ast.MatchClass) -> Iterator[Reason]:
    if node.patterns and not (isinstance(node.cls, ast.Name) and node.cls.id in _TYPES):
        yield _no(
            "python.pattern", "a class pattern by position reaches attributes that are named elsewhere", "name the attributes"
        )
    for name in node.kwd_attrs:
        if name.startswith("_") or name == "format" or FRAMES.fullmatch(name):
            yield _no("python.pattern", f"a class pattern reaches {name[:40]}")


def _no(rule: str, text: str, lower: str = "") -> Reason:
    return Reason(rule=rule, level=Level.HIGH, text=text, lower=lower)
