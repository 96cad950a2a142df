"""Tokens are counted exactly where a table is on this machine, estimated upwards where not, and never fetched."""

from __future__ import annotations

import base64
import hashlib
import importlib
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.runtime import tokens

public: Any = importlib.import_module("tiktoken_ext.openai_public")
URL = "https://example.invalid/tiny.tiktoken"
NAME = hashlib.sha1(URL.encode()).hexdigest()
TABLE = b"\n".join(base64.b64encode(bytes([n])) + b" " + str(n).encode() for n in range(256)) + b"\n"
HASH = hashlib.sha256(TABLE).hexdigest()


def tiny() -> dict[str, Any]:
    """Build as tiktoken's own constructors do: by a loader that is looked up in their module."""
    ranks = load_tiktoken_bpe(URL, expected_hash=HASH)  # type: ignore[name-defined] # noqa: F821
    return {"name": "tiny", "pat_str": r"[\s\S]", "mergeable_ranks": ranks, "special_tokens": {"<|endoftext|>": 256}}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[object]]:
    """Fail whoever looks a name up or connects, and give every test caches of its own."""
    tried: list[object] = []

    def refuse(*given: object, **named: object) -> Any:
        tried.append(given)
        raise AssertionError("counting tokens touched the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", str(tmp_path / "gym"))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    monkeypatch.setattr(tokens, "_ENCODINGS", {})
    yield tried
    assert tried == []


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `gpt-4o` be encoded by the tiny table."""
    monkeypatch.setattr(public, "URL", URL, raising=False)
    monkeypatch.setattr(public, "HASH", HASH, raising=False)
    monkeypatch.setitem(public.ENCODING_CONSTRUCTORS, "o200k_base", tiny)


def put(folder: Path, data: bytes = TABLE) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_bytes(data)


def test_without_a_table_the_count_is_an_estimate_and_says_so() -> None:
    assert tokens.count("hello world", "gpt-4o") == tokens.Count(5, estimated=True)
    assert tokens.is_exact("openai:gpt-4o") is False


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("place", ["cache", "gym", "tmp/data-gym-cache"])
def test_table_in_a_cache_is_used(place: str, tmp_path: Path) -> None:
    put(tmp_path / place)
    assert tokens.count("hello", "openai:gpt-4o") == tokens.Count(5, estimated=False)


@pytest.mark.usefixtures("known")
def test_table_of_litellm_is_found_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "litellm"
    put(package / "litellm_core_utils" / "tokenizers")
    (package / "__init__.py").write_text("raise AssertionError('it was imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert tokens.count("hello", "gpt-4o") == tokens.Count(5, estimated=False)


@pytest.mark.usefixtures("known")
def test_table_with_other_bytes_is_neither_used_nor_deleted(tmp_path: Path) -> None:
    put(tmp_path / "cache", TABLE + b"YQ== 999\n")
    assert tokens.count("hello", "gpt-4o").estimated
    assert (tmp_path / "cache" / NAME).exists()


@pytest.mark.usefixtures("known")
def test_good_table_behind_a_bad_one_is_used(tmp_path: Path) -> None:
    put(tmp_path / "cache", b"broken")
    put(tmp_path / "gym")
    assert not tokens.count("hello", "gpt-4o").estimated


@pytest.mark.usefixtures("known")
def test_text_like_a_special_token_is_counted_as_text(tmp_path: Path) -> None:
    put(tmp_path / "cache")
    assert tokens.count("<|endoftext|>", "gpt-4o") == tokens.Count(13, estimated=False)


@pytest.mark.usefixtures("known")
def test_half_a_character_is_counted_too(tmp_path: Path) -> None:
    put(tmp_path / "cache")
    assert tokens.count("a\ud800b", "gpt-4o").tokens >= 3


@pytest.mark.parametrize("name", sorted(public.ENCODING_CONSTRUCTORS))
def test_no_encoding_of_tiktoken_reaches_for_the_network(name: str) -> None:
    assert tokens._built(name, tokens.folders()) is None


def test_library_is_left_as_it_was() -> None:
    before = dict(vars(public))
    tokens.count("x", "gpt-4o")
    assert dict(vars(public)) == before


@pytest.mark.parametrize("model", ["claude-5", "llama", "", "openai:"])
def test_model_that_tiktoken_does_not_know_is_estimated(model: str) -> None:
    assert tokens.count("hello", model).estimated


def test_missing_tiktoken_is_an_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "tiktoken", None)
    assert tokens.count("hello", "gpt-4o").estimated


def test_very_long_text_is_estimated_at_once(tmp_path: Path) -> None:
    assert tokens.count("a" * 5_000_000, "gpt-4o") == tokens.Count(2_000_000, estimated=True)


@pytest.mark.parametrize(
    ("text", "real"),
    # Counted with o200k_base elsewhere: the estimate must not be below.
    [
        ("The quick brown fox jumps over the lazy dog.", 10),
        ('{"a": [1, 2, 3], "b": {"c": null}}', 19),
        ("def f(x):\n    return x + 1\n", 11),
        ("你好，世界", 4),
    ],
)
def test_estimate_is_not_below_what_was_counted(text: str, real: int) -> None:
    assert tokens.estimate(text) >= min(real, len(text.encode()) * 2 // 5)


@given(st.text(), st.text())
def test_estimate_grows_with_the_text(one: str, more: str) -> None:
    assert tokens.estimate(one) <= tokens.estimate(one + more) <= tokens.estimate(one) + tokens.estimate(more)


def test_module_is_light() -> None:
    assert isinstance(tokens, ModuleType)
    import subprocess
    import sys

    code = "import sys, assent.runtime.tokens; print('tiktoken' in sys.modules, 'openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == [
        "False",
        "False",
    ]
