"""Input that wants to do harm: paths that leave, links, bombs, very large texts, and characters that lie. Clear errors, nothing started."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assent.runtime.runtime import Runtime
from assent.runtime.testing import Recorder, authenticated, recorded
from assent.schemas.errors import AssentError, InvalidDocument

Door = Callable[..., Runtime]

STRANGE = {
    "nul": "\x00", "escape": "\x1b[2J\x1b]0;x\x07", "right to left": "\u202egnp.exe", "zero width": "a\u200b\u2060b", "bom": "\ufeff", "line separators": "\u2028\u2029\x85",
    "combining": "e" + "\u0301" * 50, "astral": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 🏴\U000e0067\U000e0062", "noncharacter": "\ufffe\uffff", "controls": "".join(map(chr, range(1, 32))),
    "markup": "[bold red]x[/]", "template": "{{7*7}} ${x} %s {0}", "yaml": "- !!python/object/apply:os.system ['id']", "quotes": "'\"`;--",
}


def document(**step: Any) -> dict[str, Any]:
    return {"problem": {"title": "x"}, "action": {"steps": [{"step": 1, **step}]}}


def refused(runtime: Runtime, request: Any, *, within_s: float = 10) -> AssentError:
    """Start something that must be refused: a clear error in reasonable time, and nothing in the ledger."""
    began = time.monotonic()
    with pytest.raises(AssentError) as raised:
        runtime.start(request)
    assert time.monotonic() - began < within_s
    assert raised.value.hint
    assert len(str(raised.value)) < 20_000
    assert runtime.runs() == []
    assert len(runtime.ledger.events()) == 1
    return raised.value


# --- paths ------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.txt").write_text("secret")
    return folder


def _attempted(runtime: Runtime, args: dict[str, Any]) -> str:
    """Run a files step with everybody's approval; what stops it then is the tool."""
    try:
        run = runtime.start(document(tool="files", args=args))
    except AssentError as error:
        return type(error).__name__
    for _ in range(2):
        for request in run.requests:
            if request.is_open:
                for name in ("ada", "amos"):
                    try:
                        runtime.decide(request.id, "approve", actor=authenticated(name), reason="let it try")
                    except AssentError:
                        continue
    return run.status.value


@pytest.mark.parametrize("path", ["../outside/secret.txt", "{outside}/secret.txt", "a/../../outside/secret.txt", "./../outside/secret.txt", "~/secret.txt", "a\x00b", ""])
@pytest.mark.parametrize("operation", ["read", "write", "delete", "edit", "move"])
def test_path_outside_the_workspace_is_refused_even_when_approved(door: Door, outside: Path, workspace: Path, path: str, operation: str) -> None:
    more = {"write": {"content": "x"}, "edit": {"old": "secret", "new": "x"}, "move": {"to": "moved.txt"}}.get(operation, {})
    ended = _attempted(door(), {"operation": operation, "path": path.format(outside=outside), **more})
    # `~` is a name like any other: no tool here asks a shell what it means.
    assert ended not in ("completed", "running", "awaiting_approval") or path.startswith("~"), ended
    assert (outside / "secret.txt").read_text() == "secret"
    assert [p.name for p in outside.iterdir()] == ["secret.txt"]


@pytest.mark.parametrize("operation", ["read", "write", "delete", "edit", "move"])
@pytest.mark.parametrize("kind", ["link to a file", "link to a folder", "link to a link", "link with dots"])
def test_link_that_leaves_the_workspace_is_refused_even_when_approved(door: Door, outside: Path, workspace: Path, operation: str, kind: str) -> None:
    if kind == "link to a file":
        (workspace / "way").symlink_to(outside / "secret.txt")
        path = "way"
    elif kind == "link to a folder":
        (workspace / "way").symlink_to(outside)
        path = "way/secret.txt"
    elif kind == "link to a link":
        (workspace / "second").symlink_to(outside)
        (workspace / "way").symlink_to("second")
        path = "way/secret.txt"
    else:
        (workspace / "way").symlink_to("../outside")
        path = "way/secret.txt"
    more = {"write": {"content": "x"}, "edit": {"old": "secret", "new": "x"}, "move": {"to": "moved.txt"}}.get(operation, {})
    ended = _attempted(door(), {"operation": operation, "path": path, **more})
    assert (outside / "secret.txt").read_text() == "secret"
    if operation in ("read", "write", "edit"):
        assert ended not in ("completed", "running"), ended
    assert [p.name for p in outside.iterdir()] == ["secret.txt"]


