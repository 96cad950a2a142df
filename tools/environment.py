"""The environment of a command: built from nothing, so that an assessed command means what it says.

Rules: nothing is inherited; a step is marked, so that it cannot answer as the person whose process it is; the configuration may add variables, and may not bring back what makes programs load or run others. Git's pager,
prompts, hooks and file system monitor are off, because a repository's own configuration could name programs there.
Source: the design notes on risk (item 2).
"""

from __future__ import annotations

import os
import pwd
import re
from pathlib import Path

from .tool import Place, ToolRefused

MARK = "ASSENT_AGENT"
"""Says to everything that a step starts, and to agents that people start with it, that whoever acts here is no person (`runtime/identity.py`)."""
_FIXED = {
    MARK: "step",
    "LC_ALL": "C.UTF-8",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}
_GIT_CONFIG = (("core.fsmonitor", "false"), ("core.hooksPath", "/dev/null"), ("log.showSignature", "false"))
_FORBIDDEN = re.compile(
    r"LD_.*|DYLD_.*|BASH_ENV|ENV|SHELLOPTS|BASHOPTS|BASH_FUNC_.*|PS4|IFS|CDPATH|PROMPT_COMMAND|PYTHON(STARTUP|INSPECT)|GIT_CONFIG.*|GIT_EXTERNAL_DIFF"
)


def environment(place: Place) -> dict[str, str]:
    """Return the whole environment of a command in this place.

    Raises:
        ToolRefused: the configuration sets a variable that would change what an assessed command means.
    """
    variables = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": home_folder(),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "TZ": "UTC",
    }
    for name, value in place.environment.items():
        if _FORBIDDEN.fullmatch(name) or name in _FIXED or not name or "=" in name or "\0" in name + value:
            raise ToolRefused(
                f"the configured environment may not set {name!r}: it would change what an assessed command does",
                rule="process.environment",
            )
        variables[name] = value
    pairs: tuple[tuple[str, str], ...] = _GIT_CONFIG
    if _names_a_diff_program(place.workspace):
        pairs = (*pairs, ("diff.external", ""))
    variables.update(_FIXED, GIT_CONFIG_COUNT=str(len(pairs)))
    for index, (key, value) in enumerate(pairs):
        variables[f"GIT_CONFIG_KEY_{index}"] = key
        variables[f"GIT_CONFIG_VALUE_{index}"] = value
    return variables


def home_folder() -> str:
    """Return the home folder of commands: the real user's, whatever the environment of this process says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return "/nonexistent"


def _names_a_diff_program(workspace: Path) -> bool:
    # An empty `diff.external` makes every `git diff` fail, so it is set only where the repository's own configuration could name a program.
    for folder in (workspace, *workspace.parents):
        marker = folder / ".git"
        try:
            if marker.is_file():
                pointer = marker.read_text(errors="replace")[:4096].partition("gitdir:")[2].strip()
                marker = (folder / pointer).parent.parent if pointer else marker
            text = (marker / "config").read_text(errors="replace").casefold()
        except OSError:
            continue
        return "external" in text or "[include" in text
    return False
