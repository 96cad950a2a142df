"""Reading what a person wrote. How plans are judged is in `placing.py`, because it depends on where they act."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..policies.policy import Policy
from ..schemas.errors import Complaint, InvalidDocument
from ..tools.toolbox import Toolbox
from .home import Home
from .intake import Reading, read
from .keep import Keep
from .ledger.ledger import Ledger
from .locks import Locks
from .settings import Settings


class Documents:
    """What looks at documents before anything runs."""

    home: Home
    ledger: Ledger
    keep: Keep
    locks: Locks
    tools: Toolbox
    policy: Policy
    settings: Settings
    workspace: Path

    def _read(self, ask: Any) -> Reading:
        reading = read(ask, self.tools)
        if reading.hints and self.policy.strict_problems:
            complaints = [Complaint(where=hint.field, expected=hint.write_instead, found=hint.missing, line=hint.line) for hint in reading.hints]
            raise InvalidDocument(complaints, hint="make the problem measurable, or set `strict_problems: false`")
        return reading