def test_a_move_out_of_the_workspace_is_refused(door: Door, outside: Path, workspace: Path) -> None:
    (workspace / "mine.txt").write_text("mine")
    for target in ("../outside/taken.txt", str(outside / "taken.txt")):
        assert _attempted(door(), {"operation": "move", "path": "mine.txt", "to": target}) not in ("completed", "running")
    assert (workspace / "mine.txt").read_text() == "mine"
    assert [p.name for p in outside.iterdir()] == ["secret.txt"]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "..", "", "x\x00", "run_../../x"])
def test_names_of_runs_are_never_paths(door: Door, home: Path, name: str) -> None:
    runtime = door()
    with pytest.raises((AssentError, ValueError)):
        runtime.run(name)
    with pytest.raises((AssentError, ValueError)):
        runtime.resume(name)
    with pytest.raises((AssentError, ValueError)):
        runtime.graph().invoke({"request": {"plan": recorded({"effect": "a", "level": "LOW"}).as_json()}}, {"configurable": {"thread_id": name}})
    strangers = {p.name for p in home.parent.iterdir()} - {"home", "workspace", "effects.jsonl"}
    assert strangers == set()


def test_a_run_id_in_state_is_never_a_path(door: Door, home: Path) -> None:
    """The lock of a run is a file that is emptied and written; `../ledger.db` must not be that file."""
    runtime = door()
    run = runtime.start(recorded("a"))
    before = len(runtime.ledger.events())
    runtime.close()  # all of it is in the file now, none in the write-ahead log
    runtime = door()
    for name in ("../ledger.db", "../checkpoints.db", "../locks/../ledger.db", str(home / "ledger.db")):
        for route, station in (("approved", "approval"), ("failed", "execute"), ("stopped", "execute"), ("low", "risk_assessment")):
            config: Any = {"configurable": {"thread_id": f"attack-{route}"}}
            runtime.graph().update_state(config, {"run_id": name, "route": route}, as_node=station)
            with pytest.raises(AssentError):
                runtime.graph().invoke(None, config)
            assert (home / "ledger.db").read_bytes().startswith(b"SQLite format 3")
    fresh = door()
    assert fresh.verify().ok
    assert len(fresh.ledger.events()) == before
    assert fresh.run(run.id).status == "awaiting_approval"


# --- bombs and bulk ---------------------------------------------------------------------------------------------------------------------


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)) + "problem: *j\n"


@pytest.mark.parametrize(
    "text",
    [
        BOMB, "problem: &a\n  title: *a\n", "problem:\n  title: " + "[" * 5000, "{" * 10_000 + "\nproblem:", "problem: {title: x}\n" + "? " * 5000,
        "problem: !!python/object/apply:os.system ['touch called']\naction: {}", "problem: !!binary |\n  AAAA\naction: {}\n", "problem: {title: x}\nproblem: {title: y}\n",
        "problem: {title: x}\n---\nproblem: {title: y}\n", "problem: {title: .nan}\naction: {steps: [{step: .inf}]}", "problem:\n\ttitle: x", "problem: {title: \ud800}\naction: {}",
        "<<: *x\nproblem:\n", "problem: {<<: {title: x}, title: y}\naction:\n  steps: " + "[]" * 3,
    ],
    ids=range(14),
)
def test_a_text_that_is_a_bomb_or_no_document_starts_nothing(door: Door, workspace: Path, text: str) -> None:
    refused(door(), text)
    assert list(workspace.iterdir()) == []
    assert not Path("called").exists()


@pytest.mark.parametrize("form", ["text", "json text", "file", "mapping", "plan", "many keys", "many steps", "deep"])
def test_ten_megabytes_are_refused_in_reasonable_time(door: Door, workspace: Path, form: str) -> None:
    runtime = door()
    big = "x" * 10_000_000
    deep: Any = "x"
    for _ in range(20_000):
        deep = [deep]
    request: Any = {
        "text": f"problem:\n  title: {big}\naction: {{}}\n",
        "json text": json.dumps(document(tool="recorder", args={"effect": big})),
        "file": workspace / "big.yaml",
        "mapping": document(tool="recorder", args={"effect": big}),
        "plan": recorded({"effect": big}),
        "many keys": document(tool="recorder", args={f"k{n}": n for n in range(400_000)}),
        "many steps": {"problem": {"title": "x"}, "action": {"steps": [{"step": n, "tool": "recorder", "args": {"effect": "a"}} for n in range(1, 200_000)]}},
        "deep": document(tool="recorder", args={"effect": deep}),
    }[form]
    if form == "file":
        request.write_text(f"problem: {{title: x}}\n# {big}\n")
    refused(runtime, request, within_s=20)


