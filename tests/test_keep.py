"""The artifact folder: files that are there whole or not at all, under plain names."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from assent.runtime.keep import Keep, place_whole, write_whole
from assent.schemas.errors import StoreUnavailable


def test_files_of_a_run_are_written_whole_and_for_their_owner_and_replace_what_had_their_name(tmp_path: Path) -> None:
    keep = Keep(tmp_path / "artifacts")
    keep.write_all("run_1", {"a.txt": b"one", "b.txt": b""})
    keep.write_all("run_1", {"a.txt": b"two"}, durable=False)
    folder = tmp_path / "artifacts" / "run_1"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a.txt": b"two", "b.txt": b""}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("run_id, name", [("run_1", "../a"), ("run_1", ".new-1"), ("run_1", ""), ("..", "a"), ("a/b", "a")])
def test_a_name_that_is_not_plain_is_refused_before_anything_is_written(tmp_path: Path, run_id: str, name: str) -> None:
    with pytest.raises(ValueError, match="plain"):
        Keep(tmp_path / "artifacts").write_all(run_id, {"first.txt": b"x", name: b"x"})
    assert not (tmp_path / "artifacts").exists()


def test_what_a_disk_takes_in_parts_is_written_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: whole(handle, data[:3]))
    write_whole(tmp_path / "a", b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


@pytest.mark.parametrize("failing", ["write", "fsync", "rename"])
def test_a_disk_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path, failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    write_whole(tmp_path / "a", b"old")
    monkeypatch.setattr(os, failing, fails)
    with pytest.raises(StoreUnavailable, match="a cannot be written: No space left"):
        write_whole(tmp_path / "a", b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old"}


def test_a_file_that_somebody_put_there_meanwhile_stays(tmp_path: Path) -> None:
    place_whole(tmp_path / "a", b"first")
    place_whole(tmp_path / "a", b"second")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"first"}
    with pytest.raises(StoreUnavailable):
        place_whole(tmp_path / "none" / "a", b"x")
