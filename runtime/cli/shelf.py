"""Reading a home without loading what acts: the ledger's rows and log, no tools, no graph, no model, no assessor.

Rules: reads only; makes no home where there is none; identifiers may be given by their beginning, where that names one thing.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ...schemas.errors import NotFound
from ..home import hold_own
from ..ledger import log, requests, runs
from ..ledger.store import Store

if TYPE_CHECKING:
    from ...schemas.approval import Request
    from ...schemas.dispatch import Dispatch
    from ...schemas.event import Event
    from ...schemas.plan import Plan
    from ...schemas.progress import Progress
    from ...schemas.results import Artifact, Results
    from ...schemas.run import RunRow
    from ..runtime import Runtime

_SHORTEST = 4
_NAME = re.compile(r"(?:run|req)_[0-9a-f]*")


class Shelf:
    """One home, read only."""

    def __init__(self, root: Path, store: Store) -> None:
        self.root = root
        self.store = store

    @classmethod
    def at(cls, root: Path) -> Shelf:
        """Open the home at a folder. Raises: NotFound: there is none; StoreUnavailable: it is somebody else's."""
        hold_own(root)
        if not (root / "ledger.db").exists():
            raise NotFound(f"there is no home at {root}", hint="`assent run` makes one; name another one with --home or ASSENT_HOME")
        return cls(root, Store(root / "ledger.db", clock=lambda: datetime.now(UTC)))

    @classmethod
    def over(cls, runtime: Runtime) -> Shelf:
        """Read the home that a runtime has open; closing stays the runtime's."""
        return cls(runtime.home.root, runtime.ledger.store)

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def runs(self, *, status: str | None, limit: int) -> list[RunRow]:
        """Return runs, newest first."""
        with self.store.read() as c:
            return runs.find(c, status=status, limit=limit)

    def run(self, run_id: str) -> RunRow:
        """Return one run. Raises: NotFound."""
        with self.store.read() as c:
            return runs.get(c, run_id)

    def ask(self, run_id: str) -> bytes:
        """Return what a run was asked for."""
        with self.store.read() as c:
            return runs.ask(c, run_id)

    def inbox(self, *, limit: int) -> list[Request]:
        """Return open requests, oldest first."""
        with self.store.read() as c:
            return list(islice(requests.waiting(c), limit))

    def waiting(self) -> int:
        """Return how many requests are open."""
        with self.store.read() as c:
            return int(c.execute("SELECT count(*) FROM request WHERE status = 'open'").fetchone()[0])

    def requests(self, run_id: str) -> list[Request]:
        """Return the requests of a run, oldest first."""
        with self.store.read() as c:
            return requests.of_run(c, run_id)

    def request(self, request_id: str) -> Request:
        """Return one request. Raises: NotFound."""
        with self.store.read() as c:
            return requests.get(c, request_id)

    def events(self, run_id: str, *, after: int = 0) -> list[Event]:
        """Return the log of a run."""
        with self.store.read() as c:
            return log.events(c, run_id, after=after)

    def plan(self, row: RunRow) -> Plan | None:
        """Return the plan in force."""
        from ..ledger import plans

        if not row.version:
            return None
        with self.store.read() as c:
            return plans.get(c, row.id, row.version)

    def dispatches(self, run_id: str) -> list[Dispatch]:
        """Return the dispatched calls of a run."""
        from ..ledger import dispatches

        with self.store.read() as c:
            return dispatches.of_run(c, run_id)

    def results(self, run_id: str) -> Results | None:
        """Return the report of a run."""
        from ...schemas.canonical import parse
        from ...schemas.results import Results

        with self.store.read() as c:
            raw = runs.results(c, run_id)
        return None if raw is None else Results.model_validate(parse(raw))

    def progress(self, run_id: str) -> Progress:
        """Return where a run stands."""
        from ..tracking import track

        with self.store.read() as c:
            return track(c, run_id, datetime.now(UTC))

    def artifacts(self, run_id: str) -> list[Artifact]:
        """Return the files that are kept with a run, with their paths."""
        from ..ledger import artifacts

        with self.store.read() as c:
            found = artifacts.of_run(c, run_id)
        folder = self.root / "artifacts" / run_id
        return [one.model_copy(update={"path": str(folder / one.name)}) for one in found]

    def find_run(self, given: str) -> str:
        """Return the id of the run that a person means. Raises: NotFound: none, or several."""
        return self._find("run", given)

    def find_request(self, given: str) -> str:
        """Return the id of the request that a person means. Raises: NotFound: none, or several."""
        return self._find("request", given)

    def find(self, given: str) -> tuple[str, str]:
        """Return ("run" or "request", its id). Raises: NotFound."""
        kind = "request" if given.startswith("req") else "run"
        return kind, self._find(kind, given)

    def _find(self, kind: str, given: str) -> str:
        begins = "run_" if kind == "run" else "req_"
        listing = "`assent runs` lists them" if kind == "run" else "`assent inbox` lists those that wait"
        with self.store.read() as c:
            if c.execute(f"SELECT 1 FROM {kind} WHERE id = ?", (given,)).fetchone():  # noqa: S608 - one of two constants
                return given
            prefix = given if given.startswith(("run_", "req_")) else begins + given
            found: list[str] = []
            if _NAME.fullmatch(prefix) and prefix.startswith(begins) and len(prefix) >= len(begins) + _SHORTEST:
                rows = c.execute(f"SELECT id FROM {kind} WHERE id >= ? AND id < ? LIMIT 2", (prefix, prefix + "g"))  # noqa: S608
                found = [row[0] for row in rows.fetchall()]
        if len(found) == 1:
            return found[0]
        if found:
            raise NotFound(f"more than one {kind} begins with {given!r}", hint="give more of its id")
        other = "request" if given.startswith("req_") and kind == "run" else "run" if given.startswith("run_") and kind == "request" else ""
        if other:
            raise NotFound(f"{given!r} names a {other}, and this takes a {kind}", hint=f"`assent show {given[:40]}` shows it; {listing}")
        if len(prefix) < len(begins) + _SHORTEST and _NAME.fullmatch(prefix):
            listing = f"give at least {_SHORTEST} characters after {begins}; {listing}"
        raise NotFound(f"there is no {kind} {given[:80]!r}", hint=listing)
