"""Find secrets in places with a grammar of their own: URLs, authorization headers, cookies, command lines, password files.

- A URL's password is hidden, its scheme, user, host and path stay; a user alone stays unless it looks like a token.
- Authorization values are hidden behind their scheme word; cookies one by one, so that `theme=dark` stays.
- Short options mean a secret only behind the commands that read them so (`secrets.yaml`, `commands`).

Every rule starts from a literal word and reads a bounded stretch after it, never one stretch twice.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from functools import lru_cache

from .redact_span import Span, lowered
from .redact_table import Command, table
from .redact_values import is_opaque, is_wordy, stands_for

_AUTHORITY = re.compile(r"""(?<=://)(?P<user>[^\s/?#"'<>`@:\\]{0,256})(?::(?P<word>[^\s/?#"'<>`\\]{1,512}))?@(?=[\w.\-\[$%{*])""")
_SLASHED = re.compile(r"""(?<=://)[^\s/?#"'<>`@:\\]{0,64}:(?P<word>(?![0-9]{1,5}/)[^\s"'<>`@\\:]{1,100})@(?=[\w.-]{1,200}[:/])""")
_DRIVER = re.compile(
    r"""(?<![\w.:/-])[\w.-]{1,64}:(?P<word>[^\s"'<>`@/\\:]{4,128})@(?:tcp|unix|udp)?"""
    r"""(?=\(|[\w-]{1,63}\.[\w.-]{2,80}|localhost\b)"""
)
_SCHEMED = re.compile(
    r"""\b(?:proxy-)?authorization\\{0,7}["'`\]]{0,2}[ \t]{0,8}[:=,)(>]{1,2}[ \t]{0,8}\\{0,7}(?:[brfu]?["'`])?[ \t]{0,4}
    (?P<scheme>[A-Za-z][\w-]{0,30}[ ]+)?(?P<value>[^\s"'`<>\\,;)}]{4,8192})""",
    re.VERBOSE | re.IGNORECASE,
)
_SCHEMES = frozenset({"basic", "bearer", "token", "bot", "ssws", "jwt", "oauth", "negotiate", "splunk", "snowflake"})
_BEARER = re.compile(r"\b[Bb](?:earer|EARER)(?:[ \t]{1,4}|%20|\+)(?P<value>[A-Za-z0-9._~+/=-]{12,})")
_BASIC = re.compile(r"\b[Bb](?:asic|ASIC)(?:[ \t]{1,4}|%20)(?P<value>[A-Za-z0-9+/=_-]{8,4096})")
_SIGNED = re.compile(r"\bSignature=(?P<value>[0-9a-f]{64})\b")
_DIGEST = re.compile(r"\bresponse=\"(?P<value>[0-9a-f]{32,128})\"")
_JAR = re.compile(
    r"""\b(?:set-)?cookie[s2]?\\{0,7}["'`\]]{0,2}(?:[ \t]{0,8}[:=,][ \t]{0,8}|[ ])\\{0,7}(?:[brfu]?["'`])?
    (?P<jar>[^\s"'`<>\\=;,]{1,128}=[^\n"'`<>\\]{1,8192})""",
    re.VERBOSE | re.IGNORECASE,
)
_CRUMB = re.compile(r"([^\s=;,]{1,128})=([^;\s,]{4,})")
_PORT = re.compile(r":(?:[0-9]{4,5}|\*):")
_PGPASS = re.compile(
    r"^[\w.*-]{1,255}:(?:[0-9]{4,5}|\*):[\w*-]{1,64}:[\w.*@-]{1,64}:((?:[^\s:\\]|\\.){4,256})[ \t]*\r?$", re.MULTILINE
)
_OPENSSL = re.compile(r"(?:-pass(?:in|out)?|--?passphrase)[ =]{1,4}[\"']?pass:([^\s\"']{3,256})")
_IDENTIFIED = re.compile(
    r"\b(?:IDENTIFIED(?: WITH \S{1,64})?(?: BY| AS)|(?-i:PASSWORD)\()\s{0,8}(?:PASSWORD )?['\"]([^'\"\s]{4,256})['\"]",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"""(?:\bauth[ ]?=[ ]?\(|Auth\()[ ]{0,4}[brfu]?["'][^"'\n]{0,64}["'],[ ]{0,4}[brfu]?["']([^"'\n]{4,256})["']""")
_ORACLE = re.compile(r"""(?:\bsqlplus|\bsqlldr|\bexpdp|\bimpdp|:thin:)(?:[ ]-\w{1,8})?[ ]{0,4}["']?\w{1,64}/([^\s@"'/]{3,128})@""")
_WINDOWS = re.compile(r"""\bnet user \S{1,64} ([^\s/*"']{4,128})|ConvertTo-SecureString (?:-String )?["']([^"'$\n]{4,256})["']""")
_HTPASSWD = re.compile(r"\bhtpasswd[ ]+-\w{0,8}b\w{0,8}[ ]+\S{1,200}[ ]+\S{1,64}[ ]+([^\s\"']{4,128})")
_PIPED = re.compile(
    r"\b(?:echo|printf)[ \t]+(?:-\w{1,8}[ \t]+|[\"']?%s(?:\\n)?[\"']?[ \t]+){0,3}[\"']?([^\s\"'|]{4,256})[\"']?[ \t]*\|[ \t]*"
)
_READER = re.compile(
    r"[^\n|]{0,200}?(?:--password-stdin|--pass-stdin|--with-token|--passphrase-fd|--stdin\b|\bchpasswd\b|\bcryptsetup\b"
    r"|\bsudo[ \t]+(?:-\w{1,8}[ \t]+){0,4}-S\b|\blogin\b)"
)
_HERE = re.compile(r"<<<[ \t]*[\"']?([^\s\"'|]{4,256})[\"']?")
_PLAIN = re.compile(r"[\w.-]+")
_HEAD_END = re.compile(r"[\n;|&]")
_WORD = re.compile(r"""\\?"(?:[^"\\\n]|\\.)*+"?|'[^'\n]*+'?|[^\s"']+(?:"[^"\n]*+"?|'[^'\n]*+'?)?""")


def placed_secrets(text: str, said: str) -> Iterator[Span]:
    """Yield the secrets that their place gives away. `said` has the parts of the text between blanks, each once."""
    low = lowered(said)
    if "@" in said:
        yield from _urls(text)
    if "authorization" in low:
        yield from _authorizations(text)
    if "bearer" in low:
        yield from (Span(m.start(1), m.end(1), "authorization") for m in _BEARER.finditer(text) if _is_opaque_header(m[1]))
    if "basic" in low:
        yield from (Span(m.start(1), m.end(1), "authorization") for m in _BASIC.finditer(text) if _is_pair(m[1]))
    if "cookie" in low:
        yield from _cookies(text)
    if _PORT.search(said):
        yield from (Span(m.start(1), m.end(1), "password") for m in _PGPASS.finditer(text) if _is_word_like_password(m[1]))
    if "pass:" in said:
        yield from (Span(m.start(1), m.end(1), "password") for m in _OPENSSL.finditer(text) if not stands_for(m[1]))
    if "identified" in low or "password(" in low:
        yield from (Span(m.start(1), m.end(1), "password") for m in _IDENTIFIED.finditer(text) if not stands_for(m[1]))
    for word, pattern in (("auth", _LOGIN), ("@", _ORACLE), ("securestring", _WINDOWS), ("net user", _WINDOWS), ("htpasswd", _HTPASSWD)):
        if word in (text if " " in word else low):
            yield from (Span(*m.span(m.lastindex or 1), "password") for m in pattern.finditer(text) if not stands_for(m[m.lastindex or 1]))
    if "|" in said or "<<<" in said:
        yield from _piped(text)
    yield from _commands(text, said)


def _urls(text: str) -> Iterator[Span]:
    if "://" in text:
        for found in _AUTHORITY.finditer(text):
            word = found["word"]
            if word is None:
                if len(found["user"]) >= 20 and is_opaque(found["user"], least=20):
                    yield Span(found.start("user"), found.end("user"), "url-password")
            elif not stands_for(word):
                yield Span(found.start("word"), found.end("word"), "url-password")
            elif is_opaque(found["user"], least=20):
                yield Span(found.start("user"), found.end("user"), "url-password")
        yield from (Span(m.start(1), m.end(1), "url-password") for m in _SLASHED.finditer(text) if not stands_for(m[1]))
    for found in _DRIVER.finditer(text):
        if not stands_for(found[1]) and not is_wordy(found[1]) and any(c.isdigit() for c in found[1]) and not found[1].isdigit():
            yield Span(found.start(1), found.end(1), "url-password")


def _authorizations(text: str) -> Iterator[Span]:
    for found in _SCHEMED.finditer(text):
        scheme = (found["scheme"] or "").strip().lower()
        start, end = found.span("value")
        value = found["value"]
        if scheme in ("aws4-hmac-sha256", "digest"):
            for pattern in (_SIGNED, _DIGEST):
                if part := pattern.search(text, start, min(len(text), start + 4096)):
                    yield Span(part.start(1), part.end(1), "authorization")
        elif value[0] in "{$" or value.endswith("token="):
            continue
        elif scheme in ("basic", "bearer", "token", "apikey", "key", "bot", "ssws", "jwt", "oauth", "negotiate", "genie",
        "splunk", "digest", "snowflake") or "key" in scheme:
            if not stands_for(value) and not (value.isalpha() and is_wordy(value)):
                yield Span(start, end, "authorization")
        elif is_opaque(value) and not stands_for(value, quoted=False):
            yield Span(start, end, "authorization")


def _is_opaque_header(value: str) -> bool:
    return is_opaque(value) and not stands_for(value)


def _is_pair(value: str) -> bool:
    try:
        plain = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_" if "-" in value or "_" in value else None)
    except (binascii.Error, ValueError):
        return False
    return b":" in plain[1:] and all(32 <= byte < 127 for byte in plain[:64])


def _cookies(text: str) -> Iterator[Span]:
    done = 0
    for jar in _JAR.finditer(text):
        if jar.start() < done:
            continue
        done = jar.end()
        for crumb in _CRUMB.finditer(text, jar.start("jar"), jar.end("jar")):
            name, value = crumb[1].lower(), crumb[2]
            if name in ("path", "domain", "expires", "max-age", "samesite", "version", "priority") or stands_for(value):
                continue
            named = any(word in name for word in table().names["session"])
            if is_opaque(value) or (named and len(value) >= 6 and not is_wordy(value)):
                yield Span(crumb.start(2), crumb.end(2), "cookie")


def _is_word_like_password(value: str) -> bool:
    return not stands_for(value) and (len(value) >= 6 or not value.isdigit())


def _piped(text: str) -> Iterator[Span]:
    for found in _PIPED.finditer(text) if "echo" in text or "printf" in text else ():
        value = found[1].rpartition(":")[2] if "chpasswd" in text[found.end() : found.end() + 40] else found[1]
        if _READER.match(text, found.end()) and len(value) >= 4 and not stands_for(value):
            yield Span(found.end(1) - len(value), found.end(1), "password")
    if "<<<" in text:
        for found in _HERE.finditer(text):
            line = text.rfind("\n", 0, found.start()) + 1
            if _READER.search(text, max(line, found.start() - 200), found.start()) and not stands_for(found[1]):
                yield Span(found.start(1), found.end(1), "password")


@lru_cache(maxsize=1)
def _heads() -> tuple[re.Pattern[str], dict[str, tuple[Command, ...]], frozenset[str]]:
    """Return the pattern of the commands' names, the commands by name, and the words with which a name can begin."""
    known: dict[str, tuple[Command, ...]] = {}
    for command in table().commands:
        for head in command.heads:
            known[head] = (*known.get(head, ()), command)
    ordered = sorted(known, key=len, reverse=True)
    first = frozenset(head.split()[0] + end for head in known for end in ("", ".exe"))
    return re.compile(rf"(?<![\w.-])(?:{'|'.join(re.escape(h) for h in ordered)})(?:\.exe)?(?=[ \t])"), known, first


def _commands(text: str, said: str) -> Iterator[Span]:
    heads, known, first = _heads()
    if first.isdisjoint(_PLAIN.findall(said)):
        return  # asking for a hundred names at the beginning of each word would take ten times as long
    done = 0
    for found in heads.finditer(text):
        if found.start() < done:
            continue
        stop = _HEAD_END.search(text, found.end())
        done = stop.start() if stop else len(text)
        options = known[found[0].removesuffix(".exe")]
        before: re.Match[str] | None = None
        for word in _WORD.finditer(text, found.end(), done):
            span = _taken(options, before, word)
            if span is not None:
                yield span
            before = word


def _taken(options: tuple[Command, ...], before: re.Match[str] | None, word: re.Match[str]) -> Span | None:
    """Return the secret in one word of a command line: glued to its option, behind it, or, for commands like `cargo login`,
    alone."""
    shown, option = word[0], before[0] if before else ""
    dashed = shown[0] in "-/"
    if not dashed and option[:1] not in ("-", "/") and options[0].option:
        return None
    for command in options:
        if not command.option:
            if is_opaque(shown):
                return _secret_in(word, 0, "next")
        elif option == command.option:
            if command.form != "glued":
                return _secret_in(word, 0, command.form)
        elif dashed and shown.startswith(command.option) and len(shown) > len(command.option) and command.form != "next":
            long = command.option.startswith("--")
            if long and shown[len(command.option)] != "=":
                continue
            return _secret_in(word, len(command.option), command.form)
    return None


def _secret_in(word: re.Match[str], skip: int, form: str) -> Span | None:
    value = word[0][skip:]
    start = word.start() + skip
    while value[:1] in ("\\", '"', "'", "="):
        value, start = value[1:], start + 1
    value = value.rstrip("\"'\\")
    mark = {"pair": ":", "percent": "%", "comma": ","}.get(form)
    if mark is not None:
        _, found, rest = value.partition(mark)
        if not found:
            return None
        start, value = start + len(value) - len(rest), rest
    if len(value) < 3 or value.startswith("-") or stands_for(value):
        return None
    return Span(start, start + len(value), "password")

