"""Paths: nothing leads out of the workspace, whoever swaps what and when."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from assent.tools import confine, content
from assent.tools.tool import Place, ToolRefused


class _NoKeep:
    def put(self, data: bytes) -> str:
        raise AssertionError("confining a path keeps nothing")

    def get(self, digest: str) -> bytes:
        raise KeyError(digest)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    return Place(workspace=workspace, keep=_NoKeep(), scratch=tmp_path / "home" / "scratch")


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("", "path.malformed"),
        ("a\0b", "path.malformed"),
        ("..", "path.climbs"),
        ("../outside/secret", "path.climbs"),
        ("a/../../outside/secret", "path.climbs"),
        ("a/b/..", "path.climbs"),
        ("/etc/passwd", "path.outside"),
        ("/", "path.outside"),
        (".", "path.folder"),
        ("./", "path.folder"),
        ("a/", "path.folder"),
        ("a/.", "path.folder"),
        (".assent/ledger.db", "path.own"),
        ("sub/.assent/ledger.db", "path.own"),
        (".ASSENT/ledger.db", "path.own"),
    ],
)
def test_path_that_is_not_plainly_a_file_inside_is_refused(place: Place, path: str, rule: str) -> None:
    with pytest.raises(ToolRefused) as refusal:
        confine.inside(place, path)
    assert refusal.value.rule == rule


@pytest.mark.parametrize("path", ["a", "./a", "a//b", "a/./b", "a b/ü/..x", "...", "a\\..\\b", "-rf"])
def test_path_inside_is_taken(place: Place, path: str) -> None:
    assert ".." not in confine.inside(place, path)


def test_absolute_path_inside_the_workspace_is_taken_and_a_neighbour_with_the_same_beginning_is_not(place: Place) -> None:
    assert confine.inside(place, f"{place.workspace}/a/b") == ("a", "b")
    with pytest.raises(ToolRefused):
        confine.inside(place, f"{place.workspace}-other/a")
    with pytest.raises(ToolRefused):
        confine.inside(place, f"{place.workspace}/../outside/secret")


def test_home_inside_the_workspace_is_refused_whatever_its_name(tmp_path: Path) -> None:
    place = Place(workspace=tmp_path, keep=_NoKeep(), scratch=tmp_path / "state" / "scratch")
    with pytest.raises(ToolRefused) as refusal:
        confine.inside(place, "state/ledger.db")
    assert refusal.value.rule == "path.own"
    assert confine.inside(place, "statement.txt") == ("statement.txt",)


@pytest.mark.parametrize("target", ["../outside", "inner"])
def test_link_on_the_way_is_refused_wherever_it_leads(place: Place, target: str) -> None:
    (place.workspace / "inner").mkdir()
    (place.workspace / "way").symlink_to(target)
    with pytest.raises(ToolRefused) as refusal, confine.spot(place, "way/secret", create=True):
        pass
    assert refusal.value.rule == "path.link"


def test_file_on_the_way_is_refused(place: Place) -> None:
    (place.workspace / "file").write_text("x")
    with pytest.raises(ToolRefused) as refusal, confine.spot(place, "file/below"):
        pass
    assert refusal.value.rule == "path.not_folder"


def test_missing_folders_are_told_made_and_removed_again(place: Place) -> None:
    (place.workspace / "a").mkdir()
    assert confine.missing_folders(place, "a/b/c/file") == ("a/b", "a/b/c")
    with confine.spot(place, "a/b/c/file", create=True) as here:
        assert here.created == ("a/b", "a/b/c")
    assert confine.missing_folders(place, "a/b/c/file") == ()
    assert confine.remove_empty(place, ("a/b", "a/b/c")) == ()
    assert sorted(path.name for path in place.workspace.rglob("*")) == ["a"]


def test_folder_with_something_in_it_stays(place: Place) -> None:
    (place.workspace / "a" / "b").mkdir(parents=True)
    (place.workspace / "a" / "other").write_text("mine")
    assert confine.remove_empty(place, ("a", "a/b")) == ("a",)
    assert (place.workspace / "a" / "other").read_text() == "mine"


def test_no_descriptor_is_left_open(place: Place) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for path in ("a/b/c", "x", "link/y"):
        with confine.spot(place, path, create=True):
            pass
    (place.workspace / "l").symlink_to("/")
    for path in ("l/x", "missing/x"):
        with pytest.raises((ToolRefused, FileNotFoundError)), confine.spot(place, path):
            pass
    assert len(os.listdir("/proc/self/fd")) == before


@contextmanager
def _swapping(swap: object) -> Iterator[list[int]]:
    stop = threading.Event()
    rounds = [0]

    def work() -> None:
        while not stop.is_set():
            swap()  # type: ignore[operator]
            rounds[0] += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield rounds
    finally:
        stop.set()
        thread.join()


def test_folder_swapped_with_a_link_while_reading_never_gives_foreign_bytes(place: Place) -> None:
    way, link, real = (place.workspace / name for name in ("way", "link", "real"))
    way.mkdir()
    (way / "secret").write_text("mine")
    link.symlink_to("../outside")

    def swap() -> None:
        way.rename(real)
        link.rename(way)
        way.rename(link)
        real.rename(way)

    seen = set()
    with _swapping(swap) as rounds:
        while rounds[0] < 1500 or "mine" not in seen:
            try:
                with confine.spot(place, "way/secret") as here:
                    found = content.look(here)
                seen.add(found.data.decode() if found else None)
            except (ToolRefused, FileNotFoundError):
                seen.add("refused")
    assert seen <= {"mine", "refused", None}


def test_file_swapped_with_a_link_while_reading_never_gives_foreign_bytes(place: Place) -> None:
    mine, link, real = (place.workspace / name for name in ("mine", "link", "real"))
    mine.write_text("mine")
    link.symlink_to("../outside/secret")

    def swap() -> None:
        mine.rename(real)
        link.rename(mine)
        mine.rename(link)
        real.rename(mine)

    seen = set()
    with _swapping(swap) as rounds:
        while rounds[0] < 1500 or "mine" not in seen:
            try:
                with confine.spot(place, "mine") as here:
                    found = content.look(here)
                seen.add(found.data.decode() if found else None)
            except ToolRefused:
                seen.add("refused")
    assert seen <= {"mine", "refused", None}


def test_file_swapped_with_a_link_between_looking_and_opening_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = place.workspace / "mine"
    mine.write_text("mine")
    real = os.stat

    def stat_then_swap(*args: Any, **more: Any) -> os.stat_result:
        found = real(*args, **more)
        if args[0] == "mine":
            mine.unlink()
            mine.symlink_to("../outside/secret")
        return found

    with confine.spot(place, "mine") as here:
        monkeypatch.setattr(os, "stat", stat_then_swap)
        with pytest.raises(ToolRefused) as refusal:
            content.look(here)
    assert refusal.value.rule == "file.kind"


def test_folder_swapped_with_a_link_while_writing_never_writes_outside(place: Place, tmp_path: Path) -> None:
    way, link, real = (place.workspace / name for name in ("way", "link", "real"))
    way.mkdir()
    link.symlink_to("../outside")

    def swap() -> None:
        way.rename(real)
        link.rename(way)
        way.rename(link)
        real.rename(way)

    written = 0
    with _swapping(swap) as rounds:
        while rounds[0] < 1500 or not written:
            try:
                with confine.spot(place, "way/note") as here:
                    content.put(here, b"mine", key="k", over=content.look(here))
                written += 1
            except (ToolRefused, FileNotFoundError):
                continue
    assert sorted(path.name for path in (tmp_path / "outside").iterdir()) == ["secret"]
    assert (way / "note").read_text() == "mine"


def test_folders_made_on_the_way_go_again_where_the_next_cannot_be_made(place: Place) -> None:
    with pytest.raises(OSError, match="too long"):
        confine.spot(place, f"a/b/{'n' * 300}/c.txt", create=True)
    assert not (place.workspace / "a").exists()
    (place.workspace / "a").mkdir()
    with pytest.raises(OSError, match="too long"):
        confine.spot(place, f"a/b/{'n' * 300}/c.txt", create=True)
    assert not (place.workspace / "a" / "b").exists()
