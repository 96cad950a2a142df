"""What of an output goes into a receipt: little of it, readable, and always JSON that can be made canonical.

Rules: at most `SMALL_BYTES`, measured as JSON, of a text stay in a receipt; the whole is kept by its digest. Integers beyond 2^53, infinities and bytes, which
canonical JSON cannot hold, become text. Deliberately does not redact: what a person sees is the display's matter.
"""

from __future__ import annotations

import json
import math
from typing import Any

from ..schemas.canonical import LARGEST
from .tool import Keep

_spelled = json.JSONEncoder(ensure_ascii=False).encode
SMALL_BYTES = 2400
"""So that a receipt with one such text, or with two of half the size, stays under 4 KB."""


def small_or_kept(data: bytes, keep: Keep, most_bytes: int = SMALL_BYTES) -> tuple[str, str]:
    """Return the text for the receipt and the digest of the whole; the digest is empty where the text is all of it.

    Side effects: keeps the bytes when they are many or not text.
    """
    if len(data) <= most_bytes:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            if _size(text) <= most_bytes:
                return text, ""
    return excerpt(data, most_bytes), keep.put(data)


def excerpt(data: bytes, most_bytes: int = SMALL_BYTES) -> str:
    """Return the beginning and the end of `data` as text, with the number of bytes left out between them."""
    text = data.decode("utf-8", "replace") if len(data) <= most_bytes else ""
    edge = most_bytes * 3 // 8
    while len(data) > most_bytes or _size(text) > most_bytes:
        head, tail = data[:edge].decode("utf-8", "replace"), data[-edge:].decode("utf-8", "replace")
        text = f"{head}\n[… {len(data) - 2 * edge} bytes left out …]\n{tail}"
        if _size(text) <= most_bytes or edge < 16:
            break
        edge //= 2
    return text


def plain(value: Any) -> Any:
    """Return `value` as canonical JSON can hold it."""
    if value is None or isinstance(value, bool | str):
        return value if not isinstance(value, str) else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, int):
        return value if abs(value) <= LARGEST else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        return f"0x{data[:64].hex()}" + (f"… ({len(data)} bytes)" if len(data) > 64 else "")
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value)


def number(text: str) -> int | float | None:
    """Read a text that is nothing but one finite number; None for anything else."""
    stripped = text.strip()
    if not stripped or len(stripped) > 40:
        return None
    try:
        found = int(stripped)
    except ValueError:
        try:
            real = float(stripped)
        except ValueError:
            return None
        return real if math.isfinite(real) else None
    return found if abs(found) <= LARGEST else None


def _size(text: str) -> int:
    return len(_spelled(text).encode("utf-8", "replace"))
