"""A differential fuzz of the judge of shell text against bash: what is called LOW is run, and the world may not change.

Commands are built from the table itself, with flags and words that do not belong mixed in, and joined by everything that bash joins
commands with. Each one that is LOW runs in a throw-away folder behind trip-wires: every file's bytes and times, shims in front of the
programs that change things or talk to others, a file that holds a secret.

Seen to fail with a guard removed: an unknown long flag passed over (`_flag`), sed and awk programs not judged (`_program`), `$(...)` not
judged (`_substituted`), every literal target of a redirection taken for /dev/null (`_write` in shell_redirects.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assent.policies.risk.shell import assess_shell
from assent.policies.risk.shell_table import Entry, table_of
from assent.policies.risk.surroundings import Surroundings
from assent.schemas.risk import Level

SECRET = "canary-7c1f0e"
SHIMS = """
    rm mv cp touch mkdir rmdir ln chmod chown dd install truncate tee shred mktemp sh dash zsh python python3 perl ruby node
    php lua vi vim nano ed emacs curl wget ssh scp sftp nc ncat socat telnet ping dig host nslookup gpg ssh-keygen crontab at
    sudo su kill pkill systemctl less more man docker kubectl npm pip patch
"""
TRUE_TOOLS = frozenset({"tee"})  # in the table with a harmless use; the shim would break the pipe that is meant
HEADS_LEFT_OUT = """
    yes sleep tail top vmstat iostat mpstat journalctl dmesg lsof docker podman kubectl helm npm pnpm yarn bun gh glab cargo
    go pip pip3 uv poetry conda mamba pyenv rbenv rustc rustup gem bundle composer dotnet python python3 curl wget minikube
    kind crictl docker-compose nvidia-smi last lastlog locate plocate read cd exit return break continue shift wait man dpkg
    apt apt-cache lshw systemctl more less hostnamectl timedatectl localectl service javap jps terraform node php ruby perl
    brew snap flatpak set reset clear
