"""What a run takes is held against its estimate and its budget, before it takes more; who goes beyond is asked, and nothing is lost."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from assent.policies.budget import Budget, Spent, beyond, excesses
from assent.policies.policy import read_policy
from assent.runtime.cli.app import app
from assent.runtime.runtime import Runtime
from assent.runtime.scripted import ScriptedModel
from assent.runtime.testing import Recorder, authenticated
from assent.schemas.dispatch import Receipt
from assent.schemas.errors import InvalidConfiguration, ModelFailed, NotAllowed
from assent.schemas.plan import Plan
from assent.schemas.prompt import Usage
from assent.tools.toolbox import Toolbox


class Taking(Recorder):
    """A Recorder whose calls cost and take what their effect says: `0.70 usd`, `3 s`."""

    def run(self, args: Any, place: Any, *, key: str, before: Any) -> Receipt:
        receipt = super().run(args, place, key=key, before=before)
        amount, unit = args.effect.split()
        given = {"cost_usd": amount} if unit == "usd" else {"duration_ms": int(Decimal(amount) * 1000)}
        return receipt.model_copy(update=given)


def plan(*effects: str, **more: Any) -> Plan:
    steps = [{"step": n, "tool": "recorder", "args": {"effect": effect, "level": "LOW"}} for n, effect in enumerate(effects, 1)]
    return Plan.model_validate({"problem": {"title": "spend"}, "steps": steps, **more})


class Home:
    """One home with a tool that takes things."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tool = Taking()
        (folder / "ws").mkdir()

    def __call__(self, actor: str = "dora", model: Any = None, **config: Any) -> Runtime:
        people = {"dora": "developer", "lena": "lead", "ada": "admin"}
        return Runtime(
            self.folder / "home", workspace=self.folder / "ws", tools=Toolbox([self.tool]), actor=authenticated(actor), model=model,
            config={"actors": people, **config},
        )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


# --- the decision ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "spent", "following", "found"),
    [
        ({}, Spent(10**9, Decimal(10**9), Decimal(10**9)), {}, []),
        ({"usd": "1"}, Spent(usd=Decimal(1)), {}, []),
        ({"usd": "1"}, Spent(usd=Decimal("1.01")), {}, [("usd", "pause", "+1.0 %")]),
        ({"usd": "1"}, Spent(usd=Decimal("0.5")), {"next_usd": Decimal("0.51")}, [("usd", "pause", "+1.0 %")]),
        ({"usd": "1"}, Spent(usd=Decimal("0.5")), {"next_usd": Decimal(9)}, [("usd", "pause", "+850.0 %")]),
        ({"usd": "1"}, Spent(usd=Decimal("1.5")), {}, [("usd", "pause", "+50.0 %")]),
        ({"usd": "1"}, Spent(usd=Decimal("1.501")), {}, [("usd", "escalate", "+50.1 %")]),
        ({"usd": "1"}, Spent(usd=None), {}, [("usd", "pause", "")]),
        ({"time": 10}, Spent(time_s=Decimal(9)), {"next_s": 1}, []),
        ({"time": 10}, Spent(time_s=Decimal(10)), {}, [("time", "pause", "+0.0 %")]),
        ({"time": 10}, Spent(time_s=Decimal(9)), {"next_s": 2}, [("time", "pause", "+10.0 %")]),
        ({"time": 10}, Spent(time_s=Decimal("15.01")), {}, [("time", "escalate", "+50.1 %")]),
        ({"tokens": 100}, Spent(tokens=100), {}, []),
        ({"tokens": 100}, Spent(tokens=151), {}, [("tokens", "escalate", "+51.0 %")]),
        ({"tokens": 100, "usd": "1"}, Spent(tokens=101, usd=Decimal(2)), {}, [("usd", "escalate", "+100.0 %"), ("tokens", "pause", "+1.0 %")]),
    ],
)  # fmt: skip
def test_what_goes_beyond_a_budget(budget: dict[str, Any], spent: Spent, following: dict[str, Any], found: list[tuple[str, str, str]]) -> None:
    assert [(one.what, one.kind, one.variance) for one in excesses(Budget(**budget), spent, **following)] == found


