"""Agent: end-to-end tests. Runs the configured workflows of a user one after the other; each is a command that has to succeed.

Rules: without a workflow nothing is known, and that is what it says. Source: E5, agent 4 of the extended testing phase.
"""

from __future__ import annotations

from typing import Any

from ...schemas.agent_message import AgentMessage
from .command import RunCommand
from .workplace import inputs_of, limits_of, workplace


def end_to_end(message: AgentMessage, *, run_command: RunCommand) -> dict[str, Any]:
    """Return the report of the workflows. Raises: NotFound. Side effects: runs them through the port."""
    given = inputs_of(message).get("workflows")
    workflows = [[str(part) for part in one] for one in given if isinstance(one, list)] if isinstance(given, list) else []
    done: list[dict[str, Any]] = []
    with workplace(message) as folder:
        for command in workflows:
            ran = run_command(command, folder=folder, limits=limits_of(message))
            done.append({"command": " ".join(command), "succeeded": ran.is_success, "seconds": round(ran.duration_s, 3), "said": ran.said})
    failed = [one for one in done if not one["succeeded"]]
    return {
        "summary": f"{len(done) - len(failed)} of {len(done)} workflows succeeded." if done else "No workflow is configured.",
        "findings": [
            {"subject": f"workflow {one['command']}", "aspect": "succeeded", "value": False, "severity": "critical", "text": f"{one['command']}: {one['said']}"} for one in failed
        ],
        "data": {"workflows": done, "failed": len(failed)},
        "not_looked_at": [] if done else ["end-to-end: give the input `workflows`, a list of commands"],
    }
