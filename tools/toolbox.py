"""The tools by name, and the reading of a call's arguments.

Rules: a name or an argument that is not known is an error before anything is planned or run, and every wrong field is named at once; a name
means one tool. Nothing registers itself: `standard` lists the shipped tools, and `plus` adds others. Source: DESIGN §6.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from ..schemas.errors import Complaint, InvalidPlan
from .files import Files
from .http import Http
from .python import Python
from .shell import Shell
from .sql import Sql
from .tool import Arguments, Tool

_ALL = "arguments"
"""Where a complaint stands that is about all arguments together."""


class Toolbox(Mapping[str, Tool]):
    """Tools by their names, in the order in which they were given."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise ValueError(f"two tools are called {tool.name!r}")
            self._tools[tool.name] = tool

    def __getitem__(self, name: str) -> Tool:
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def plus(self, *tools: Tool) -> Toolbox:
        """Return a toolbox with these tools as well. Raises: ValueError: a name is taken."""
        return Toolbox([*self._tools.values(), *tools])

    def parse(self, tool: str, args: Mapping[str, Any]) -> Arguments:
        """Read the arguments of a call.

        Raises:
            InvalidPlan: no such tool, or arguments that it does not take; `complaints` names every wrong field.
        """
        if tool not in self._tools:
            near = self._near(tool)
            raise InvalidPlan(f"there is no tool {tool!r}" + (f"; did you mean {near!r}?" if near else ""), hint=self._hint(), tool=tool, complaints=[])
        found, complaints = self._read(tool, args)
        if found is not None:
            return found
        lines = "\n".join(f"  {complaint}" for complaint in complaints)
        raise InvalidPlan(
            f"the arguments of {tool} are wrong:\n{lines}",
            hint=f"{tool} takes {', '.join(_fields(self._tools[tool]))}. {self._hint()}",
            tool=tool,
            complaints=[str(complaint) for complaint in complaints],
        )

    def problems(self, tool: str, args: Mapping[str, Any]) -> list[Complaint]:
        """Return what `parse` would complain about, each with where it stands in a call: `tool`, or `args.` and the field."""
        if tool not in self._tools:
            near = self._near(tool)
            return [Complaint(where="tool", expected=f"one of {', '.join(self._tools)}" + (f" (did you mean {near}?)" if near else ""), found=repr(tool[:60]))]
        # What is wrong with all of them together stands at `args` itself.
        return [replace(one, where=f"args.{one.where}".removesuffix(f".{_ALL}")) for one in self._read(tool, args)[1]]

    def _read(self, tool: str, args: Mapping[str, Any]) -> tuple[Arguments | None, list[Complaint]]:
        odd = [] if all(type(value) is str and value.isascii() for value in args.values()) else _not_text(args)
        complaints = [Complaint(where=where, expected="text that has a UTF-8 form") for where in odd]
        try:
            found = self._tools[tool].Arguments.model_validate(dict(args))
        except ValidationError as error:
            known = {complaint.where for complaint in complaints}
            return None, complaints + [one for item in error.errors(include_url=False) if (one := _complaint(item, self._tools[tool])).where not in known]
        return (None, complaints) if complaints else (found, [])

    def _near(self, tool: str) -> str:
        return next(iter(difflib.get_close_matches(tool, self._tools, n=1)), "")

    def _hint(self) -> str:
        return f"the tools are {', '.join(self._tools)}"


def standard() -> Toolbox:
    """Return the shipped tools."""
    return Toolbox([Shell(), Files(), Sql(), Http(), Python()])


def _fields(tool: Tool) -> list[str]:
    return [name if field.is_required() else f"{name}?" for name, field in tool.Arguments.model_fields.items()]


def _complaint(item: Any, tool: Tool) -> Complaint:
    where = ".".join(str(part) for part in item["loc"]) or _ALL
    if item["type"] == "missing":
        return Complaint(where=where, expected="a value", found="nothing")
    if item["type"] == "extra_forbidden":
        near = next(iter(difflib.get_close_matches(where, tool.Arguments.model_fields, n=1)), "")
        return Complaint(where=where, expected="no such field" + (f" (did you mean {near}?)" if near else ""))
    expected = item["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return Complaint(where=where, expected=expected, found=repr(item["input"])[:80] if item["loc"] else "")


def _not_text(value: Any, where: str = "") -> list[str]:
    """Return where half a surrogate pair stands: such text can be neither recorded nor passed to a program."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return [where]
        return []
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    return [found for key, item in items for found in _not_text(item, f"{where}.{key}".lstrip("."))]
