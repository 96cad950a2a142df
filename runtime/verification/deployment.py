"""Agent: deployment preparation. Are the configuration files readable, was the way back tried, is something watched.

Rules: `rollback_tested` is what the run's own record says, handed in as an input; this agent never concludes it from a file that describes it.
Source: E5, agent 5 of the extended testing phase.
"""

from __future__ import annotations

import configparser
import json
import tomllib
from typing import Any

import yaml

from ...schemas.agent_message import AgentMessage
from ..analysis.sources import Repository, path_of, read_repository, without_of
from .workplace import inputs_of

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WATCHING = ("prometheus", "alerts", "alertmanager", "grafana", "monitoring", "dashboards")
_MOST = 40


def deployment(message: AgentMessage) -> dict[str, Any]:
    """Return the report of the deployment. Raises: NotFound: the task names no folder."""
    found = read_repository(path_of(message), without_of(message))
    unreadable = [(name, said) for name in found.files if (said := _unreadable(found, name))]
    watched = [name for name in found.files if any(word in name.lower() for word in _WATCHING)][:_MOST]
    tested = inputs_of(message).get("rollback_tested") is True
    return {
        "summary": f"{len(unreadable)} configuration files cannot be read; the rollback was {'' if tested else 'not '}tested; {len(watched)} files about monitoring.",
        "findings": [
            *({"subject": name, "aspect": "readable", "value": False, "severity": "high", "text": said, "evidence": [name]} for name, said in unreadable[:_MOST]),
            {"subject": "rollback", "aspect": "tested", "value": tested, "severity": "info" if tested else "high", "text": f"the rollback was {'' if tested else 'not '}tested"},
        ],
        "risks": [] if tested else [{"level": "HIGH", "text": "nobody has tried the way back"}],
        "advice": [] if tested else [{"action": "try the rollback before the deployment", "layer": "support", "severity": "high"}],
        "data": {"unreadable": [name for name, _ in unreadable], "rollback_tested": tested, "monitoring": watched},
    }


def _unreadable(found: Repository, name: str) -> str:
    try:
        if name.endswith(".toml"):
            tomllib.loads(found.text(name))
        elif name.endswith(".json"):
            json.loads(found.text(name))
        elif name.endswith((".yaml", ".yml")):
            for _ in yaml.parse(found.text(name), Loader=_LOADER):  # events only: tags of others' tools are not our matter
                pass
        elif name.endswith((".ini", ".cfg")):
            configparser.ConfigParser(interpolation=None, strict=False).read_string(found.text(name))
    except (ValueError, yaml.YAMLError, configparser.Error, RecursionError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
    return ""
