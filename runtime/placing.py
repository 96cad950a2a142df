"""Where the steps of a run act, and how they are judged there.

Rules: a run acts in the workspace in which it was started, whoever goes on with it and wherever they stand; that is recorded with the run, so what
was approved for one folder never happens in another. A folder beside the home is named from the home on, so that both can be moved together.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..policies.plan_risk import PlanRisk, plan_risk
from ..policies.policy import Policy
from ..policies.risk.surroundings import Surroundings
from ..schemas.errors import IllegalTransition
from ..schemas.plan import Plan
from ..tools.tool import Limits, Place
from ..tools.toolbox import Toolbox
from .embed.elsewhere import actions_of
from .governing import governed
from .home import Home
from .keep import Keep
from .ledger.ledger import Ledger
from .locks import Locks
from .settings import Settings


class Placing:
    """What knows the folders."""

    home: Home
    keep: Keep
    ledger: Ledger
    locks: Locks
    policy: Policy
    settings: Settings
    tools: Toolbox
    workspace: Path
    _seen: dict[Path, Surroundings]

    def asking(self, ask: Mapping[str, Any], beside: str = "") -> dict[str, Any]:
        """Return what is recorded of a request that is taken in at this door: what is asked for, and where its steps act.

        Args:
            beside: id of a run; the steps act where that one's do.
        """
        return {"request": ask, "workspace": (self.ledger.workspace(beside) if beside else "") or self._where()}

    def workspace_of(self, run_id: str) -> Path:
        """Return the folder in which the steps of a run act: where it was started, whichever folder this door was opened for."""
        named = self.ledger.workspace(run_id) if run_id else ""
        # Named from the home on where both lie together, so that they can be moved together.
        return Path(os.path.normpath(self.home.root.parent / named)) if named else self.workspace

    def _hold_workspace(self, run_id: str) -> None:
        """Refuse to go on while the workspace of a run is gone: its steps would fail, and perhaps it only has to be mounted.

        Raises:
            IllegalTransition: it is gone, and nobody asked the run to stop.
        """
        found = self.workspace_of(run_id)
        # It was resolved when the run was started, so only a link that took its place leads anywhere else now.
        if (found.is_dir() and not found.is_symlink()) or self.ledger.run(run_id).stop_requested:
            return
        what = "is a link now" if found.is_symlink() else "is gone"
        raise IllegalTransition(f"the workspace of run {run_id} {what}: {found}", hint=f"put the folder back, or end the run: `assent cancel {run_id}`")

    def _where(self) -> str:
        """Return the workspace of this door as runs record it."""
        # The home is not resolved, so it is here, or a link on the way would seem to lead out.
        beside = os.path.dirname(os.path.realpath(self.home.root))  # noqa: PTH120 - asked several times a run
        inside = f"{self.workspace}/".startswith(beside.rstrip("/") + "/")
        if not inside or os.path.realpath(self.home.root.parent) != beside:
            return str(self.workspace)
        return str(self.workspace.relative_to(beside))

    def place(self, run_id: str) -> Place:
        """Return where calls of a run act out."""
        return self._place(self.workspace_of(run_id), run_id)

    def _place(self, workspace: Path, run_id: str = "") -> Place:
        bounds = self.policy.limits
        return Place(
            workspace=workspace,
            keep=self.keep,
            scratch=self.home.scratch,
            limits=Limits(time_s=float(bounds.time_s), memory_bytes=bounds.memory_mb * 1024**2, output_bytes=bounds.output_mb * 1024**2),
            environment=self.settings.environment,
            lock_fd=self.locks.descriptor(run_id),
            hosts=frozenset(host.lower() for host in self.settings.private_hosts),
            sleep=time.sleep,
        )

    def _around(self, run_id: str) -> Surroundings:
        return self._surroundings(self.workspace_of(run_id))

    @property
    def surroundings(self) -> Surroundings:
        """What the assessor may know of this workspace."""
        return self._surroundings(self.workspace)

    def _surroundings(self, workspace: Path) -> Surroundings:
        found = self._seen.get(workspace)
        if found is None:
            from ..tools.environment import environment, home_folder
            from .assess import surroundings

            home = environment(self._place(workspace))["HOME"] if self.settings.environment else home_folder()
            # The sql tool speaks to SQLite; what another program is given says its own dialect.
            found = self._seen[workspace] = surroundings(str(workspace), home=home, dialect="sqlite", own=(str(self.home.root),), overlay=self.policy.risk)
        return found

    def _assess(self, plan: Plan, workspace: str = "") -> PlanRisk:
        return governed(plan, self._weighed(plan, workspace), self.policy, self.ledger.opinions if self.ledger.has_opinions() else None)

    def _weighed(self, plan: Plan, workspace: str = "") -> PlanRisk:
        from ..policies.risk.assess import assess
        from ..policies.risk.sequence import assess_sequence

        around = self._surroundings(Path(os.path.normpath(self.home.root.parent / workspace)) if workspace else self.workspace).at_once()
        return plan_risk(
            plan, actions=lambda call: actions_of(self.tools, call), judge=lambda k, p: assess(k, p, around), together=assess_sequence,
        )
