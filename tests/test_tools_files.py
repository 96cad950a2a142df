"""Files: what is replaced can be had back, nothing is overwritten unseen, and nothing but regular files is touched."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import shutil
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from assent.schemas.canonical import canonical, digest
from assent.schemas.dispatch import EffectClass, Receipt
from assent.schemas.errors import InvalidPlan
from assent.tools import content
from assent.tools.files import Files
from assent.tools.tool import Limits, Place, ToolRefused
from assent.tools.toolbox import standard


class MemoryKeep:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        self.kept[digest(data)] = data
        return digest(data)

    def get(self, name: str) -> bytes:
        return self.kept[name]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "workspace").mkdir()
    return Place(workspace=tmp_path / "workspace", keep=MemoryKeep(), scratch=tmp_path / "home" / "scratch")


TOOL = Files()
BOX = standard()


def parse(**args: Any) -> Any:
    return BOX.parse("files", args)


def do(place: Place, key: str = "k", **args: Any) -> Receipt:
    parsed = parse(**args)
    before = TOOL.prepare(parsed, place)
    receipt = TOOL.run(parsed, place, key=key, before=before)
    canonical(receipt.as_json())  # whatever it says can be recorded
    return receipt


def undo(place: Place, receipt: Receipt, **args: Any) -> Receipt:
    return TOOL.undo(parse(**args), place, key="u", receipt=receipt)


def tree(place: Place) -> dict[str, tuple[int, bytes]]:
    found = {}
    for path in sorted(place.workspace.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        found[str(path.relative_to(place.workspace))] = (mode, path.read_bytes() if path.is_file() else b"")
    return found


WAYS: list[dict[str, Any]] = [
    {"operation": "write", "path": "new", "content": "neu\n"},
    {"operation": "write", "path": "deep/er/new", "content": ""},
    {"operation": "write", "path": "old", "content": "other\n"},
    {"operation": "edit", "path": "old", "old": "one", "new": "ONE"},
    {"operation": "edit", "path": "old", "old": "two\n", "new": ""},
    {"operation": "delete", "path": "old"},
    {"operation": "delete", "path": "sub/run.sh"},
    {"operation": "move", "path": "old", "to": "sub/old"},
    {"operation": "move", "path": "old", "to": "fresh/folder/old"},
]


@pytest.fixture
def world(place: Place) -> Place:
    (place.workspace / "old").write_text("one\ntwo\n")
    (place.workspace / "old").chmod(0o640)
    (place.workspace / "sub").mkdir()
    (place.workspace / "sub" / "run.sh").write_bytes(b"#!/bin/sh\n\xff")
    (place.workspace / "sub" / "run.sh").chmod(0o755)
    return place


@pytest.mark.parametrize("args", WAYS)
def test_undo_restores_exact_bytes_modes_and_folders(world: Place, args: dict[str, Any]) -> None:
    unharmed = tree(world)
    receipt = do(world, **args)
    assert receipt.is_done
    assert tree(world) != unharmed
    back = undo(world, receipt, **args)
    assert (back.status, back.verified) == ("done", True)
    assert tree(world) == unharmed


@pytest.mark.parametrize("args", WAYS)
def test_doing_or_undoing_again_changes_nothing_more(world: Place, args: dict[str, Any]) -> None:
    unharmed = tree(world)
    parsed = parse(**args)
    before = TOOL.prepare(parsed, world)
    first = TOOL.run(parsed, world, key="k", before=before)
    done = tree(world)
    again = TOOL.run(parsed, world, key="k", before=before)
    assert (again.status, again.output, tree(world)) == ("done", first.output, done)
    for _ in range(2):
        assert TOOL.undo(parsed, world, key="u", receipt=first).verified is True
        assert tree(world) == unharmed


@pytest.mark.parametrize("args", WAYS)
def test_looking_tells_what_happened(world: Place, args: dict[str, Any]) -> None:
    parsed = parse(**args)
    before = TOOL.prepare(parsed, world)

    def probe(direction: Any) -> str:
        return TOOL.probe(parsed, world, key="k", before=before, direction=direction)

    assert (probe("do"), probe("undo")) == ("did_not_happen", "happened")
    assert TOOL.recover(parsed, world, key="k", before=before, direction="do") is None
    receipt = TOOL.run(parsed, world, key="k", before=before)
    assert (probe("do"), probe("undo")) == ("happened", "did_not_happen")
    recovered = TOOL.recover(parsed, world, key="k", before=before, direction="do")
    assert recovered is not None
    assert recovered.is_done
    assert TOOL.undo(parsed, world, key="u", receipt=recovered).verified is True
    assert (probe("do"), probe("undo")) == ("did_not_happen", "happened")
    back = TOOL.recover(parsed, world, key="u", before=receipt.before, direction="undo")
    assert back is not None
    assert back.verified is True


@pytest.mark.parametrize("args", WAYS)
def test_change_by_somebody_else_is_not_overwritten_by_the_undo(world: Place, args: dict[str, Any]) -> None:
    receipt = do(world, **args)
    left = world.workspace / (args.get("to") or args["path"])
    left.parent.mkdir(exist_ok=True, parents=True)
    left.write_text("somebody else was here")
    back = undo(world, receipt, **args)
    assert (back.status, back.verified) == ("failed", False)
    assert "changed since" in back.summary
    assert left.read_text() == "somebody else was here"
    assert TOOL.probe(parse(**args), world, key="k", before=receipt.before, direction="do") == "unknown"


@pytest.mark.parametrize("args", [way for way in WAYS if way["path"] == "old"])
def test_change_between_looking_and_doing_is_not_overwritten(world: Place, args: dict[str, Any]) -> None:
    parsed = parse(**args)
    before = TOOL.prepare(parsed, world)
    (world.workspace / "old").write_text("one\ntwo\nthree: written meanwhile\n")
    receipt = TOOL.run(parsed, world, key="k", before=before)
    assert receipt.status == "not_started"
    assert (world.workspace / "old").read_text().endswith("meanwhile\n")


@pytest.mark.parametrize("path", ["new", "old"])
def test_file_that_appears_or_changes_while_one_is_written_is_not_overwritten(
    world: Place, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def interfere(handle: int) -> None:
        (world.workspace / path).write_text("somebody else's")
        real(handle)

    parsed = parse(operation="write", path=path, content="mine")
    before = TOOL.prepare(parsed, world)
    monkeypatch.setattr(os, "fsync", interfere)
    assert TOOL.run(parsed, world, key="k", before=before).status == "not_started"
    assert (world.workspace / path).read_text() == "somebody else's"
    assert not [name for name in tree(world) if ".assent-" in name]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"operation": "edit", "path": "old", "old": "o", "new": "x"}, "occurs 2 times"),
        ({"operation": "edit", "path": "old", "old": "absent", "new": "x"}, "occurs 0 times"),
        ({"operation": "edit", "path": "gone", "old": "a", "new": "x"}, "no file"),
        ({"operation": "delete", "path": "gone"}, "no file"),
        ({"operation": "read", "path": "gone"}, "no file"),
        ({"operation": "read", "path": "no/folder/gone"}, "no file"),
        ({"operation": "move", "path": "gone", "to": "x"}, "no file"),
        ({"operation": "move", "path": "old", "to": "sub/run.sh"}, "exists already"),
    ],
)
def test_what_cannot_be_done_fails_and_changes_nothing(world: Place, args: dict[str, Any], said: str) -> None:
    unharmed = tree(world)
    receipt = do(world, **args)
    assert receipt.status == "failed"
    assert said in receipt.summary
    assert tree(world) == unharmed


def test_edit_of_text_that_overlaps_itself_is_ambiguous(world: Place) -> None:
    (world.workspace / "old").write_text("aaa")
    assert "occurs 2 times" in do(world, operation="edit", path="old", old="aa", new="b").summary


@pytest.mark.parametrize("operation", ["read", "write", "edit", "delete", "move"])
@pytest.mark.parametrize("kind", ["link out", "link in", "dangling link", "pipe", "socket", "folder", "device"])
def test_anything_but_a_regular_file_is_refused_and_untouched(world: Place, tmp_path: Path, operation: str, kind: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("victim")
    odd = world.workspace / "odd"
    listener = None
    if kind == "link out":
        odd.symlink_to(victim)
    elif kind == "link in":
        odd.symlink_to("old")
    elif kind == "dangling link":
        odd.symlink_to(tmp_path / "nowhere")
    elif kind == "pipe":
        os.mkfifo(odd)
    elif kind == "socket":
        listener = socket.socket(socket.AF_UNIX)
        os.chdir(world.workspace)
        listener.bind("odd")
    elif kind == "folder":
        odd.mkdir()
    else:
        try:
            os.mknod(odd, stat.S_IFCHR | 0o666, os.makedev(1, 5))
        except PermissionError:
            pytest.skip("only root makes devices")
    more = {"write": {"content": "x"}, "edit": {"old": "victim", "new": "x"}, "move": {"to": "elsewhere"}}
    with pytest.raises(ToolRefused) as refusal:
        do(world, operation=operation, path="odd", **more.get(operation, {}))
    assert refusal.value.rule == "file.kind"
    assert victim.read_text() == "victim"
    assert odd.lstat()
    assert not (tmp_path / "nowhere").exists()
    if listener:
        listener.close()
        os.chdir("/")


def test_hard_link_to_a_file_outside_is_not_written_through(world: Place, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("victim")
    os.link(victim, world.workspace / "hard")
    assert do(world, operation="write", path="hard", content="mine").is_done
    assert victim.read_text() == "victim"


def test_link_put_in_place_after_preparing_is_refused(world: Place, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("one\ntwo\n")
    for args in (
        {"operation": "write", "content": "x"},
        {"operation": "edit", "old": "one", "new": "x"},
        {"operation": "delete"},
    ):
        parsed = parse(path="old", **args)
        before = TOOL.prepare(parsed, world)
        (world.workspace / "old").rename(tmp_path / "aside")
        (world.workspace / "old").symlink_to(victim)
        assert TOOL.run(parsed, world, key="k", before=before).status == "not_started"
        (world.workspace / "old").unlink()
        (tmp_path / "aside").rename(world.workspace / "old")
    assert victim.read_text() == "one\ntwo\n"


def test_move_out_of_the_workspace_is_refused(world: Place) -> None:
    for to in ("../old", "/tmp/old", "sub/../../old"):
        with pytest.raises(ToolRefused):
            do(world, operation="move", path="old", to=to)
    assert (world.workspace / "old").exists()


def test_file_too_large_to_keep_is_refused_with_its_limit(world: Place) -> None:
    with (world.workspace / "old").open("wb") as file:
        file.truncate(content.LARGEST_BYTES + 1)
    for operation, more in (("write", {"content": "x"}), ("delete", {}), ("move", {"to": "x"})):
        with pytest.raises(ToolRefused, match=str(content.LARGEST_BYTES)):
            do(world, operation=operation, path="old", **more)


def test_read_is_small_in_the_receipt_and_whole_in_the_keep(world: Place) -> None:
    assert do(world, operation="read", path="old").output["content"] == "one\ntwo\n"
    text = "zeile\n" * 10_000
    (world.workspace / "old").write_text(text)
    receipt = do(world, operation="read", path="old")
    assert "content" not in receipt.output
    assert "bytes left out" in receipt.output["excerpt"]
    assert world.keep.get(receipt.output_ref).decode() == text
    assert len(canonical(receipt.as_json())) < 4096
    receipt = do(world, operation="read", path="sub/run.sh")
    assert world.keep.get(receipt.output_ref) == b"#!/bin/sh\n\xff"


def test_read_beyond_the_limit_is_refused(world: Place) -> None:
    small = Place(workspace=world.workspace, keep=world.keep, scratch=world.scratch, limits=Limits(output_bytes=4))
    receipt = do(small, operation="read", path="old")
    assert receipt.status == "not_started"
    assert "more than 4 bytes" in receipt.summary


def test_new_file_gets_the_usual_mode_and_an_old_one_keeps_its_own(world: Place) -> None:
    umask = os.umask(0o027)
    try:
        do(world, operation="write", path="new", content="x")
    finally:
        os.umask(umask)
    do(world, operation="write", path="sub/run.sh", content="x")
    do(world, operation="edit", path="old", old="one", new="1")
    assert {name: mode for name, (mode, _) in tree(world).items() if name != "sub"} == {
        "new": 0o640,
        "old": 0o640,
        "sub/run.sh": 0o755,
    }


def test_owner_is_kept(world: Place) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(world.workspace / "old", 1234, 2345)
    receipt = do(world, operation="write", path="old", content="x")
    found = (world.workspace / "old").stat()
    assert (found.st_uid, found.st_gid) == (1234, 2345)
    undo(world, receipt, operation="write", path="old", content="x")
    found = (world.workspace / "old").stat()
    assert (found.st_uid, found.st_gid) == (1234, 2345)


def test_full_disk_fails_and_leaves_nothing_behind(world: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    unharmed = tree(world)
    real = os.write

    def full(handle: int, data: memoryview) -> int:
        if len(data) < 10:
            raise OSError(28, "No space left on device")
        return real(handle, data[:-5])

    for args in ({"path": "old"}, {"path": "made/on/the/way/new"}):
        parsed = parse(operation="write", content="more than fits", **args)
        before = TOOL.prepare(parsed, world)
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            receipt = TOOL.run(parsed, world, key="k", before=before)
        assert receipt.status == "failed"
        assert "No space left" in receipt.summary
        assert tree(world) == unharmed


def test_folder_that_is_gone_since_it_was_looked_at_is_not_made_again(world: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = parse(operation="write", path="sub/run.sh", content="x")
    before = TOOL.prepare(parsed, world)
    shutil.rmtree(world.workspace / "sub")
    made: list[str] = []
    monkeypatch.setattr(os, "mkdir", lambda name, *given, **more: made.append(name))  # not even for a moment
    receipt = TOOL.run(parsed, world, key="k", before=before)
    assert (receipt.status, made) == ("not_started", [])


@pytest.mark.parametrize("path", ["new", "old"])
def test_temporary_file_of_a_killed_call_is_replaced(world: Place, path: str) -> None:
    (world.workspace / content.name_of("k")).write_text("half of")
    assert do(world, operation="write", path=path, content="x").is_done
    assert (world.workspace / path).read_text() == "x"
    assert not [name for name in tree(world) if ".assent-" in name]


@pytest.mark.parametrize("grows", [True, False])
def test_file_is_read_to_its_end_whatever_its_size_was(world: Place, grows: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.read

    def reading(handle: int, count: int) -> bytes:
        if not grows:
            return real(handle, min(count, 3))
        with (world.workspace / "old").open("a") as file:
            file.write("grown" if os.lseek(handle, 0, os.SEEK_CUR) == 0 else "")
        return real(handle, count)

    text = (world.workspace / "old").read_text() + ("grown" if grows else "")
    monkeypatch.setattr(os, "read", reading)
    assert do(world, operation="read", path="old").output["content"] == text


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("direction", ["do", "undo"])
@pytest.mark.parametrize("args", WAYS)
def test_killed_before_or_after_any_system_call_it_is_known_and_can_be_completed(
    world: Place, args: dict[str, Any], direction: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = ("open", "write", "link", "rename", "unlink", "mkdir", "rmdir", "fsync", "fchmod")
    for at in itertools.count(1):
        for moment in ("before", "after"):
            place = _copy(world, f"{at}{moment}")
            unharmed = tree(place)
            parsed = parse(**args)
            before = TOOL.prepare(parsed, place)
            receipt = TOOL.run(parsed, place, key="k", before=before) if direction == "undo" else Receipt(status="unknown")
            made: list[str] = []
            with monkeypatch.context() as patch:
                for name in calls:
                    patch.setattr(os, name, _killing(name, made, at, moment))
                # What a killed process would have cleaned up stays.
                patch.setattr(content, "sweep", lambda here, key: None)
                with contextlib.suppress(_Killed):
                    if direction == "do":
                        TOOL.run(parsed, place, key="k", before=before)
                    else:
                        TOOL.undo(parsed, place, key="k", receipt=receipt)
            assert TOOL.probe(parsed, place, key="k", before=before, direction=direction) in ("happened", "did_not_happen")
            assert not [name for name in tree(place) if ".assent-" in name]
            if direction == "do":
                receipt = TOOL.run(parsed, place, key="k", before=before)
                assert receipt.is_done
            assert undo(place, receipt, **args).verified is True
            assert tree(place) == unharmed
        if len(made) < at:
            assert at > 3
            return


def _copy(world: Place, name: str) -> Place:
    workspace = world.workspace.parent / name
    shutil.copytree(world.workspace, workspace)
    return Place(workspace=workspace, keep=world.keep, scratch=world.scratch)


def _killing(name: str, made: list[str], at: int, moment: str) -> Any:
    real = getattr(os, name)

    def call(*positional: Any, **named: Any) -> Any:
        made.append(name)
        if len(made) == at:
            if moment == "after":
                result = real(*positional, **named)
                if name == "open":
                    os.close(result)
            raise _Killed
        return real(*positional, **named)

    return call


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ({}, ["operation", "path"]),
        ({"operation": "read"}, ["path"]),
        ({"operation": "burn", "path": "a"}, ["operation"]),
        ({"operation": "read", "path": 3, "why": 1}, ["path", "why"]),
        ({"operation": "write", "path": "a"}, ["write needs content"]),
        ({"operation": "edit", "path": "a", "old": "b"}, ["edit needs new"]),
        ({"operation": "edit", "path": "a", "old": "", "new": "b"}, ["old"]),
        ({"operation": "move", "path": "a"}, ["move needs to"]),
        ({"operation": "delete", "path": "a", "content": ""}, ["delete does not take content"]),
        ({"operation": "write", "path": "a\ud800", "content": "\ud800"}, ["path", "content"]),
    ],
)
def test_every_wrong_argument_is_named(args: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(InvalidPlan) as error:
        BOX.parse("files", args)
    assert all(name in error.value.message for name in named)
    assert "operation, path" in error.value.hint
    error.value.message.encode()


def test_actions_name_every_path_that_is_touched() -> None:
    def actions(**args: Any) -> list[tuple[str, Any]]:
        return list(TOOL.actions(parse(**args)))

    assert actions(operation="read", path="a") == [("file_read", "a")]
    assert actions(operation="write", path="a", content="c") == [("file_write", {"path": "a", "content": "c"})]
    assert actions(operation="edit", path="a", old="b", new="c") == [("file_write", {"path": "a", "content": "c"})]
    assert actions(operation="delete", path="a") == [("file_write", {"path": "a", "content": "", "operation": "delete"})]
    assert [payload["path"] for _, payload in actions(operation="move", path="a", to="b")] == ["a", "b"]


def test_effects_are_declared() -> None:
    read, write = parse(operation="read", path="a"), parse(operation="write", path="a", content="")
    assert (TOOL.effects(read).writes, TOOL.effects(write).writes) == (False, True)
    assert TOOL.effect_class(write) == EffectClass.CONDITIONAL
    assert TOOL.can_undo(write)


def test_preview_shows_the_difference_and_touches_nothing(world: Place) -> None:
    unharmed = tree(world)
    shown = TOOL.preview(parse(operation="edit", path="old", old="two", new="2"), world)
    assert shown.detail == "--- a/old\n+++ b/old\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n"
    assert shown.undo
    assert "no newline at the end" in TOOL.preview(parse(operation="write", path="old", content="x"), world).detail
    assert TOOL.preview(parse(operation="write", path="n/ew", content="x\n"), world).headline == "create n/ew (2 bytes)"
    assert "-one" in TOOL.preview(parse(operation="delete", path="old"), world).detail
    assert "sub/old" in TOOL.preview(parse(operation="move", path="old", to="sub/old"), world).headline
    assert "will be refused" in TOOL.preview(parse(operation="write", path="../x", content=""), world).detail
    assert "will be refused" in TOOL.preview(parse(operation="read", path="sub"), world).detail
    assert tree(world) == unharmed


def test_preview_of_a_huge_change_is_whole_and_quick(world: Place) -> None:
    (world.workspace / "old").write_text("a\n" * 50_000)
    text = "".join(f"{number}\n" for number in range(50_000))
    detail = TOOL.preview(parse(operation="write", path="old", content=text), world).detail
    assert detail.endswith(text)


def test_undo_without_the_kept_bytes_says_so(world: Place) -> None:
    receipt = do(world, operation="delete", path="old")
    assert isinstance(world.keep, MemoryKeep)
    world.keep.kept.clear()
    back = undo(world, receipt, operation="delete", path="old")
    assert (back.status, back.verified) == ("failed", False)


def test_receipts_say_what_is_there(world: Place) -> None:
    receipt = do(world, operation="write", path="new", content="ü")
    before: Mapping[str, Any] = receipt.before
    assert receipt.output["digest"] == "sha256:" + hashlib.sha256("ü".encode()).hexdigest() == before["after"]
    assert before["existed"] is False
