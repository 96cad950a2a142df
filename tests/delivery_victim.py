"""A process that drives a delivery and says on standard output when it may be killed: one agent of a phase is at work, the others have reported.

Run as a module of this package, with: FOLDER start|approve AGENT NOTES, where NOTES is how many reports are noted by then.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assent.runtime.testing import authenticated

from .delivery_world import Delivery, document, write


class Waiting(Delivery):
    """A delivery in which one agent waits to be killed."""

    def _agent(self, name: str) -> Callable[[Any], Any]:
        usual = super()._agent(name)

        def waits(message: Any) -> Any:
            notes = self.home / "phases" / "notes"
            while sum(path.read_text().count('"settled"') for path in notes.glob("*.jsonl")) < int(sys.argv[4]):
                time.sleep(0.01)
            print("now", flush=True)
            time.sleep(600)

        return waits if name == sys.argv[3] else usual


def main() -> None:
    """Drive."""
    runtime = Waiting(Path(sys.argv[1])).open("lena")
    if sys.argv[2] == "start":
        runtime.start(document(write("notes.txt", "new\n")), graph="delivery", run_id="run_1")
    else:
        runtime.decide(runtime.run("run_1").requests[0].id, "approve", actor=authenticated("lena"))


if __name__ == "__main__":
    main()
