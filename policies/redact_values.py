"""Judge a value: is it a secret, something that stands for one, or plain words?

- A marker of an earlier pass, a reference (`${VAR}`, `os.environ[...]`, `op://vault/item`) and a placeholder (`<token>`,
  `changeme`, `xxxx`) are no secrets, whatever the name beside them.
- *Opaque* means that nobody would write it as words: digits among letters, changing case, no pronounceable runs.
- How much is asked of a value depends on its name (`redact_names.Tier`): a password may be a word, a token must not be words,
  and beside a doubtful name only opaque values count.

Each test reads at most `_READ` characters, so that judging is constant in the length of the text. It does not look at the
surroundings.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from .redact_span import is_marker
from .redact_table import table

How = Literal["quoted", "tight", "plain", "spaced"]
"""How a value is tied to its name: in quotes; by `=` without blanks to an option or an upper-case name, where a bare word is
a value and not a
variable; by `:` or `=`; by `=` with blanks around it, as in code."""

_READ = 128

_TEMPLATE = re.compile(
    r"""
      \$\w+ | \$\{[^}]*\}.* | \$\{\{.* | \$\(.* | \$env:.* | `.*                      # shells, CI
    | %\w+% | %\(\w+\)[sdr] | %[sdrvq] | \{\{.* | \{%.* | \{[\w.\[\]'":!-]*\} | \#\{.*  # cmd, printf, Jinja, str.format, Ruby
    | <.* | \[[\w\s.-]*\]? | \(.* | @[\w.]+@? | :\w+ | \?                          # angle brackets, SQL parameters
    | !(?:Ref|Sub|GetAtt|ImportValue|secret|vault|env|env_var|reference|include|file)\b.*   # tags of YAML
    | [*•x.X_\-#?=…~]+ | \\. .*                                                    # masks
    """,
    re.VERBOSE | re.DOTALL,
)
_TEMPLATE_INSIDE = re.compile(
    r"\$\{\{?[^{}]{0,64}\}|\{\{[^{}]{0,64}\}\}|\$\([^()]{0,64}\)|%\(\w{1,64}\)s|#\{[^{}]{0,64}\}|\$[A-Z_]{3,}\b"
    r"|<[A-Za-z][\w -]{0,64}>"
)
_PATH = re.compile(
    r"(?:~|\.{1,2})?/(?:run|etc|var|home|usr|opt|tmp|mnt|srv|root|secrets|vault|dev|proc|app|data|workspace|keys|Users|private"
    r"|path|config|certs?)(?:/.*)?"
    r"|(?:~|\.{1,2})[/\\].*|[A-Za-z]:\\.*"
    r"|[\w./-]+\.(?:pem|key|crt|cer|txt|json|ya?ml|env|toml|ini|conf|py|js|ts|go|rb|php|java|html?|md|pub|p12|jks|enc)"
)
_CODE = re.compile(r"[A-Za-z_$][\w$]*(?:(?:\.|->|::|\?\.)[A-Za-z_$][\w$]*)*(?:\(.*|\[.*|\{.*|\?|!|<.*|\.\.\.)?", re.DOTALL)
_CALL = re.compile(r"(?:await|new|not|lambda|async|function|yield)\b|/\^|[A-Za-z_$][\w$.]*(?:\(|\[|::|->)")
_DOTTED = re.compile(r"[A-Za-z_][\w]*(?:\??\.[A-Za-z_]\w*)*\??\.([A-Za-z_]\w*)")
_VARIABLE = re.compile(r"[$@][A-Za-z_]\w*(?:$|->|[-.\[(:?])")
_RUN = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[A-Z]")
_BETWEEN = re.compile(r"(?<=[A-Za-z])[0-9]+(?=[A-Za-z])")
_PARTS = re.compile(r"[A-Za-z]+")
_LETTERS = re.compile(r"[^\W\d_]+(?:[ _./:'’,-]+[^\W\d_]+)*[.!?:…]*")
_HEX = re.compile(r"[0-9a-f]{16,}|[0-9A-F]{16,}")
_STEM = re.compile(r"passw|secret|token|passphrase|credential|api[_-]?key", re.IGNORECASE)


def stands_for(value: str, *, quoted: bool = True) -> bool:
    """Tell whether a value is no secret but a marker, a placeholder, a template or a reference to one.

    Args: `value` without its quotes; `quoted=False` if it stood bare, where an identifier is a reference.
    """
    text = value[:_READ].strip()
    if not text or is_marker(text) or _TEMPLATE.fullmatch(text):
        return True
    return _stands_for(text, quoted)


@lru_cache(maxsize=2048)
def _stands_for(text: str, quoted: bool) -> bool:
    low = text.lower()
    words = table().values
    if low.strip(" .:!?,;*") in _whole():
        return True
    if len(set(low)) <= (2 if len(low) > 5 else 1) or _says().search(low):
        return True
    if low.startswith(tuple(w.lower() for w in words["points"])) or text.startswith(words["fetched"]):
        return True
    if _PATH.fullmatch(text) or _TEMPLATE_INSIDE.search(text):
        return True
    return not quoted and _is_code(text)


def _is_code(text: str) -> bool:
    """Tell whether a bare value is an expression: a call, an index, an attribute, a variable with its sigil."""
    if _VARIABLE.match(text) or _CALL.match(text):
        return True
    dotted = _DOTTED.fullmatch(text)
    return dotted is not None and len(dotted[1]) > 2 and is_wordy(dotted[1])


@lru_cache(maxsize=1)
def _whole() -> frozenset[str]:
    return frozenset(table().values["stands_for"])


@lru_cache(maxsize=1)
def _says() -> re.Pattern[str]:
    return re.compile("|".join(re.escape(w) for w in table().values["says"]))


def is_wordy(value: str) -> bool:
    """Tell whether a value reads as words and small numbers (`my-app-secret`, `createdAt`, `v2`), not as something random."""
    text = value[:_READ]
    total, digits, mean, likeness = _measured(text)
    if mean < 2.6 or likeness < 0.6 or (digits > 4 and digits * 3 > total) or (total >= 20 and mean < 3.4):
        return False
    between = len(_BETWEEN.findall(text)) if digits else 0
    return between == 0 or (between == 1 and mean >= 3.6)


@lru_cache(maxsize=4096)
def _measured(text: str) -> tuple[int, int, float, float]:
    """Count letters and digits; measure the mean length of runs of letters of one word, and how many of their pairs English
    has."""
    runs = _RUN.findall(text)
    total = sum(map(len, runs))
    digits = sum(map(str.isdigit, text))
    if not runs:
        return 0, digits, 0.0, 0.0
    likely = _pairs()
    pairs = [run[i : i + 2] for run in map(str.lower, runs) for i in range(len(run) - 1)]
    likeness = sum(pair in likely for pair in pairs) / len(pairs) if pairs else 0.0
    return total, digits, total / len(runs), likeness


@lru_cache(maxsize=1)
def _pairs() -> frozenset[str]:
    return frozenset(row[0] + second for row in table().values["follows"] for second in row[1:])


def is_opaque(value: str, *, least: int = 16, hexadecimal: bool = True) -> bool:
    """Tell whether a value looks random: long enough, mixed, and not wordy.

    Args: `least` characters; `hexadecimal=False` refuses plain hexadecimal and UUIDs, which are more often digests and ids.
    """
    text = value[:_READ]
    if len(text) < least or len(set(text)) < min(7, least - 2) or len(text.split()) != 1:
        return False
    if _HEX.fullmatch(text.replace("-", "")):
        return hexadecimal and not text.isdigit() and not text.isalpha()
    total, digits, mean, likeness = _measured(text)
    if total < 3 or is_wordy(text):
        return False
    if digits:
        return True
    changes = len(_RUN.findall(text)) - len(_PARTS.findall(text))
    return len(text) < total + 3 and len(text) >= 10 and ((mean < 3.2 and changes >= 3) or likeness < 0.45)


def is_password(value: str, *, how: How) -> bool:
    """Tell whether a value beside a password's name is one. A bare word is taken for a variable unless `how` says that it
    cannot be."""
    if len(value) < 4 or stands_for(value, quoted=how == "quoted"):
        return False
    if value.isdigit():
        return True
    spaces = value.count(" ")
    if spaces:
        return how == "quoted" and spaces == 1 and is_opaque(value.replace(" ", ""), least=8)
    head = value[:_READ]
    if _LETTERS.fullmatch(head):
        if is_opaque(value, least=10):
            return True
        if how in ("quoted", "tight") and len(value) >= 8 and not is_wordy(value) and not value.isalpha() and not value.istitle():
            return True
        return len(value) >= 5 and how in ("quoted", "tight") and not _STEM.search(head) and head.isalpha()
    if how in ("plain", "spaced") and (_STEM.search(head) or ("_" in head and _CODE.fullmatch(head) and is_wordy(head))):
        return is_opaque(value)
    return not (_STEM.search(head) and is_wordy(value))


def is_token(value: str, *, how: How) -> bool:
    """Tell whether a value beside the name of a token, key or secret is one: it has digits or looks random, and does not read
    as words."""
    if len(value) < 6 or stands_for(value, quoted=how == "quoted"):
        return False
    if is_opaque(value, least=12):
        return True
    if how == "spaced" or value.count(" ") or is_wordy(value):
        return False
    digits = sum(c.isdigit() for c in value[:_READ])
    if digits == len(value):
        return len(value) >= 12
    return digits > 0 and len(value) >= 8
