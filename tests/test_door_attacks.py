"""Attacks on the door itself: what changes between approval and effect, names, steps that answer for people, rules that changed meanwhile.

The routes through the graph are in `test_bypass.py`.
"""

from __future__ import annotations

import copy
import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import assent
from assent.runtime import identity
from assent.runtime.run import Run
from assent.runtime.runtime import Runtime
from assent.runtime.testing import Recorder, authenticated, recorded
from assent.schemas.errors import InvalidConfiguration, NotAllowed
from assent.schemas.plan import Plan
from assent.tools.environment import environment

Door = Callable[..., Runtime]


def note(content: str = "good") -> dict[str, Any]:
    return {"problem": {"title": "note"}, "action": {"steps": [{"tool": "files", "args": {"operation": "write", "path": "note.txt", "content": content}}]}}


def approve(run: Run, name: str = "lena") -> Run:
    return run._runtime.decide([r for r in run.requests if r.is_open][-1].id, "approve", actor=authenticated(name), reason="seen")


# --- the plan in somebody else's hands ----------------------------------------------------------------------------------------------------


def test_a_document_that_is_changed_after_it_was_handed_over_changes_nothing(door: Door, workspace: Path) -> None:
    document = note()
    run = door().start(document)
    document["action"]["steps"][0]["args"]["content"] = "evil"
    approve(run)
    assert (workspace / "note.txt").read_text() == "good"


@pytest.mark.parametrize(
    "change",
    [
        lambda args: args.__setitem__("content", "evil"), lambda args: args.update(content="evil"), lambda args: args.pop("content"), lambda args: args.clear(),
        lambda args: args.setdefault("mode", "x"), lambda args: args.__ior__({"content": "evil"}), lambda args: args.__delitem__("content"), lambda args: args.popitem(),
    ],
)  # fmt: skip
def test_the_arguments_of_a_plan_that_waits_cannot_be_changed_in_this_process(door: Door, workspace: Path, change: Callable[[Any], None]) -> None:
    run = door().start(note())
    assert run.plan is not None
    with pytest.raises(TypeError, match="does not change"):
        change(run.plan.steps[0].args)
    approve(run)
    assert (workspace / "note.txt").read_text() == "good"


def test_arguments_are_frozen_all_the_way_down_and_still_plain_json() -> None:
    args: dict[str, Any] = {"list": [1, {"deep": [2]}], "text": "x"}
    plan = Plan.model_validate({"problem": {"title": "t"}, "steps": [{"step": 1, "tool": "shell", "args": args, "undo": {"tool": "shell", "args": args}}]})
    assert plan.steps[0].undo is not None
    for held in (plan.steps[0].args, plan.steps[0].undo.args, copy.deepcopy(plan).steps[0].args, pickle.loads(pickle.dumps(plan.steps[0].args)), Plan.read(plan.bytes).steps[0].args):
        assert held == args
        assert json.loads(json.dumps(held)) == args
        for values in (held["list"], held["list"][1]["deep"]):
            with pytest.raises(TypeError):
                values.append(3)
            with pytest.raises(TypeError):
                values.sort()
    args["text"] = "changed by whoever made it"
    assert plan.steps[0].args["text"] == "x"
    assert plan.steps[0].args["list"] == [1, {"deep": [2]}]


# --- names ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["system:auto", "System:Auto", "system", " ada", "ada ", "ada\n", "a\u200bda", "\u202eada", "e\u0301va", "\x1b[31mada"])
def test_a_name_that_could_pass_for_another_is_refused_at_every_door(door: Door, home: Path, workspace: Path, name: str) -> None:
    run = door().start(note())
    with pytest.raises(InvalidConfiguration):
        assent.open(home, workspace=workspace, actor=name)
    for actor in (name, {"id": name}):
        with pytest.raises(InvalidConfiguration):
            door().decide(run.requests[0].id, "approve", actor=actor)
    assert run.requests[0].is_open


# --- steps that answer for people -------------------------------------------------------------------------------------------------------


def test_a_step_cannot_approve_what_waits(home: Path, workspace: Path) -> None:
    """The step runs as the same user; what it starts stands at the door as a step, not as that person."""
    people = {"actors": {"ada": ["admin"], "amos": ["admin"]}}
    with Runtime(home, workspace=workspace, config=people, actor=authenticated("ada")) as runtime:  # on the clock of the step
        victim = runtime.start(note("victim"))
        root = str(Path(assent.__file__).parent.parent)
        attack = f"import sys; sys.path[:0] = [{root!r}]; import assent; r = assent.open({str(home)!r}, workspace={str(workspace)!r}); "
        attack += f"r.decide({victim.requests[0].id!r}, 'approve', resume=False)"
        step = {"tool": "shell", "args": {"command": f'{sys.executable} -c "{attack}"'}}
        run = runtime.start({"problem": {"title": "approves"}, "action": {"steps": [step]}})
        for name in ("ada", "amos"):
            if any(request.is_open for request in run.requests):
                approve(run, name)
        assert run.status == "failed"
        assert victim.requests[0].is_open
        refused = [event for event in victim.events() if event.type == "decision.refused"]
        assert [event.data["rules"] for event in refused] == [["actor.agent"]]
        assert not (workspace / "note.txt").exists()


