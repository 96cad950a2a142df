"""Find secrets that stand beside a name: assignments, settings, options, headers, XML elements, pairs and tables.

- One pass over the names of a text; each is read once (`redact_names`) and its value once (`redact_values`), at most a few
  hundred characters of it unless it is a secret.
- The looser the tie between name and value, the more is asked of the value: `name=value` and `"name": "value"` are tight, a
  table cell or a following word count only if they look random.
- What stays readable: the name, the separator, the quotes and everything behind the value.

Values without a name beside them are `redact_formats`; places that have a grammar of their own (URLs, cookies, command lines)
`redact_places`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from string import ascii_letters, digits

from .redact_names import Tier, tier_of
from .redact_span import Span, lowered
from .redact_values import How, is_opaque, is_password, is_token, stands_for

_STEMS = (
    "pass", "pwd", "pw", "secret", "token", "key", "auth", "cred", "cookie", "sess", "bearer", "jwt", "pat", "psk", "csrf", "xsrf", "salt", "pepper",
    "licen", "sig", "senha", "contrase", "motdep", "wachtw",
)  # fmt: skip
_LONGEST_BEFORE = 48
_IN_A_NAME = frozenset(ascii_letters + digits + "_.-")
_NAMED = re.compile(
    rf"""(?<![\w.\-])(?<!\[redacted:)(?P<name>[\w.\-]{{0,{_LONGEST_BEFORE}}}?(?:{'|'.join(_STEMS)})[\w.\-]*+)
    (?P<close>(?:\\{{0,7}}["'`]|&quot;)?[\])]?)
    (?:
      (?P<default>:[-=])(?=[^\s=])
    | (?P<pair></key>\s{{0,40}}<string>
        |\\{{0,7}}["']?[\s,;]{{0,80}}(?:-[ ])?(?:\\{{0,7}}["'])?value\\{{0,7}}["']?[ \t]{{0,8}}[:=]{{1,2}}[ \t]{{0,8}})
    | (?P<typed>[ \t]{{0,8}}\??:[ \t]{{0,8}}
        (?:str|string|String|bytes|Optional\[str\]|str\ \|\ None|SecretStr|Final|&str|&'static\ str|any|Any)
        [?!]?[ \t]{{1,8}}=[ \t]{{0,8}}|[ \t]{{1,8}}(?:string|\[\]byte|text)[ \t]{{1,8}}:?=[ \t]{{0,8}})
    | (?P<assign>[ \t]{{0,32}}(?:[:?!+]?={{1,3}}>?|:(?!:|//)|->|<-|%3D|%3A)[ \t]{{0,32}}(?:\r?\n[ \t]{{1,40}}(?=\\?["']))?)
    | (?P<element>(?:[ \t][^<>\n]{{0,80}})?>)
    | (?P<cell>[ \t]{{0,40}}[,|][ \t]{{0,40}})
    | (?P<call>\([ \t]{{0,8}}(?=\\?["'`]))
    | (?P<said>[ \t]{{1,8}}(?:is|was)(?:[ \t]{{1,8}}set[ \t]{{1,8}}to)?:?[ \t]{{1,8}})
    | (?P<space>[ \t]{{1,8}})
    )""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_OPEN = re.compile(r"""[\[(]?[ \t]{0,8}(?:[rbfuRBFU]{1,2}|[@$])?(?P<quote>\"\"\"|'''|\\{1,7}["']|&quot;|&\#34;|["'`])""")
_OPENERS = frozenset("[( \tbrfuBRFU@$\"'`\\&")
_INSIDE = {
    '"': re.compile(r'(?:[^"\\\n]++|\\.)*+'),
    "'": re.compile(r"(?:[^'\\\n]++|\\.)*+"),
    "`": re.compile(r"(?:[^`\\\n]++|\\.)*+"),
    '"""': re.compile(r'(?:[^"\\]++|\\.|"(?!""))*+', re.DOTALL),
    "'''": re.compile(r"(?:[^'\\]++|\\.|'(?!''))*+", re.DOTALL),
}
_TO_ENTITY = re.compile(r"(?:[^&\n<]++|&(?!quot;|#34;))*+")
_TO_QUOTE = {'"': re.compile(r'[^"\n]*+'), "'": re.compile(r"[^'\n]*+")}
_BARE = re.compile(r"""(?:[^\s"'`<>\\,;|&(){}\[\]]|\\(?![nrtu"'\\]))(?:[^\s"'`<>\\]|\\(?![nrtu"'\\])){0,96}""")
_BARE_MORE = re.compile(r"""[^\s"'`<>\\,;|&]*+""")
_CELL = re.compile(r"""[^\s"'`<>\\,;|&(){}\[\]]{1,96}""")
_CUTS = re.compile(r"[;|&,]")
_CUT = re.compile(r"[;|](?=\s|$|[\w .-]{1,40}=)|&(?=[\w.%\[\]-]{1,60}=|$|amp;)|,(?=$|[\w.-]{1,40}[=:])")
_BLOCK = re.compile(r"[|>][+-]?[0-9]?[ \t]*\r?\n([ \t]+)(\S[^\n]*)(?:\n\1[^\n]*)*+")
_SETTER = re.compile(
    r"\b(?:set|setx|setenv|env|arg|put|add|export|config|define|header|login|param|secret)[ \t]+[\"'(]?$", re.IGNORECASE
)
_NETRC = re.compile(r"\b(?:login|machine|account)\s+\S{1,200}\s+$")
_TAG = re.compile(r"<(?!/)[^<>]{0,120}$")
_QUERY = ("?", "&")
_URL_CUT = re.compile(r"[&#]")


def named_secrets(text: str, said: str) -> Iterator[Span]:
    """Yield the values that stand beside the name of a secret. `said` has the parts of the text between blanks, each once."""
    done = 0
    for found in _names(text, said):
        name = found["name"]
        tier = tier_of(name, in_query=text[found.start() - 1 : found.start()] in _QUERY) if len(name) <= 160 else Tier.NONE
        if tier is Tier.NONE or found.end() < done:
            continue
        span = _value(text, found, tier)
        if span is not None:
            done = span.end
            yield span


def _names(text: str, said: str) -> Iterator[re.Match[str]]:
    """Yield what `_NAMED.finditer` would, asking it only where a name begins that holds a stem: most of a text holds none."""
    done = tried = -1
    for begin in _stems(text, said):
        least = max(0, begin - _LONGEST_BEFORE)
        while begin > least and text[begin - 1] in _IN_A_NAME:
            begin -= 1
        if begin >= done and begin != tried and (found := _NAMED.match(text, begin)):
            done = found.end()
            yield found
        tried = begin


def _stems(text: str, said: str) -> list[int]:
    """Return where a stem stands, in order."""
    low_said = lowered(said)
    stems = [stem for stem in _STEMS if stem in low_said]  # one question for each is faster than one for any of them
    low = lowered(text) if stems else ""
    found = []
    for stem in stems:
        at = low.find(stem)
        while at >= 0:
            found.append(at)
            at = low.find(stem, at + 1)
    return sorted(found)


def _value(text: str, found: re.Match[str], tier: Tier) -> Span | None:
    link = found.lastgroup or ""
    begin = found.start()
    before = text[begin - 1 : begin]
    if link == "element":
        if not _TAG.search(text, max(0, begin - 120), begin):
            return None
        end = text.find("<", found.end(), found.end() + 8192)
        end = end if end >= 0 else min(len(text), found.end() + 8192)
        return _judged(text, found.end(), end, tier, "quoted")
    if link == "default" and before != "{":
        link = "assign"
        at = found.end() - 1
    else:
        at = found.end()
    if link == "assign" and text.startswith(("|", ">"), at) and (block := _BLOCK.match(text, at)):
        word = block[2].rstrip()
        if is_opaque(word, least=12) or (tier is Tier.PASSWORD and " " not in word and not stands_for(word)):
            return Span(block.start(2), block.end(), "password" if tier is Tier.PASSWORD else "secret")
        return None
    opened = _OPEN.match(text, at) if text[at : at + 1] in _OPENERS else None
    if opened:
        start, end = _inside(text, opened)
        how: How = "quoted"
    else:
        if link == "call":
            return None
        start, end = _bare(text, at, _BARE if link in ("assign", "default", "typed", "pair") else _CELL)
        if link == "default":
            close = text.find("}", start, end)
            end = close if close >= 0 else end
        if before in _QUERY:
            cut = _URL_CUT.search(text, start, end)
            end = cut.start() if cut else end
        if start == end:
            return None
        how = _how(text, found, link, before, end, tier)
    least = 0
    if link in ("cell", "call"):
        least = 16 if tier is Tier.WEAK else 8 if tier is Tier.PASSWORD else 12
    elif link == "space" and not _is_told(text, found, tier, opened is not None):
        least = 16 if tier is Tier.WEAK else 12
    if link == "space" and not opened and text.startswith("-", start):
        return None
    return _judged(text, start, end, tier, how, least=least, hexadecimal=_may_be_hexadecimal(found["name"], tier, link, how))


def _may_be_hexadecimal(name: str, tier: Tier, link: str, how: How) -> bool:
    """Tell whether plain hexadecimal beside this name is a secret, and not a digest or an id."""
    if tier is Tier.WEAK:
        return name.isupper() or not name.lower().endswith(("key", "keys", "tokens", "cookie"))
    return link != "space" or how == "quoted" or name.isupper() or not name.isalpha() or not (name.islower() or name.istitle())


def _how(text: str, found: re.Match[str], link: str, before: str, end: int, tier: Tier) -> How:
    if link == "space":
        return "tight" if tier is Tier.PASSWORD and _NETRC.search(text, max(0, found.start() - 240), found.start()) else "plain"
    if link not in ("assign", "default", "typed", "pair"):
        return "plain"
    op = found[link] or ":"  # `:-` outside of `${...}` is a colon before a value that begins with a dash
    if op.startswith((" ", "\t")):
        return "spaced" if "=" in op else "plain"
    if link == "default":
        return "tight"
    name = found["name"]
    attached = "=" in op and not op.endswith((" ", "\t"))
    tied = name.isupper() or name.startswith("-") or before in (*_QUERY, ";") or text[end : end + 1] in (";", "&")
    return "tight" if attached and tied else "plain"


def _is_told(text: str, found: re.Match[str], tier: Tier, quoted: bool) -> bool:
    """Tell whether a name followed by a blank is surely followed by its value: an option, a setter before it, SQL, a netrc
    file."""
    name = found["name"]
    if name.startswith("-"):
        return True
    start = found.start()
    if tier is Tier.PASSWORD and (quoted or _NETRC.search(text, max(0, start - 240), start)):
        return True
    return name.lower() in ("requirepass", "masterauth") or _SETTER.search(text, max(0, start - 24), start) is not None


def _inside(text: str, opened: re.Match[str]) -> tuple[int, int]:
    quote = opened["quote"]
    start = opened.end()
    if quote.startswith("&"):
        inside = _TO_ENTITY.match(text, start)
    elif quote[0] == "\\":
        inside = _TO_QUOTE[quote[-1]].match(text, start)
    else:
        inside = _INSIDE[quote].match(text, start)
    end = inside.end() if inside else start
    while quote[0] == "\\" and end > start and text[end - 1] == "\\":
        end -= 1
    return start, end


def _bare(text: str, at: int, pattern: re.Pattern[str]) -> tuple[int, int]:
    bare = pattern.match(text, at)
    if bare is None:
        return at, at
    end = bare.end()
    first = _CUTS.search(text, at + 1, end)
    # What follows a separator tells whether it ends the value, so the search may look a little behind the value's end.
    cut = _CUT.search(text, first.start(), min(len(text), end + 48)) if first else None
    end = min(end, cut.start()) if cut else end
    while end > at + 1 and text[end - 1] in ",;.:)]}":
        end -= 1
    return at, end


def _judged(text: str, start: int, end: int, tier: Tier, how: How, *, least: int = 0, hexadecimal: bool = True) -> Span | None:
    value = text[start:end]
    bare = value.strip()
    if bare != value:
        start += len(value) - len(value.lstrip())
        end = start + len(bare)
    if not bare or not _is_secret(bare[:128], tier, how, least, hexadecimal):
        return None
    if how != "quoted" and end - start > 96:
        more = _BARE_MORE.match(text, end)
        end = more.end() if more else end
    return Span(start, end, "password" if tier is Tier.PASSWORD else "secret")


@lru_cache(maxsize=4096)
def _is_secret(value: str, tier: Tier, how: How, least: int, hexadecimal: bool) -> bool:
    if tier is Tier.WEAK or least:
        return is_opaque(value, least=least or 16, hexadecimal=hexadecimal) and not stands_for(value, quoted=how == "quoted")
    return is_password(value, how=how) if tier is Tier.PASSWORD else is_token(value, how=how)
