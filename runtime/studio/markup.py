"""HTML, built so that nothing from outside can be markup: every text is escaped unless this module made it. Pure.

Rules: an element is made by `tag`, and only what `tag` returns is taken as markup; addresses begin with `/` of this site; no inline style,
script or event handler exists, so the content security policy can forbid them.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any, TypeAlias

from ..cli.lines import clean, one_line

Child: TypeAlias = "str | Html | Iterable[Child] | None"
_VOID = frozenset({"br", "hr", "input", "link", "meta"})
_ADDRESSES = frozenset({"href", "src", "action", "data-live"})


class Html(str):
    """Text that is markup."""

    __slots__ = ()


def tag(element: str, /, *children: Child, **attributes: Any) -> Html:
    """Return an element.

    Args:
        children: texts (escaped), elements, nothing, or any iterable of these.
        attributes: `class_` and `for_` for `class` and `for`, `_` for `-`; `None` and `False` leave one out, `True` gives it no value.

    Raises:
        ValueError: an address that leaves this site, or an attribute that could run something.
    """
    given = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    return Html(f"<{element}{given}>" if element in _VOID else f"<{element}{given}>{_inner(children)}</{element}>")


def join(*children: Child) -> Html:
    """Return children after one another."""
    return Html(_inner(children))


def here(anchor: str, text: str, class_: str) -> Html:
    """Return a link to a place on the same page."""
    # It stays on the page, so it needs none of the checks for addresses.
    return Html(f'<a href="#{html.escape(anchor)}" class="{html.escape(class_)}">{html.escape(text)}</a>')


def words(text: object, *, known: tuple[str, ...] = (), limit: int = 400) -> str:
    """Return what a person wrote as one line: secrets hidden, what could hide or steer made visible."""
    return one_line(text, limit, known=known, prose=True)


def exact(text: object, *, known: tuple[str, ...] = (), limit: int = 400) -> str:
    """Return the name of a thing as one line, every character in plain sight."""
    return one_line(text, limit, known=known)


def paragraphs(text: object, *, known: tuple[str, ...] = ()) -> str:
    """Return what a person wrote with its line feeds."""
    return clean(text, known=known, prose=True)


def badge(level: str) -> Html:
    """Return a level of risk: word and colour."""
    return tag("span", level, class_=f"badge level-{level.lower()}")


def state(status: str) -> Html:
    """Return a state in words and colour."""
    return tag("span", status.replace("_", " "), class_=f"badge state-{status.replace('_', '-')}")


def _attribute(name: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    if name.startswith("on") or name == "style":
        raise ValueError(f"the attribute {name} could run something")
    if value is True:
        return f" {name}"
    text = str(value)
    if name in _ADDRESSES and (not text.startswith("/") or text.startswith("//") or "\\" in text):
        raise ValueError(f"{text!r} is no address of this site")
    return f' {name}="{html.escape(text)}"'


def _inner(children: Iterable[Child]) -> str:
    found: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Html):
            found.append(child)
        elif isinstance(child, str):
            found.append(html.escape(child))
        else:
            found.append(_inner(child))
    return "".join(found)
