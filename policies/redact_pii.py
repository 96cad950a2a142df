"""Hide personal data: payment cards, e-mail addresses, telephone numbers, bank accounts, social security numbers.

- A switch of its own, off unless the caller turns it on: approvers often need to see whom a message goes to.
- Cards must pass Luhn's check or stand beside the word for a card; bank accounts must have the length of their country or stand
  beside `IBAN`.
- Markers and a second pass behave as in `redact`.

Names, addresses and birthdays have no shape, and are not looked for. Source: ISO/IEC 7812, ISO 13616, E.164, the format of US
SSNs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .redact_span import Span, merged, replaced

_CARD = re.compile(r"(?<![\w.+-])(?:[0-9]{13,19}|[0-9]{4}(?:[ -][0-9]{4}){3}|3[0-9]{3}[ -][0-9]{6}[ -][0-9]{5})(?![\w-]|\.[0-9])")
_CARD_WORD = re.compile(r"\b(?:card|visa|mastercard|amex|pan|paid with)\W{0,3}(?:no|number|num)?\W{0,4}$", re.IGNORECASE)
_EMAIL = re.compile(r"(?<![\w.%+/-])[\w%+-][\w.%+-]{0,63}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")
_PHONE = re.compile(r"(?<![\w+.-])(?:\+[0-9]{1,3}[ .-]?)(?:\([0-9]{1,4}\)[ .-]?)?[0-9]{2,4}(?:[ .-]?[0-9]{2,4}){1,4}(?![\w-])")
_PHONE_US = re.compile(r"(?<![\w+.-])(?:\([0-9]{3}\) ?|[0-9]{3}[.-])[0-9]{3}[.-][0-9]{4}(?![\w-])")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![\w-])")


def find_pii(text: str) -> list[Span]:
    """Find personal data in a text, in order and apart from each other."""
    return merged(text, _found(text))


def redact_pii(text: str) -> str:
    """Replace personal data in a text by markers of their kind. It does not look for secrets: call `redact` too."""
    for _ in range(4):
        spans = find_pii(text)
        if not spans:
            break
        text = replaced(text, spans)
    return text


def _found(text: str) -> Iterator[Span]:
    for card in _CARD.finditer(text):
        digits = re.sub(r"[ -]", "", card[0])
        near = _CARD_WORD.search(text, max(0, card.start() - 32), card.start())
        if len(set(digits)) > 1 and (near or (digits[0] in "23456" and _is_luhn(digits))):
            yield Span(card.start(), card.end(), "payment-card")
    if "@" in text:
        yield from (Span(m.start(), m.end(), "email") for m in _EMAIL.finditer(text))
    for pattern in (_PHONE, _PHONE_US):
        yield from (Span(m.start(), m.end(), "phone") for m in pattern.finditer(text) if 8 <= sum(map(str.isdigit, m[0])) <= 15)
    for account in _IBAN.finditer(text):
        plain = account[0].replace(" ", "")
        named = "iban" in text[max(0, account.start() - 8) : account.start()].lower()
        if 15 <= len(plain) <= 34 and (named or _is_iban(plain)):
            yield Span(account.start(), account.end(), "iban")
    yield from (Span(m.start(), m.end(), "social-security-number") for m in _SSN.finditer(text))


def _is_luhn(digits: str) -> bool:
    doubled = (int(d) * 2 for d in digits[-2::-2])
    return (sum(d - 9 if d > 9 else d for d in doubled) + sum(int(d) for d in digits[::-2])) % 10 == 0


def _is_iban(account: str) -> bool:
    return int("".join(str(int(c, 36)) for c in account[4:] + account[:4])) % 97 == 1
