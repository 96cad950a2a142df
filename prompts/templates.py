"""The document templates that a person copies, fills in and runs.

Rules: a template is found by its exact name or not at all, and the error names what there is; texts come out byte for byte, so that their
comments stay with them. Source: feature A10. Deliberately absent: filling anything in.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

_SUFFIX = ".yaml"


class UnknownTemplate(LookupError):
    """No template has that name; the text names those that there are."""


@cache
def names() -> tuple[str, ...]:
    """Return the names of the templates, sorted."""
    return tuple(sorted(entry.name.removesuffix(_SUFFIX) for entry in _folder().iterdir() if entry.name.endswith(_SUFFIX)))


def template(name: str) -> str:
    """Return the text of a template.

    Raises:
        UnknownTemplate: no template has that name.
    """
    if name not in names():
        raise UnknownTemplate(f"no template is called {name[:60]!r}; there are {', '.join(names())}")
    return _folder().joinpath(name + _SUFFIX).read_text(encoding="utf-8")


def _folder() -> Traversable:
    return files(__package__ or "assent.prompts").joinpath("templates")
