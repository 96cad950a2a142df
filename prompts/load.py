"""Load a prompt's template and fill it in: strictly, and with every text from outside fenced off as data.

A template is markdown beside this file. Its head declares what is filled in; `outside` names what was not written by assent:

    ---
    variables: [tools, request]
    outside: [request]
    ---
    # system
    … {{ fence }} … {{ tools }}
    # user
    {{ request }}

Rules:
- an unknown, missing, undeclared or unused variable is an error, and so is any other pair of braces in the template;
- what is filled in is never read as a template again;
- text from outside stands between two lines with a number that is drawn anew for each prompt, so it cannot end its own fence;
- the digest of the template's bytes goes with each prompt.

Source: DESIGN §7. Deliberately absent: hiding secrets; the caller does that before a text comes here.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, cast

import yaml

from ..schemas.canonical import canonical, digest
from ..schemas.prompt import Message, Prompt

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_VARIABLE = re.compile(r"\{\{ ([a-z_]+) \}\}")
_HEADING = re.compile(r"^# (system|user|assistant)\n", re.MULTILINE)
_HEAD = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_FENCE = "fence"


class BadPrompt(ValueError):
    """A template is not well-formed, or is filled in with other variables than it declares; a defect, not a user's mistake."""


@dataclass(frozen=True)
class Template:
    """A template that was checked.

    Args:
        name: of the file, without its ending.
        digest: of its bytes.
        parts: role and text, in order.
        variables: what has to be filled in.
        outside: those of them whose text is fenced.
    """

    name: str
    digest: str
    parts: tuple[tuple[str, str], ...]
    variables: frozenset[str]
    outside: frozenset[str]


def load(name: str) -> Template:
    """Return a shipped template.

    Raises:
        BadPrompt: there is none of that name, or it is not well-formed.
    """
    return _shipped(name)


def read_template(name: str, text: str) -> Template:
    """Read a template and check it.

    Raises:
        BadPrompt: no head, no part, or variables that are used and not declared, or the other way round.
    """
    head = _HEAD.match(text)
    if head is None:
        raise BadPrompt(f"prompt {name}: it begins with its variables between two lines ---")
    declared = yaml.load(head[1], Loader=_LOADER)  # noqa: S506 - the safe loader, in C where there is one
    if not isinstance(declared, dict) or set(declared) - {"variables", "outside"}:
        raise BadPrompt(f"prompt {name}: the head holds `variables` and `outside` and nothing else")
    variables, outside = frozenset(declared.get("variables") or ()), frozenset(declared.get("outside") or ())
    pieces = _HEADING.split(text[head.end() :])
    parts = tuple((role, body.strip()) for role, body in zip(pieces[1::2], pieces[2::2], strict=True))
    if not parts or pieces[0].strip() or not all(body for _, body in parts):
        raise BadPrompt(f"prompt {name}: every text stands below `# system`, `# user` or `# assistant`")
    used = {found for _, body in parts for found in _VARIABLE.findall(body)} - {_FENCE}
    if used != variables:
        raise BadPrompt(f"prompt {name}: declared and used variables differ: {', '.join(sorted(used ^ variables))}")
    if outside - variables:
        raise BadPrompt(f"prompt {name}: `outside` names no variable: {', '.join(sorted(outside - variables))}")
    if any("{{" in rest or "}}" in rest for _, body in parts for rest in [_VARIABLE.sub("", body)]):
        raise BadPrompt(f"prompt {name}: a variable is written {{{{ name }}}}")
    return Template(name, digest(text.encode()), parts, variables, outside)


def fill(template: Template, given: Mapping[str, str], *, fence: str = "", after: Prompt | None = None) -> Prompt:
    """Fill a template in.

    Args:
        given: a text for every variable, and for no other name.
        fence: stands in every fence; drawn by default, and only a test gives one.
        after: a prompt whose conversation this one goes on with.

    Raises:
        BadPrompt: a variable without text, a text without variable, or a given fence that occurs in a text.
    """
    missing, unknown = template.variables - set(given), set(given) - template.variables
    if missing or unknown:
        said = [f"missing {', '.join(sorted(missing))}"] * bool(missing) + [f"unknown {', '.join(sorted(unknown))}"] * bool(
            unknown
        )
        raise BadPrompt(f"prompt {template.name}: {'; '.join(said)}")
    mark = fence or _unheard_of(given)
    if any(mark in text for text in given.values()):
        raise BadPrompt(f"prompt {template.name}: the fence occurs in a text")
    texts = {name: _fenced(name, text, mark) if name in template.outside else text for name, text in given.items()}
    texts[_FENCE] = mark
    messages = tuple(
        Message(
            role=cast("Literal['system', 'user', 'assistant']", role), text=_VARIABLE.sub(lambda found: texts[found[1]], body)
        )
        for role, body in template.parts
    )
    before = after.messages if after is not None else ()
    key = digest(
        canonical(
            [after.key if after is not None else "", template.digest, {name: _spelled(text) for name, text in given.items()}]
        )
    )
    return Prompt(name=template.name, template=template.digest, key=key, messages=before + messages)


def _fenced(name: str, text: str, mark: str) -> str:
    return f"<<{name} {mark}>>\n{text}\n<<end of {name} {mark}>>"


def _unheard_of(given: Mapping[str, str]) -> str:
    while True:
        mark = secrets.token_hex(16)
        if not any(mark in text for text in given.values()):
            return mark


def _spelled(text: str) -> str:
    # Canonical bytes cannot hold half a surrogate pair, which file names can.
    return text.encode("utf-8", "backslashreplace").decode()


@cache
def _shipped(name: str) -> Template:
    place = files(__package__ or "assent.prompts").joinpath(f"{name}.md")
    if not re.fullmatch(r"[a-z_]+", name) or not place.is_file():
        raise BadPrompt(f"there is no prompt {name!r}")
    return read_template(name, place.read_text(encoding="utf-8"))
