"""From a sentence to a result, through a server that speaks OpenAI's protocol; and what a run may cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import assent
from assent.runtime.runtime import Runtime
from assent.runtime.testing import FakeOpenAI, Recorder, faults
from assent.schemas.dispatch import Receipt
from assent.schemas.errors import ModelFailed, ModelNeeded
from assent.schemas.plan import Plan
from assent.tools.toolbox import Toolbox

REPLIES = Path(__file__).parent / "data" / "replies"


def case(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((REPLIES / f"{name}.yaml").read_text(encoding="utf-8"))
    return found


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-real-key")


def test_a_sentence_becomes_a_plan_that_is_asked_about_and_runs(tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    notes = case("write_notes")
    with FakeOpenAI(notes["reply"]) as server, assent.open(tmp_path / "home", workspace=tmp_path / "ws", model=f"openai:gpt-fake@{server.url}") as runtime:
        run = runtime.start(notes["words"])
        assert run.status == "awaiting_approval" and run.plan is not None
        assert run.plan.author.startswith("model:") and run.plan.asked == notes["words"]
        run = runtime.decide(run.requests[0].id, "approve")
        assert run.status == "completed"
        assert (tmp_path / "ws" / "NOTES-2.1.md").exists()
        assert "plan-1.exchange.json" in [artifact.name for artifact in run.artifacts()]
        assert "model.asked" in [event.type for event in run.events()]
        assert runtime.verify().ok


def test_a_refusal_ends_the_run_and_keeps_the_exchange(tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    with FakeOpenAI(faults.refusal(), faults.refusal()) as server, assent.open(
        tmp_path / "home", workspace=tmp_path / "ws", model=f"openai:gpt-fake@{server.url}"
    ) as runtime:
        with pytest.raises(ModelFailed):
            runtime.start("do something nice")
        run = runtime.runs()[0]
        assert run.status == "failed" and run.artifacts() and runtime.verify().ok


def test_words_without_a_model_start_nothing_and_say_what_to_do(tmp_path: Path) -> None:
    with assent.open(tmp_path / "home", workspace=tmp_path) as runtime:
        with pytest.raises(ModelNeeded) as error:
            runtime.start("make it faster")
        assert "OPENAI_API_KEY" in error.value.hint and "assent new" in error.value.hint
        assert runtime.runs() == []


class Costly(Recorder):
    """A Recorder whose calls cost 70 cents each."""

    def run(self, args: Any, place: Any, *, key: str, before: Any) -> Receipt:
        return super().run(args, place, key=key, before=before).model_copy(update={"cost_usd": "0.70"})


@pytest.mark.parametrize(
    ("estimate", "asked"),
    [("0.5605", []), ("0.5596", ["pause"]), ("0.4664", ["escalate"])],
    ids=["24.9 % over goes on", "25.1 % over pauses", "50.1 % over is escalated"],
)
def test_an_overrun_asks_before_it_grows(tmp_path: Path, estimate: str, asked: list[str]) -> None:
    tool = Costly()
    plan = Plan.model_validate({
        "problem": {"title": "spend"}, "estimate": {"cost_usd": estimate},
        "steps": [{"step": n, "tool": tool.name, "args": {"effect": f"e{n}", "level": "LOW"}} for n in (1, 2)],
    })  # fmt: skip
    with Runtime(tmp_path / "home", workspace=tmp_path, tools=Toolbox([tool])) as runtime:
        run = runtime.start(plan)
        assert [request.subject["kind"] for request in run.requests] == asked
        assert tool.names == (["e1", "e2"] if not asked else ["e1"])
        if asked:
            run = runtime.decide(run.requests[0].id, "approve", reason="go on")
        assert run.status == "completed" and tool.names == ["e1", "e2"]
        assert run.results is not None and run.results.costs.variance.startswith("+")


def test_a_rejected_overrun_spends_nothing_more(tmp_path: Path) -> None:
    tool = Costly()
    plan = Plan.model_validate({
        "problem": {"title": "spend"}, "estimate": {"cost_usd": "0.10"},
        "steps": [{"step": n, "tool": tool.name, "args": {"effect": f"e{n}", "level": "LOW"}} for n in (1, 2)],
    })  # fmt: skip
    with Runtime(tmp_path / "home", workspace=tmp_path, tools=Toolbox([tool])) as runtime:
        run = runtime.start(plan)
        run = runtime.decide(run.requests[0].id, "reject", reason="too dear")
        assert run.status == "rejected" and tool.names == ["e1"]