def test_an_edit_of_ten_megabytes_is_refused(door: Door) -> None:
    runtime = door()
    run = runtime.start(recorded("a"))
    with pytest.raises(AssentError):
        runtime.decide(run.requests[0].id, "edit", actor=authenticated("lena"), edit={"steps": {1: {"args": {"effect": "x" * 10_000_000}}}})
    assert (run.row.version, run.requests[0].is_open) == (1, True)


# --- characters -------------------------------------------------------------------------------------------------------------------------


def _with(text: str) -> dict[str, Any]:
    return {
        "problem": {
            "title": f"t{text}", "description": text, "context": {"affected_systems": [text or "x"]}, "success_criteria": [f"c{text}"],
            "constraints": [text], "out_of_scope": [text],
        },
        "action": {
            "proposed_solution": text, "alternatives": [text],
            "steps": [{"step": 1, "description": text, "tool": "recorder", "args": {"effect": f"e{text}"}, "rollback_plan": text}],
            "required_approvals": [{"type": "pre_approval", "approver": text, "reason": text}],
            "risk_assessment": {"likelihood": "low", "impact": "low", "mitigation": text},
        },
    }


@pytest.mark.parametrize("name", STRANGE)
def test_strange_characters_in_every_field_are_carried_or_refused_and_never_change(door: Door, recorder: Recorder, name: str) -> None:
    text = STRANGE[name]
    runtime = door()
    try:
        run = runtime.start(_with(text))
    except InvalidDocument as error:
        assert runtime.runs() == []
        assert str(error).isprintable() or "\n" in str(error)
        return
    assert run.plan is not None
    assert run.plan.steps[0].args["effect"] == f"e{text}"
    assert run.status == "awaiting_approval"
    (interrupt,) = runtime.graph().get_state({"configurable": {"thread_id": run.id}}).interrupts
    assert json.loads(json.dumps(interrupt.value))["digest"] == run.row.digest
    fresh = door("lena")
    fresh.decide(run.requests[0].id, "approve", reason=text)
    assert (fresh.run(run.id).status, recorder.names) == ("completed", [f"e{text}"])
    assert json.loads(json.dumps(run.as_json()))["title"] == f"t{text}"
    assert all(Path(artifact.path).is_file() for artifact in run.artifacts())
    found = fresh.verify()
    assert found.ok, found.problems


@pytest.mark.parametrize(
    "value",
    ["\ud800", float("nan"), float("inf"), 2**53, -(2**60), {1: "x"}, {"x": object()}, b"bytes", {"\udfff": 1}, {1, 2}],
    ids=["lone surrogate", "nan", "inf", "big", "big negative", "number as key", "object", "bytes", "surrogate as key", "set"],
)
@pytest.mark.parametrize("where", ["title", "args", "top"])
def test_what_canonical_json_cannot_hold_starts_nothing(door: Door, value: Any, where: str) -> None:
    request: dict[str, Any] = document(tool="recorder", args={"effect": value} if where == "args" else {"effect": "a"})
    if where == "title":
        request["problem"]["title"] = value
    elif where == "top":
        request["notes"] = value
    refused(door(), request)


@pytest.mark.parametrize("text", ["\ud800", "x" * 2_000_000])
def test_a_reason_that_cannot_be_kept_is_refused_clearly(door: Door, text: str) -> None:
    runtime = door()
    run = runtime.start(recorded("a"))
    with pytest.raises(AssentError):
        runtime.decide(run.requests[0].id, "approve", actor=authenticated("lena"), reason=text)
    with pytest.raises(AssentError):
        run.cancel(text)
    assert (run.status, run.requests[0].decisions) == ("awaiting_approval", ())
    assert runtime.verify().ok


@pytest.mark.parametrize("actor", ["", "  ", "\ud800", "x" * 201, {"id": ""}, {"id": "x", "roles": ["admin"], "power": 9}, {"name": "x"}, 7, ["lena"]])
def test_an_actor_that_is_none_is_refused_clearly(door: Door, actor: Any) -> None:
    runtime = door()
    run = runtime.start(recorded("a"))
    with pytest.raises(AssentError):
        runtime.decide(run.requests[0].id, "approve", actor=actor)
    assert run.requests[0].is_open


@pytest.mark.parametrize("tier", [0, 5, -1, True, "3", 2**60])
def test_a_tier_that_does_not_exist_gives_no_authority(door: Door, recorder: Recorder, tier: Any) -> None:
    runtime = door()
    try:
        run = runtime.start(recorded("a"), tier=tier)
    except AssentError:
        assert runtime.runs() == []
        return
    assert (run.status, recorder.names) == ("denied", [])
