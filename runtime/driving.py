"""Driving a run through its graph. The checkpoint tells where it was; when it cannot be read, the run begins at its first station again, and
every station asks the ledger what is done already."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from ..schemas.errors import AssentError
from ..tools.toolbox import Toolbox
from .embed.elsewhere import acts_here
from .home import Home
from .ledger.ledger import Ledger

_DOORBELL = "look at the ledger"


class Driving:
    """What moves runs."""

    home: Home
    ledger: Ledger
    tools: Toolbox
    ports: Any
    channels: Any
    checkpoints: Any
    _tell: Callable[[], None]
    _compiled: Callable[[str], Any]

    def _drive(self, run_id: str) -> None:
        """Run the graph until the run is over or waits, or until it is an agent's turn. The caller owns the run."""
        if not acts_here(self.tools, self.ledger.plan(run_id)):
            return
        from langgraph.types import Command

        config: Any = {"configurable": {"thread_id": run_id}, "recursion_limit": 10_000}
        begin: Any = {"run_id": run_id}
        known, waits = self._bookmark(run_id, config)
        try:
            self._invoke(Command(resume=_DOORBELL) if waits else begin, config)
        except AssentError:
            raise
        except Exception:  # a bookmark may have been forged into anything; what is not its fault happens again without it
            if not known:
                raise
            self._forget_bookmark(run_id)
            self._invoke(begin, config)
        if self.channels is not None:
            self.ledger.flush()
            self._tell()

    def _invoke(self, given: Any, config: Any) -> None:
        name = self.ledger.run(config["configurable"]["thread_id"]).graph
        if name != "par":
            # Its agents work in threads of their own, which a binding for the length of a drive does not reach.
            self._compiled(name).invoke(given, config, durability="exit")
            return
        from .shared_graph import bound, driver

        with bound(self.ports):
            # What happens is read off the ledger, so no state is gathered after each station.
            # One station at a time: the saver's work needs one thread, and each further one costs as much as a commit.
            single: Any = {**config, "max_concurrency": 1}
            for _ in driver("par", self.checkpoints).stream(given, single, durability="exit", stream_mode=[]):
                pass

    def _bookmark(self, run_id: str, config: Any) -> tuple[bool, bool]:
        """Tell whether there is a checkpoint of this run, and whether it waits at an interrupt; one that cannot be this run's is removed."""
        try:
            found = self.checkpoints.get_tuple(config)
            if found is None or found.checkpoint["channel_values"].get("run_id", run_id) == run_id:
                return found is not None, found is not None and any(channel == "__interrupt__" for _, channel, _ in found.pending_writes or ())
        except Exception:  # noqa: BLE001, S110 - whatever a bookmark cannot be read for, the ledger can do without it
            pass
        self._forget_bookmark(run_id)
        return False, False

    def _forget_bookmark(self, run_id: str) -> None:
        try:
            self.checkpoints.delete_thread(run_id)
        except sqlite3.DatabaseError:
            # A file in which nothing can be deleted is set aside whole; the ledger can do without all of it.
            from .checkpoints import Checkpoints, set_aside

            self.checkpoints.conn.close()
            set_aside(self.home.checkpoints)
            self.checkpoints = Checkpoints(self.home.checkpoints)
            for compiled in ("_par", "_delivery"):
                self.__dict__.pop(compiled, None)
