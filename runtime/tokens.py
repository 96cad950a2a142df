"""Count the tokens of a text, without ever touching the network.

    tiktoken with a table that is on this machine   exact
    UTF-8 bytes / 2.5, rounded up                   an upper estimate, and flagged as one

Rules:
- tiktoken fetches a missing table by itself, without a time-out. So its constructors run here with a reader of ours in the place of its
  own, which looks into its cache folder and into litellm's wheel (it ships the three tables) and nowhere else.
- A table whose bytes have another hash than tiktoken names is not used, and not deleted.
- Texts that look like special tokens are counted as the text that they are.

The estimate was too high on every sample measured (prose, JSON, code, Chinese); characters / 4 was too low for all but prose.
Source: tiktoken's own names and hashes; measurements in the design notes. tiktoken is imported when something is counted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib
import importlib.util
import os
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

_LONGEST = 1_000_000
_LOCK = threading.Lock()
_ENCODINGS: dict[tuple[str, tuple[Path, ...]], Any] = {}


@dataclass(frozen=True)
class Count:
    """So many tokens; `estimated` when they are an upper estimate."""

    tokens: int
    estimated: bool


def count(text: str, model: str = "") -> Count:
    """Count the tokens of a text.

    Args:
        text: any text.
        model: `gpt-…` or `openai:gpt-…`; a model that tiktoken does not know is estimated.
    """
    encoding = _encoding(model.partition(":")[2] or model)
    if encoding is None or len(text) > _LONGEST:
        return Count(estimate(text), True)
    return Count(len(encoding.encode(text.encode("utf-8", "replace").decode(), disallowed_special=())), False)


def estimate(text: str) -> int:
    """Return an upper estimate of the tokens of a text: UTF-8 bytes / 2.5, rounded up."""
    size = len(text.encode("utf-8", "surrogatepass"))
    return -(-size * 2 // 5)


def is_exact(model: str) -> bool:
    """Tell whether this machine has what it takes to count exactly for a model."""
    return _encoding(model.partition(":")[2] or model) is not None


def folders() -> tuple[Path, ...]:
    """Return the folders in which tables may lie, in the order in which they are looked at."""
    named = [os.environ[name] for name in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR") if os.environ.get(name)]
    found = [Path(name) for name in named] + [Path(tempfile.gettempdir()) / "data-gym-cache"]
    litellm = importlib.util.find_spec("litellm")  # finds it without importing it, which takes seconds
    shipped = litellm.submodule_search_locations if litellm is not None else None
    found += [Path(place) / "litellm_core_utils" / "tokenizers" for place in shipped or ()]
    return tuple(dict.fromkeys(found))


def _encoding(model: str) -> Any:
    """Return tiktoken's encoding for a model; `None` when tiktoken, the model or its table is not known here."""
    try:
        import tiktoken
        from tiktoken.model import encoding_name_for_model

        name = encoding_name_for_model(model)
    except (ImportError, KeyError):
        return None
    places = folders()
    with _LOCK:
        if (name, places) not in _ENCODINGS:
            built = _built(name, places)
            _ENCODINGS[name, places] = None if built is None else tiktoken.Encoding(**built)
        return _ENCODINGS[name, places]


def _built(name: str, places: tuple[Path, ...]) -> dict[str, Any] | None:
    try:
        openai_public = importlib.import_module("tiktoken_ext.openai_public")
    except ImportError:
        return None
    constructors: dict[str, Callable[[], dict[str, Any]]] = openai_public.ENCODING_CONSTRUCTORS
    if name not in constructors:
        return None

    def read(url: str, expected_hash: str | None = None) -> dict[bytes, int]:
        return _table(url, expected_hash, places)

    def refuse(*given: object, **named: object) -> dict[bytes, int]:
        raise LookupError("only tables of one file are read")

    # The constructors' own code, with another reader: nothing of the library is changed, and nothing in it can reach the network.
    space: dict[str, Any] = {**vars(openai_public), "load_tiktoken_bpe": read, "data_gym_to_mergeable_bpe_ranks": refuse}
    for one, constructor in constructors.items():
        if isinstance(constructor, FunctionType):
            space[one] = FunctionType(constructor.__code__, space, one)
    try:
        built: dict[str, Any] = space[name]()
    except LookupError:
        return None
    return built


def _table(url: str, expected_hash: str | None, places: tuple[Path, ...]) -> dict[bytes, int]:
    name = hashlib.sha1(url.encode()).hexdigest()  # noqa: S324 - tiktoken's way to name its files
    for place in places:
        try:
            data = (place / name).read_bytes()
        except OSError:
            continue
        if expected_hash is not None and hashlib.sha256(data).hexdigest() != expected_hash:
            continue
        try:
            lines = [line.split() for line in data.splitlines() if line]
            return {base64.b64decode(token): int(rank) for token, rank in lines}
        except (ValueError, binascii.Error):
            continue
    raise LookupError(f"no table for {url} on this machine")
