"""The configuration of a home: `config.yaml` in it, with what the caller lays over it. Everything else has a shipped value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from ..policies.policy import Policy, read_policy
from ..schemas.errors import InvalidConfiguration
from ..schemas.noun import Noun

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Settings(Noun):
    """What is configured besides the rules."""

    model: str | dict[str, Any] | None = Field(default=None, description="For example `openai:gpt-…`; without one, written documents run and plain language does not.")
    prices: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="USD for a million tokens: vendor, model, {input, cached, output}; before the shipped ones."
    )
    environment: dict[str, str] = Field(default_factory=dict, description="Variables that shell and python steps get; nothing else is passed on.")
    notify: dict[str, Any] = Field(default_factory=dict, description="Channels and routes; see `runtime/notify/channels.py`.")
    guard: Literal["opt_in", "default", "high_risk"] = Field(default="opt_in", description="Which calls of a guarded agent become runs, where the program says nothing.")
    private_hosts: tuple[str, ...] = Field(default=(), description="Hosts with private addresses that http steps may reach.")


def read_settings(home: Path, config: str | Path | Mapping[str, Any] | None) -> tuple[Settings, Policy]:
    """Read `config.yaml` and lay `config` over it.

    Raises:
        InvalidConfiguration: names the file, the key and the remedy.
    """
    layers: list[tuple[str, Mapping[str, Any]]] = []
    own = home / "config.yaml"
    if own.exists():
        layers.append((str(own), _file(own)))
    if isinstance(config, str | Path):
        layers.append((str(config), _file(Path(config))))
    elif config is not None:
        layers.append(("config", config))
    settings: dict[str, Any] = {}
    rules: list[tuple[str, Mapping[str, Any]]] = []
    for name, layer in layers:
        ours = {key: value for key, value in layer.items() if key in Settings.model_fields}
        settings.update(ours)
        rules.append((name, {key: value for key, value in layer.items() if key not in ours}))
    try:
        found = Settings.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InvalidConfiguration(f"{key}: {first['msg']}", hint=f"mend `{key}` in {' or '.join(name for name, _ in layers)}", key=key) from error
    return found, read_policy(*rules)


def files_of(home: Path, config: str | Path | Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the files from which settings are read, whether they are there or not."""
    return (str(home / "config.yaml"), *([str(config)] if isinstance(config, str | Path) else []))


def signature(files: tuple[str, ...]) -> tuple[tuple[int, int, int] | None, ...]:
    """Return what tells whether files are still the same: inode, size and time of change of each; `None` where there is none. Asked for each step."""
    return tuple(map(_seen, files))


def _seen(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - a path object costs more than the question
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _file(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(f"{path} cannot be read: {error}", hint="check the path, or leave it out to take the shipped rules") from error
    try:
        found = yaml.load(text, Loader=_LOADER)  # noqa: S506 - CSafeLoader is the safe loader
    except yaml.YAMLError as error:
        raise InvalidConfiguration(f"{path} is not YAML: {error}", hint="mend the line that it names") from error
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise InvalidConfiguration(f"{path}: expected keys and values, found {type(found).__name__}", hint="for example `preset: team`")
    return found
