"""What `assent doctor` looks at besides the ledger: installation, home, workspace, configuration, people, model, editor."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from ...policies.approvals import ALL_ROLES
from ...policies.policy import Policy
from ...schemas.errors import InvalidConfiguration, StoreUnavailable
from ...schemas.risk import Level
from ...tools.environment import MARK
from ..home import hold_own, of_somebody_else, ways_in
from ..identity import is_marked, operating_system_user
from ..settings import Settings, read_settings

_PINNED = ("langgraph", "langchain-core", "langgraph-checkpoint-sqlite", "pydantic", "openai", "sqlglot", "tree-sitter", "tree-sitter-bash")
_WAL_IS_SAFE = (3, 51, 3)
_LITTLE_BYTES, _LEAST_BYTES = 1024**3, 100 * 1024**2


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "warn", "fail"]
    said: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """Return what `--json` prints."""
        return asdict(self)


def installation() -> Iterator[Check]:
    """Look at Python, SQLite, the packages that are pinned, and bash."""
    enough = sys.version_info >= (3, 11)
    yield Check("python", "ok" if enough else "fail", platform.python_version(), "install Python 3.11 or newer")
    gate = "" if sqlite3.sqlite_version_info >= _WAL_IS_SAFE else "; older than 3.51.3, so checkpoints are safe only behind the ledger's own lock, which is in use"
    yield Check("sqlite", "ok", f"{sqlite3.sqlite_version}{gate}")
    yield from _packages()
    bash = "/bin/bash" if os.access("/bin/bash", os.X_OK) else shutil.which("bash")
    yield Check("bash", "ok" if bash else "warn", bash or "not found; shell steps cannot run", "install bash")


def _packages() -> Iterator[Check]:
    from packaging.requirements import Requirement

    wanted = {found.name: found for found in map(Requirement, metadata.requires("assent") or []) if found.marker is None}
    right, wrong = [], []
    for name in _PINNED:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        pin = wanted.get(name)
        if pin is not None and not pin.specifier.contains(version, prereleases=True):
            wrong.append(f"{name} {version}, wanted {pin.specifier}")
        else:
            right.append(f"{name} {version}")
    yield Check("packages", "fail" if wrong else "ok", "; ".join(wrong or right), "install assent again: `pip install --upgrade assent`")


def home(root: Path) -> Iterator[Check]:
    """Look at the home folder: that it is its owner's alone, can be written, and has room."""
    if not root.exists():
        yield Check("home", "warn", f"there is no home at {root} yet", "`assent run` makes one; name another with --home or ASSENT_HOME")
        return
    if not root.is_dir():
        yield Check("home", "fail", f"{root} is not a folder", "name another one with --home")
        return
    try:
        hold_own(root)
    except StoreUnavailable as closed:
        yield Check("home", "fail", closed.message, closed.hint)
        return
    found = root.stat()
    mode = stat.S_IMODE(found.st_mode)
    loose = [f"{path.name} is {stat.S_IMODE(path.stat().st_mode):04o}" for path in (root / "ledger.db", root / "checkpoints.db") if path.exists() and path.stat().st_mode & 0o077]
    if owner := of_somebody_else(root):
        yield Check("home", "warn", f"{root} belongs to {owner}, not to you", ways_in(owner))
    elif mode & 0o077 or loose:
        said = "; ".join([f"{root} is {mode:04o}"] * bool(mode & 0o077) + loose)
        yield Check("home", "fail", f"others can read it: {said}", f"`chmod -R go-rwx {root}`")
    elif not os.access(root, os.W_OK):
        yield Check("home", "fail", f"{root} cannot be written", f"`chmod u+rwx {root}`")
    else:
        yield Check("home", "ok", f"{root} ({mode:04o})")
    free = shutil.disk_usage(root).free
    state: Literal["ok", "warn", "fail"] = "fail" if free < _LEAST_BYTES else "warn" if free < _LITTLE_BYTES else "ok"
    yield Check("disk space", state, f"{free / 1024**3:.1f} GB free", "free some space; a full disk stops runs, and loses nothing")


