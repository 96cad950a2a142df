"""A number agrees with its noun."""

from datetime import UTC, datetime

from assent.policies.counted import counted
from assent.runtime.cli.story import said
from assent.schemas.event import Event


def test_one_is_not_many() -> None:
    assert [counted(n, "step") for n in (0, 1, 2, 1_000)] == ["0 steps", "1 step", "2 steps", "1,000 steps"]
    assert counted(1, "entry", "entries") == "1 entry"
    assert counted(3, "entry", "entries") == "3 entries"


def test_the_story_of_a_run_counts_in_words() -> None:
    def told(kind: str, **data: object) -> str:
        return said(Event(seq=1, run_id="run_1", type=kind, at=datetime(2026, 1, 1, tzinfo=UTC), actor="system", data=data))

    assert told("plan.frozen", version=1, steps=1, digest="sha256:0").startswith("plan frozen: version 1, 1 step, ")
    assert told("problem.vague", hints=["a", "b"]) == "2 warnings about the document: a; b"
    assert told("artifact.kept", name="results.md", size=1, digest="sha256:0", type="text/markdown") == "kept results.md (1 byte)"