def test_question_to_a_model_that_does_not_fit_says_why() -> None:
    budget = Budget(tokens=100, usd="1", time=5)
    assert beyond(budget, Usage(input_tokens=50), "0.5", 50, "0.5", spent_s=4.9) == ()
    tokens, usd, time = beyond(budget, Usage(input_tokens=50), "0.5", 51, "0.51", spent_s=5)
    assert "101 tokens" in tokens and "$1.01" in usd and "5 s are allowed" in time


@pytest.mark.parametrize(
    ("written", "key"),
    [({"usd": "much"}, "budget.usd"), ({"usd": -1}, "budget.usd"), ({"time": "soon"}, "budget.time"), ({"time": 0}, "budget.time"), ({"toks": 1}, "budget.toks")],
)
def test_budget_that_cannot_be_read_names_its_key(written: dict[str, Any], key: str) -> None:
    with pytest.raises(InvalidConfiguration) as error:
        read_policy(("config.yaml", {"budget": written}))
    assert error.value.fields["key"] == key and "config.yaml" in error.value.message


def test_budget_is_written_as_people_write_it() -> None:
    found = read_policy(("x", {"budget": {"usd": 1.5, "time": "10 minutes", "tokens": 1000}})).budget
    assert (found.usd, found.time_s, found.tokens) == ("1.5", 600, 1000)
    assert read_policy(("x", {"budget": {"usd": "$2.50"}})).budget.usd == "2.50"


# --- while it runs ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "effects", "key"),
    [
        ({"usd": "0.65"}, ("0.70 usd", "0.10 usd"), "budget.usd.pause"),
        ({"usd": "0.40"}, ("0.70 usd", "0.10 usd"), "budget.usd.escalate"),
        ({"time": "2 seconds"}, ("2.5 s", "1 s"), "budget.time.pause"),
        ({"time": "2 seconds"}, ("3.5 s", "1 s"), "budget.time.escalate"),
    ],
)
def test_run_beyond_its_budget_pauses_before_its_next_step_and_goes_on_when_somebody_says_so(
    home: Home, budget: dict[str, Any], effects: tuple[str, str], key: str
) -> None:
    with home(budget=budget) as runtime:
        run = runtime.start(plan(*effects))
        assert run.status == "awaiting_approval" and home.tool.names == [effects[0]]
        request = run.requests[0]
        assert request.kind == "overrun" and request.subject["key"] == key
        assert request.subject["before_step"] == 2 and request.subject["budget"] and request.subject["variance"].startswith("+")
    with home("lena", budget=budget) as runtime:
        run = runtime.decide(request.id, "approve", reason="go on")
        assert run.status == "completed" and home.tool.names == list(effects)
        assert run.results is not None and " of " in next(iter(run.results.costs.budget.values()))
        assert runtime.verify().ok


def test_run_within_its_budget_is_not_asked_about(home: Home) -> None:
    with home(budget={"usd": "1", "time": "1 minute", "tokens": 10}) as runtime:
        run = runtime.start(plan("0.70 usd", "0.10 usd", "3 s"))
        assert run.status == "completed" and run.results is not None
        assert run.results.costs.budget == {"usd": "0.8 of 1", "time": "3.0 s of 60 s", "tokens": "0 of 10"}


def test_who_may_say_yes_to_an_escalated_overrun_is_who_may_approve_high(home: Home) -> None:
    with home(budget={"usd": "0.10"}) as runtime:
        request = runtime.start(plan("0.70 usd", "0.10 usd")).requests[0]
        assert request.subject["kind"] == "escalate" and request.need.roles == ("lead", "admin")
        with pytest.raises(NotAllowed):
            runtime.decide(request.id, "approve")
        assert runtime.decide(request.id, "approve", actor="lena").status == "completed"


def test_in_a_team_nobody_says_yes_to_their_own_overrun(home: Home) -> None:
    with home(budget={"usd": "0.65"}, preset="team") as runtime:
        request = runtime.start(plan("0.70 usd", "0.10 usd")).requests[0]
        assert request.subject["kind"] == "pause" and request.risk == "LOW"
        with pytest.raises(NotAllowed, match="asked for"):
            runtime.decide(request.id, "approve")
        assert runtime.decide(request.id, "approve", actor="lena").status == "completed"


