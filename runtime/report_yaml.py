"""A tree of plain values as the text of a YAML document, in block style and in the order in which it was made.

PyYAML's own emitter writes it. It is given the events themselves: making nodes of a tree first, and asking for each what it is, takes three times
as long as the writing, and a tree of plain values has neither anchors nor tags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import yaml

_WIDTH = 120
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_TEXT, _MAPPING, _SEQUENCE = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq"))
_RESOLVER: Any = yaml.resolver.Resolver()
_REPRESENTER: Any = yaml.representer.SafeRepresenter()
_FRAME = (
    (yaml.StreamStartEvent(), yaml.DocumentStartEvent(explicit=False)),
    (yaml.DocumentEndEvent(explicit=False), yaml.StreamEndEvent()),
)
_BLOCKS = {
    dict: (yaml.MappingStartEvent(None, _MAPPING, True, flow_style=False), yaml.MappingEndEvent()),
    list: (yaml.SequenceStartEvent(None, _SEQUENCE, True, flow_style=False), yaml.SequenceEndEvent()),
}
_SPELLED: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "null",
    bool: lambda value: "true" if value else "false",
    int: str,
    float: lambda value: str(_REPRESENTER.represent_float(value).value),
}


class _Texts(dict[str, yaml.ScalarEvent]):
    """The events of the texts so far, because a report says the same names and words again and again."""

    def __missing__(self, text: str) -> yaml.ScalarEvent:
        event = self[text] = yaml.ScalarEvent(None, _TEXT, (_is_plainly_text(text), True), text)
        return event


def to_yaml(tree: Mapping[str, Any]) -> str:
    """Return a tree as YAML.

    Args:
        tree: dicts with text as keys, lists, texts, numbers, booleans and None.

    Raises:
        yaml.representer.RepresenterError: something else is in it.
    """
    begin, end = _FRAME
    events: list[yaml.Event] = [*begin]
    _append(tree, events.append, _Texts())
    return str(yaml.emit([*events, *end], Dumper=_DUMPER, allow_unicode=True, width=_WIDTH))


def _append(value: Any, append: Callable[[yaml.Event], None], texts: _Texts) -> None:
    kind = type(value)
    if kind is dict:
        begin, end = _BLOCKS[dict]
        append(begin)
        for key, inner in value.items():
            append(texts[key])
            if type(inner) is str:
                append(texts[inner])
            else:
                _append(inner, append, texts)
        append(end)
    elif kind is list or kind is tuple:
        begin, end = _BLOCKS[list]
        append(begin)
        for inner in value:
            _append(inner, append, texts)
        append(end)
    elif kind is str:
        append(texts[value])
    elif kind in _SPELLED:
        append(yaml.ScalarEvent(None, None, (True, False), _SPELLED[kind](value)))
    else:
        raise yaml.representer.RepresenterError("this is no plain value", value)


@lru_cache(maxsize=512)
def _is_plainly_text(text: str) -> bool:
    """Tell whether a text reads as text without quotes; `12`, `yes` and dates do not."""
    return bool(_RESOLVER.resolve(yaml.ScalarNode, text, (True, False)) == _TEXT)
