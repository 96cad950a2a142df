"""The report of a run: success as it was measured, the return on investment, what is left to do, the workflow that follows, what is kept."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from assent.policies.costs import oversight_s
from assent.policies.freeze import freeze
from assent.policies.freeze_expectation import expectation
from assent.policies.read_document import read_document
from assent.policies.roi import in_words, roi
from assent.runtime.cli.editing import read_back, written
from assent.runtime.run import Run
from assent.runtime.runtime import Runtime
from assent.runtime.testing import FrozenClock, Recorder, authenticated, recorded
from assent.schemas.plan import Expectation, Measure, Plan
from assent.schemas.results import Costs, Results
from assent.tools.toolbox import standard

Door = Callable[..., Runtime]

DOCUMENT = """
metadata: {workflow_id: PERF-2026-001}
problem:
  title: The note is missing
  description: 45 %% of readers of docs-service find nothing since Monday
  context: {environment: development, affected_systems: [docs-service], priority: high}
  success_criteria: ["lines of the note >= %s"]
action:
  proposed_solution: write it
  steps:
    - {step: 1, description: write the note, tool: files, args: {operation: write, path: docs/note.txt, content: "one\\ntwo\\n"}}
  resources_required: {cost_estimate: $2.50, time_estimate: 45 minutes, human_oversight: "Monitoring, 10 minutes"}
  required_approvals: [{type: post_review, approver: lead, reason: read the note}]
measures:
  - {criterion: "lines of the note >= %s", tool: shell, args: {command: "cat docs/note.txt 2>/dev/null | wc -l"}, read: stdout}
results:
  roi_analysis: {time_saved_per_week: "5 hours (fewer questions)", cost_saved_per_week: $250, roi_ratio: "9999:1"}
  lessons_learned: ["this was never learned"]
  follow_up_actions:
    - {action: Review the note every quarter, assignee: Database Admin, due_date: "2026-04-15"}