def test_pause_that_was_approved_is_asked_again_only_beyond_the_next_threshold(home: Home) -> None:
    with home(budget={"usd": "1"}) as runtime:
        run = runtime.start(plan("1.2 usd", "0.1 usd", "0.3 usd", "0.1 usd", "0.1 usd"))
        assert [request.subject["key"] for request in run.requests] == ["budget.usd.pause"]
        run = runtime.decide(run.requests[0].id, "approve")
        assert [request.subject["key"] for request in run.requests] == ["budget.usd.pause", "budget.usd.escalate"] and len(home.tool.names) == 3
        assert runtime.decide(run.requests[1].id, "approve", actor="ada").status == "completed"


def test_rejected_budget_does_nothing_more_and_tells_what_was_done(home: Home) -> None:
    with home(budget={"usd": "0.5"}) as runtime:
        run = runtime.start(plan("0.70 usd", "0.10 usd"))
        run = runtime.decide(run.requests[0].id, "reject", reason="too dear")
        assert run.status == "rejected" and home.tool.names == ["0.70 usd"]
        assert run.results is not None and run.results.costs.actual_usd == "0.7" and run.results.costs.budget == {"usd": "0.7 of 0.5"}


def test_overrun_tells_breakdown_variance_and_reasons(home: Home) -> None:
    spent = plan("0.70 usd", "0.10 usd", estimate={"cost_usd": "0.50"})
    steps = (spent.steps[0].model_copy(update={"cost_usd": "0.20"}), spent.steps[1])
    with home() as runtime:
        run = runtime.start(spent.model_copy(update={"steps": steps}))
        subject = run.requests[0].subject
        assert subject["variance"] == "+40.0 %" and subject["by_step"] == {"1": {"estimated_usd": "0.20", "actual_usd": "0.7"}}
        assert subject["reasons"] == ["step 1 took $0.7, estimated $0.20"] and "+40.0 %" in subject["why"]
        run = runtime.decide(run.requests[0].id, "approve")
        assert run.results is not None and run.results.costs.variance == "+60.0 %"
        assert run.results.costs.by_step == {"1": {"estimated_usd": "0.20", "actual_usd": "0.7"}, "2": {"actual_usd": "0.1"}}
        report = next(Path(artifact.path).read_text() for artifact in run.artifacts() if artifact.name == "results.md")
        assert "| 1 | $0.20 | $0.7 |" in report and "| 2 | – | $0.1 |" in report


# --- while it is planned ---------------------------------------------------------------------------------------------------------------


def proposal() -> dict[str, Any]:
    step = {"description": "look", "tool": "recorder", "args": {"effect": "0.1 usd", "level": "LOW"}, "rollback_plan": "nothing to take back"}
    return {"problem": {"title": "Look"}, "intent": "Look.", "steps": [step]}


def test_question_beyond_the_budget_leaves_the_run_in_planning_and_a_larger_budget_lets_it_go_on(home: Home) -> None:
    model = ScriptedModel("nonsense", name="openai:gpt-5-mini")
    with home(model=model) as runtime, pytest.raises(ModelFailed):
        runtime.start("look around", run_id="probe")
    with home() as runtime:
        enough_for_one = runtime.ledger.spending("probe").tokens + 50
    model = ScriptedModel("nonsense", name="openai:gpt-5-mini")
    with home(model=model, budget={"tokens": enough_for_one}) as runtime:
        with pytest.raises(ModelFailed) as error:
            runtime.start("look around")
        run = runtime.runs("planning")[0]
        assert error.value.fields["kind"] == "budget" and run.id in error.value.hint and "resume" in error.value.hint
        assert "budget.exceeded" in [event.type for event in run.events()] and len(model.asked) == 1
    model = ScriptedModel(proposal(), name="openai:gpt-5-mini")
    with home(model=model, budget={"tokens": 100_000}) as runtime:
        run = runtime.resume(run.id)
        assert run.status == "completed" and len(model.asked) == 1, "the answer that was paid for is not asked for again"
        assert run.results is not None and run.results.costs.models_tokens == runtime.ledger.spending(run.id).tokens > 0
        assert runtime.verify().ok


