"""Every error of assent, in one tree.

    AssentError
    ├── InvalidDocument        what a person wrote cannot be read; names every problem with its line
    ├── InvalidConfiguration   a setting is wrong; names file, key and remedy
    ├── InvalidPlan            a plan names an unknown tool, wrong arguments, or cannot be canonical
    ├── ModelNeeded            plain language was given and no model is configured
    ├── ModelFailed            a model did not answer, or not with what was asked for; `kind` says how
    ├── NotFound               no run, request or artifact of that name
    ├── NotAllowed             this actor may not do that
    ├── StaleDecision          the question was settled, expired, or is about other bytes
    ├── IllegalTransition      the run is not in a state in which that can happen
    ├── RunBusy                another process owns the run now
    ├── Refused                the ledger gave no dispatch
    └── StoreError
        ├── StoreCorrupt       the store does not verify; names the last good backup
        ├── StoreNewer         written by a newer version
        ├── StoreUnsafe        the database did not accept the durable settings
        └── StoreUnavailable   locked, read-only or full

A person's rejection is a state, not an error. Every error carries its fields and a `hint`: what the reader can do next. They derive from
RuntimeError because LangGraph's default retry policy repeats most other exceptions, and none of these gets better by repeating.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class AssentError(RuntimeError):
    """The base: a sentence, a hint, and fields for programs."""

    def __init__(self, message: str, *, hint: str = "", **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.fields = fields

    def data(self) -> dict[str, Any]:
        """Return the JSON form that `--json` prints on standard error."""
        return {"error": type(self).__name__, "message": self.message, "hint": self.hint, **self.fields}


@dataclass(frozen=True)
class Complaint:
    """One thing that is wrong with a written text: where, what was expected, and what was found."""

    where: str
    expected: str
    found: str = ""
    line: int | None = None
    file: str = ""

    def __str__(self) -> str:
        place = ":".join(part for part in (self.file, str(self.line or "")) if part)
        found = f", found {self.found}" if self.found else ""
        return f"{place + ': ' if place else ''}{self.where}: expected {self.expected}{found}"


class InvalidDocument(AssentError):
    """What was written cannot be read; all complaints at once."""

    def __init__(self, complaints: Sequence[Complaint], *, file: str = "", hint: str = "") -> None:
        self.complaints = tuple(complaints)
        lines = "\n".join(f"  {complaint}" for complaint in self.complaints)
        plural = "problem" if len(self.complaints) == 1 else "problems"
        super().__init__(
            f"{file or 'the document'} has {len(self.complaints)} {plural}:\n{lines}",
            hint=hint or "`assent new plan.yaml` writes a document with every field explained",
            file=file,
            complaints=[str(complaint) for complaint in self.complaints],
        )


class InvalidConfiguration(AssentError):
    """A setting is wrong."""


class InvalidPlan(AssentError):
    """A plan that cannot be frozen or run as it is."""


class ModelNeeded(AssentError):
    """Plain language needs a model, and none is configured."""


class ModelFailed(AssentError):
    """A model did not answer, or not with what was asked for; the field `kind` says how."""


class NotFound(AssentError):
    """Nothing of that name is in this home."""


class NotAllowed(AssentError):
    """The actor may not do that."""


class StaleDecision(AssentError):
    """The question is settled, expired, or about other bytes."""


class IllegalTransition(AssentError):
    """The run is not in a state in which that can happen."""


class RunBusy(AssentError):
    """Another process owns the run now."""


class Refused(AssentError):
    """The ledger gave no dispatch; `rules` names the reasons."""


class StoreError(AssentError):
    """The store cannot be used."""


class StoreCorrupt(StoreError):
    """The store does not verify."""


class StoreNewer(StoreError):
    """The store was written by a newer version."""


class StoreUnsafe(StoreError):
    """The database did not accept the durable settings."""


class StoreUnavailable(StoreError):
    """The store is locked, read-only or full."""