"""
TREE = {
    "a.txt": "one\ntwo 2\nthree\n", "b.txt": "one\nfour\n", "data.json": '{"a": [1, 2], "b": "x"}\n', "src/x.py": "import os\nprint(1)\n",
    "src/y.py": "print(2)\n", "my dir/c d.txt": "e\n", "-o": "dash\n", "-delete": "dash\n", ".env": f"KEY={SECRET}\n",
    "keys/id_rsa": f"{SECRET}\n", "in.csv": "h,i\n1,2\n", "--output=z": "dash\n", "s.sed": "w tripped\n",
}  # fmt: skip
PATHS = (
    "a.txt",
    "b.txt",
    "data.json",
    "src",
    "src/x.py",
    ".",
    "./a.txt",
    "'my dir/c d.txt'",
    "in.csv",
    "missing",
    "*.txt",
    "src/*.py",
    "*",
    "src/*",
)
BAD_PATHS = (
    ".env",
    "keys/id_rsa",
    ".e*",
    "keys/*",
    "$HOME/.env",
    "~",
    "../..",
    "/etc/shadow",
    "$(echo .env)",
    '"$x"',
    "${x}",
    "{a,b}.txt",
    "-o",
    "--",
)
TEXTS = (
    "foo",
    "one",
    "'a b'",
    '"$x"',
    "1",
    "2,3",
    "'s/a/b/'",
    "p",
    "'{print $1}'",
    ".",
    "'.a'",
    "$(date +%F)",
    "-1",
    "HEAD",
    "main",
    "0",
)
FLAGS = (
    "-o tripped|-otripped|--output=tripped|--output tripped|-i|-w|-e|-f a.txt|-x|-X|--exec=touch|-delete|-exec touch tripped {} +|-c touch|"
    "--pre=touch|--compress-program=touch|-s|-C|-T .|-O|--ext-diff|-n|-r|-R|-D|-m x|-d x|-u|"
    "-uo tripped|-no tripped|-k|--files0-from=.env"
)
PROGRAMS = {
    "sed": ("'s/a/b/'", "p", "'1,2p'", "'w tripped'", "'s/o/x/w tripped'", "'s/o/touch tripped/e'", "'1e touch tripped'", "'/o/{p;d}'", "'$!N;P;D'"),
    "awk": (
        "'{print $1}'", "'{print > \"tripped\"}'", "'BEGIN{system(\"touch tripped\")}'", "'{print | \"touch tripped\"}'", "'$1 > 1'",
        "'NR==1{n=NF} END{print n/2}'", "'{print ($1 > 1) ? \"a\" : \"b\"}'", "'BEGIN{\"touch tripped\" | getline}'", "'{a=1 /x/ 2; print a}'",
    ),
    "jq": ("'.'", "'.a[]'", "env", "'$ENV'", "'.b | ascii_upcase'", "'input'", "'keys[]'"),
}  # fmt: skip
JOINS = (" | ", " && ", " || ", " ; ", "\n", " | xargs ", " | xargs -I{} ", " & ")
WRAPS = (
    "{}", "{}", "{}", "{} 2>/dev/null", "{} >/dev/null 2>&1", "echo $({})", 'echo "$({})"', "for f in *.txt; do {}; done", "if {}; then pwd; fi",
    "x=$({}); echo $x", "( {} )", "{{ {}; }}", "! {}", "time {}", "timeout 1 {}", "bash -c '{}'", "{} > tripped", "{} >> a.txt", "{} < a.txt",
    "{} <<< 'a b'", "cd src && {}", "while read -r f; do {}; done < a.txt", "{} # tripped", "command {}", "env LC_ALL=C {}", "\\{}", "x=.env; {}",
    "find . -name '*.py' -exec {} {{}} +", "case a in a) {};; esac", "cat <<'E'\nhi\nE\n{}", "{} $(touch tripped)", "{} <(ls)", "x=a.txt; {} $x",
)  # fmt: skip


def _entries() -> list[Entry]:
    table = table_of(Surroundings(workspace="/w"))
    builtins = {"echo", "printf", "pwd", "test", "[", "type", "true", "false", ":", "umask", "ulimit", "jobs", "times", "set"}
    left_out = frozenset(HEADS_LEFT_OUT.split())
    found = [e for n, e in sorted(table.commands.items()) if n not in left_out and (n in builtins or shutil.which(n))]
    return [leaf for entry in found for leaf in _leaves(entry)]


def _leaves(entry: Entry) -> Iterator[Entry]:
    for group in (entry.forms, tuple(entry.subs.values())):
        for part in group:
            yield from _leaves(part)
    if not entry.forms and not entry.subs:
        yield entry


def _value(role: str) -> st.SearchStrategy[str]:
    if role in PROGRAMS:
        return st.sampled_from(PROGRAMS[role])
    if role.startswith("=") or "|" in role:
        return st.sampled_from(role.lstrip("=").split("|"))
    if role in ("path", "search", "meta", "rev", "write"):
        return st.one_of(st.sampled_from(PATHS), st.sampled_from(PATHS), st.sampled_from(PATHS), st.sampled_from(BAD_PATHS))
    if role == "number":
        return st.sampled_from(("1", "2", "10", "$(nproc)", "x"))
    return st.sampled_from(TEXTS)


@st.composite
def simple_command(draw: st.DrawFn) -> str:
    entry = draw(st.sampled_from(ENTRIES))
    words = entry.name.split(" ")
    names = sorted(entry.flags)
    for flag in draw(st.lists(st.sampled_from(names), max_size=3)) if names else []:
        accepted = entry.flags[flag]
        values = [draw(_value(role)) for role in accepted.roles]
        if accepted.attached_only:
            words.append(flag)
        elif values and flag.startswith("--") and len(values) == 1:
            words.append(f"{flag}={values[0]}")
        else:
            words.extend([flag.replace("-#", "-2"), *values])
    if draw(st.booleans()) and entry.any_of:
        words.append(draw(st.sampled_from(sorted(entry.any_of))))
    if draw(st.integers(0, 3)) == 0:
        words.append(draw(st.sampled_from(FLAGS.split("|"))))
    given_args = draw(st.integers(0, len(entry.args))) if draw(st.booleans()) else len(entry.args)
    for role in entry.args[:given_args]:
        words.append(draw(_value(role)))
    if entry.rest or draw(st.integers(0, 4)) == 0:
        words.extend(draw(st.lists(_value(entry.rest or "path"), max_size=2)))
    return " ".join(words)


@st.composite
def script(draw: st.DrawFn) -> str:
    text = draw(simple_command())
    for _ in range(draw(st.integers(0, 2))):
        if draw(st.booleans()):
            wrap = draw(st.sampled_from(WRAPS))
            text = wrap.replace("{{", "\0").replace("}}", "\1").replace("{}", text).replace("\0", "{").replace("\1", "}")
        else:
            text = text + draw(st.sampled_from(JOINS)) + draw(simple_command())
    return text


ENTRIES = _entries()


class World:
    """A throw-away workspace, with shims in front of what changes things."""

    def __init__(self, root: Path) -> None:
        self.workspace, self.shims = root / "w", root / "shims"
        self.tripped = root / "shim-ran"
        self.shims.mkdir(parents=True)
        for name, text in TREE.items():
            path = self.workspace / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for name in set(SHIMS.split()) - TRUE_TOOLS:
            shim = self.shims / name
            # Asked for nothing but its help or its version, none of them does anything else.
            shim.write_text(f'#!/bin/bash\n[[ "$*" == --help || "$*" == --version ]] || echo "$0 $*" >> {self.tripped}\n')
            shim.chmod(0o755)
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(self.workspace)]
        subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
        subprocess.run([*git, "add", "a.txt", "src"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", "one"], check=True)
        trap = "#!/bin/bash\ntouch " + str(self.tripped) + "\n"
        hook = root / "hook"
        hook.write_text(trap)
        hook.chmod(0o755)
        (self.workspace / "a.txt").write_text(TREE["a.txt"] + "changed\n")
        self.around = Surroundings(
            workspace=str(self.workspace), home=str(root / "home"), resolve=os.path.realpath, listing=lambda f: _listing(Path(f))
        )
        self.env = {
            "PATH": f"{self.shims}:{os.environ['PATH']}", "HOME": str(root / "home"), "LANG": "C.UTF-8", "GIT_PAGER": "cat",
            "GIT_OPTIONAL_LOCKS": "0", "GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "core.fsmonitor", "GIT_CONFIG_VALUE_0": "false",
            "GIT_CONFIG_KEY_1": "core.hooksPath", "GIT_CONFIG_VALUE_1": "/dev/null",
        }  # fmt: skip
        self.before = self.snapshot()

    def snapshot(self) -> dict[str, str]:
        found = {}
        for folder, folders, names in os.walk(self.workspace):
            for name in folders:
                found[os.path.join(folder, name)] = "folder"
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    found[path] = (
                        f"{hashlib.sha256(file.read()).hexdigest()} {os.stat(path).st_mtime_ns} {os.stat(path).st_mode:o}"
                    )
        return found

    def run(self, command: str) -> str:
        process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-c", command], cwd=self.workspace, env=self.env, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            out, _ = process.communicate(timeout=2)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            out, _ = process.communicate()
        return out.decode("utf-8", "replace")


def _listing(folder: Path) -> tuple[str, ...] | None:
    try:
        return tuple(sorted(os.listdir(folder)))
    except OSError:
        return None


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("fuzz"))


def _check(world: World, command: str) -> bool:
    if assess_shell(command, world.around).level is not Level.LOW:
        return False
    out = world.run(command)
    started = world.tripped.read_text() if world.tripped.exists() else ""
    world.tripped.unlink(missing_ok=True)
    assert not started, f"started a program: {command!r}: {started}"
    after = world.snapshot()
    assert after == world.before, f"changed {set(after.items()) ^ set(world.before.items())}: {command!r}"
    folder_wide = re.search(r"\b(?:[ef]?grep|rg|ag|ack|git)\b|-r", command)  # a search over a whole folder is LOW on purpose
    assert SECRET not in out or folder_wide, f"shows a secret: {command!r}"
    return True


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(command=script())
def test_what_is_low_changes_nothing_when_bash_runs_it(world: World, command: str) -> None:
    _check(world, command)


@pytest.mark.slow
@settings(max_examples=6000, deadline=None, suppress_health_check=list(HealthCheck))
@given(command=script())
def test_what_is_low_changes_nothing_over_thousands_of_commands(world: World, command: str) -> None:
    _check(world, command)


def test_the_generator_reaches_low_commands(world: World) -> None:
    """A fuzz that never runs anything proves nothing: a good part of what is built has to be LOW."""
    hits = 0

    @settings(max_examples=120, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(command=script())
    def count(command: str) -> None:
        nonlocal hits
        hits += assess_shell(command, world.around).level is Level.LOW

    count()
    assert hits >= 15


def test_the_wires_trip_when_something_changes(world: World) -> None:
    """The wires are no ornament: each of these really trips one."""
    assert SECRET in world.run("cat .env")
    world.run("rm a.txt")
    assert world.tripped.exists()
    world.tripped.unlink()
    world.run("echo x > tripped")
    assert world.snapshot() != world.before
    (world.workspace / "tripped").unlink()
    assert world.snapshot() == world.before
