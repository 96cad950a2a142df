"""Shell: exactly the assessed command, nothing inherited, an end that is known even when the parent is killed."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from assent.schemas.canonical import canonical, digest
from assent.schemas.dispatch import EffectClass, Receipt
from assent.schemas.errors import InvalidPlan
from assent.tools import process, record
from assent.tools.environment import environment
from assent.tools.shell import Shell
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


TOOL = Shell()
BOX = standard()


def place_in(folder: Path, **more: Any) -> Place:
    (folder / "workspace").mkdir(exist_ok=True)
    return Place(workspace=folder / "workspace", keep=MemoryKeep(), scratch=folder / "home" / "scratch", **more)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return place_in(tmp_path)


def run(place: Place, command: str, key: str = "key", **more: Any) -> Receipt:
    args: Any = BOX.parse("shell", {"command": command, **more})
    receipt = TOOL.run(args, place, key=key, before=TOOL.prepare(args, place))
    canonical(receipt.as_json())
    return receipt


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("command", "status", "code"),
    [
        ("true", "done", 0),
        ("exit 7", "failed", 7),
        ("no-such-program", "failed", 127),
        ("kill -SEGV $$", "failed", None),
        ("if", "failed", 2),
    ],
)
def test_exit_code_decides(place: Place, command: str, status: str, code: int | None) -> None:
    receipt = run(place, command)
    assert (receipt.status, receipt.output["exit_code"]) == (status, code)
    assert TOOL.probe(None, place, key="key", before={}, direction="do") == "happened"  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["KILL", "TERM", "HUP", "INT"])
def test_killed_from_outside_is_unknown(place: Place, name: str) -> None:
    assert run(place, f"kill -{name} $$; sleep 5").status == "unknown"
    assert TOOL.probe(None, place, key="key", before={}, direction="do") == "unknown"  # type: ignore[arg-type]
    assert TOOL.recover(None, place, key="key", before={}, direction="do") is None  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["a b", "$HOME", "`x`", "'", '"', "\\", "ü€😀", "a\nb", "-n", "\t", "*", "\x01"])
def test_command_arrives_byte_for_byte(place: Place, text: str) -> None:
    assert run(place, f"printf %s {shlex.quote(text)}").output["stdout"] == text
    assert (
        run(place, 'printf %s "$BASH_EXECUTION_STRING" #' + text.replace("\n", ""), key="2")
        .output["stdout"]
        .endswith(text.replace("\n", ""))
    )


def test_long_command_runs_and_one_too_long_for_the_system_is_refused(place: Place) -> None:
    text = "x" * (process.LONGEST_BYTES - len("echo  | wc -c"))
    assert run(place, f"echo {text} | wc -c").output["value"] == len(text) + 1
    with pytest.raises(ToolRefused, match="earlier step"):
        run(place, "#" + "x" * process.LONGEST_BYTES, key="2")
    with pytest.raises(ToolRefused, match="earlier step"):
        run(place, "#" + "€" * (process.LONGEST_BYTES // 2), key="3")


def test_environment_is_built_from_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_TOKEN", "BASH_ENV", "LD_PRELOAD_X", "GIT_DIR", "PYTHONPATH", "http_proxy", "BASH_FUNC_ls%%"):
        monkeypatch.setenv(name, "/tmp/x")
    found = dict(line.split("=", 1) for line in run(place, "env").output["stdout"].splitlines())
    assert set(found) - set(environment(place)) == {"PWD", "SHLVL", "_"}
    assert found["PATH"].startswith("/usr/local/sbin:")
    assert (found["LANG"], found["TERM"], found["PAGER"], found["GIT_CONFIG_VALUE_1"]) == ("C.UTF-8", "dumb", "cat", "/dev/null")


def test_configuration_adds_variables_but_not_dangerous_ones(tmp_path: Path) -> None:
    place = place_in(tmp_path, environment={"PATH": "/opt/tool:/usr/bin:/bin", "MINE": "1 2"})
    assert run(place, 'echo "$PATH|$MINE"').output["stdout"] == "/opt/tool:/usr/bin:/bin|1 2\n"
    for name in (
        "LD_PRELOAD",
        "BASH_ENV",
        "SHELLOPTS",
        "GIT_PAGER",
        "GIT_CONFIG_COUNT",
        "BASH_FUNC_x%%",
        "DYLD_INSERT_LIBRARIES",
        "A=B",
        "",
    ):
        with pytest.raises(ToolRefused, match="environment"):
            run(place_in(tmp_path, environment={name: "x"}), "true", key="2")


def test_command_has_no_input_no_terminal_and_its_own_session(place: Place) -> None:
    receipt = run(place, "cat; tty; pwd; ps -o sid= -p $$ | tr -d ' '; echo $$; ls /proc/$$/fd | tr '\\n' ' '")
    lines = receipt.output["stdout"].splitlines()
    assert lines[0] == "not a tty"
    assert lines[1] == str(place.workspace)
    assert lines[2] == lines[3]
    assert set(lines[4].split()) <= {"0", "1", "2", "3", "255"}


def test_broken_pipes_end_programs_as_they_do_in_a_shell(place: Place) -> None:
    assert run(place, "yes | head -1; echo ${PIPESTATUS[0]}").output["stdout"] == "y\n141\n"


def test_time_limit_kills_everything_and_says_unknown(place: Place) -> None:
    began = time.monotonic()
    receipt = run(place, "echo $$; sleep 61 & echo $!; (setsid sleep 62 & echo $!); sleep 63", timeout_s=0.4)
    assert receipt.status == "unknown"
    assert "time limit" in receipt.summary
    assert time.monotonic() - began < 3
    pids = [int(line) for line in receipt.output["stdout"].split()]
    assert len(pids) == 3
    assert not [pid for pid in pids if is_alive(pid)]
    assert TOOL.probe(None, place, key="key", before={}, direction="do") == "unknown"  # type: ignore[arg-type]


def test_program_that_ignores_signals_is_killed_as_well(place: Place) -> None:
    assert run(place, "trap '' TERM INT HUP; while :; do sleep 0.05; done", timeout_s=0.3).status == "unknown"


def test_own_limit_cannot_exceed_the_configured_one(tmp_path: Path) -> None:
    receipt = run(place_in(tmp_path, limits=Limits(time_s=0.3)), "sleep 20", timeout_s=60)
    assert receipt.status == "unknown"
    assert receipt.duration_ms < 3000


def test_what_a_step_leaves_running_is_ended_with_it(place: Place) -> None:
    receipt = run(place, "sleep 71 & echo $!; (setsid nohup sleep 72 >/dev/null 2>&1 & echo $!); sleep 0.1")
    assert receipt.status == "done"
    assert receipt.output["left_behind"] == 2
    assert "2 processes" in receipt.summary
    assert not [pid for pid in receipt.output["stdout"].split() if is_alive(int(pid))]


def test_memory_is_limited(tmp_path: Path) -> None:
    place = place_in(tmp_path, limits=Limits(memory_bytes=300 * 1024**2))
    receipt = run(place, f"{sys.executable} -I -S -c 'x = bytearray(400 * 1024 ** 2)'")
    assert receipt.status == "failed"
    assert "MemoryError" in receipt.output["stderr"]


def test_flood_of_output_is_cut_and_counted(tmp_path: Path) -> None:
    place = place_in(tmp_path, limits=Limits(output_bytes=100_000))
    receipt = run(place, "head -c 5000000 /dev/zero | tr '\\0' a; head -c 300000 /dev/zero | tr '\\0' b >&2")
    assert receipt.status == "done"
    assert (receipt.output["stdout_dropped"], receipt.output["stderr_dropped"]) == (4_900_000, 200_000)
    assert "4900000 bytes of stdout" in receipt.summary
    assert place.keep.get(receipt.output_ref) == b"a" * 100_000
    assert place.keep.get(receipt.output["stderr_ref"]) == b"b" * 100_000
    assert len(canonical(receipt.output)) <= 4096


def test_output_that_is_not_text_is_kept_whole(place: Place) -> None:
    receipt = run(place, "printf '\\xff\\x00ok'")
    assert place.keep.get(receipt.output_ref) == b"\xff\x00ok"
    assert receipt.output["stdout"].endswith("ok")


def test_single_number_is_a_value(place: Place) -> None:
    assert run(place, "echo ' 12.5 '").output["value"] == 12.5
    assert run(place, "echo 3", key="2").output["value"] == 3
    for index, text in enumerate(("3 4", "nan", "inf", "", str(2**60))):
        assert "value" not in run(place, f"echo {text}", key=f"n{index}").output


def test_progress_is_told_line_by_line_while_it_runs(tmp_path: Path) -> None:
    lines: list[tuple[str, float]] = []
    began = time.monotonic()
    place = place_in(tmp_path, progress=lambda line: lines.append((line, time.monotonic() - began)))
    run(place, "echo one; echo two >&2; sleep 0.6; printf 'three\\nfour'")
    assert sorted(line for line, _ in lines) == ["four", "one", "three", "two"]
    assert dict(lines)["one"] < 0.5


def test_same_key_never_runs_twice(place: Place) -> None:
    first = run(place, "echo x >> count; exit 3")
    second = run(place, "echo x >> count; exit 3")
    assert (place.workspace / "count").read_text() == "x\n"
    assert (first.status, second.status, second.output["exit_code"]) == ("failed", "failed", 3)
    (process.folder_of(place, "key") / "end.json").unlink()
    third = run(place, "echo x >> count")
    assert third.status == "unknown"
    assert (place.workspace / "count").read_text() == "x\n"


@pytest.mark.parametrize("key", ["../../escape", "a/b", "", ".", "x" * 500, "ü", "a:b"])
def test_strange_keys_stay_inside_the_scratch_folder(place: Place, key: str) -> None:
    folder = process.folder_of(place, key)
    assert folder.parent == place.scratch
    assert run(place, "true", key=key).is_done
    assert (folder / "end.json").exists()


def test_no_record_is_unknown(place: Place) -> None:
    assert TOOL.probe(None, place, key="never", before={}, direction="do") == "unknown"  # type: ignore[arg-type]
    assert TOOL.recover(None, place, key="never", before={}, direction="do") is None  # type: ignore[arg-type]


def test_program_that_cannot_be_executed_is_not_started(place: Place) -> None:
    for program in ("/no/such/program", str(place.workspace)):
        receipt = process.run(process.Command(program, (program,)), place, program)
        assert receipt.status == "not_started"
        assert process.probe(place, program) == "did_not_happen"
        recovered = process.recover(place, program)
        assert recovered is not None
        assert recovered.status == "not_started"


def test_supervisor_that_cannot_start_is_not_started(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert run(place, "touch x").status == "not_started"
    assert not (place.workspace / "x").exists()


def test_supervisor_that_is_killed_is_unknown_and_takes_the_command_with_it(place: Place) -> None:
    receipt = run(place, "echo $$ > pid; kill -9 $PPID; sleep 30; touch late")
    assert receipt.status == "unknown"
    pid = int((place.workspace / "pid").read_text())
    deadline = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(pid)
    assert not (place.workspace / "late").exists()


def test_order_is_complete_before_the_supervisor_exists_and_leaves_no_copy(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = process._start
    sizes: list[int] = []

    def start(folder: Path, order: int, lock_fd: int | None) -> Any:
        sizes.append(os.fstat(order).st_size)
        assert os.listdir(folder) == []
        return real(folder, order, lock_fd)

    monkeypatch.setattr(process, "_start", start)
    assert run(place, "echo 'a secret'").is_done
    assert sizes[0] > 1000
    assert not [path for path in process.folder_of(place, "key").iterdir() if b"echo" in path.read_bytes()]


def test_full_disk_before_the_start_is_not_started(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    receipt = run(place, "touch x")
    monkeypatch.undo()
    assert receipt.status == "not_started"
    assert not (place.workspace / "x").exists()


PARENT = """
import fcntl, os, sys
from pathlib import Path
from assent.tools.shell import Shell, ShellArguments
from assent.tools.tool import Place
class Keep:
    def put(self, data): return "sha256:" + "0" * 64
    def get(self, digest): raise KeyError(digest)
