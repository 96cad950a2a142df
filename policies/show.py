"""Show hostile text so that what is seen is what is there.

- Allow-list: printable ASCII stands for itself; a backslash is doubled; everything else is `\\u{XXXX}`. So control characters
  and terminal escapes, bidirectional and zero-width characters, tags, variation selectors, fillers, look-alike spaces and
  letters cannot act or hide.
- Invertible: two different texts never look the same, and the text can be read back from what is shown.
- `letters=True` lets words of one script through, in the composed form and without stacks of marks; a word that mixes scripts,
  or that could be read as ASCII, stays escaped. That form is for reading prose in one's language, never for names of targets.
- A long value is shown as head, counted marker and tail; nothing is left out silently.

Source: Unicode UTS 39 (confusables, mixed scripts), UTS 55 (source code). It does not decide how many characters a surface can
hold, and does not hide secrets (`redact`): redact first, then show.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass

_PLAIN = re.compile(r"[\x20-\x5b\x5d-\x7e]*")
_OTHER = re.compile(r"[^\x20-\x5b\x5d-\x7e]")
_NAMED = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_WORD = re.compile(r"[^\W_]+(?:[^\W_]|[\u0300-\u036f\u0900-\u0dff\u0e00-\u0eff\u1000-\u109f])*")

_SCRIPTS = frozenset({
    "LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "TAMIL", "TELUGU", "KANNADA",
    "MALAYALAM", "SINHALA", "THAI", "LAO", "GEORGIAN", "ETHIOPIC", "MYANMAR", "HIRAGANA", "KATAKANA", "HANGUL", "CJK", "BOPOMOFO",
})  # fmt: skip
"""Scripts whose letters may stand. Not the right-to-left ones: they reorder what stands around them, without any control
character."""

_TOGETHER = (frozenset({"CJK", "HIRAGANA", "KATAKANA"}), frozenset({"CJK", "HANGUL"}), frozenset({"CJK", "BOPOMOFO"}))
"""Scripts that one word may mix: Japanese, Korean, Chinese."""

_LIKE_ASCII = frozenset(
    "аеорсухіјѕԁԛԝһӏьАВЕКМНОРСТХУІЈЅԌԚԜҮӀЗЬ"  # Cyrillic
    "αγικνορυχϲϳηωΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹϺ"  # Greek
    "աոսցքօՕՍԼՏհզ"  # Armenian
    "ıȷɑɡɩʋƽƨ"  # Latin beyond ASCII
    "০੦૦ംဝ၀০๐໐"  # Indic letters and digits drawn as 0 and o
    "一丨丶工口卜二ノニエロトハ"  # strokes drawn as -, |, I, O
)
"""Letters that many fonts draw like ASCII ones. A word made only of these, digits and ASCII is not let through (UTS 39,
whole-script)."""

_LENGTHENED = frozenset("\u30fc\u3005")
"""Signs that belong into Japanese words though they are no letters: the long vowel and the repeated character."""

_LETTERS = frozenset({"Ll", "Lu", "Lo", "Lt", "Nd", "Mn", "Mc"})
_MARKS = 2
"""Most combining marks on one letter after composition: more are a stack that may cover other lines."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What could be shown of a value. `shown` is visible text; `hidden_chars` counts characters of the value; `digest` is
    SHA-256 of its UTF-8."""

    shown: str
    hidden_chars: int
    digest: str

    @property
    def is_whole(self) -> bool:
        """Tell whether nothing was left out: what is not shown in full cannot be approved on that surface."""
        return self.hidden_chars == 0


def visible(text: str, *, letters: bool = False, multiline: bool = False) -> str:
    """Return a text in which every character can be seen and none can act.

    Args:
        text: any text, lone surrogates included.
        letters: let assigned letters of common scripts stand, word by word, unless a word mixes scripts or could pass for ASCII.
        multiline: keep line feeds as they are; the caller puts a prefix of its own before each line.

    Returns: printable ASCII only, plus line feeds with `multiline` and letters with `letters`. `\\n`, `\\r`, `\\t`, a doubled
    backslash and
    `\\u{XXXX}` stand for characters; nothing else begins with a backslash.
    """
    if _PLAIN.fullmatch(text):
        return text
    if letters and not text.isascii():
        return _with_letters(text, multiline)
    return _OTHER.sub(_kept_lines if multiline else _escaped, text)


def excerpt(text: str, limit: int = 2000) -> Excerpt:
    """Return the head and the tail of a value around a counted marker, or the whole value if it fits.

    Args:
        text: any text.
        limit: most characters of *shown* text, marker not counted; at least 2. The head gets two thirds.

    Returns: an excerpt whose accounting adds up: characters shown and `hidden_chars` make the length of the text.

    Raises: ValueError: `limit` is below 2.
    """
    if limit < 2:
        raise ValueError(f"limit must be at least 2, not {limit}")
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    # Every character is shown as one at least, so no more than `limit` of them at either end can be needed.
    if len(text) <= limit and len(whole := visible(text)) <= limit:
        return Excerpt(whole, 0, digest)
    head = _fitting(text[:limit], limit - limit // 3)
    tail = _fitting(text[max(head, len(text) - limit) :][::-1], limit // 3)
    hidden = len(text) - head - tail
    marker = f"\\[{hidden} of {len(text)} characters not shown; sha256 {digest[:16]}\\]"
    return Excerpt(visible(text[:head]) + marker + visible(text[len(text) - tail :]), hidden, digest)


def _fitting(text: str, room: int) -> int:
    """Return how many characters from the start of `text` can be shown in `room`."""
    for count, char in enumerate(text):
        room -= len(visible(char))
        if room < 0:
            return count
    return len(text)


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    return _NAMED.get(char) or f"\\u{{{ord(char):04X}}}"


def _kept_lines(found: re.Match[str]) -> str:
    return "\n" if found[0] == "\n" else _escaped(found)


def _with_letters(text: str, multiline: bool) -> str:
    parts: list[str] = []
    at = 0
    for word in _WORD.finditer(text):
        parts += (visible(text[at : word.start()], multiline=multiline), word[0] if _is_honest(word[0]) else visible(word[0]))
        at = word.end()
    parts.append(visible(text[at:], multiline=multiline))
    return "".join(parts)


def _is_honest(word: str) -> bool:
    """Tell whether a word may be shown as it is: one script, composed, no stacks of marks, and not drawn like ASCII."""
    if word.isascii():
        return True
    if unicodedata.normalize("NFC", word) != word or unicodedata.normalize("NFKC", word) != word:
        return False
    scripts: set[str] = set()
    marks = 0
    for char in word:
        if char in _LENGTHENED:
            continue
        category = unicodedata.category(char)
        marks = marks + 1 if category[0] == "M" else 0
        if marks > _MARKS or category not in _LETTERS or (category == "Nd" and not char.isascii()):
            return False
        if category != "Nd":
            scripts.add(_script(char))
    if "" in scripts or (len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER)):
        return False
    return not all(char.isascii() or char in _LIKE_ASCII for char in word)


def _script(char: str) -> str:
    """Return the script that a character's name begins with, or an empty text if its letters may not stand."""
    name = unicodedata.name(char, "")
    first = name.partition(" ")[0]
    if first not in _SCRIPTS or (first == "HANGUL" and not name.startswith("HANGUL SYLLABLE")):
        return ""
    return first
