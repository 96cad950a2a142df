"""Agents for the tests of phases that run in processes of their own; each misbehaves in one way."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any


def works(message: Any) -> dict[str, Any]:
    return {"summary": f"pid {os.getpid()}", "data": {"parent": os.getppid(), "folder": str(Path.cwd()), "secret": os.environ.get("ASSENT_TEST_SECRET", "none")}}


async def works_async(message: Any) -> dict[str, Any]:
    return {"summary": message.header.agent_id}


def hangs(message: Any) -> None:
    time.sleep(60)


def exits(message: Any) -> None:
    os._exit(7)


def aborts(message: Any) -> None:
    os.abort()


def raises(message: Any) -> None:
    raise RuntimeError("told to raise")


def floods(message: Any) -> dict[str, Any]:
    for _ in range(40):
        sys.stdout.write("x" * 1_000_000)
    return {"summary": "y" * 5_000_000}


def eats_memory(message: Any) -> dict[str, Any]:
    return {"summary": str(len(bytearray(2 * 1024**3)))}


def burns(message: Any) -> None:
    while True:
        pass


def not_json(message: Any) -> str:
    return '{"summary": '
