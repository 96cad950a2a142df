"""From a sentence to a result, through a server that speaks OpenAI's protocol; and what a run may cost."""

from __future__ import annotations

import threading
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


# --- in the background -------------------------------------------------------------------------------------------------------------------

WITHIN = {"answer": "within", "confidence": 0.95, "reason": "it was asked for"}


def home(tmp_path: Path, server: FakeOpenAI, **config: Any) -> Runtime:
    (tmp_path / "ws").mkdir(exist_ok=True)
    return assent.open(tmp_path / "home", workspace=tmp_path / "ws", model=f"openai:gpt-fake@{server.url}", config=config)


def test_start_in_the_background_returns_before_the_model_answers_and_goes_on_anywhere(tmp_path: Path) -> None:
    notes, asked, answer = case("write_notes"), threading.Event(), threading.Event()

    def turn(body: Any) -> Any:
        asked.set()
        answer.wait(20)
        return notes["reply"]

    with FakeOpenAI(turn, otherwise=WITHIN) as server, home(tmp_path, server) as runtime:
        run = runtime.start(notes["words"], wait=False)
        assert run.status == "planning" and run.plan is None and run.risk is None  # the model cannot have answered
        assert asked.wait(20)
        answer.set()
        kinds = [event.type for event in run.stream(timeout_s=20)]
        assert kinds[0] == "run.started" and "plan.frozen" in kinds and kinds[-1] == "run.status"
        assert run.status == "awaiting_approval"
    with assent.open(tmp_path / "home", workspace=tmp_path / "ws") as elsewhere:  # a new handle, and no model
        run = elsewhere.run(run.id)
        elsewhere.decide(run.requests[0].id, "approve", resume=False)
        assert run.status == "running" and run.resume().status == "completed"


async def test_background_run_is_awaited_and_its_events_are_streamed(tmp_path: Path) -> None:
    notes = case("write_notes")
    with FakeOpenAI(notes["reply"], otherwise=WITHIN) as server, home(tmp_path, server) as runtime:
        run = runtime.start(notes["words"], wait=False)
        kinds = [event.type async for event in run.astream(timeout_s=20)]
        assert kinds[0] == "run.started" and "risk.assessed" in kinds
        assert (await run.await_end(20)).status == "awaiting_approval"
        assert (await runtime.adecide(run.requests[0].id, "approve")).status == "completed"


def test_model_that_fails_in_the_background_is_told_by_the_run_in_any_process(tmp_path: Path) -> None:
    with FakeOpenAI(otherwise=faults.refusal()) as server, home(tmp_path, server) as runtime:
        run = runtime.start("do something nice", wait=False).wait(20)
        assert run.status == "failed" and "refused" in run.why
        assert isinstance(run.error, ModelFailed) and run.error.hint
    with assent.open(tmp_path / "home", workspace=tmp_path) as elsewhere:
        assert "refused" in elsewhere.run(run.id).why and elsewhere.run(run.id).error is None


def test_budget_that_stops_a_background_run_does_not_let_its_caller_wait_for_ever(tmp_path: Path) -> None:
    notes = case("write_notes")
    with FakeOpenAI(notes["reply"], otherwise=WITHIN) as server, home(tmp_path, server, budget={"tokens": 10}) as runtime:
        run = runtime.start(notes["words"], wait=False)
        waiting = threading.Thread(target=run.wait, daemon=True)
        waiting.start()
        waiting.join(20)
        assert not waiting.is_alive()
        assert run.status == "planning" and "10 are allowed" in run.why and server.requests == []
    with FakeOpenAI(notes["reply"], otherwise=WITHIN) as server, home(tmp_path, server) as runtime:
        assert runtime.resume(run.id).status == "awaiting_approval"


# --- the door ----------------------------------------------------------------------------------------------------------------------------


def test_guard_is_at_the_package_root_and_costs_nothing_until_it_is_used() -> None:
    from assent.runtime.embed.guarding import guard

    assert assent.guard is guard and "guard" in assent.__all__ and "guard" in dir(assent)


def test_question_that_nobody_answered_is_kept_with_its_digest_too(tmp_path: Path) -> None:
    with FakeOpenAI(otherwise=faults.broken(401)) as server, home(tmp_path, server) as runtime:
        with pytest.raises(ModelFailed) as error:
            runtime.start("my token is ghp_aZ3kQ9mR1tY7bV5xC2nL8pW4sD6fG0hJuE1i")
        run = runtime.runs("failed")[0]
        assert error.value.fields["run"] == run.id
        noted = next(event.data for event in run.events() if event.type == "model.asked")
        assert noted["template"].startswith("sha256:") and noted["usable"] is False and noted["unanswered"] == 1
        kept = next(Path(artifact.path).read_text() for artifact in run.artifacts() if artifact.name == "plan-1.exchange.json")
        assert "my token is" in kept and "ghp_aZ3" not in kept and "HTTP 401" in kept
        assert not list((tmp_path / "home" / "artifacts" / run.id).glob("*.journal.json"))
        assert runtime.verify().ok
