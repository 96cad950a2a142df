"""A delivery from end to end with agents that are told what to say: its stations, its questions, and how it ends."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assent.runtime.runtime import Runtime
from assent.runtime.testing import ScriptedModel, authenticated, recorded
from assent.schemas.errors import NotAllowed
from assent.schemas.phase import AgentOutcome
from assent.schemas.results import Results
from assent.schemas.workflow_metrics import WorkflowMetrics
from assent.tools.toolbox import standard

from .delivery_world import LOOK, Delivery, document, each, write
from .phase_world import finding


@pytest.fixture
def delivery(tmp_path: Path) -> Iterator[Delivery]:
    world = Delivery(tmp_path)
    yield world
    world.close()


def delivery_plan() -> dict[str, Any]:
    return recorded(LOOK).as_json()


def artifacts(run: Any) -> set[str]:
    return {one.name for one in run.artifacts()}


def results(run: Any) -> Results:
    assert run.results is not None
    found: Results = run.results
    return found


def final(run: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(Path(one.path) for one in run.artifacts() if one.name == "final_consolidation.json").read_text())
    return found


def test_a_delivery_analyses_works_tests_and_is_released(delivery: Delivery) -> None:
    runtime, run = delivery.start()
    assert (run.status, results(run).decision, delivery.recorder.names) == ("completed", "PROCEED", ["worked"])
    assert delivery.calls[:3] != delivery.calls[3:] and sorted(delivery.calls) == sorted(["architecture", "code", "infrastructure", "tests", "performance_security", "documentation"])
    kinds = [event.type for event in run.events()]
    assert kinds.index("phase.checked") < kinds.index("step.dispatched") < kinds.index("rollback.rehearsed") < kinds.index("release.decided") < kinds.index("results.recorded")
    assert {"SESSION_CONTINUITY.md", "phase1_synthesis.json", "phase1_consolidated_analysis.md", "analysis_report_agent1.json", "phase3_synthesis.json",
            "testing_report_agent3.json", "final_consolidation.json", "final_consolidation.md", "results.md"} <= artifacts(run)  # fmt: skip
    assert runtime.verify().ok


def test_the_metrics_have_the_names_of_the_source_and_what_was_measured(delivery: Delivery) -> None:
    _, run = delivery.start()
    metrics = (results(run).metrics or WorkflowMetrics()).as_json()
    assert set(metrics["phase_durations"]) == {"analysis", "consolidation_1", "implementation", "testing", "final_consolidation"}
    assert metrics["agent_performance"]["success_rate"] == 1.0
    assert metrics["quality_metrics"] == {"test_coverage": 0.8, "documentation_completeness": 1.0, "error_rate": 0.0}
    text = next(Path(one.path) for one in run.artifacts() if one.name == "results.md").read_text()
    assert "## Release: PROCEED" in text and "test coverage 0.8" in text


def test_a_complex_change_is_tested_by_five_and_told_what_the_plan_says(delivery: Delivery) -> None:
    _, run = delivery.start(environment="production")
    began = next(data for data in each(run, "phase.began") if data["phase"] == "testing")
    assert (len(began["agents"]), began["staffing"]["rules"]) == (5, ["production"])
    assert {"end_to_end", "deployment"} <= set(delivery.calls)
    told = delivery.told["deployment"].body.content["inputs"]
    assert (told["path"], told["rollback_tested"], told["baseline_s"]) == (str(delivery.workspace), True, 1.5)
    assert delivery.told["tests"].body.content["limits"]["memory_mb"] == 256


def test_how_many_test_is_decided_before_the_work_and_stays_so(delivery: Delivery) -> None:
    """Once a file is there, the same plan would overwrite it, which is a higher risk; that says nothing about the work that made it."""
    runtime = delivery.open("lena")
    run = runtime.start(document(write("new.txt", "x\n")), graph="delivery")
    run = runtime.decide(run.requests[0].id, "approve")
    assert results(run).decision == "PROCEED" and len(delivery.calls) == 6
    assert run.plan is not None
    later = delivery.open("lena")
    assert later.ledger.risk(run.plan).whole.level == "HIGH"
    document_, decided = later.finalise(run.id)
    assert (document_.decision, decided, later.ledger.release(run.id)) == ("PROCEED", later.ledger.decided(run.id).model_copy(update={"at": None}), "released")  # type: ignore[union-attr]


# --- checkpoint 1 -----------------------------------------------------------------------------------------------------------------------


def test_a_failed_agent_is_run_again_on_less_and_then_a_person_is_asked(delivery: Delivery) -> None:
    delivery.said["code"] = {"raises": "no"}
    _, run = delivery.start()
    assert (run.status, delivery.calls.count("code"), delivery.recorder.names) == ("awaiting_approval", 2, [])
    assert len(delivery.told["code"].body.content["focus"]) == 2, "the second time it is asked for less"
    (request,) = run.requests
    assert (request.kind, request.subject["phase"], request.subject["criteria"]) == ("gate", "analysis", ["all_agents"])
    assert "code" not in request.subject["why"] or "agent2" in request.subject["why"]


def test_an_exception_by_somebody_entitled_lets_the_work_begin(delivery: Delivery) -> None:
    delivery.said["code"] = {"raises": "no"}
    runtime, run = delivery.start()
    run = runtime.decide(run.requests[0].id, "approve", actor=authenticated("lena"), reason="known")
    assert (run.status, delivery.recorder.names) == ("completed", ["worked"])
    assert delivery.calls.count("code") == 2, "nobody is run again for an exception"


@pytest.mark.parametrize("who", ["guest", "robot"])
def test_an_exception_by_somebody_else_does_not_count(delivery: Delivery, who: str) -> None:
    delivery.said["code"] = {"raises": "no"}
    runtime, run = delivery.start()
    with pytest.raises(NotAllowed):
        runtime.decide(run.requests[0].id, "approve", actor=authenticated(who))
    assert (run.resume().status, delivery.recorder.names) == ("awaiting_approval", [])


def test_a_rejected_checkpoint_ends_the_run_before_the_work(delivery: Delivery) -> None:
    delivery.said["code"] = {"raises": "no"}
    runtime, run = delivery.start()
    run = runtime.decide(run.requests[0].id, "reject", actor=authenticated("lena"), reason="wait")
    assert (run.status, delivery.recorder.names, results(run).success) == ("rejected", [], False)


def test_a_person_resolves_a_contradiction_and_nobody_is_run_again(delivery: Delivery) -> None:
    delivery.contradict()
    runtime, run = delivery.start()
    (request,) = run.requests
    (conflict,) = request.subject["conflicts"]
    assert [(side["agent"], side["value"]) for side in conflict["sides"]] == [("agent1", "True"), ("agent3", "False")]
    run = runtime.decide(request.id, "approve", actor=authenticated("lena"), holds={conflict["id"]: "agent1"}, reason="I looked")
    assert (run.status, sorted(delivery.calls).count("architecture")) == ("completed", 1)
    (resolution,) = runtime.ledger.resolutions(run.id, "analysis")
    assert (resolution.holds, resolution.by, resolution.reason) == ("agent1", "lena", "I looked")
    synthesis = runtime.synthesis(run.id, "analysis", resolved=True)
    assert synthesis is not None and synthesis.conflicts[0].resolution == resolution
    continuity = next(Path(one.path) for one in run.artifacts() if one.name == "phase1_consolidated_analysis.md").read_text()
    assert "resolved by lena: agent1 holds" in continuity


@pytest.mark.parametrize("holds", [None, {}, {"conflict_none": "agent1"}, "agent2", "agent9"])
def test_an_answer_that_names_no_side_of_each_contradiction_does_not_count(delivery: Delivery, holds: Any) -> None:
    delivery.contradict()
    runtime, run = delivery.start()
    (request,) = run.requests
    given = {request.subject["conflicts"][0]["id"]: holds} if isinstance(holds, str) else holds
    with pytest.raises(NotAllowed) as refused:
        runtime.decide(request.id, "approve", actor=authenticated("lena"), holds=given)
    assert f"assent resolve {request.id}" in refused.value.hint
    assert (run.resume().status, list(each(run, "conflict.resolved"))) == ("awaiting_approval", [])


def test_a_side_is_said_only_where_it_was_asked_for(delivery: Delivery) -> None:
    runtime, run = delivery.start("a")
    with pytest.raises(NotAllowed, match="no contradiction"):
        runtime.decide(run.requests[0].id, "approve", actor=authenticated("lena"), holds={"x": "agent1"})


def test_two_people_who_disagree_resolve_nothing(delivery: Delivery) -> None:
    delivery.contradict()
    runtime, run = delivery.start({"effect": "a", "level": "CRITICAL"})
    (request,) = run.requests
    (conflict,) = request.subject["conflicts"]
    for who, side in (("ada", "agent1"), ("amos", "agent3")):
        run = runtime.decide(request.id, "approve", actor=authenticated(who), holds={conflict["id"]: side}, reason="so")
    assert runtime.ledger.resolutions(run.id, "analysis") == ()
    assert [one.kind for one in run.requests if one.is_open] == ["conflict"], "it is asked again"


# --- the release ------------------------------------------------------------------------------------------------------------------------


def blocked(delivery: Delivery) -> None:
    delivery.says("tests", finding("t::x", "test", "failed", "high"), critical="fail", failed=1)


def test_blocked_work_is_taken_back(delivery: Delivery) -> None:
    blocked(delivery)
    runtime = delivery.open("lena")
    run = runtime.start(document(write("notes.txt", "new\n"), write("more.txt", "x\n")), graph="delivery")
    run = runtime.decide(run.requests[0].id, "approve")
    assert (run.status, results(run).decision, results(run).not_undone) == ("rolled_back", "BLOCK", ())
    assert ((delivery.workspace / "notes.txt").read_text(), (delivery.workspace / "more.txt").exists()) == ("old\n", False)
    assert [said.split(": ")[1] for said in results(run).restored] == ["the earlier state was seen"] * 2
    assert next(event.data["rules"] for event in run.events() if event.type == "step.dispatched" and event.data["direction"] == "undo") == ["release.blocked"]
    assert "the critical tests: fail" in str(results(run).root_cause)


def test_blocked_work_is_kept_where_the_rules_say_so(delivery: Delivery) -> None:
    blocked(delivery)
    _, run = delivery.start(delivery={"on_block": "keep", "baseline": False})
    assert (run.status, results(run).decision, results(run).success, delivery.recorder.names) == ("failed", "BLOCK", False, ["worked"])


@pytest.mark.parametrize(
    ("agent", "data"),
    [("performance_security", {"high_risk": 1}), ("performance_security", {"high_risk": None}), ("performance_security", {"degradations": None}), ("tests", {"critical": "unknown"}), ("documentation", {"incomplete": 5})],
    ids=str,
)
def test_what_is_bad_or_was_not_measured_blocks(delivery: Delivery, agent: str, data: dict[str, Any]) -> None:
    delivery.says(agent, **data)
    _, run = delivery.start()
    assert results(run).decision == "BLOCK"


def test_an_agent_that_does_not_report_blocks_whatever_the_numbers_say(delivery: Delivery) -> None:
    delivery.said["end_to_end"] = {"raises": "no"}
    _, run = delivery.start(environment="production")
    assert results(run).decision == "BLOCK"
    assert final(run)["validation"]["tests"]["critical"] == "pass"
    assert any("agent4" in reason for reason in final(run)["reasons"])


def test_a_step_without_a_tried_way_back_blocks(delivery: Delivery) -> None:
    runtime, run = delivery.start({"effect": "a", "level": "HIGH"})
    run = runtime.decide(run.requests[0].id, "approve", actor=authenticated("lena"))
    assert results(run).decision == "BLOCK"
    assert final(run)["validation"]["rollback"] == {"tested": False}
    (untested,) = next(each(run, "rollback.rehearsed"))["untested"]
    assert "step 1" in untested


def test_a_conditional_release_waits_for_a_stakeholder(delivery: Delivery) -> None:
    delivery.says("documentation", incomplete=3)
    runtime, run = delivery.start()
    (request,) = run.requests
    assert (run.status, request.kind, request.subject["decision"], run.progress.phase) == ("awaiting_approval", "review", "CONDITIONAL_PROCEED", "final consolidation")
    run = runtime.decide(request.id, "approve", actor=authenticated("lena"))
    assert (run.status, results(run).decision) == ("completed", "CONDITIONAL_PROCEED")
    assert final(run)["stakeholder_approval"] == "given by lena"


def test_production_asks_for_a_clean_release_too(delivery: Delivery) -> None:
    runtime, run = delivery.start(environment="production")
    assert [(one.kind, one.subject["decision"]) for one in run.requests] == [("review", "PROCEED")]
    assert runtime.decide(run.requests[0].id, "approve", actor=authenticated("lena")).status == "completed"


def test_a_refused_release_is_taken_back(delivery: Delivery) -> None:
    delivery.says("documentation", incomplete=3)
    runtime = delivery.open("lena")
    run = runtime.start(document(write("notes.txt", "new\n")), graph="delivery")
    run = runtime.decide(run.requests[0].id, "approve")
    run = runtime.decide(run.requests[1].id, "reject", reason="not now")
    assert (run.status, (delivery.workspace / "notes.txt").read_text(), results(run).not_undone) == ("rejected", "old\n", ())
    assert final(run)["stakeholder_approval"] == "refused by lena"


def test_nobody_is_asked_to_release_what_is_blocked(delivery: Delivery) -> None:
    blocked(delivery)
    _, run = delivery.start(environment="production")
    assert (run.requests, run.status) == ([], "rolled_back")


def test_a_contradiction_between_testers_is_resolved_before_the_decision(delivery: Delivery) -> None:
    delivery.contradict("tests", "documentation")
    runtime, run = delivery.start()
    (request,) = run.requests
    assert (request.kind, request.subject["phase"], delivery.recorder.names) == ("conflict", "testing", ["worked"])
    holds = {request.subject["conflicts"][0]["id"]: ""}
    run = runtime.decide(request.id, "approve", actor=authenticated("lena"), holds=holds)
    assert (run.status, delivery.calls.count("tests"), delivery.recorder.names) == ("completed", 1, ["worked"])


# --- the rest of its life ---------------------------------------------------------------------------------------------------------------


def test_a_failed_step_is_taken_back_and_nothing_is_tested(delivery: Delivery) -> None:
    runtime = delivery.open("lena")
    run = runtime.start(document(write("notes.txt", "new\n"), {"tool": "files", "args": {"operation": "edit", "path": "notes.txt", "old": "nowhere", "new": "x"}}), graph="delivery")
    run = runtime.decide(run.requests[0].id, "approve")
    assert (run.status, "tests" in delivery.calls) == ("rolled_back", False)


def test_a_rejected_plan_ends_the_run(delivery: Delivery) -> None:
    runtime, run = delivery.start("a")
    assert run.progress.phase == "approval"
    assert runtime.decide(run.requests[0].id, "reject", actor=authenticated("lena")).status == "rejected"
    assert "tests" not in delivery.calls


def test_cancelling_while_a_checkpoint_waits_ends_the_run(delivery: Delivery) -> None:
    delivery.said["code"] = {"raises": "no"}
    _, run = delivery.start()
    assert (run.cancel("later").status, delivery.recorder.names) == ("cancelled", [])


def test_an_edited_plan_is_analysed_no_second_time(delivery: Delivery) -> None:
    runtime, run = delivery.start("a")
    run = runtime.decide(run.requests[0].id, "edit", actor=authenticated("lena"), edit={"steps": {1: {"args": {"effect": "b", "level": "LOW"}}}})
    assert (run.status, delivery.recorder.names, delivery.calls.count("code")) == ("completed", ["b"], 1)


def test_a_run_of_another_name_and_graph_is_not_taken_for_the_same(delivery: Delivery) -> None:
    runtime = delivery.open()
    runtime.start({"plan": delivery_plan()}, run_id="mine")
    with pytest.raises(NotAllowed, match="something else"):
        runtime.start({"plan": delivery_plan()}, run_id="mine", graph="delivery")


def test_an_agent_that_asks_is_a_question_of_the_checkpoint(delivery: Delivery) -> None:
    from assent.nodes.phase_crew import AsksPerson

    def asks(message: Any) -> Any:
        raise AsksPerson("may I read the wiki?")

    runtime = delivery.open()
    runtime.agents["code"] = asks
    run = runtime.start(document({"tool": "shell", "args": {"command": "ls"}}), graph="delivery")
    assert run.status == "awaiting_approval" and "may I read the wiki?" in run.requests[0].subject["why"]
    assert any(one["outcome"] == AgentOutcome.ASKS for data in each(run, "phase.checked") for one in data["agents"])


async def test_async_callers_run_the_same_graph(delivery: Delivery) -> None:
    runtime = delivery.open()
    end = await runtime.graph("delivery").ainvoke(
        {"request": {"plan": delivery_plan()}}, {"configurable": {"thread_id": "run_async"}}
    )
    assert (end["status"], delivery.recorder.names) == ("completed", ["worked"])
    assert runtime.run("run_async").row.graph == "delivery"


def test_the_work_runs_under_the_bounds_of_its_phase(delivery: Delivery) -> None:
    """60 % of the processors and 1 GB for all of it, where the configuration does not bound it more narrowly."""
    runtime = delivery.open("lena", limits={"memory_mb": 4096})
    step = {"tool": "shell", "args": {"command": f"{sys.executable} -S -c 'bytearray(1500 * 1024**2)'"}}
    run = runtime.start(document(step), graph="delivery")
    run = runtime.decide(run.requests[0].id, "approve")
    assert run.status == "failed" and "MemoryError" in str(results(run).root_cause)
    assert runtime.delivery_ports.ports.place(run.id).limits.cpu_share == 0.6
    narrower = delivery.open("lena", limits={"memory_mb": 512})
    assert narrower.delivery_ports.ports.place(run.id).limits.memory_bytes == 512 * 1024**2


# --- plain language ---------------------------------------------------------------------------------------------------------------------

WORDS = "write the notes anew"
REPLY: dict[str, Any] = {
    "problem": {"title": "The notes are old", "description": "They are to be new.", "success_criteria": []}, "intent": "Write them.",
    "steps": [{"description": "write", "tool": "files", "args": {"operation": "write", "path": "more.txt", "content": "new\n"}, "rollback_plan": "delete it", "reversible": True}],
}  # fmt: skip


def test_the_model_that_plans_is_told_what_the_analysis_found(delivery: Delivery) -> None:
    delivery.said["code"]["findings"] = [finding("notes.txt", "age", "old", "medium", text="the notes are older than the code")]
    runtime = delivery.open("lena")
    runtime.model = ScriptedModel(REPLY)
    run = runtime.start(WORDS, graph="delivery")
    assert (run.status, run.requests[0].kind) == ("awaiting_approval", "plan")
    assert "the notes are older than the code" in runtime.model.asked[0].text
    assert runtime.decide(run.requests[0].id, "approve").results.decision == "PROCEED"  # type: ignore[union-attr]


def test_a_checkpoint_before_there_is_a_plan_asks_too_and_no_model_is_paid_for_meanwhile(delivery: Delivery) -> None:
    delivery.said["code"] = {"raises": "no"}
    runtime = delivery.open("lena")
    runtime.model = ScriptedModel(REPLY)
    run = runtime.start(WORDS, graph="delivery")
    (request,) = run.requests
    assert (run.plan, request.kind, request.risk, request.digest, runtime.model.asked) == (None, "gate", "HIGH", "", [])
    assert [one.value for one in request.options] == ["approve", "reject"]
    with pytest.raises(NotAllowed):
        runtime.decide(request.id, "approve", actor=authenticated("dora"))
    run = runtime.decide(request.id, "approve", reason="go on")
    assert (run.status, [one.kind for one in run.requests if one.is_open]) == ("awaiting_approval", ["plan"])
    assert runtime.verify().ok


def test_a_rejected_checkpoint_before_there_is_a_plan_ends_the_run(delivery: Delivery) -> None:
    delivery.said["code"] = {"raises": "no"}
    runtime = delivery.open("lena")
    runtime.model = ScriptedModel(REPLY)
    run = runtime.start(WORDS, graph="delivery")
    run = runtime.decide(run.requests[0].id, "reject", reason="no")
    assert (run.status, run.plan, runtime.model.asked, results(run).success) == ("rejected", None, [], False)
    assert run.resume().status == "rejected"


def test_how_each_agent_ended_is_in_the_log_and_in_the_stream(delivery: Delivery) -> None:
    delivery.said["code"] = {"raises": "token=ghp_" + "a1B2c3D4" * 5}
    runtime, run = delivery.start()
    ended = [event.data for event in run.stream(timeout_s=5) if event.type == "phase.agent"]
    assert {(one["phase"], one["agent"]) for one in ended if one["outcome"] == "reported"} >= {("analysis", "agent1"), ("analysis", "agent3")}
    crashed = next(one for one in ended if one["outcome"] != "reported")
    assert crashed["agent"] == "agent2" and "ghp_" not in str(crashed)
    assert runtime.verify().ok


def test_a_model_reads_on_where_the_analysts_end(delivery: Delivery) -> None:
    (delivery.workspace / "shop.py").write_text('"""A shop."""\n\n\ndef price() -> int:\n    """Return the price."""\n    return 1\n')
    report = {"report": {"summary": "a folder of notes", "findings": [{"subject": "notes.txt", "text": "is short", "severity": "low"}]}}
    model = ScriptedModel(report, report, report)
    testers = {name: agent for name, agent in delivery.open().agents.items() if name not in ("architecture", "code", "infrastructure")}
    with Runtime(
        delivery.folder / "other", workspace=delivery.workspace, config={"delivery": {"baseline": False}}, clock=delivery.clock, actor=authenticated("dora"),
        tools=standard().plus(delivery.recorder), agents=testers, model=model,
    ) as runtime:  # fmt: skip
        run = runtime.start(recorded(LOOK), graph="delivery")
        found = runtime.synthesis(run.id, "analysis")
        assert found is not None and model.is_spent
        assert [one.text for one in found.findings if one.subject == "notes.txt"] == ["[scripted:model] is short"], found.findings
        asked = len(model.asked)
        # The same folder and the same model: nobody is asked, and nothing paid for, again.
        runtime.start(recorded({**LOOK, "effect": "again"}), graph="delivery")
        assert len(model.asked) == asked


def test_an_agent_that_has_ended_is_told_while_another_still_works(delivery: Delivery) -> None:
    told = threading.Event()
    runtime = delivery.open()
    runtime.on_phase = lambda event: told.set() if event["type"] == "phase.agent" and event["agent"] == "agent3" else None
    said, in_time = runtime.agents["architecture"], []

    def slow(message: Any) -> Any:
        in_time.append(told.wait(timeout=4))  # it ends only when the other's end was told
        return said(message)

    runtime.agents["architecture"] = slow
    run = runtime.start(recorded(LOOK), graph="delivery")
    assert (run.status, in_time) == ("completed", [True])
