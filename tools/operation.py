"""The arguments of one operation on one file. Rule: each operation takes exactly its own fields. Source: DESIGN §4."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from .tool import Arguments

Operation = Literal["read", "write", "edit", "delete", "move"]
_NEEDS: dict[str, tuple[str, ...]] = {"read": (), "write": ("content",), "edit": ("old", "new"), "delete": (), "move": ("to",)}
_FIELDS = ("content", "old", "new", "to")
_GIVEN = {operation: tuple(name in needed for name in _FIELDS) for operation, needed in _NEEDS.items()}


class FilesArguments(Arguments):
    """One operation on one file; each takes exactly its own fields."""

    operation: Operation
    path: str = Field(min_length=1, description="Inside the workspace.")
    content: str | None = Field(default=None, description="write: the whole new text.")
    old: str | None = Field(default=None, min_length=1, description="edit: text that occurs exactly once.")
    new: str | None = Field(default=None, description="edit: what stands in its place.")
    to: str | None = Field(default=None, min_length=1, description="move: a path inside the workspace that does not exist.")

    @model_validator(mode="after")
    def _fields_of_the_operation(self) -> FilesArguments:
        # Arguments are read at every station of every step, nearly always right ones: names are looked for only where something is wrong.
        if (self.content is not None, self.old is not None, self.new is not None, self.to is not None) == _GIVEN[self.operation]:
            return self
        needed = _NEEDS[self.operation]
        given = [name for name in _FIELDS if getattr(self, name) is not None]
        if missing := [name for name in needed if name not in given]:
            raise ValueError(f"{self.operation} needs {' and '.join(missing)}")
        if surplus := [name for name in given if name not in needed]:
            raise ValueError(f"{self.operation} does not take {' or '.join(surplus)}")
        return self


def said(args: FilesArguments) -> str:
    """Return the operation in a few words."""
    return f"{args.operation} {args.path}" + (f" to {args.to}" if args.to else "")
