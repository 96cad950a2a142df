"""HTML for notebooks, built from parts of which text is never one: a text becomes a part only by being cleaned and escaped.

Rules: `text` is the only way from a string to HTML; tags and attributes are constants of this package; no script, no link, nothing that is
fetched. Colours follow the notebook's own, so that it reads in dark and light.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from ..cli.lines import clean

STYLE = (
    "<style>.assent{font:13px/1.5 system-ui,sans-serif;border:1px solid #8886;border-radius:6px;padding:.6em .9em;margin:.3em 0;max-width:72em}"
    ".assent table{border-collapse:collapse;margin:.4em 0}.assent td,.assent th{text-align:left!important;vertical-align:top;padding:.15em .8em .15em 0;border:0}"
    ".assent th{font-weight:600;opacity:.7}.assent pre{white-space:pre-wrap;overflow-wrap:anywhere;word-break:normal!important;margin:.2em 0;padding:.3em .5em;background:#8881;border-radius:4px}"
    ".assent .b{border-radius:9px;padding:0 .6em;font-weight:600;white-space:nowrap;border:1px solid currentColor}.assent .q{opacity:.7}"
    ".assent .low,.assent .good{color:#2a8a4a}.assent .medium,.assent .waits{color:#b07a00}.assent .high,.assent .bad{color:#c8442c}"
    ".assent .critical{color:#fff;background:#b3261e;border-color:#b3261e}.assent h4{margin:.1em 0 .3em;font-size:1.05em;font-weight:600}.assent .n{white-space:nowrap}.assent ul{margin:.2em 0;padding-left:1.4em}.assent td pre{min-width:16em}.assent details>summary{cursor:pointer}</style>"
)  # fmt: skip
_LEVELS = {"LOW": "low", "MEDIUM": "medium", "HIGH": "high", "CRITICAL": "critical"}
_STATES = {
    "completed": "good", "verified": "good", "approved": "good", "done": "good", "failed": "bad", "rejected": "bad", "denied": "bad", "expired": "bad", "cancelled": "bad",
    "awaiting_approval": "waits", "in_doubt": "waits", "open": "waits", "reported": "good", "passed": "good", "met": "good", "not passed": "bad", "not met": "bad", "late": "bad",
    "crashed": "bad", "invalid": "bad", "asks": "waits",
}  # fmt: skip


def text(value: object, *, known: Sequence[str] = (), limit: int = 20_000) -> str:
    """Return a text from anywhere as HTML: without secrets, with everything visible that could hide or steer, and escaped.

    Args:
        known: values that are secret whatever they look like.
        limit: most characters; what is cut off is counted.
    """
    whole = clean(value, known=known, prose=True)
    cut = whole if len(whole) <= limit else f"{whole[:limit]}\\[{len(whole) - limit:,} more characters not shown\\]"
    return escape(cut, quote=True)


def code(value: object, *, known: Sequence[str] = ()) -> str:
    """Return text in which every character counts, as a block."""
    cleaned = clean(value, known=known)
    if len(cleaned) > 20_000:
        cleaned = f"{cleaned[:20_000]}\\[{len(cleaned) - 20_000:,} more characters not shown\\]"
    return f"<pre>{escape(cleaned, quote=True)}</pre>"


def badge(word: str) -> str:
    """Return a level or a state as a badge."""
    return f'<span class="b {_LEVELS.get(word) or _STATES.get(word, "q")}">{text(word.replace("_", " "))}</span>'


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of parts; the head is text."""
    titles = "".join(f"<th>{text(title)}</th>" for title in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{f'<tr>{titles}</tr>' if titles else ''}{body}</table>"


def items(parts: Iterable[str]) -> str:
    """Return parts as a list; nothing for none."""
    found = "".join(f"<li>{part}</li>" for part in parts)
    return f"<ul>{found}</ul>" if found else ""


def fold(title: str, part: str, *, is_open: bool = False) -> str:
    """Return a part that can be folded away under a title, which is text."""
    return f"<details{' open' if is_open else ''}><summary>{text(title)}</summary>{part}</details>" if part else ""


def box(title: str, *parts: str) -> str:
    """Return a framed whole; the title is a part."""
    return f'{STYLE}<div class="assent"><h4>{title}</h4>{"".join(parts)}</div>'
