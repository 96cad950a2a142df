"""What models said and took, in the ledger: opinions kept and found again, what a run spent on models, and the numbers of the monthly review."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from ...schemas.opinion import KeptOpinion, ModelSpending, OpinionReview
from . import log, opinions
from .base import Base
from .opinion_review import review

_ASKED = "model.asked"


class Opining(Base):
    """Opinions and spending."""

    def opinions(self, key: str) -> tuple[KeptOpinion, ...]:
        """Return what models answered to the question of that digest; only what the log holds word for word."""
        with self.store.read() as c:
            return opinions.about(c, key)

    def has_opinions(self) -> bool:
        """Tell whether any model ever answered anything here."""
        with self.store.read() as c:
            return opinions.are_there(c)

    def keep_opinions(self, run_id: str, given: Sequence[Mapping[str, Any]], notes: Iterable[tuple[str, Mapping[str, Any]]] = ()) -> None:
        """Keep answers of models and what was made of them, in one transaction; plans are assessed anew from here on.

        Args:
            given: fields of `KeptOpinion` besides its run and time.
            notes: kind and data of further entries of the log.
        """
        with self._write() as c:
            at = log.now(c, self.clock)
            for fields in given:
                opinions.give(c, KeptOpinion.model_validate({**fields, "run_id": run_id, "at": at}))
            for kind, data in notes:
                log.append(c, run_id, kind, at, "system", data)
        self._risks.clear()

    def spending(self, run_id: str) -> ModelSpending:
        """Return what a run took of its models until now."""
        with self.store.read() as c:
            noted = [event.data for event in opinions.entries(c, (_ASKED,), run_id=run_id)]
        # A process that died between two commits notes the same answer again; it was paid for once.
        asked = list({(data["exchange"], data["key"], data["reply"]): data for data in noted}.values())
        costs = [data.get("cost_usd") for data in asked]
        return ModelSpending(
            questions=len(asked),
            tokens=sum(data["input_tokens"] + data["output_tokens"] for data in asked),
            usd=None if None in costs else f"{sum((Decimal(str(cost)) for cost in costs), Decimal(0)):f}",
            ms=sum(data.get("ms", 0) for data in asked),
            estimated=any(data.get("estimated", False) for data in asked),
        )

    def opinion_review(self, since: datetime | None = None) -> OpinionReview:
        """Add up how intent and principles were judged, and what people made of it.

        Args:
            since: only what was judged from then on.
        """
        with self.store.read() as c:
            return review(c, since)