def test_second_opinion_beyond_the_budget_is_left_to_a_person(home: Home) -> None:
    words = "Record 0.1 usd"
    high = proposal()
    high["steps"][0]["args"]["level"] = "HIGH"
    probe = ScriptedModel(high, name="openai:gpt-5-mini", otherwise={"answer": "within", "confidence": 1, "reason": "x"})
    with home(model=probe) as runtime:
        run = runtime.start(words)
        planned = next(event.data for event in run.events() if event.type == "model.asked")
        assert [prompt.name for prompt in probe.asked][1:]
    high["steps"][0]["args"]["effect"] = "0.2 usd"
    model = ScriptedModel(high, name="openai:gpt-5-mini", otherwise={"answer": "within", "confidence": 1, "reason": "x"})
    with home(model=model, budget={"tokens": planned["input_tokens"] + planned["output_tokens"] + 10}) as runtime:
        run = runtime.start(words)
        assert run.status == "awaiting_approval" and [prompt.name for prompt in model.asked] == ["plan"]
        held = next(event.data for event in run.events() if event.type == "constitution.judged")
        assert held["failed"] and "allowed" in held["why"][0]


def test_spending_of_a_run_is_known_by_tokens_money_and_time(home: Home) -> None:
    with home(model=ScriptedModel("nonsense", proposal(), name="openai:gpt-5-mini")) as runtime:
        run = runtime.start("look around")
        spent = runtime.ledger.spending(run.id)
        noted = [event.data for event in run.events() if event.type == "model.asked"]
        assert spent.questions == 2 == len(noted) and spent.usd == f"{sum(Decimal(note['cost_usd']) for note in noted):f}"
        assert run.results is not None and run.results.costs.models_usd == spent.usd


def test_own_prices_are_taken(home: Home) -> None:
    with home(model=ScriptedModel(proposal(), name="own:model"), prices={"own": {"model": {"input": "1000", "output": "1000"}}}) as runtime:
        spent = runtime.ledger.spending(runtime.start("look around").id)
        assert spent.usd is not None and Decimal(spent.usd) == Decimal(spent.tokens) / 1000


# --- what people read --------------------------------------------------------------------------------------------------------------------


def test_command_line_tells_how_much_of_what_was_taken_and_by_which_step(tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    (tmp_path / "config.yaml").write_text('budget: {usd: "0.000001"}\ncosts: {compute_usd_per_hour: "1000000"}\n')
    look = {"tool": "shell", "args": {"command": "ls"}}
    document = {"problem": {"title": "Look twice"}, "action": {"steps": [{"step": 1, **look, "cost": "$0"}, {"step": 2, **look}]}}
    (tmp_path / "plan.json").write_text(json.dumps(document))
    where = ["--home", str(tmp_path / "home"), "--workspace", str(tmp_path / "ws"), "--config", str(tmp_path / "config.yaml")]
    said = CliRunner().invoke(app, [*where, "run", str(tmp_path / "plan.json")])
    assert said.exit_code == 3 and "with step 2 $" in said.output and "the budget is $0.000001" in said.output
    (request,) = json.loads(CliRunner().invoke(app, [*where, "inbox", "--json"]).stdout)
    shown = CliRunner().invoke(app, [*where, "show", request["id"]]).output
    assert "IT TAKES MORE THAN WAS EXPECTED" in shown and "BEFORE STEP 2" in shown and "escalated" in shown and "estimated $0" in shown
    done = CliRunner().invoke(app, [*where, "approve", request["id"]])
    assert done.exit_code == 0 and "of the budget: usd " in done.output


def test_command_line_shows_the_numbers_of_the_monthly_review(tmp_path: Path) -> None:
    where = ["--home", str(tmp_path / "home"), "--workspace", str(tmp_path)]
    assert CliRunner().invoke(app, [*where, "opinions"]).exit_code == 1
    Runtime(tmp_path / "home", workspace=tmp_path).close()
    said = CliRunner().invoke(app, [*where, "opinions", "--since", "30 days"])
    assert said.exit_code == 0 and "0 steps of 0 plans" in said.output
    assert json.loads(CliRunner().invoke(app, [*where, "opinions", "--json"]).stdout)["escalated"] == 0
    assert CliRunner().invoke(app, [*where, "opinions", "--since", "a while"]).exit_code == 2