def workspace(folder: Path, root: Path) -> Iterator[Check]:
    """Look at the workspace: that it exists, and is not so wide that confinement means nothing."""
    if not folder.is_dir():
        yield Check("workspace", "fail", f"{folder} is not a folder", "give a folder that exists with --workspace")
        return
    person = Path("~").expanduser().resolve()
    if folder in (Path(folder.anchor), person) or folder in person.parents:
        yield Check("workspace", "warn", f"{folder} holds far more than one project", "give the project's own folder with --workspace")
        return
    if not os.access(folder, os.W_OK):
        yield Check("workspace", "warn", f"{folder} cannot be written; only steps that read will work", "check the folder's owner and permissions")
        return
    inside = "; the home lies inside it" if root.resolve().is_relative_to(folder) else ""
    yield Check("workspace", "ok", f"{folder}{inside}")


def configuration(root: Path, config: str | None) -> Iterator[Check]:
    """Look at the configuration, the model, and who could approve what."""
    try:
        settings, policy = read_settings(root, config)
    except InvalidConfiguration as error:
        key = error.fields.get("key")
        yield Check("configuration", "fail", error.message + (f" (key: {key})" if key else ""), error.hint)
        return
    own = root / "config.yaml"
    files = [str(path) for path in (own, *([Path(config)] if config else [])) if path.exists()]
    yield Check("configuration", "ok", f"preset {policy.preset}; {' + '.join(files) or 'shipped rules only'}")
    yield _model(settings)
    yield from _channels(settings, policy)
    yield from _people(policy)


def _channels(settings: Settings, policy: Policy) -> Iterator[Check]:
    if not settings.notify:
        return
    from ..notify.channels import warnings
    from ..upkeep import read_channels

    try:
        channels, routes = read_channels(settings, policy)
    except InvalidConfiguration as error:
        yield Check("notifications", "fail", error.message, error.hint)
        return
    assert channels is not None
    yield Check("notifications", "ok", f"{len(list(channels))} channels, {len(routes)} routes; `assent notify test CHANNEL` tries one")
    for said, remedy in warnings(channels):
        yield Check("notifications", "warn", said, remedy)


def _model(settings: Settings) -> Check:
    name = settings.model if isinstance(settings.model, str | None) else str(settings.model.get("model", "configured"))
    if not name:
        return Check("model", "ok", "none; written documents run, plain language needs one (`model:` in config.yaml)")
    if name.startswith("openai:") and not os.environ.get("OPENAI_API_KEY"):
        return Check("model", "warn", f"{name}, but OPENAI_API_KEY is not set", "set OPENAI_API_KEY, or remove `model:` from config.yaml")
    return Check("model", "ok", name)


def _people(policy: Policy) -> Iterator[Check]:
    you = operating_system_user()
    if is_marked():
        remedy = f"decide in a terminal of your own; unset {MARK} if no agent runs here"
        yield Check("approvers", "warn", f"{MARK} is set, so whoever acts in this process is an agent and decides nothing", remedy)
    known = {name: member.roles for name, member in policy.actors.items() if member.kind == "human"}
    if policy.preset == "solo" and you not in policy.actors:
        known[you] = ALL_ROLES
    for level in Level:
        rule = policy.approvals[level]
        able = sorted(name for name, roles in known.items() if set(roles) & set(rule.roles))
        spare = 1 if level in policy.separation_of_duties else 0
        missing = rule.approvals + spare - len(able)
        roles = " or ".join(rule.roles)
        who = ", ".join(f"{name} (you)" if name == you else name for name in able) or "nobody"
        said = f"{level.value} takes {rule.approvals} of {roles}: {who}"
        if missing <= 0:
            yield Check("approvers", "ok", said)
            continue
        besides = " besides whoever asks" if spare else ""
        yield Check(
            "approvers", "warn", f"{said}; {missing} more {'person is' if missing == 1 else 'people are'} needed{besides}",
            f"add them to config.yaml, for example `actors: {{name: {{roles: [{rule.roles[-1]}]}}}}`",
        )  # fmt: skip


def editor() -> Iterator[Check]:
    """Look for an editor, which Modify and `assent edit` need."""
    from .editing import editor as configured

    try:
        words = configured()
    except InvalidConfiguration as error:
        yield Check("editor", "warn", error.message, error.hint)
        return
    found = shutil.which(words[0])
    yield Check("editor", "ok" if found else "warn", " ".join(words) + ("" if found else ": not found"), "set VISUAL or EDITOR to one that exists")
