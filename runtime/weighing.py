"""Reading what a person wrote, and weighing plans: the assessor with what it may know of this workspace."""

from __future__ import annotations

import time
from functools import cached_property
from pathlib import Path
from typing import Any

from ..policies.plan_risk import PlanRisk, plan_risk
from ..policies.policy import Policy
from ..policies.risk.surroundings import Surroundings
from ..schemas.errors import Complaint, InvalidDocument
from ..schemas.plan import Plan
from ..tools.tool import Limits, Place
from ..tools.toolbox import Toolbox
from .embed.elsewhere import actions_of
from .governing import governed
from .home import Home
from .intake import Reading, read
from .keep import Keep
from .ledger.ledger import Ledger
from .locks import Locks
from .settings import Settings


class Weighing:
    """What looks at plans before anything runs, and where their calls act out."""

    home: Home
    ledger: Ledger
    keep: Keep
    locks: Locks
    tools: Toolbox
    policy: Policy
    settings: Settings
    workspace: Path

    def place(self, run_id: str) -> Place:
        """Return where calls of a run act out."""
        bounds = self.policy.limits
        return Place(
            workspace=self.workspace,
            keep=self.keep,
            scratch=self.home.scratch,
            limits=Limits(time_s=float(bounds.time_s), memory_bytes=bounds.memory_mb * 1024**2, output_bytes=bounds.output_mb * 1024**2),
            environment=self.settings.environment,
            lock_fd=self.locks.descriptor(run_id),
            hosts=frozenset(host.lower() for host in self.settings.private_hosts),
            sleep=time.sleep,
        )

    def _around(self) -> Surroundings:
        return self.surroundings

    @cached_property
    def surroundings(self) -> Surroundings:
        """What the assessor may know of this workspace."""
        from ..tools.environment import environment
        from .assess import surroundings

        home = environment(self.place(""))["HOME"]
        # The sql tool speaks to SQLite; what another program is given says its own dialect.
        return surroundings(str(self.workspace), home=home, dialect="sqlite", own=(str(self.home.root),), overlay=self.policy.risk)

    def _assess(self, plan: Plan) -> PlanRisk:
        return governed(plan, self._weighed(plan), self.policy, self.ledger.opinions if self.ledger.has_opinions() else None)

    def _weighed(self, plan: Plan) -> PlanRisk:
        from ..policies.risk.assess import assess
        from ..policies.risk.sequence import assess_sequence

        around = self.surroundings
        return plan_risk(
            plan, actions=lambda call: actions_of(self.tools, call), judge=lambda k, p: assess(k, p, around), together=assess_sequence,
        )

    def _read(self, ask: Any) -> Reading:
        reading = read(ask, self.tools)
        if reading.hints and self.policy.strict_problems:
            complaints = [Complaint(where=hint.field, expected=hint.write_instead, found=hint.missing, line=hint.line) for hint in reading.hints]
            raise InvalidDocument(complaints, hint="make the problem measurable, or set `strict_problems: false`")
        return reading
