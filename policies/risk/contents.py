"""What is written may be worse than where: keys, programs that fetch and run, shells for strangers.

Rules: content only raises a level. It is searched up to a bound, and what is longer is HIGH, because nobody looked at the rest. The
patterns are the few that a reviewer would stop at; the many token formats live with the redactor.
"""

from __future__ import annotations

import re

from ...schemas.risk import Level, Reason

MOST_BYTES = 128 * 1024

_SIGNS: tuple[tuple[str, Level, str, re.Pattern[str]], ...] = (
    (
        "content.private_key",
        Level.CRITICAL,
        "the content holds a private key",
        re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY|PuTTY-User-Key-File-|AGE-SECRET-KEY-1"),
    ),
    (
        "content.secret",
        Level.HIGH,
        "the content holds what looks like a password or a token",
        re.compile(
            r"""(?ix) \b(?:aws_secret_access_key|secret_?key|api_?key|access_?token|auth_?token|client_?secret|password|passwd)\b
                ["']? \s{0,4} [:=] \s{0,4} ["']? (?!\$|\{|<|%|os\.|env\b|process\.|none\b|null\b|true\b|false\b) [A-Za-z0-9+/_=.\-]{16,200}
              | \b(?:gh[pousr]_[A-Za-z0-9]{30}|AKIA[0-9A-Z]{16}|xox[abpr]-[0-9A-Za-z-]{10}|sk-[A-Za-z0-9_-]{20}|sk_live_[0-9A-Za-z]{16})"""
        ),
    ),
    (
        "content.fetch_and_run",
        Level.CRITICAL,
        "the content fetches a program and runs it unseen",
        re.compile(
            r"(?i)\b(?:curl|wget|fetch|iwr|invoke-webrequest)\b[^\n|]{0,200}\|\s{0,4}(?:sudo\s{1,4})?(?:ba|z|da|k)?(?:sh|python3?|perl|ruby|node|iex)\b"
        ),
    ),
    (
        "content.remote_shell",
        Level.CRITICAL,
        "the content gives a stranger a shell",
        re.compile(
            r"(?i)/dev/(?:tcp|udp)/|\bnc(?:at)?\b[^\n]{0,30}\s-[a-z]{0,4}[ec]\b|\b(?:system|exec|passthru|shell_exec|eval|assert)\s{0,4}\(\s{0,4}\$_"
        ),
    ),
    (
        "content.hidden",
        Level.HIGH,
        "the content hides text from a reader with characters that turn or hide it",
        re.compile("[\u202a-\u202e\u2066-\u2069\u200b\u2060\U000e0000-\U000e007f]"),
    ),
    ("content.program", Level.HIGH, "the content is a program that a shell would start", re.compile(r"\A#!")),
    ("content.binary", Level.HIGH, "the content is not text", re.compile("\x00")),
)


def judge_content(content: str) -> tuple[Reason, ...]:
    """Judge what would be written; nothing for ordinary text.

    Args:
        content: the whole new content. More than 128 KiB is HIGH unread.
    """
    if not isinstance(content, str):
        return (Reason(rule="content.shape", level=Level.HIGH, text="the content is not text"),)
    if len(content) > MOST_BYTES:
        text = f"the content is longer than {MOST_BYTES} characters and was not looked at"
        return (Reason(rule="content.too_long", level=Level.HIGH, text=text, lower="write it in parts that can be reviewed"),)
    return tuple(Reason(rule=rule, level=level, text=text) for rule, level, text, sign in _SIGNS if sign.search(content))