home = Path(sys.argv[1])
lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
place = Place(workspace=home / "workspace", keep=Keep(), scratch=home / "home" / "scratch", lock_fd=lock)
Shell().run(ShellArguments(command=sys.argv[2]), place, key="key", before={})
"""


def _is_locked(path: Path) -> bool:
    handle = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _until(condition: Any, what: str) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def test_command_survives_its_parent_holds_the_lock_and_records_its_end(place: Place, tmp_path: Path) -> None:
    workspace = place.workspace
    command = "echo before; touch began; while [ ! -e go ]; do sleep 0.02; done; echo after; exit 4"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path), command], cwd="/", start_new_session=True)
    _until((workspace / "began").exists, "the command begins")
    os.killpg(parent.pid, signal.SIGKILL)  # as a closing terminal does it: the whole group
    parent.wait()
    assert _is_locked(tmp_path / "lock")
    assert process.probe(place, "key") == "unknown"
    assert not (process.folder_of(place, "key") / "end.json").exists()
    (workspace / "go").touch()
    _until(lambda: not _is_locked(tmp_path / "lock"), "the lock is free when the command has ended")
    assert process.probe(place, "key") == "happened"
    receipt = TOOL.recover(None, place, key="key", before={}, direction="do")  # type: ignore[arg-type]
    assert receipt is not None
    assert (receipt.status, receipt.output["exit_code"], receipt.output["stdout"]) == ("failed", 4, "before\nafter\n")


def test_command_holds_the_lock_even_when_parent_and_supervisor_are_killed(place: Place, tmp_path: Path) -> None:
    # The grandchild is not killed by the death of the supervisor, so it is what must keep the lock.
    command = "sh -c 'echo $$ > inner; while [ ! -e go ]; do sleep 0.02; done' & echo $PPID > supervisor; wait"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path), command], cwd="/")
    _until(lambda: (place.workspace / "inner").exists() and (place.workspace / "supervisor").exists(), "both run")
    _until(
        lambda: (place.workspace / "supervisor").read_text().strip() and (place.workspace / "inner").read_text().strip(),
        "both wrote",
    )
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    os.kill(int((place.workspace / "supervisor").read_text()), signal.SIGKILL)
    inner = int((place.workspace / "inner").read_text())
    assert is_alive(inner)
    assert _is_locked(tmp_path / "lock")
    (place.workspace / "go").touch()
    _until(lambda: not _is_locked(tmp_path / "lock"), "the lock is free when all have ended")
    assert process.probe(place, "key") == "unknown"


def test_deadline_holds_without_the_parent(place: Place, tmp_path: Path) -> None:
    text = PARENT.replace("command=sys.argv[2]", "command=sys.argv[2], timeout_s=0.8")
    parent = subprocess.Popen([sys.executable, "-c", text, str(tmp_path), "touch began; sleep 50"], cwd="/")
    _until((place.workspace / "began").exists, "the command begins")
    parent.kill()
    parent.wait()
    _until((process.folder_of(place, "key") / "end.json").exists, "the record is written")
    assert json.loads((process.folder_of(place, "key") / "end.json").read_text())["in_time"] is False
    assert process.probe(place, "key") == "unknown"


def test_git_runs_neither_hooks_nor_monitors_nor_diff_programs_of_the_repository(place: Place) -> None:
    trap = place.workspace / "trap.sh"
    trap.write_text("#!/bin/sh\ntouch trapped\n")
    trap.chmod(0o755)
    setup = (
        "git init -q . && git config user.email a@b && git config user.name a && echo a > f && git add f"
        f" && git commit -qm x && mkdir -p .git/hooks && cp {trap} .git/hooks/post-index-change && cp {trap} .git/hooks/pre-commit"
        f" && git config core.fsmonitor {trap} && echo b > f"
    )
    assert run(place, setup, key="1").is_done
    assert run(place, "git status --short && git diff && git commit -qam y", key="2").is_done
    assert run(place, f"git config diff.external {trap}; echo c > f", key="3").is_done
    run(place, "git diff", key="4")
    assert not (place.workspace / "trapped").exists()


def test_missing_workspace_is_refused(tmp_path: Path) -> None:
    place = Place(workspace=tmp_path / "none", keep=MemoryKeep(), scratch=tmp_path / "scratch")
    with pytest.raises(ToolRefused, match="not a folder"):
        run(place, "true")


@pytest.mark.parametrize(
    ("args", "named"),
    [({}, "command"), ({"command": ""}, "command"), ({"command": "a\0b"}, "NUL"), ({"command": "\ud800"}, "UTF-8"), ({"command": 1}, "command"),
     ({"command": "a", "cmd": "b"}, "cmd"), ({"command": "a", "timeout_s": 0}, "timeout_s")],
)  # fmt: skip
def test_wrong_arguments_are_named(args: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidPlan, match=named):
        BOX.parse("shell", args)


def test_unknown_tool_lists_the_tools() -> None:
    with pytest.raises(InvalidPlan) as error:
        BOX.parse("bash", {})
    assert error.value.hint == "the tools are shell, files, sql, http, python"
    with pytest.raises(InvalidPlan, match="did you mean 'shell'"):
        BOX.parse("shel", {})
    with pytest.raises(ValueError, match="two tools"):
        BOX.plus(Shell())


def test_declaration() -> None:
    args: Any = BOX.parse("shell", {"command": "ls\nrm x"})
    assert TOOL.actions(args) == [("shell", "ls\nrm x")]
    assert TOOL.effect_class(args) == EffectClass.OPAQUE
    effects = TOOL.effects(args)
    assert effects.writes
    assert effects.irreversible
    assert not TOOL.can_undo(args)
    assert TOOL.undo(args, None, key="u", receipt=Receipt(status="done")).status == "not_started"  # type: ignore[arg-type]


def test_preview_shows_the_whole_command(place: Place) -> None:
    args: Any = BOX.parse("shell", {"command": "echo 1\necho 2"})
    shown = TOOL.preview(args, place)
    assert (shown.headline, shown.detail) == ("run: echo 1 (and 1 more lines)", "echo 1\necho 2")


def test_record_of_another_form_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "end.json").write_text('{"form": 2, "started": true}')
    assert record.found(tmp_path) == "unknown"
