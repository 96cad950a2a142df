"""How text from outside becomes text on a screen.

Rules:
- every text of a plan, document, model, tool or person is redacted first and made visible afterwards, so that no secret, control character,
  direction mark or invisible character reaches the terminal as itself;
- it travels as `Line` and is never read as markup; a line that is wrapped says so at each of its further parts;
- what is shortened keeps its beginning and its end and says how much is missing.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.text import Text

LEVEL_STYLES = {"LOW": "green", "MEDIUM": "yellow", "HIGH": "bold red", "CRITICAL": "bold white on red"}
_STATUS_STYLES = {
    "completed": "green", "failed": "red", "rejected": "red", "denied": "red", "expired": "red", "in_doubt": "bold yellow",
    "awaiting_approval": "yellow",
}  # fmt: skip
SIGNS = {
    "done": ("✓", "green"), "failed": ("✗", "red"), "not_started": ("○", "yellow"), "in_doubt": ("?", "bold yellow"), "abandoned": ("✗", "red"),
}  # fmt: skip
_PIPE_WIDTH = 160
_HIDDEN = " not shown\\]"
_GOES_ON = "       ┊ "
_SYMBOLS = frozenset("→×…≤≥≈")
_SPLIT = re.compile("([→×…≤≥≈])")
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


def clean(text: object, *, known: Sequence[str] = (), prose: bool = False) -> str:
    """Return a text without secrets, with everything that could hide or steer made visible; line feeds stay.

    Args:
        known: values that are secret whatever they look like.
        prose: let words of other scripts stand where they cannot be mistaken; never for names of what will be touched.
    """
    from ...policies.redact import redact

    return _visible(redact(str(text), known=known), prose=prose, multiline=True)


def one_line(text: object, limit: int = 200, *, known: Sequence[str] = (), prose: bool = False) -> str:
    """Return a text as one clean line of about `limit` characters; the middle gives way to its own length."""
    from ...policies.redact import redact

    return _fitted(redact(str(text), known=known), limit, prose)


def block(text: object, *, most: int = 12, width: int = 200, known: Sequence[str] = (), prose: bool = False) -> list[str]:
    """Return a text as clean lines, at most about `most` of them and each about `width` wide; 0 for all of it."""
    from ...policies.redact import redact

    lines = redact(str(text), known=known).rstrip().split("\n")
    if not most:
        return [_visible(line, prose=prose) for line in lines]
    if len(lines) <= most:
        return [_fitted(line, width, prose) for line in lines]
    head = (most * 2) // 3
    tail = most - head - 1
    hidden = lines[head : len(lines) - tail]
    middle = _marker(f"{len(hidden):,} of {len(lines):,} lines, {sum(map(len, hidden)):,} characters")
    return [
        *(_fitted(line, width, prose) for line in lines[:head]), middle, *(_fitted(line, width, prose) for line in lines[len(lines) - tail :]),
    ]  # fmt: skip


def _visible(text: str, *, prose: bool, multiline: bool = False) -> str:
    from ...policies.show import visible

    # These stand for themselves: our own sentences use them, and none of them is drawn like anything in ASCII.
    return "".join(part if part in _SYMBOLS else visible(part, letters=prose, multiline=multiline) for part in _SPLIT.split(text))


def _fitted(raw: str, limit: int, prose: bool) -> str:
    whole = _visible(raw, prose=prose) if len(raw) <= limit else ""
    if len(raw) <= limit and len(whole) <= limit:
        return whole
    # Cut before it is made visible, so that no escape is cut in two; an escape may be ten times as long as what it stands for.
    keep = min(limit, len(raw) - 1)
    while True:
        tail = keep // 3
        head = keep - tail
        shown = [_visible(raw[:head], prose=prose), _visible(raw[len(raw) - tail :], prose=prose) if tail else ""]
        if len(shown[0]) + len(shown[1]) <= limit or keep <= 2:
            return _marker(f"{len(raw) - keep:,} of {len(raw):,} characters").join(shown)
        keep = keep * 2 // 3


def _marker(what: str) -> str:
    # In a visible text every backslash is doubled or begins an escape, so nothing from outside can look like this.
    return f"\\[{what}{_HIDDEN}"


def console(stream: TextIO | None = None) -> Console:
    """Return a console that interprets nothing; colours only on a terminal, and none under NO_COLOR."""
    from rich.console import Console

    class Steady(Console):
        """A console that reports a closed pipe instead of ending the process, which may be in the middle of a run."""

        def on_broken_pipe(self) -> None:
            self.quiet = True
            raise BrokenPipeError

    target = stream if stream is not None else sys.stdout
    plain = bool(os.environ.get("NO_COLOR")) or not target.isatty()
    return Steady(
        file=target, markup=False, emoji=False, highlight=False, color_system=None if plain else "auto",
        force_terminal=False if plain else None, width=None if target.isatty() else _PIPE_WIDTH, legacy_windows=False,
    )  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One line. Where a terminal is too narrow for it, what follows is marked, so that no long value can pass for another line."""

    parts: tuple[str | tuple[str, str], ...]

    @property
    def text(self) -> str:
        """The line without its styles."""
        return "".join(part if isinstance(part, str) else part[0] for part in self.parts)

    @property
    def is_whole(self) -> bool:
        """Whether nothing of it was left out."""
        return not any(_HIDDEN in (part if isinstance(part, str) else part[0]) for part in self.parts)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Render for rich."""
        from rich.text import Text

        text = Text.assemble(*self.parts, no_wrap=True)
        if options.no_wrap or text.cell_len <= options.max_width:
            yield text
            return
        # The mark is escaped wherever it comes from outside.
        first, *others = text.wrap(console, max(20, options.max_width - len(_GOES_ON)), overflow="fold", no_wrap=False)
        yield first
        for other in others:
            yield Text.assemble(_GOES_ON, other, no_wrap=True)


def styled(*parts: str | tuple[str, str]) -> Line:
    """Return a line of plain strings and (string, style) pairs; nothing in them is markup."""
    return Line(parts)


def put(screen: Console, line: Line) -> None:
    """Print a line; a file or pipe gets it in one piece."""
    screen.print(line, soft_wrap=not screen.is_terminal)


def begin(screen: Console, line: Line) -> None:
    """Print a line without its end, for a terminal on which another line takes its place."""
    from rich.text import Text

    screen.print(Text.assemble(*line.parts), end="", soft_wrap=True)


def level(value: str) -> tuple[str, str]:
    """Return a level of risk in brackets, with its style."""
    return f"[{value}]", LEVEL_STYLES.get(value, "")


def status(value: str) -> tuple[str, str]:
    """Return the state of a run in words, with its style."""
    return value.replace("_", " "), _STATUS_STYLES.get(value, "")


def columns(rows: Sequence[Sequence[str | tuple[str, str]]]) -> list[Line]:
    """Return rows with aligned columns, already clean; only the last column may be long."""
    if not rows:
        return []
    texts = [[cell if isinstance(cell, tuple) else (cell, "") for cell in row] for row in rows]
    widths = [max(len(row[n][0]) for row in texts) for n in range(len(texts[0]) - 1)]
    found = []
    for row in texts:
        cells = [(text.ljust(width), style) for (text, style), width in zip(row, widths, strict=False)]
        found.append(styled(*_spaced([*cells, row[-1]])))
    return found


def _spaced(cells: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    spaced: list[tuple[str, str]] = []
    for cell in cells:
        spaced += [cell, ("  ", "")]
    return spaced[:-1]


def span(seconds: float) -> str:
    """Return a duration as a person says it: `0.3 s`, `12 s`, `5 min`, `3 h`, `2 d`."""
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            return f"{seconds / size:.0f} {unit}"
    if abs(seconds) < 0.1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def ago(at: datetime, now: datetime | None = None) -> str:
    """Return how long ago a time was."""
    return f"{span(max(0.0, ((now or datetime.now(UTC)) - at).total_seconds()))} ago"


def moment(at: datetime) -> str:
    """Return a time to the second, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def money(usd: str) -> str:
    """Return decimal text as dollars."""
    return f"${usd}"
