"""Deliveries of a real project with real agents: its own tests run, its code is analysed and scanned; once to BLOCK and once to PROCEED."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assent.runtime.run import Run
from assent.runtime.runtime import Runtime

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "delivery"
# A benchmark that is quick, so that what takes the time here are the project's tests and the scan.
CONFIG = {"delivery": {"benchmark": [sys.executable, "-S", "-B", "-c", "from parcel import zones"]}}


@dataclass
class Delivered:
    runtime: Runtime
    workspace: Path
    blocked: Run
    after_block: dict[str, bytes]
    released: Run


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts}


def prepare(folder: Path) -> None:
    spec = importlib.util.spec_from_file_location("prepare_delivery", EXAMPLE / "prepare.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.prepare(folder)


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivered]:
    pytest.importorskip("bandit")
    folder = tmp_path_factory.mktemp("delivery")
    workspace = folder / "parcel"
    prepare(workspace)
    with Runtime(folder / "home", workspace=workspace, config=CONFIG) as runtime:
        runs = []
        states = []
        for document in ("regression.yaml", "fix.yaml"):
            run = runtime.start(str(EXAMPLE / document), graph="delivery")
            assert run.status == "awaiting_approval", run.as_json()
            runs.append(runtime.decide(run.requests[0].id, "approve"))
            states.append(contents(workspace))
        yield Delivered(runtime, workspace, runs[0], states[0], runs[1])


def kept(run: Run, name: str) -> Any:
    path = next(Path(one.path) for one in run.artifacts() if one.name == name)
    return json.loads(path.read_text()) if name.endswith(".json") else path.read_text()


def test_a_change_that_breaks_the_projects_tests_is_blocked_and_taken_back(delivered: Delivered) -> None:
    run = delivered.blocked
    assert run.results is not None
    assert (run.status, run.results.decision, run.results.success, run.results.not_undone) == ("rolled_back", "BLOCK", False, ())
    assert delivered.after_block == contents(EXAMPLE / "parcel"), "everything is as it was"
    final = kept(run, "final_consolidation.json")
    assert (final["deployment_readiness"]["status"], final["project_summary"]["tests_failed"], final["project_summary"]["tests_passed"]) == ("blocked", 4, 5)
    assert any("test_a_kilogram_costs_two_units" in issue for issue in final["known_issues"])
    assert "the critical tests: fail" in final["deployment_readiness"]["blockers"]


def test_a_change_that_holds_is_released(delivered: Delivered) -> None:
    run = delivered.released
    assert run.results is not None
    assert (run.status, run.results.decision) == ("completed", "PROCEED")
    assert "-(-billable_weight_g(parcel) // UNIT_G)" in (delivered.workspace / "parcel" / "weight.py").read_text()
    tests = kept(run, "testing_report_agent1.json")["body"]["content"]["data"]
    assert (tests["critical"], tests["passed"], tests["failed"]) == ("pass", 15, 0)
    assert kept(run, "testing_report_agent2.json")["body"]["content"]["data"]["high_risk"] == 0
    assert not list(delivered.workspace.rglob("__pycache__")), "the tests ran in a copy"


def test_the_analysis_of_an_unchanged_project_is_not_made_again(delivered: Delivered) -> None:
    checked = [event.data for event in delivered.released.events() if event.type == "phase.checked" and event.data["phase"] == "analysis"]
    assert [one["reused"] for one in checked[-1]["agents"]] == [True, True, True]


def test_the_analysis_saw_the_project(delivered: Delivered) -> None:
    found = kept(delivered.blocked, "phase1_synthesis.json")["synthesis"]
    assert {"parcel.weight", "parcel.quote", "parcel.zones"} <= {str(module) for module in json.dumps(found["architecture_map"]).replace('"', " ").split()}
    assert found["infrastructure_state"]["tests"]["functions"] == 5
    assert found["infrastructure_state"]["baseline"]["exit_code"] == 0


def test_the_document_for_people_has_every_part(delivered: Delivered) -> None:
    text = kept(delivered.released, "final_consolidation.md")
    for heading in ("Executive summary", "Final checkpoint", "Technical details", "Deployment instructions", "Monitoring", "Known issues", "Rollback plan"):
        assert f"## {heading}" in text
    assert f"assent rollback {delivered.released.id}" in text
    assert "PROCEED: 15 tests passed, 0 failed" in text
    final = kept(delivered.released, "final_consolidation.json")
    assert {"project_summary", "deployment_readiness", "monitoring_setup", "rollback_plan"} <= set(final)
    assert set(final["rollback_plan"]) == {"triggers", "procedures", "validation_steps"}
    assert final["technical_details"]["rehearsal"]["verified"] == [3, 2, 1]


def test_the_continuity_file_tells_of_both_phases_and_the_decision(delivered: Delivered) -> None:
    text = kept(delivered.released, "SESSION_CONTINUITY.md")
    for part in ("## Phase 1: analysis", "## Phase 3: testing", "## Final consolidation: PROCEED"):
        assert text.count(part) == 1


def test_the_indicators_were_measured(delivered: Delivered) -> None:
    assert delivered.released.results is not None and delivered.released.results.metrics is not None
    metrics = delivered.released.results.metrics
    assert metrics.phase_durations.testing is not None and metrics.phase_durations.testing > 0
    assert metrics.agent_performance.success_rate == 1 and metrics.quality_metrics.documentation_completeness == 1


def test_the_released_work_is_taken_back_to_a_point_and_to_the_beginning(delivered: Delivered) -> None:
    run = delivered.released.rollback(to=2)
    assert run.results is not None
    assert [said.partition(") ")[2] for said in run.results.restored] == ["was taken back: the earlier state was seen", "stays: its effect is there", "stays: its effect is there"]
    assert "1.3.1" not in (delivered.workspace / "CHANGELOG.md").read_text() and (delivered.workspace / "tests" / "test_units.py").exists()
    run = run.rollback()
    assert (run.status, contents(delivered.workspace)) == ("rolled_back", contents(EXAMPLE / "parcel"))
    assert delivered.runtime.verify().ok
