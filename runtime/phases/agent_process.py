"""An agent in a process of its own: an importable function, under limits of time, memory and processor, with a bounded answer.

Rules: the process has the workspace as its folder, no input, and an environment built from nothing (`tools/environment.py`); at its time limit it
and everything that it started are killed; whatever it does to itself (exit, abort, endless memory, endless output) ends as a named fault of this
one agent. `main` runs inside of it and imports nothing of ours but what the function needs.

Limits come with the task. Processor time is bounded by share × time limit, and the process is niced. Source: E12, E10 and the resource allocation
guidelines of the phases document. Deliberately not a sandbox: the function is the operator's own code.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import shutil
import signal
import sys
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...nodes.phase_crew import Exhausted, Late
from ...schemas.agent_message import AgentMessage
from ...schemas.phase import AgentLimits
from ...tools import process
from ...tools.tool import Limits, Place

_BOOT = (
    "import json, sys; job = json.load(open(sys.argv[1])); sys.path[:0] = [p for p in job['paths'] if p not in sys.path];"
    " __import__(job['module'], fromlist=['main']).main(job)"
)
_OUTPUT_BYTES = 64 * 1024
_TAIL = 300


class Died(Exception):
    """The process of an agent ended without an answer."""


@dataclass(frozen=True)
class ProcessAgent:
    """An agent that runs in a process of its own.

    Args:
        target: `package.module:function`; the function takes an AgentMessage and may be a coroutine function.
        place: workspace, scratch folder and environment; its limits are replaced by those of the task.
        paths: folders that the process adds to its import path, before this process's own.
    """

    target: str
    place: Place
    paths: tuple[str, ...] = ()

    def __call__(self, message: AgentMessage) -> Any:
        """Run it and wait for its end.

        Raises:
            Late: its time was up. Exhausted: memory, processor or the size of its answer. Died: it ended without an answer.
        """
        limits = AgentLimits.model_validate(message.body.content.get("limits") or {})
        key = f"agent-{uuid.uuid4().hex}"
        folder = self.place.scratch / f"{key}-answer"
        folder.mkdir(mode=0o700, parents=True)
        try:
            return self._run(message, limits, key, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(process.folder_of(self.place, key), ignore_errors=True)

    def _run(self, message: AgentMessage, limits: AgentLimits, key: str, folder: Path) -> Any:
        job, answer = folder / "job.json", folder / "answer.json"
        job.write_text(
            json.dumps(
                {
                    "module": __name__, "target": self.target, "message": message.as_json(), "answer": str(answer),
                    "paths": [*self.paths, *(path for path in sys.path if path)],
                    "processor_s": max(1, round(limits.cpu_share * limits.time_s)), "answer_bytes": limits.report_bytes,
                }
            )
        )
        bounds = Limits(time_s=limits.time_s, memory_bytes=limits.memory_mb * 1024**2, output_bytes=_OUTPUT_BYTES)
        command = process.Command(sys.executable, (sys.executable, "-I", "-c", _BOOT, str(job)), limits.time_s)
        receipt = process.run(command, replace(self.place, limits=bounds), key)
        if answer.exists():
            return _read(answer, limits)
        if receipt.status == "not_started":
            raise Died(f"its process was not started: {receipt.summary}")
        if receipt.output.get("signal") == signal.SIGXCPU:
            raise Exhausted(f"its process used more than {limits.cpu_share:.0%} of a processor over {limits.time_s:g} s")
        if receipt.status == "unknown" and receipt.duration_ms >= limits.time_s * 1000:
            raise Late(f"its process was killed at its time limit of {limits.time_s:g} s")
        said = str(receipt.output.get("stderr", "")).strip()[-_TAIL:]
        if "MemoryError" in said:
            raise Exhausted(f"its process needed more than {limits.memory_mb} MB")
        raise Died(f"its process ended without an answer: {receipt.summary}" + (f": {said}" if said else ""))


def _read(answer: Path, limits: AgentLimits) -> Any:
    if answer.stat().st_size > 2 * limits.report_bytes:
        raise Exhausted(f"it answered with {answer.stat().st_size:,} bytes, at most {limits.report_bytes:,} are read")
    found = json.loads(answer.read_bytes())
    if "answer" in found:
        return found["answer"]
    if found["error"] == "MemoryError":
        raise Exhausted(f"its process needed more than {limits.memory_mb} MB")
    if found["error"] == "TooLarge":
        raise Exhausted(f"it answered with {found['said']} bytes, at most {limits.report_bytes:,} are read")
    raise Died(f"{found['error']}: {found['said']}")


def main(job: dict[str, Any]) -> None:
    """Run the function of a job and write its answer. Side effects: the answer file; limits of this process."""
    import resource

    os.nice(10)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    most = job["processor_s"] if hard == resource.RLIM_INFINITY else min(job["processor_s"], hard)
    resource.setrlimit(resource.RLIMIT_CPU, (most, hard))
    try:
        text = json.dumps({"answer": _call(job)})
        if len(text) > job["answer_bytes"] + 64:
            text = json.dumps({"error": "TooLarge", "said": f"{len(text):,}"})
    except MemoryError:
        text = '{"error": "MemoryError", "said": ""}'
    except Exception as error:  # noqa: BLE001 - the answer names it; the other process raises it again
        text = json.dumps({"error": type(error).__name__, "said": str(error)[:1000]})
    whole = Path(job["answer"])
    part = whole.with_suffix(".part")
    part.write_text(text)
    part.rename(whole)


def _call(job: dict[str, Any]) -> Any:
    module, _, name = job["target"].partition(":")
    found = getattr(importlib.import_module(module), name)(AgentMessage.model_validate(job["message"]))
    if inspect.isawaitable(found):
        found = asyncio.run(_awaited(found))
    return found.model_dump(mode="json", exclude_none=True) if hasattr(found, "model_dump") else found


async def _awaited(answer: Any) -> Any:
    return await answer
