"""Agent: code and patterns of a repository. Structure, style, complexity, and the debt that its authors marked.

Rules: complexity is radon's (extra `analysis`), never a substitute of ours; without it that is said. Markers count where they stand in comments.
Source: E1, agent 2 of the phases document.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from ...schemas.agent_message import AgentMessage
from ...schemas.errors import NotFound
from .extras import complexity_of
from .sources import Repository, Source, focus_of, path_of, read_repository, tables, without_of

_MOST = 40
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def code(message: AgentMessage) -> dict[str, Any]:
    """Return the report of the code. Raises: NotFound: the task names no folder."""
    found = read_repository(path_of(message), without_of(message))
    focus = focus_of(message)
    bounds = tables()["bounds"]
    left = list(found.left_out[:20])
    structure = _structure(found.python, bounds["long_function"])
    debt = _debt(found.python)
    data: dict[str, Any] = {"structure": structure, "debt": debt}
    findings: list[dict[str, Any]] = [
        {"subject": "repository", "aspect": "python files", "value": len(found.python)},
        {"subject": "repository", "aspect": "lines", "value": sum(source.lines for source in found.python)},
    ]
    findings += [
        {"subject": place, "aspect": "debt marker", "value": text, "severity": "low", "text": text, "evidence": [place]} for place, text in debt["markers"]
    ]
    if not focus or any("pattern" in one for one in focus):
        data["patterns"] = _patterns(found.python)
    else:
        left.append("patterns: left out of the narrower scope")
    if not focus or any("style" in one for one in focus):
        data["style"] = _style(found, bounds["long_line"])
    else:
        left.append("style: left out of the narrower scope")
    complex_ = _complexity(found.python, left)
    if complex_ is not None:
        data["complexity"] = complex_
        findings += [_finding(block, bounds) for block in complex_["worst"] if block["complexity"] >= bounds["complex"]]
    findings += [{"subject": s.name, "aspect": "parses", "value": False, "severity": "high", "text": s.error, "evidence": [s.name]} for s in found.python if s.error]
    hard = [block for block in (complex_ or {}).get("worst", ()) if block["complexity"] >= bounds["very_complex"]]
    return {
        "summary": f"{structure['functions']} functions and {structure['classes']} classes in {len(found.python)} files; {len(debt['markers'])} debt markers"
        + (f"; mean complexity {complex_['mean']}" if complex_ else "; complexity not measured")
        + ".",
        "findings": findings,
        "risks": [{"level": "MEDIUM", "text": f"{block['place']} has a complexity of {block['complexity']}: a change there is hard to foresee"} for block in hard],
        "advice": [{"action": f"split {block['name']} ({block['place']})", "layer": "support", "severity": "low"} for block in hard],
        "depends_on": ["agent1"],
        "data": data,
        "not_looked_at": left,
    }


def _finding(block: dict[str, Any], bounds: dict[str, int]) -> dict[str, Any]:
    severity = "medium" if block["complexity"] >= bounds["very_complex"] else "low"
    text = f"{block['name']} has a complexity of {block['complexity']}"
    return {"subject": f"{block['place']} {block['name']}", "aspect": "complexity", "value": block["complexity"], "severity": severity, "text": text, "evidence": [block["place"]]}


def _structure(sources: list[Source], long: int) -> dict[str, Any]:
    functions = classes = documented = public = 0
    longest: list[tuple[int, str]] = []
    for source in sources:
        for node in ast.walk(source.tree or ast.Module([], [])):
            if isinstance(node, ast.ClassDef):
                classes += 1
            elif isinstance(node, _FUNCTIONS):
                functions += 1
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > long:
                    longest.append((length, f"{source.name}:{node.lineno} {node.name}"))
            else:
                continue
            if not node.name.startswith("_") and not source.is_test:
                public += 1
                documented += ast.get_docstring(node) is not None
    return {
        "functions": functions, "classes": classes, "public": public, "documented_percent": round(100 * documented / public) if public else None,
        "files": [{"name": s.name, "lines": s.lines} for s in sorted(sources, key=lambda s: -s.lines)[:_MOST]],
        "long_functions": [{"lines": lines, "place": place} for lines, place in sorted(longest, reverse=True)[:_MOST]],
        "unreadable": [source.name for source in sources if source.error],
    }  # fmt: skip


def _debt(sources: list[Source]) -> dict[str, Any]:
    pattern = re.compile(rf"\b({'|'.join(tables()['debt_markers'])})\b[:\s(]?(.*)")
    markers: list[tuple[str, str]] = []
    for source in sources:
        for line, comment in _comments(source):
            said = pattern.search(comment)
            if said:
                markers.append((f"{source.name}:{line}", f"{said.group(1)} {said.group(2).strip()}"[:160].strip()))
    return {"markers": markers[:_MOST], "count": len(markers)}


def _comments(source: Source) -> Iterator[tuple[int, str]]:
    try:
        for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    except (tokenize.TokenError, IndentationError, SyntaxError):
        return


def _patterns(sources: list[Source]) -> dict[str, Any]:
    decorators: Counter[str] = Counter()
    bases: Counter[str] = Counter()
    asynchronous = contexts = blind = 0
    for source in sources:
        for node in ast.walk(source.tree or ast.Module([], [])):
            if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
                decorators.update(ast.unparse(one.func if isinstance(one, ast.Call) else one) for one in node.decorator_list)
            if isinstance(node, ast.ClassDef):
                bases.update(ast.unparse(base).partition("[")[0] for base in node.bases)
            asynchronous += isinstance(node, ast.AsyncFunctionDef)
            contexts += isinstance(node, ast.With | ast.AsyncWith)
            blind += isinstance(node, ast.ExceptHandler) and node.type is None
    return {
        "decorators": dict(decorators.most_common(15)), "bases": dict(bases.most_common(15)), "async_functions": asynchronous, "with_blocks": contexts,
        "bare_excepts": blind,
    }  # fmt: skip


def _style(found: Repository, long: int) -> dict[str, Any]:
    configured = found.text("pyproject.toml") + found.text("setup.cfg") + found.text("tox.ini")
    tools = [tool for tool in tables()["style_tools"] if re.search(rf"\b{tool}\b", configured) or f".{tool}" in found or f"{tool}.ini" in found or f"{tool}.toml" in found]
    lengths = [len(line) for source in found.python for line in source.text.splitlines()]
    return {
        "tools": tools, "longest_line": max(lengths, default=0), f"lines_over_{long}": sum(length > long for length in lengths),
        "tab_indented_files": [source.name for source in found.python if re.search(r"^\t+\S", source.text, re.MULTILINE)][:_MOST],
    }  # fmt: skip


def _complexity(sources: list[Source], left: list[str]) -> dict[str, Any] | None:
    try:
        visit: Callable[[str], list[Any]] = complexity_of()
    except NotFound as missing:
        left.append(f"{missing.message}; {missing.hint}")
        return None
    # A class is the sum of its methods, which are in the list themselves.
    blocks: list[dict[str, Any]] = [
        {"place": f"{source.name}:{block.lineno}", "name": str(block.fullname), "complexity": int(block.complexity)}
        for source in sources
        if source.tree is not None and not source.is_test
        for block in visit(source.text)
        if not hasattr(block, "methods")
    ]
    blocks.sort(key=lambda block: (-block["complexity"], block["place"]))
    mean = round(sum(block["complexity"] for block in blocks) / len(blocks), 1) if blocks else 0
    return {"blocks": len(blocks), "mean": mean, "worst": blocks[:_MOST]}
