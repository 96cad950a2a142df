"""The terminal channel: a bell and one line, for the person who sits there.

Rules: one line of visible ASCII, so nothing in it can move the cursor or hide; the bell rings only on a terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Literal, TextIO

from ...schemas.notice import Delivery, Outcome
from .sender import ChannelSettings, Message


class TerminalSettings(ChannelSettings):
    """The terminal of the process that delivers."""

    kind: Literal["terminal"]
    bell: bool = True

    def sender(self, environ: Mapping[str, str]) -> Terminal:
        """Return what sends; the environment holds nothing for it."""
        return Terminal(self)


class Terminal:
    """Writes to standard error, or to another stream."""

    def __init__(self, settings: TerminalSettings, stream: Callable[[], TextIO | None] = lambda: sys.stderr) -> None:
        self._settings = settings
        self._stream = stream

    def send(self, message: Message) -> Delivery:
        """Write the line."""
        stream = self._stream()
        if stream is None:
            return Delivery(outcome=Outcome.LATER, said="there is no terminal")
        try:
            bell = "\a" if self._settings.bell and stream.isatty() else ""
            command = message.data.get("command", "")
            stream.write(f"{bell}{message.subject}{' - ' + str(command) if command else ''}\n")
            stream.flush()
        except (OSError, ValueError) as error:
            # ValueError: the stream is closed.
            return Delivery(outcome=Outcome.LATER, said=f"the terminal cannot be written: {error}")
        return Delivery(outcome=Outcome.SENT)
