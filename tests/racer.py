"""One process of a race: reads what to do as JSON lines, waits for the common moment, does it, and says how it ended. See `test_races.py`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from langgraph.errors import InvalidUpdateError, UnknownInterruptError
from langgraph.types import Command

from assent.runtime.runtime import Runtime
from assent.runtime.testing import FrozenClock, Recorder, authenticated
from assent.schemas.errors import AssentError
from assent.tools.toolbox import standard


def act(runtime: Runtime, what: str, who: str, run_id: str, request_id: str) -> str:
    """Do one thing and return how it ended: a status, or the name of the error."""
    try:
        if what == "resume":
            return runtime.resume(run_id).status.value
        if what == "cancel":
            return runtime.cancel(run_id, "race").status.value
        if what == "ring":
            runtime.graph().invoke(Command(resume="race"), {"configurable": {"thread_id": run_id}})
            return "rung"
        return runtime.decide(request_id, what, actor=authenticated(who), reason="race").status.value
    except (AssentError, InvalidUpdateError, UnknownInterruptError) as error:
        return type(error).__name__


def main(home: str) -> None:
    """Serve rounds until the input ends."""
    folder = Path(home)
    people: dict[str, Any] = {"dora": ["developer"], "lena": ["lead"], "lou": ["lead"], "ada": ["admin"]}
    runtime = Runtime(
        folder / "home", workspace=folder / "workspace", config={"actors": people}, clock=FrozenClock(), actor=authenticated("dora"),
        tools=standard().plus(Recorder(folder / "effects.jsonl")),
    )
    runtime.graph()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        while time.monotonic() < order["at"]:
            pass
        print(json.dumps(act(runtime, order["what"], order["who"], order["run"], order["request"])), flush=True)
    runtime.close()


if __name__ == "__main__":
    main(sys.argv[1])
