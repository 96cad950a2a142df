"""What is shown is what is there: allow-list, invertibility, honest words, excerpts that add up."""

from __future__ import annotations

import hashlib
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.policies.show import Excerpt, excerpt, visible

ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=60)
NASTY = st.text(st.sampled_from(list("ab\\{}u0n\n\r\t\x1b[ ]é\u202e\u200b\u3164\U000e0041\ufe0f\ud800а")), max_size=40)

_TOKEN = re.compile(r"\\\\|\\n|\\r|\\t|\\u\{([0-9A-F]{4,6})\}|([^\\])", re.DOTALL)


def unvisible(shown: str) -> str:
    """Read a shown text back; fails if it is not one."""
    parts: list[str] = []
    at = 0
    while at < len(shown):
        token = _TOKEN.match(shown, at)
        assert token, f"not a shown text at {at}: {shown[at : at + 12]!r}"
        plain = {"\\\\": "\\", "\\n": "\n", "\\r": "\r", "\\t": "\t"}.get(token[0])
        parts.append(plain or (chr(int(token[1], 16)) if token[1] else token[2]))
        at = token.end()
    return "".join(parts)


def test_every_code_point_is_shown_in_printable_ascii_and_read_back() -> None:
    shown = [visible(chr(point)) for point in range(0x110000)]
    assert all(s.isascii() and s.isprintable() for s in shown)
    assert all(unvisible(s) == chr(point) for point, s in enumerate(shown))
    assert len(set(shown)) == 0x110000


@pytest.mark.parametrize("attack", [
    "\x1b[2J\x1b[1;1H", "\x9b31m", "\x08\x08\x08", "\x00", "\x7f", "\u202erm -rf /\u202c", "\u2066x\u2069", "a\u200bb", "\ufeff", "\u00ad", "\U000e0072\U000e006d",
    "\ufe0f", "\U000e0100", "\u3164", "\u115f", "\uffa0", "\u2800", "\u00a0", "\u2003", "\u3000", "\u2028", "\u2029", "\x85", "\ue000", "\U0010ffff", "\ud800", "\u034f",
    "Z\u0351\u036f\u0322\u0321", "раураl",
], ids=ascii)  # fmt: skip
@pytest.mark.parametrize("letters", [False, True])
def test_text_that_acts_or_hides_is_spelled_out(attack: str, letters: bool) -> None:
    shown = visible(attack, letters=letters)
    assert shown.isascii() and shown.isprintable() and unvisible(shown) == attack


def test_backslash_cannot_forge_an_escape() -> None:
    assert visible("\\u{202E}") == "\\\\u{202E}"
    assert visible("\u202e") == "\\u{202E}"
    assert visible("\\n") != visible("\n")


def test_plain_ascii_is_left_alone_and_costs_no_copy() -> None:
    plain = "git commit -m 'fix: tests' && ls | wc -l"
    assert visible(plain) is plain


@given(ANY_TEXT | NASTY)
def test_any_text_can_be_read_back(text: str) -> None:
    shown = visible(text)
    assert shown.isascii() and (not shown or shown.isprintable())
    assert unvisible(shown) == text


@given(NASTY, NASTY)
def test_two_texts_never_look_the_same(one: str, other: str) -> None:
    assert (visible(one) == visible(other)) == (one == other)
    assert (visible(one, letters=True) == visible(other, letters=True)) == (one == other)


@given(ANY_TEXT | NASTY, ANY_TEXT)
def test_showing_in_parts_shows_the_same(one: str, other: str) -> None:
    assert visible(one) + visible(other) == visible(one + other)


@given(ANY_TEXT | NASTY)
def test_lines_are_kept_only_when_asked_for_and_only_line_feeds(text: str) -> None:
    shown = visible(text, multiline=True)
    assert "\n" not in visible(text)
    assert shown.count("\n") == text.count("\n") and shown.replace("\n", "").isascii()
    assert unvisible(shown) == text


@settings(max_examples=300)
@given(ANY_TEXT | st.text(st.characters(categories=["L", "M", "N", "Zs", "Cf"]), max_size=30))
def test_letters_mode_lets_only_composed_letters_and_known_signs_through(text: str) -> None:
    shown = visible(text, letters=True)
    assert unvisible(shown) == text
    for char in shown:
        assert char.isascii() or unicodedata.category(char) in ("Ll", "Lu", "Lo", "Lt", "Lm", "Mn", "Mc")
        assert unicodedata.bidirectional(char) not in ("R", "AL", "RLE", "RLO", "LRO", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI")


@pytest.mark.parametrize("honest", ["Grüße aus München", "привет мир", "日本語テキスト", "コーヒー", "한국어", "Ελλάδα", "Việt Nam", "İstanbul", "हिन्दी", "สวัสดี", "ქართული"])
def test_words_of_one_script_can_be_read_when_asked_for(honest: str) -> None:
    assert visible(honest, letters=True) == honest
    assert visible(honest).isascii()


@pytest.mark.parametrize("lie", ["pаypal", "аррӏе", "сосо", "gооgle.com", "ρroof", "e\u0301", "ﾊﾛ", "ⅰ", "ﬁle", "ｇｏｏｇｌｅ", "a\u0336b", "１２３", "٣", "שלום", "مرحبا"])
def test_words_that_mix_scripts_pass_for_ascii_or_reorder_stay_escaped(lie: str) -> None:
    shown = visible(lie, letters=True)
    assert shown.isascii() and unvisible(shown) == lie


@given(ANY_TEXT | NASTY | st.text(max_size=400), st.integers(2, 120))
def test_an_excerpt_accounts_for_every_character(text: str, limit: int) -> None:
    cut = excerpt(text, limit)
    assert cut.digest == hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    if cut.is_whole:
        assert cut.shown == visible(text) and len(cut.shown) <= limit
        return
    marker = re.search(r"(?<!\\)(?:\\\\)*(\\\[(\d+) of (\d+) characters not shown; sha256 ([0-9a-f]{16})\\\])", cut.shown)
    assert marker and int(marker[2]) == cut.hidden_chars and int(marker[3]) == len(text) and cut.digest.startswith(marker[4])
    head, tail = cut.shown[: marker.start(1)], cut.shown[marker.end(1) :]
    assert len(head) + len(tail) <= limit
    assert text.startswith(unvisible(head)) and text.endswith(unvisible(tail))
    assert len(unvisible(head)) + len(unvisible(tail)) + cut.hidden_chars == len(text)


def test_a_value_cannot_forge_the_marker_of_an_excerpt() -> None:
    forged = visible(excerpt("x" * 100, 10).shown)
    assert "\\[" in excerpt("x" * 100, 10).shown
    assert re.search(r"(?<!\\)(?:\\\\)*\\\[", forged) is None


def test_padding_cannot_push_the_end_out_of_an_excerpt() -> None:
    cut = excerpt("ls " + " " * 1_000_000 + "; rm -rf /", 200)
    assert cut.shown.startswith("ls ") and cut.shown.endswith("; rm -rf /") and cut.hidden_chars > 999_000


def test_invisible_padding_is_counted_as_it_is_shown() -> None:
    cut = excerpt("\u200b" * 1000, 80)
    assert len(re.findall(r"\\u\{200B\}", cut.shown)) == 1000 - cut.hidden_chars


def test_an_excerpt_refuses_a_limit_that_shows_no_two_ends() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        excerpt("abc", 1)
    assert excerpt("ab", 2) == Excerpt("ab", 0, hashlib.sha256(b"ab").hexdigest())
