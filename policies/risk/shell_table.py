"""The table of commands as data: read once, merged with the user's own, compiled, and named by a digest.

    flags: "-l -n=number --color?=text -#"   exact spellings; `=` takes a value, `?=` only an attached one, `=a,b` two, `-#` is -5
    args:  "pattern path*"                    the role of each positional; `?` optional, `*` any number, at the end
    subs / forms                              sub-commands; alternatives of which one has to fit
    style: gnu | posix | go                   how flags are written; `run` hands the whole command to a handler in code
    any_of: flags of which one has to be there; `wild`: no flag of the real tool does harm, so an unknown word may turn out to be one
    default: the role under which `.` is judged when no positional was given; `output`: what it prints; `level`: what it is when all fits

A role `one|of|these` accepts exactly those words. Nothing here decides by itself that something is harmful.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import yaml

from ...schemas.risk import Level
from .surroundings import Surroundings

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FIELDS = frozenset(
    [
        "flags",
        "args",
        "subs",
        "forms",
        "style",
        "any_of",
        "wild",
        "default",
        "output",
        "level",
        "run",
        "use",
        "with_help",
        "note",
        "match",
        "no_match",
    ]
)

_BEFORE_HEAD = (
    r"^(?:(?:\S*/)?(?:sudo|doas|nohup|time|nice|timeout|env|command|builtin|exec|xargs|busybox|stdbuf|setsid)"
    r"\s+(?:-\S+\s+|\d\S*\s+|\w+=\S*\s+)*)*(?:\S*/)?"
)
"""What may stand before the head that a rule names: wrappers with their flags, and a folder."""


@dataclass(frozen=True, slots=True)
class Flag:
    """An accepted flag: the roles of its values, and whether the value must be attached."""

    roles: tuple[str, ...] = ()
    attached_only: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """What is accepted after a head, or after one of its sub-commands."""

    name: str
    flags: Mapping[str, Flag] = field(default_factory=dict)
    args: tuple[str, ...] = ()
    rest: str = ""
    style: str = "gnu"
    any_of: frozenset[str] = frozenset()
    wild: bool = False
    default: str = ""
    output: str = "text"
    level: Level = Level.LOW
    run: str = ""
    subs: Mapping[str, Entry] = field(default_factory=dict)
    forms: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Danger:
    """A known harm: a pattern over the words of a command or over the whole text, and how bad it is."""

    rule: str
    level: Level
    text: str
    words: re.Pattern[str] | None
    raw: re.Pattern[str] | None


@dataclass(frozen=True, slots=True)
class Table:
    """Every entry, by head, and the digest of what it was made from."""

    commands: Mapping[str, Entry]
    probes: Mapping[tuple[str, ...], frozenset[str]]
    variables: frozenset[str]
    names: frozenset[str]
    secret_samples: tuple[str, ...]
    common_endings: frozenset[str]
    dangers: tuple[Danger, ...]
    shapes: Mapping[str, re.Pattern[str]]
    digest: str


def table_of(around: Surroundings) -> Table:
    """Return the shipped table with the user's entries (`around.overlay["commands"]`) over it."""
    extra = around.overlay.get("commands") if around.overlay else None
    return _compiled(json.dumps(extra, sort_keys=True, default=str) if extra else "")


def table_digest(around: Surroundings) -> str:
    """Return `shell:<version>:<sha256, 16 digits>` of the tables in force, for the record of a decision."""
    return table_of(around).digest


@lru_cache(maxsize=16)
def _compiled(overlay: str) -> Table:
    raw, digest, version = _shipped()
    commands: dict[str, Any] = dict(raw["commands"])
    if overlay:
        digest = hashlib.sha256((digest + overlay).encode()).hexdigest()
        for names, spec in _added(json.loads(overlay)):
            commands.update(dict.fromkeys(names.split(), spec))
    groups: Mapping[str, str] = raw["groups"]
    return Table(
        commands={name: entry_of(name, spec or {}, groups) for name, spec in commands.items()},
        probes={tuple(str(words).split()): frozenset(str(heads).split()) for words, heads in raw["probes"].items()},
        variables=frozenset(str(raw["variables"]).split()),
        names=frozenset(str(raw["names"]).split()),
        secret_samples=tuple(str(raw["secret_samples"]).split()),
        common_endings=frozenset(str(raw["common_endings"]).split()),
        dangers=tuple(_danger(rule) for rule in raw["dangers"]),
        shapes={role: re.compile(shape) for role, shape in raw["shapes"].items()},
        digest=f"shell:{version}:{digest[:16]}",
    )


