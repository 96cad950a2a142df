"""The rule tables: the YAML beside this file, their versions, the digest that names them, and what a user lays over them.

Rules
- A table is data with a `version`; it is read once, and every assessment records the digest of all tables and of the user's additions.
- The user's additions (`risk:` in the configuration) are a closed shape; an entry carries its own tests, `match:` (is LOW with it) and
  `no_match:` (is not LOW even with it), and they are run when it loads. A failing example is an error, never a warning.
- Additions may name hosts, SQL functions and commands that are known to read only, and secret paths. They cannot remove a shipped rule.

What it does not do: judge. The judge is an argument, so that this module knows no kind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import yaml

from ...schemas.errors import InvalidConfiguration
from ...schemas.risk import Level, Risk

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SHAPES: dict[str, tuple[str, str]] = {
    "hosts": ("host", "http"),
    "functions": ("function", "sql"),
    "commands": ("command", "shell"),
    "secrets": ("path", "file_read"),
}
"""Key of the overlay → the field that names an entry, and the kind that judges its examples."""

Judge = Callable[[str, object, Mapping[str, Any]], Risk]


@cache
def table(name: str) -> Mapping[str, Any]:
    """Read a shipped table, for example `paths`.

    Raises:
        InvalidConfiguration: the table is not there, is not a mapping or has no version.
    """
    place = _folder() / f"{name}.yaml"
    try:
        read = yaml.load(place.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe loader, in C where there is one
    except FileNotFoundError:
        raise InvalidConfiguration(f"there is no rule table {name!r}", hint="reinstall assent") from None
    if not isinstance(read, dict) or not isinstance(read.get("version"), int):
        raise InvalidConfiguration(f"rule table {name!r} is no mapping with a version", hint="reinstall assent")
    return read


@cache
def shipped_digest() -> str:
    """Name the shipped tables by their bytes: SHA-256 over every file's name and content."""
    state = hashlib.sha256()
    for name, place in sorted(_files(_folder(), "")):
        content = place.read_bytes()
        state.update(f"{name}\0{len(content)}\0".encode())
        state.update(content)
    return state.hexdigest()


def digest(overlay: Mapping[str, Any]) -> str:
    """Name all rules that an assessment consulted: the shipped tables, and the user's additions when there are any."""
    if not overlay:
        return f"sha256:{shipped_digest()}"
    added = json.dumps(overlay, sort_keys=True, ensure_ascii=False, default=str)
    return f"sha256:{hashlib.sha256((shipped_digest() + added).encode('utf-8', 'surrogatepass')).hexdigest()}"


_NEVER_LOW = frozenset(
    ["rm", "rmdir", "unlink", "shred", "dd", "mkfs", "mke2fs", "wipefs", "fdisk", "parted", "truncate", "sudo", "su", "doas", "pkexec", "chroot", "nsenter", "unshare", "runuser", "chmod", "chown", "chgrp", "setfacl", "setcap", "chattr", "mount", "umount", "kill", "killall", "pkill", "shutdown", "reboot", "poweroff", "halt", "init", "systemctl", "crontab", "at", "iptables", "nft", "ufw", "passwd", "useradd", "userdel", "usermod", "visudo", "bash", "sh", "zsh", "dash", "ksh", "fish", "eval", "source", "exec", "env", "xargs", "nc", "ncat", "netcat", "socat", "telnet", "ssh", "scp", "sftp", "rsync", "rclone", "ftp", "tftp", "insmod", "rmmod", "modprobe", "swapoff"]
)
"""Heads that a user's addition cannot make LOW: what they do cannot be read off their flags."""


def read_overlay(document: object, judge: Judge, *, file: str = "") -> Mapping[str, Any]:
    """Check a user's additions and the examples beside them.

    Args:
        document: the value of `risk:` as it was read: `{hosts: [...], functions: [...], commands: [...], secrets: [...]}`.
        judge: kind, payload and overlay in, Risk out.
        file: where it was written, for the error.

    Raises:
        InvalidConfiguration: a wrong shape, or an example that does not hold; names every problem.
    """
    if document in (None, {}):
        return {}
    problems: list[str] = []
    if not isinstance(document, dict):
        raise _refused(["risk: is a mapping"], file)
    for key, entries in document.items():
        if key not in _SHAPES:
            problems.append(f"risk.{key}: unknown; known are {', '.join(_SHAPES)}")
        elif not isinstance(entries, list):
            problems.append(f"risk.{key}: a list is expected")
        else:
            problems += [problem for index, entry in enumerate(entries) for problem in _entry_problems(key, index, entry)]
    if problems:
        raise _refused(problems, file)
    for key, entries in document.items():
        for index, entry in enumerate(entries):
            problems += _example_problems(key, index, entry, judge, document)
    if problems:
        raise _refused(problems, file)
    return document


def entries(overlay: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    """Yield the user's entries below a key, in order; nothing when there are none."""
    for entry in overlay.get(key) or ():
        if isinstance(entry, Mapping):
            yield entry


def _folder() -> Traversable:
    return resources.files(__package__ or "assent.policies.risk") / "tables"


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for place in folder.iterdir():
        if place.is_dir():
            yield from _files(place, f"{prefix}{place.name}/")
        elif place.name.endswith(".yaml"):
            yield prefix + place.name, place


def _entry_problems(key: str, index: int, entry: object) -> Iterator[str]:
    where, (name, _) = f"risk.{key}[{index}]", _SHAPES[key]
    if key == "commands" and isinstance(entry, dict) and str(entry.get(name)) in _NEVER_LOW:
        yield f"{where}: {entry.get(name)} destroys, escalates or runs text as code; no configuration makes it harmless"
    if not isinstance(entry, dict):
        yield f"{where}: a mapping with `{name}`, `match` and `no_match` is expected"
        return
    if not isinstance(entry.get(name), str) or not entry[name].strip():
        yield f"{where}.{name}: a text is expected"
    for field in ("match", "no_match"):
        if not isinstance(entry.get(field, []), list):
            yield f"{where}.{field}: a list of examples is expected"
    if not entry.get("match"):
        yield f"{where}.match: at least one example is expected, so that the entry is known to do something"


def _example_problems(key: str, index: int, entry: Mapping[str, Any], judge: Judge, overlay: Mapping[str, Any]) -> Iterator[str]:
    kind = _SHAPES[key][1]
    proves_low = key != "secrets"  # a secret path raises, the other additions lower
    for field, wants_low in (("match", proves_low), ("no_match", not proves_low)):
        for example in entry.get(field, []):
            payload = {"method": "GET", "url": example} if kind == "http" and isinstance(example, str) else example
            risk = judge(kind, payload, overlay)
            if (risk.level == Level.LOW) != wants_low:
                wanted = "LOW" if wants_low else "above LOW"
                yield f"risk.{key}[{index}].{field}: {example!r} should be {wanted} and is {risk.level} ({', '.join(risk.rules)})"


def _refused(problems: list[str], file: str) -> InvalidConfiguration:
    listed = "\n".join(f"  {problem}" for problem in problems)
    return InvalidConfiguration(
        f"{file or 'the configuration'} has additions to the risk tables that do not hold:\n{listed}",
        hint="an addition is tested by its own examples when it loads; correct the entry or the example",
        file=file,
        problems=problems,
    )
