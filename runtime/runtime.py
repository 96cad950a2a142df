"""The door: `assent.open()` gives a Runtime, and a Runtime starts, finds, decides, resumes and verifies runs in one home."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..policies.policy import Policy
from ..policies.risk.surroundings import Surroundings
from ..schemas.agent_message import AgentMessage
from ..schemas.approval import Actor
from ..schemas.errors import AssentError, IllegalTransition, StoreCorrupt
from ..schemas.event import Anchor, Verification
from ..schemas.run import RunStatus
from ..tools.toolbox import Toolbox, standard
from . import identity
from .answering import Answering
from .considering import Considering
from .delivery.delivering import Delivering
from .desk import Desk
from .documents import Documents
from .driving import Driving
from .home import Home
from .keep import Keep
from .ledger.backup import with_remedy
from .ledger.ledger import Ledger
from .locks import Locks
from .placing import Placing
from .run import Run
from .settings import files_of, read_settings, signature
from .starting import Starting
from .taking_back import TakingBack
from .upkeep import Upkeep, read_channels
from .wiring import Wiring

if TYPE_CHECKING:
    from .notify.deliver import Background


class Runtime(Starting, Answering, TakingBack, Considering, Delivering, Driving, Desk, Upkeep, Wiring, Documents, Placing):
    """One home, seen by one actor. A context manager; every method can be called from any thread."""

    def __init__(
        self,
        home: str | Path = ".assent",
        *,
        workspace: str | Path = ".",
        config: str | Path | Mapping[str, Any] | None = None,
        model: Any = None,
        actor: Actor | str | Mapping[str, Any] | None = None,
        clock: Callable[[], datetime] | None = None,
        tools: Toolbox | None = None,
        agents: Mapping[str, Callable[[AgentMessage], Any]] | None = None,
    ) -> None:
        self.workspace = Path(workspace).resolve()
        if not self.workspace.is_dir():
            raise IllegalTransition(f"the workspace {self.workspace} is not a folder", hint="give a folder that exists with --workspace")
        self.home = Home.make(home)
        self._config, self._asserted = config, actor
        self._files = files_of(self.home.root, config)
        self._signature = signature(self._files)
        self.settings, self.policy = read_settings(self.home.root, config)
        self.model = model if model is not None else self.settings.model
        self.actor = identity.at_the_door(actor, self.policy)
        self.clock = _clock(clock)
        self.tools = tools if tools is not None else standard()
        self.keep = Keep(self.home.artifacts)
        self.locks = Locks(self.home.locks)
        self.channels, routes = read_channels(self.settings, self.policy)
        self._seen: dict[Path, Surroundings] = {}
        try:
            self.ledger = Ledger(
                self.home.ledger, policy=self.policy, assess=self._assess, clock=self.clock, routes=routes, rules=self._rules,
            )
        except StoreCorrupt as error:
            with_remedy(error, self.home.root)
            raise
        self.agents = dict(agents or {})
        self.on_phase: Callable[[dict[str, Any]], None] = _nothing
        self._threads: dict[str, threading.Thread] = {}
        self._failures: dict[str, AssentError] = {}
        self._telling: Background | None = None
        self._stuck: list[AssentError] = []

    @property
    def actor(self) -> Actor:
        """Who stands at this door; no person while an agent's tool has it in hand."""
        if self._known_under is not self.policy and not identity.is_marked():
            self.actor = identity.at_the_door(self._asserted, self.policy)  # the rules changed, and with them perhaps the roles
        return identity.as_marked(self._actor)

    @actor.setter
    def actor(self, actor: Actor) -> None:
        self._actor, self._known_under = actor, self.policy

    def _rules(self) -> Policy:
        """Return the rules as they stand in the files now."""
        seen = signature(self._files)
        if seen != self._signature:
            self.settings, self.policy = read_settings(self.home.root, self._config)
            self._seen.clear()
            self._signature = seen
        return self.policy

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait for runs that were started with `wait=False`, then close the databases."""
        for thread in list(self._threads.values()):
            thread.join()
        self._finish_telling()
        if "checkpoints" in self.__dict__:
            self.checkpoints.conn.close()
        self.ledger.close()

    # --- runs -----------------------------------------------------------------------------------------------------------------------

    def run(self, run_id: str) -> Run:
        """Return the handle of a run. Raises: NotFound."""
        self.ledger.run(run_id)
        return Run(run_id, self)

    def runs(self, status: str | None = None, limit: int = 50) -> list[Run]:
        """Return handles of runs, newest first, of one status or of all."""
        wanted = None if status is None else RunStatus(status).value
        return [Run(row.id, self) for row in self.ledger.runs(status=wanted, limit=limit)]

    def verify(self, anchor: Anchor | None = None) -> Verification:
        """Recompute the whole log and hold every table against it; `.ok` and `.problems` tell.

        Args:
            anchor: an earlier head, from `anchor()`, kept somewhere else; shows truncation and roll-back of the whole store.
        """
        return self.ledger.verify(anchor)

    def anchor(self) -> Anchor:
        """Return the head of the log, to be kept somewhere else and given to `verify` later."""
        return self.ledger.anchor()


def open(
    home: str | Path = ".assent",
    *,
    workspace: str | Path = ".",
    config: str | Path | Mapping[str, Any] | None = None,
    model: Any = None,
    actor: Actor | str | Mapping[str, Any] | None = None,
    clock: Callable[[], datetime] | None = None,
    agents: Mapping[str, Callable[[AgentMessage], Any]] | None = None,
) -> Runtime:
    """Open a home; a context manager.

    Args:
        home: folder for ledger.db, checkpoints.db, artifacts/ and config.yaml; made where it is missing.
        workspace: folder to which steps of new runs are confined and in which they start; a run that exists keeps its own.
        config: path or mapping laid over config.yaml.
        model: "openai:gpt-…", a LangChain chat model, or None.
        actor: who stands at this door; the operating-system user by default.
        clock: returns the wall time, aware; for tests.
        agents: agents of phases by the names that the phases use (`architecture`, `tests` …), in the place of the shipped ones.

    Raises:
        InvalidConfiguration, StoreError: see the tree of errors.
    """
    return Runtime(home, workspace=workspace, config=config, model=model, actor=actor, clock=clock, agents=agents)


def _clock(clock: Any) -> Callable[[], datetime]:
    if clock is None:
        return lambda: datetime.now(UTC)
    read = clock if callable(clock) else clock.now

    def aware() -> datetime:
        found: datetime | float = read()
        if isinstance(found, int | float):
            return datetime.fromtimestamp(found, UTC)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)

    return aware


def _nothing(event: dict[str, Any]) -> None:
    return None