def _added(extra: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The user's entries: a mapping as in the shipped files, or a list whose items name their `command`."""
    if isinstance(extra, Mapping):
        yield from ((str(names), spec) for names, spec in extra.items())
    else:
        yield from ((str(item["command"]), {k: v for k, v in item.items() if k != "command"}) for item in extra)


@lru_cache(maxsize=1)
def _shipped() -> tuple[dict[str, Any], str, int]:
    merged: dict[str, Any] = {"commands": {}, "groups": {}, "probes": {}, "shapes": {}, "dangers": []}
    digest, version = hashlib.sha256(), 0
    folder = importlib.resources.files(__package__ or "policies.risk").joinpath("tables", "shell")
    for part in sorted((p for p in folder.iterdir() if p.name.endswith(".yaml")), key=lambda p: p.name):
        text = part.read_text(encoding="utf-8")
        digest.update(part.name.encode() + b"\0" + text.encode() + b"\0")
        for key, value in yaml.load(text, Loader=_LOADER).items():  # noqa: S506 - the safe loader, in C where there is one
            if key == "version":
                version = max(version, int(value))
            elif key == "commands":
                for names, spec in value.items():
                    for name in str(names).split():
                        if name in merged["commands"]:
                            raise ValueError(f"{part.name}: {name} stands twice in the tables")
                        merged["commands"][name] = spec
            elif isinstance(value, dict):
                merged[key].update(value)
            elif isinstance(value, list):
                merged[key].extend(value)
            else:
                merged[key] = value
    return merged, digest.hexdigest(), version


def entry_of(name: str, spec: Mapping[str, Any], groups: Mapping[str, str]) -> Entry:
    """Compile one entry from its YAML form.

    Raises:
        ValueError: a key is not known, or a positional stands after `*`.
    """
    unknown = set(spec) - _FIELDS
    if unknown:
        raise ValueError(f"{name}: unknown key {min(unknown)!r} in the table of commands")
    texts = [str(spec.get("flags", "")), *(groups[group] for group in str(spec.get("use", "")).split())]
    style = str(spec.get("style", "gnu"))
    flags: dict[str, Flag] = {}
    for token in " ".join(texts).split():
        spelling, _, roles = token.partition("=")
        flags[spelling.rstrip("?")] = Flag(tuple(roles.split(",")) if roles else (), spelling.endswith("?") and bool(roles))
    if style == "gnu" and spec.get("with_help", True):
        flags.setdefault("--help", Flag())
        flags.setdefault("--version", Flag())
    args, rest = _positionals(name, str(spec.get("args", "")))
    base = {
        key: value
        for key, value in spec.items()
        if key in ("style", "wild", "with_help", "output", "level", "default", "run", "use", "flags", "args")
    }
    subs: dict[str, Entry] = {}
    for names, sub in (spec.get("subs") or {}).items():
        for sub_name in str(names).split():
            subs[sub_name] = entry_of(
                f"{name} {sub_name}", {"style": style, "with_help": spec.get("with_help", True), **(sub or {})}, groups
            )
    forms = tuple(entry_of(name, {**base, **form}, groups) for form in spec.get("forms") or ())
    return Entry(
        name=name, flags=flags, args=args, rest=rest, style=style, subs=subs, forms=forms,
        any_of=frozenset(str(spec.get("any_of", "")).split()), wild=bool(spec.get("wild", False)),
        default=str(spec.get("default", "")), output=str(spec.get("output", "text")),
        level=Level(str(spec.get("level", "LOW"))), run=str(spec.get("run", "")),
    )  # fmt: skip


def _positionals(name: str, text: str) -> tuple[tuple[str, ...], str]:
    roles: list[str] = []
    for token in text.split():
        if token.endswith("*"):
            if token != text.split()[-1]:
                raise ValueError(f"{name}: only the last positional may repeat")
            return tuple(roles), token[:-1]
        roles.append(token.rstrip("?"))
    return tuple(roles), ""


def _danger(rule: Mapping[str, Any]) -> Danger:
    words, raw = rule.get("words"), rule.get("raw")
    if rule.get("head"):
        words = f"{_BEFORE_HEAD}(?:{rule['head']}){'|' + str(words) if words else ''}"
    return Danger(
        rule=f"shell.danger.{rule['rule']}", level=Level(str(rule.get("level", "CRITICAL"))), text=str(rule["text"]),
        words=re.compile(str(words)) if words else None, raw=re.compile(str(raw)) if raw else None,
    )  # fmt: skip
