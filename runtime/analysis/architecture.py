"""Agent: the architecture of a repository. Components, who imports whom, where it touches the outside, and how it is configured.

Rules: read off the syntax trees; a component is a top-level package, or a folder or module inside the only one; imports under `TYPE_CHECKING` count
as imports of the component but not for circles. Source: E1, agent 1 of the phases document.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ...schemas.agent_message import AgentMessage
from .sources import Repository, Source, focus_of, path_of, read_repository, tables, without_of

_MOST = 60


def architecture(message: AgentMessage) -> dict[str, Any]:
    """Return the report of the architecture. Raises: NotFound: the task names no folder."""
    found = read_repository(path_of(message), without_of(message))
    focus = focus_of(message)
    code = [source for source in found.python if not source.is_test]
    component_of = _components(code)
    edges, outside = _imports(code, component_of)
    circles = _circles(edges)
    data: dict[str, Any] = {
        "components": _described(code, component_of, edges, outside),
        "imports": {"between_components": [{"from": a, "to": b, "count": n} for (a, b), n in sorted(edges.items())], "external": dict(outside_total(outside).most_common(_MOST)), "circles": circles},
        "integration_points": _integration(code) if _wants(focus, "integration") else [],
        "configuration": _configuration(found, code) if _wants(focus, "configuration") else {},
    }
    left = [name for name, word in (("integration points", "integration"), ("configuration", "configuration")) if not _wants(focus, word)]
    findings: list[dict[str, Any]] = [
        {"subject": "repository", "aspect": "python files", "value": len(found.python)},
        {"subject": "repository", "aspect": "lines", "value": sum(source.lines for source in found.python)},
        {"subject": "repository", "aspect": "has tests", "value": any(source.is_test for source in found.python)},
    ]
    findings += [
        {"subject": f"component {circle[0]}", "aspect": "import circle", "value": circle, "severity": "medium", "text": f"components import each other: {' → '.join([*circle, circle[0]])}"}
        for circle in circles
    ]
    findings += [{"subject": s.name, "aspect": "parses", "value": False, "severity": "high", "text": s.error, "evidence": [s.name]} for s in found.python if s.error]
    return {
        "summary": f"{len(data['components'])} components, {len(code)} modules, {len(circles)} import circles, {len(data['integration_points'])} integration points.",
        "findings": findings,
        "risks": [{"level": "MEDIUM", "text": f"a change in {circle[0]} reaches {', '.join(circle[1:])} and back"} for circle in circles],
        "advice": [{"action": f"break the import circle {' → '.join([*circle, circle[0]])}", "layer": "core", "severity": "medium"} for circle in circles],
        "depends_on": ["tests"],
        "data": data,
        "not_looked_at": [*found.left_out[:20], *(f"{name}: left out of the narrower scope" for name in left)],
    }


def outside_total(outside: Mapping[str, Counter[str]]) -> Counter[str]:
    """Return how many modules import each package from outside."""
    total: Counter[str] = Counter()
    for counted in outside.values():
        total.update(counted)
    return total


def _wants(focus: frozenset[str], word: str) -> bool:
    return not focus or any(word in one for one in focus)


def _components(code: list[Source]) -> dict[str, str]:
    """Return module → component."""
    tops = Counter(source.module.split(".")[0] for source in code if source.module)
    packages = [top for top in tops if tops[top] > 1]
    depth = 2 if len(packages) == 1 else 1
    return {source.module: ".".join(source.module.split(".")[:depth]) or "(root)" for source in code}


def _imports(code: list[Source], component_of: Mapping[str, str]) -> tuple[Counter[tuple[str, str]], dict[str, Counter[str]]]:
    edges: Counter[tuple[str, str]] = Counter()
    outside: dict[str, Counter[str]] = {}
    for source in code:
        here = component_of[source.module]
        names = set(_imported(source))
        reached = {component for name in names if (component := _inside(name, component_of))}
        edges.update((here, other) for other in reached if other != here)
        foreign = {name.split(".")[0] for name in names if not _inside(name, component_of)} - sys.stdlib_module_names - {""}
        outside.setdefault(here, Counter()).update(foreign)
    return edges, outside


def _imported(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree or ast.Module([], [])):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(source, node)
            # `from . import name` imports the module of that name where there is one.
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)


def _absolute(source: Source, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = source.module.split(".") if source.module else []
    package = parts if source.name.endswith("__init__.py") else parts[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _inside(name: str, component_of: Mapping[str, str]) -> str:
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        known = component_of.get(".".join(parts[:end]))
        if known:
            return known
    return ""


def _circles(edges: Mapping[tuple[str, str], int]) -> list[list[str]]:
    """Return the groups of components that reach each other, each sorted."""
    near: dict[str, set[str]] = {}
    for one, other in edges:
        near.setdefault(one, set()).add(other)

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        todo = list(near.get(start, ()))
        while todo:
            one = todo.pop()
            if one not in seen:
                seen.add(one)
                todo += near.get(one, ())
        return seen

    reached = {one: reach(one) for one in near}
    groups = {frozenset(b for b in reached[a] if a in reached.get(b, ())) for a in near if a in reached[a]}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _described(code: list[Source], component_of: Mapping[str, str], edges: Mapping[tuple[str, str], int], outside: Mapping[str, Counter[str]]) -> list[dict[str, Any]]:
    found = []
    for name in sorted(set(component_of.values())):
        modules = [source for source in code if component_of[source.module] == name]
        public = [node.name for source in modules if source.tree for node in source.tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")]
        found.append(
            {
                "name": name,
                "modules": len(modules),
                "lines": sum(source.lines for source in modules),
                "public": len(public),
                "says": _first_sentence(modules),
                "imports": sorted(other for one, other in edges if one == name),
                "imported_by": sorted(one for one, other in edges if other == name),
                "external": sorted(outside.get(name, ())),
            }
        )
    return found


def _first_sentence(modules: list[Source]) -> str:
    first = next((source for source in modules if source.name.endswith("__init__.py")), modules[0])
    said = ast.get_docstring(first.tree) if first.tree else None
    return " ".join((said or "").split("\n\n")[0].split())[:200]


def _integration(code: list[Source]) -> list[dict[str, Any]]:
    found = []
    for kind, names in tables()["integration"].items():
        places: dict[str, list[str]] = {}
        for source in code:
            for imported in set(_imported(source)):
                for name in names:
                    if imported == name or imported.startswith(name + "."):
                        places.setdefault(name, []).append(source.name)
        found += [{"kind": kind, "through": name, "modules": sorted(set(where))[:_MOST]} for name, where in sorted(places.items())]
    return found


def _configuration(found: Repository, code: list[Source]) -> dict[str, Any]:
    known = frozenset(tables()["configuration_files"])
    variables: dict[str, list[str]] = {}
    for source in code:
        for name in _variables(source):
            variables.setdefault(name, []).append(source.name)
    return {
        "files": [name for name in found.files if name.rsplit("/", 1)[-1] in known][:_MOST],
        "environment_variables": {name: sorted(set(where))[:5] for name, where in sorted(variables.items())[:_MOST]},
    }


def _variables(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree or ast.Module([], [])):
        target: ast.expr | None = None
        if isinstance(node, ast.Call) and node.args:
            called = ast.unparse(node.func)
            target = node.args[0] if called in ("os.getenv", "getenv", "os.environ.get", "environ.get") else None
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) in ("os.environ", "environ"):
            target = node.slice
        if isinstance(target, ast.Constant) and isinstance(target.value, str):
            yield target.value