def test_a_step_may_grant_and_take_back_nothing(door: Door, home: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with assent.open(home, workspace=workspace) as runtime:
        run = runtime.start(note())
        runtime.decide(run.requests[0].id, "approve")
    monkeypatch.setenv("ASSENT_AGENT", "1")
    with assent.open(home, workspace=workspace) as runtime:
        with pytest.raises(NotAllowed):
            runtime.grant("files", path=".")
        with pytest.raises(NotAllowed):
            runtime.rollback(run.id)


def test_the_configuration_cannot_take_the_mark_of_a_step_away(door: Door, workspace: Path) -> None:
    assert environment(door().place(""))["ASSENT_AGENT"] == "step"
    from assent.tools.tool import ToolRefused

    with pytest.raises(ToolRefused):
        environment(door(environment={"ASSENT_AGENT": ""}).place(""))


# --- rules that changed meanwhile -------------------------------------------------------------------------------------------------------


def _configured(home: Path, workspace: Path, text: str) -> Runtime:
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "config.yaml").write_text(text)
    return Runtime(home, workspace=workspace, actor="dora")


def test_rules_that_became_stricter_hold_for_a_process_that_is_already_there(home: Path, workspace: Path) -> None:
    with _configured(home, workspace, "actors: {dora: [lead]}\n") as runtime:
        run = runtime.start(note())
        (home / "config.yaml").write_text("actors: {dora: []}\n")
        with pytest.raises(NotAllowed):
            runtime.decide(run.requests[0].id, "approve")
        (home / "config.yaml").write_text("actors: {dora: [lead]}\nseparation_of_duties: [MEDIUM, HIGH]\n")
        with pytest.raises(NotAllowed, match="asked for"):
            runtime.decide(run.requests[0].id, "approve")
        assert not (workspace / "note.txt").exists()


def test_a_role_that_is_taken_away_between_two_steps_stops_the_run(home: Path, workspace: Path) -> None:
    rules = workspace / "rules.yaml"
    rules.write_text("actors: {dora: [lead]}\n")
    with Runtime(home, workspace=workspace, actor="dora", config=rules) as runtime:
        taken_away = {"tool": "files", "args": {"operation": "edit", "path": "rules.yaml", "old": "[lead]", "new": "[]"}}
        steps = [taken_away, {"tool": "files", "args": {"operation": "write", "path": "note.txt", "content": "x"}}]
        run = runtime.start({"problem": {"title": "two"}, "action": {"steps": steps}})
        runtime.decide(run.requests[0].id, "approve")
        assert run.status == "awaiting_approval", "the approval no longer carries, so somebody is asked"
        assert not (workspace / "note.txt").exists()


def test_rules_that_cannot_be_read_let_nothing_go_on(home: Path, workspace: Path) -> None:
    with _configured(home, workspace, "actors: {dora: [lead]}\n") as runtime:
        run = runtime.start(note())
        (home / "config.yaml").write_text("approvals: {CRITICAL: {approvals: 1}}\n")
        with pytest.raises(InvalidConfiguration):
            runtime.decide(run.requests[0].id, "approve")
        with pytest.raises(InvalidConfiguration):
            runtime.resume(run.id)
        with pytest.raises(InvalidConfiguration):
            runtime.start(note())
        assert run.requests[0].is_open


# --- folders ----------------------------------------------------------------------------------------------------------------------------


def test_a_workspace_that_was_swapped_for_a_link_is_not_acted_in(door: Door, workspace: Path, tmp_path: Path) -> None:
    run = door().start(note())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    workspace.rename(tmp_path / "moved")
    workspace.symlink_to(elsewhere)
    with pytest.raises(Exception, match="is a link now"):
        approve(run)
    assert os.listdir(elsewhere) == []


def test_a_grant_holds_in_the_workspace_for_which_it_was_given(door: Door, home: Path, workspace: Path, recorder: Recorder, clock: Any, tmp_path: Path) -> None:
    door("ada").grant("recorder", path="here", uses=5)
    plan = recorded({"effect": "a", "level": "MEDIUM", "path": "here"})
    assert door().start(plan).status == "completed"
    other = tmp_path / "other"
    other.mkdir()

    with Runtime(home, workspace=other, config={"actors": {"dora": ["developer"], "ada": ["admin"]}}, clock=clock, actor=authenticated("dora"), tools=door().tools) as runtime:
        assert runtime.start(plan).status == "awaiting_approval"
    assert recorder.names == ["a"]


def test_the_name_of_the_user_is_the_operating_systems_not_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "USERNAME", "LNAME"):
        monkeypatch.setenv(name, "ada")
    assert identity.operating_system_user() != "ada"
