"""Hide secrets in a text before it leaves: display, log, notification, audit, error, prompt.

- What is hidden: tokens of known formats, private keys, values beside the name of a secret, credentials in URLs, headers,
  cookies, command lines and password files, and every spelling of the values that the caller holds (`known`).
- Each is replaced by a marker that names its kind, `[redacted:github-token]`; names and surroundings stay readable.
- A redacted text is redacted: a second pass changes nothing.
- Linear in the length of the text, whatever it holds.
- Whether there is anything to look for is asked of what is said at all, each different part between blanks once: reports and logs say the same again and again.

Formats and words are data (`secrets.yaml`). Personal data is another matter, with its own switch: `redact_pii`. Random text
without a known format or a name beside it is not hidden: digests, ids and commits look the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .redact_assign import named_secrets
from .redact_formats import shaped_secrets
from .redact_known import known_secrets
from .redact_places import placed_secrets
from .redact_span import Span, marker, merged, replaced

__all__ = ["Redaction", "Span", "find_secrets", "marker", "redact", "redact_value"]

_ROUNDS = 6


def find_secrets(text: str, *, known: Sequence[str] = ()) -> list[Span]:
    """Find the secrets in a text, in order and apart from each other.

    Args:
        text: any text, of any length.
        known: values that are secret whatever they look like; those shorter than six characters are ignored.

    Returns: spans in characters of `text`. What an earlier pass hid is not found again.
    """
    said = " ".join(set(text.split()))
    found = [*shaped_secrets(text, said), *named_secrets(text, said), *placed_secrets(text, said)]
    if known:
        found += known_secrets(text, known)
    return merged(text, found)


def redact(text: str, *, known: Sequence[str] = ()) -> str:
    """Replace every secret in a text by a marker of its kind.

    Args: as for `find_secrets`.

    Returns: the text, the same object if nothing was found. A text that keeps giving up new secrets after `_ROUNDS` rounds
    was built to do so,
    and is hidden as a whole.
    """
    for _ in range(_ROUNDS):
        spans = find_secrets(text, known=known)
        if not spans:
            return text
        text = replaced(text, spans)
    return text if not find_secrets(text, known=known) else marker("unsettled")


def redact_value(value: Any, *, known: Sequence[str] = ()) -> Any:
    """Redact every text inside a JSON value; a text below a secret-named key is hidden as if it stood beside that name."""
    return Redaction(known).value(value)


class Redaction:
    """Redacts the texts of one thing, a plan for example, in which many are said more than once: each is searched once.

    It holds what it saw, so it lives only as long as that work.
    """

    def __init__(self, known: Sequence[str] = ()) -> None:
        self._known = known
        self._texts: dict[str, str] = {}
        self._pairs: dict[tuple[str, str], str | None] = {}

    def text(self, text: str) -> str:
        """Do what `redact` does."""
        found = self._texts.get(text)
        if found is None:
            found = self._texts[text] = redact(text, known=self._known)
        return found

    def value(self, value: Any) -> Any:
        """Do what `redact_value` does."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self._beside(key, inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(inner) for inner in value]
        return value

    def _beside(self, key: Any, value: Any) -> Any:
        if isinstance(key, str) and isinstance(value, str) and value:
            if (key, value) not in self._pairs:
                self._pairs[key, value] = _hidden(key, value)
            return self._pairs[key, value] or self.text(value)
        return self.value(value)


def _hidden(key: str, value: str) -> str | None:
    """Return the marker of a value that is a secret because of the name beside it; `None` where it is not."""
    spans = find_secrets(f"{key}: {value}")
    whole = any(span.start <= len(key) + 2 and span.end >= len(key) + 2 + len(value) for span in spans)
    return marker(spans[0].kind) if whole else None