"""


def run_of(door: Door, wanted: int = 2, **config: Any) -> tuple[Runtime, Run, Results]:
    runtime = door(costs={"compute_usd_per_hour": "0", "human_usd_per_hour": "50"}, **config)
    run = runtime.start(DOCUMENT % (wanted, wanted))
    if run.status == "awaiting_approval":
        runtime.decide(run.requests[0].id, "approve", actor=authenticated("lena"))
    assert run.status == "completed"
    assert run.results is not None
    return runtime, run, run.results


def files(run: Run) -> dict[str, Path]:
    return {artifact.name: Path(artifact.path) for artifact in run.artifacts()}


# --- success ----------------------------------------------------------------------------------------------------------------------------


def test_a_run_without_a_success_criterion_does_not_claim_success(door: Door, recorder: Recorder) -> None:
    runtime = door()
    run = runtime.start(recorded({"effect": "a", "level": "LOW"}))
    assert (run.status, recorder.names) == ("completed", ["a"])
    found = run.results
    assert found is not None
    assert found.success is None
    assert any("no success criterion" in lesson for lesson in found.lessons_learned)
    assert any("success criterion" in one.action and one.assignee and one.due_date for one in found.follow_ups)
    assert "no success criterion was written" in files(run)["results.md"].read_text()


# --- the return on investment -----------------------------------------------------------------------------------------------------------


def test_the_return_is_the_declared_saving_against_what_the_run_cost(door: Door) -> None:
    _, run, found = run_of(door)
    assert found.roi_analysis is not None
    assert found.costs.human_usd == "8.33"
    assert (found.roi_analysis.roi_ratio, found.roi_analysis.cost_saved_per_week, found.roi_analysis.total_cost) == ("30.0:1", "$250.00", "$8.33")
    assert found.roi.startswith("30.0:1")
    assert "9999" not in files(run)["results.yaml"].read_text(), "a ratio that somebody wrote is not believed"
    assert "never learned" not in files(run)["results.yaml"].read_text()


def test_the_ratio_of_the_source_is_reached_with_the_numbers_of_the_source() -> None:
    found = roi(Expectation(saves_usd_per_week="250"), Costs(actual_usd="2.35", human_usd="8.33"), success=True)
    assert found.roi_ratio == "23.4:1"


@pytest.mark.parametrize(
    ("expected", "costs", "rate", "success", "why"),
    [
        (None, Costs(actual_usd="1"), "50", True, "declares no saving"),
        (Expectation(), Costs(actual_usd="1"), "50", True, "declares no saving"),
        (Expectation(saves_usd_per_week="250"), Costs(actual_usd="1"), "50", False, "did not succeed"),
        (Expectation(saves_usd_per_week="250"), Costs(actual_usd="1"), "50", None, "nobody measured"),
        (Expectation(saves_usd_per_week="250"), Costs(), "50", True, "set costs in config.yaml"),
        (Expectation(saves_time_s_per_week=3600), Costs(actual_usd="1"), "0", True, "human_usd_per_hour"),
    ],
)
def test_a_return_that_nobody_can_know_says_why(expected: Expectation | None, costs: Costs, rate: str, success: bool | None, why: str) -> None:
    found = roi(expected, costs, human_usd_per_hour=rate, success=success)
    assert found.roi_ratio == ""
    assert why in in_words(found)


def test_hours_are_worth_the_configured_rate() -> None:
    found = roi(Expectation(saves_time_s_per_week=5 * 3600), Costs(actual_usd="10"), human_usd_per_hour="50", success=True)
    assert (found.roi_ratio, found.time_saved_per_week) == ("25.0:1", "5 hours")
    assert "people's time not included" in found.note


@pytest.mark.parametrize(
    ("written_", "usd", "time_s"),
    [
        ("{time_saved: 5 hours/week}", None, 18000),
        ("{time_saved_per_week: '5 hours (reduced incident response)', cost_saved_per_week: $250}", "250", 18000),
        ("{annual_savings: '$5,200'}", "100", None),
        ("{cost_saved_per_month: $520}", "120", None),
        ("{savings: '$10 per day'}", "70", None),
        ("{time_saved: 'Z hours/week', roi_ratio: 'N:1'}", None, None),
        ("{annual_savings: $Y}", None, None),
        ("{value: strategic, roi_ratio: '12:1'}", None, None),
        ("{time_saved: a lot of hours/week}", None, None),
        ("{cost_saved: $250}", None, None),
    ],
)
def test_a_saving_counts_where_amount_and_period_can_be_read(written_: str, usd: str | None, time_s: int | None) -> None:
    found = expectation(read_document(f"problem: {{title: t}}\nresults: {{roi_analysis: {written_}}}\n"))
    assert ((found.saves_usd_per_week, found.saves_time_s_per_week) if found else (None, None)) == (usd, time_s)


@pytest.mark.parametrize(("text", "time_s"), [("10 minutes oversight", 600), ("Monitoring, 1 h", 3600), ("Monitoring during execution", None), ("", None), ("2 people", None)])
def test_oversight_is_a_time_only_where_one_is_written(text: str, time_s: int | None) -> None:
    assert oversight_s(text) == time_s


def test_a_plan_without_expectations_has_the_bytes_it_always_had() -> None:
    plain = freeze(read_document("problem: {title: t}\naction: {steps: [{tool: shell, args: {command: ls}}]}\n"))
    assert "expectation" not in plain.as_json()
    assert Plan.read(plain.bytes) == plain


def test_an_editor_shows_what_a_plan_expects_and_when_it_is_needed_and_reads_it_back() -> None:
    request = '\napproval_request: {urgency: high, required_by: "2026-10-12T16:00:00Z"}\n'
    plan = freeze(read_document(DOCUMENT % (2, 2) + request))
    text = written(plan, standard(), title="t")
    assert "cost_saved_per_week" in text and "required_by" in text and "form: assent" not in text
    assert read_back(text, plan, standard(), file="x") == plan


# --- what is left to do -----------------------------------------------------------------------------------------------------------------


def test_everything_left_to_do_has_somebody_and_a_day(door: Door, clock: FrozenClock) -> None:
    _, _, found = run_of(door)
    assert found.success is True
    assert [(one.action, one.assignee, one.due_date) for one in found.follow_ups] == [
        ("review afterwards: read the note", "lead", "2026-02-04"), ("Review the note every quarter", "Database Admin", "2026-04-15"),
    ]  # fmt: skip


def test_a_criterion_that_was_not_met_leads_to_a_workflow_that_loads_and_runs(door: Door) -> None:
    runtime, run, found = run_of(door, wanted=5)
    assert found.success is False
    assert found.root_cause is not None
    (link,) = [one for one in found.follow_ups if one.workflow_id]
    assert (link.workflow_id, link.assignee, link.priority, link.due_date) == ("PERF-2026-001-F1", "dora", "high", "2026-01-12")
    text = files(run)[link.document].read_text()
    again = runtime.start(text)
    assert again.plan is not None
    assert (again.plan.workflow_id, again.plan.problem.title) == (link.workflow_id, link.problem)
    assert run.id in again.plan.problem.description and "still not met" in again.plan.problem.description
    assert again.plan.problem.success_criteria == ("lines of the note >= 5",)
    assert again.status == "completed", "it only measures, so it flows"
    assert again.results is not None
    assert again.results.success is False


def test_a_run_that_succeeded_is_followed_by_no_workflow(door: Door) -> None:
    _, run, _ = run_of(door)
    assert "follow_up.yaml" not in files(run)


# --- what is kept -----------------------------------------------------------------------------------------------------------------------


def test_the_report_has_the_names_of_the_source_document_and_loads_like_one(door: Door) -> None:
    _, run, _ = run_of(door, wanted=5)
    text = files(run)["results.yaml"].read_text()
    kept = yaml.safe_load(text)
    assert set(kept) == {"results", "execution"}
    results = kept["results"]
    assert {"success", "outcomes", "actual_costs", "roi_analysis", "lessons_learned", "follow_up_actions", "artifacts", "root_cause_analysis"} <= set(results)
    (outcome,) = results["outcomes"]
    assert (outcome["metric"], outcome["before"], outcome["after"], outcome["meets_criteria"]) == ("lines of the note >= 5", 0.0, 2.0, False)
    assert results["actual_costs"]["human_time"] == "600 s as estimated, $8.33"
    assert {"start_time", "end_time", "total_duration", "monitoring"} == set(kept["execution"])


def test_what_the_steps_made_is_kept_with_the_run(door: Door, workspace: Path) -> None:
    _, run, found = run_of(door)
    assert set(files(run)) == {"results.yaml", "results.md", "execution.log", "step-1-note.txt"}
    (workspace / "docs" / "note.txt").unlink()
    assert files(run)["step-1-note.txt"].read_text() == "one\ntwo\n"
    assert {artifact.name for artifact in found.artifacts} == {"execution.log", "step-1-note.txt"}
    assert "step-1-note.txt" in files(run)["results.md"].read_text()
    log = files(run)["execution.log"].read_text().splitlines()
    assert [line.split("  ")[1:3] for line in log] == [
        ["measure 1 before", "started"], ["measure 1 before", "completed"], ["step 1", "started"], ["step 1", "completed"],
        ["measure 1 after", "started"], ["measure 1 after", "completed"],
    ]  # fmt: skip
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in files(run).values())


def test_a_large_output_is_kept_whole(door: Door) -> None:
    runtime = door()
    run = runtime.start({"problem": {"title": "count"}, "action": {"steps": [{"step": 1, "commands": ["seq 1 5000"]}]}})
    assert run.status == "completed"
    assert "\n4999\n5000" in files(run)["step-1-output.txt"].read_text()


def test_a_link_that_a_step_leaves_behind_brings_nothing_from_outside_into_the_artifacts(door: Door, workspace: Path, tmp_path: Path) -> None:
    outside = tmp_path / "secret.txt"
    outside.write_text("not for the artifacts")
    steps = [
        {"step": 1, "tool": "files", "args": {"operation": "write", "path": "note.txt", "content": "x"}},
        {"step": 2, "commands": [f"ln -sf {outside} note.txt"]},
    ]
    runtime = door()
    run = runtime.start({"problem": {"title": "swap"}, "action": {"steps": steps}})
    for who in ("ada", "amos"):
        if run.requests[0].is_open:
            runtime.decide(run.requests[0].id, "approve", actor=authenticated(who), reason="a test")
    assert run.status == "completed", run.results
    assert (workspace / "note.txt").read_text() == "not for the artifacts"
    assert not any("not for the artifacts" in path.read_text() for path in files(run).values())


def test_what_was_taken_back_is_not_kept(door: Door) -> None:
    steps = [
        {"step": 1, "tool": "files", "args": {"operation": "write", "path": "note.txt", "content": "x"}},
        {"step": 2, "tool": "files", "args": {"operation": "edit", "path": "note.txt", "old": "not there", "new": "y"}},
    ]
    runtime = door()
    run = runtime.start({"problem": {"title": "fails"}, "action": {"steps": steps}})
    if run.status == "awaiting_approval":
        runtime.decide(run.requests[0].id, "approve", actor=authenticated("lena"))
    assert run.status == "rolled_back"
    assert "step-1-note.txt" not in files(run)
    assert "undo of step 1  completed" in files(run)["execution.log"].read_text()


def test_a_measure_that_reads_no_number_is_not_met_and_says_so(door: Door) -> None:
    measure = Measure(criterion="words < 3", tool="shell", args={"command": "echo many"}, read="stdout")
    run = door().start(recorded({"effect": "a", "level": "LOW"}, problem={"success_criteria": ("words < 3",)}, measures=(measure,)))
    assert run.results is not None
    (outcome,) = run.results.outcomes
    assert (outcome.met, run.results.success) == (None, None)
    assert "not a number" in outcome.note
