"""Kill: at every write of the ledger, the checkpoints, the artifacts and the effects, before, within and after it; then somebody goes on.

What must hold after each: every effect is there exactly once, or its step is shown as in doubt; none twice, none lost; the ledger says of
each step what the world shows; the log verifies; nobody is asked to approve twice; and a run that nobody doubts ends as if nothing had happened.

That these tests can fail is tested here too (`test_a_removed_guard_is_found`). The trials are described in `server.py`, the plans in `world.py`.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import pytest

PHASES = [
    ("completes", "start"), ("completes", "decide"), ("completes", "rollback"),
    ("undone", "decide"), ("undone", "record"), ("undone", "resume"),
]  # fmt: skip
AREAS = ("home/ledger.db", "home/checkpoints.db", "home/artifacts", "home/scratch", "home/locks", "ws/")
ids = [f"{scenario}-{phase}" for scenario, phase in PHASES]


def points(writes: list[list[Any]]) -> list[tuple[int, str]]:
    """Return every (call, mode); in the middle only where there are bytes to tear."""
    return [
        (n, mode)
        for n, (operation, size, _) in enumerate(writes, 1)
        for mode in ("before", "middle", "after")
        if mode != "middle" or (operation == "write" and size > 1)
    ]


def spread(writes: list[list[Any]], count: int, seed: str) -> list[tuple[int, str]]:
    """Return a sample that is the same in every run: one point for each kind of operation on each kind of file, the rest by chance."""
    chance = random.Random(seed)
    kinds: dict[tuple[str, str, str], list[tuple[int, str]]] = defaultdict(list)
    for n, mode in points(writes):
        operation, _, path = writes[n - 1]
        kinds[operation, next((area for area in AREAS if path.startswith(area)), path[:5]), mode].append((n, mode))
    firsts = [chance.choice(some) for some in kinds.values()]
    chance.shuffle(firsts)
    rest = [point for point in points(writes) if point not in set(firsts)]
    return (firsts + chance.sample(rest, max(0, min(len(rest), count - len(firsts)))))[:count]


def run_all(trials: Any, scenario: str, phase: str, chosen: Iterable[tuple[int, str]], writes: list[list[Any]], **more: Any) -> Counter[str]:
    """Make the trials; fail with everything that was wrong, grouped; otherwise return what was counted."""
    counts: Counter[str] = Counter()
    wrong: dict[str, list[str]] = defaultdict(list)
    for n, mode in chosen:
        result = trials("trial", scenario=scenario, phase=phase, n=n, mode=mode, **more)
        counts["trials"] += 1
        counts[result["died"]] += 1
        counts["asked about a step in doubt"] += sum(answer[0] == "in_doubt" for answer in result["asked"])
        counts["ended in doubt"] += bool(result["doubts"])
        if result["wrong"]:
            at = f"{mode} call {n} {writes[n - 1] if 0 < n <= len(writes) else more}"
            wrong[json.dumps(result["wrong"], indent=1)].append(at)
    assert not wrong, "\n\n".join(f"{len(where)} trials, for example {where[:3]}:\n{what}" for what, where in wrong.items())
    return counts


@pytest.mark.parametrize(("scenario", "phase"), PHASES, ids=ids)
def test_unharmed_run_ends_as_planned_and_the_shim_sees_every_place_that_it_writes(trials: Any, scenario: str, phase: str) -> None:
    writes = trials("count", scenario=scenario, phase=phase)
    end = trials("end", scenario=scenario, phase=phase)
    took_back = scenario == "undone" or phase == "rollback"
    assert end["rows"] == ([["a"], ["b"]] if took_back else [["a"], ["b"], ["x"]])
    assert end["effects.log"].endswith("b'xy'" if took_back else "b'x'")
    assert ("notes/new.txt" in end) is not took_back
    seen = {area for area in AREAS for _, _, path in writes if path.startswith(area)}
    expected = {"start": AREAS[:2], "record": AREAS[:1], "rollback": set(AREAS) - {"home/checkpoints.db"}}.get(phase, AREAS)
    assert seen >= set(expected)
    assert len(writes) > 50


@pytest.mark.parametrize(("scenario", "phase", "count"), [(*which, count) for which, count in zip(PHASES, (20, 40, 25, 45, 10, 25), strict=True)], ids=ids)
def test_killed_at_a_sample_of_writes_every_effect_happens_once_or_is_in_doubt(trials: Any, scenario: str, phase: str, count: int) -> None:
    writes = trials("count", scenario=scenario, phase=phase)
    counts = run_all(trials, scenario, phase, spread(writes, count, f"{scenario}/{phase}"), writes)
    assert counts["killed"] >= 0.9 * counts["trials"]


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "phase"), PHASES, ids=ids)
def test_killed_at_every_write_every_effect_happens_once_or_is_in_doubt(trials: Any, scenario: str, phase: str) -> None:
    writes = trials("count", scenario=scenario, phase=phase)
    counts = run_all(trials, scenario, phase, points(writes), writes)
    print(f"{scenario}/{phase}: {len(writes)} writes, {dict(counts)}")
    # A process that dies a write later than planned has done all of them; that may be so for the last few, because their number may vary by one.
    assert counts["killed"] >= counts["trials"] - 6


def killed_twice(trials: Any, count: int) -> Counter[str]:
    chance = random.Random("twice")
    counts: Counter[str] = Counter()
    for scenario, phase in PHASES:
        writes = trials("count", scenario=scenario, phase=phase)
        for n, mode in spread(writes, count, f"twice/{scenario}/{phase}"):
            again = [chance.randrange(1, 300), chance.choice(["before", "middle", "after"])]
            counts += run_all(trials, scenario, phase, [(n, mode)], writes, again=again)
    return counts


def test_killed_again_while_going_on_every_effect_happens_once_or_is_in_doubt(trials: Any) -> None:
    assert killed_twice(trials, 2)["killed"] > 7


@pytest.mark.slow
def test_killed_again_while_going_on_many_times(trials: Any) -> None:
    print(dict(killed_twice(trials, 60)))


@pytest.mark.parametrize(("scenario", "phase"), [("completes", "decide"), ("completes", "rollback")])
def test_supervisor_killed_at_each_of_its_writes_leaves_a_doubt_and_no_second_effect(trials: Any, scenario: str, phase: str) -> None:
    """The parent lives, and learns only that no record came. What the command did is for a person to say."""
    writes = trials("count_supervisor", scenario=scenario, phase=phase)
    assert {"end.json.tmp", "end.json"} <= {path.rpartition("/")[2] for _, _, path in writes}
    counts = run_all(trials, scenario, phase, points(writes), writes, supervisor=True)
    doubts = counts["asked about a step in doubt"] + counts["ended in doubt"]
    assert 0 < doubts < counts["trials"]  # after its record is in place, nobody has to ask


def test_ctrl_c_at_a_sample_of_writes_leaves_a_run_that_goes_on(trials: Any) -> None:
    counts: Counter[str] = Counter()
    for scenario, phase in PHASES:
        writes = trials("count", scenario=scenario, phase=phase)
        chosen = [(n, "interrupt") for n, _ in spread(writes, 4, f"interrupt/{scenario}/{phase}")]
        counts += run_all(trials, scenario, phase, chosen, writes)
    assert counts["interrupted"] >= 0.8 * counts["trials"]


def test_ctrl_c_at_random_moments_leaves_a_run_that_goes_on(trials: Any) -> None:
    chance = random.Random("moments")
    counts: Counter[str] = Counter()
    for scenario, phase in PHASES[:4]:
        for _ in range(3):
            counts += run_all(trials, scenario, phase, [(0, "interrupt")], [], after_ms=chance.uniform(1, 120))
    assert counts["interrupted"] > 2


@pytest.mark.slow
def test_ctrl_c_at_every_write_leaves_a_run_that_goes_on(trials: Any) -> None:
    for scenario, phase in PHASES:
        writes = trials("count", scenario=scenario, phase=phase)
        print(f"{scenario}/{phase}:", dict(run_all(trials, scenario, phase, [(n, "interrupt") for n in range(1, len(writes) + 1)], writes)))


@pytest.mark.parametrize(
    ("guard", "tell_tale", "scenario", "phase", "where"),
    [
        ("intent before effect", "the ledger says absent, the world says there", "completes", "decide", "ws/"),
        ("doubt is asked about", "the row was inserted twice", "completes", "decide", "ws/shop.db"),
        ("doubt is not done", "the ledger says there, the world says absent", "completes", "decide", "ws/shop.db"),
        ("undo once", "the shell wrote y 2 times", "completes", "rollback", "home/scratch"),
        ("made folders are cleared", "folder instead of None", "undone", "resume", "ws/notes"),
    ],
)
def test_a_removed_guard_is_found(trials: Any, guard: str, tell_tale: str, scenario: str, phase: str, where: str) -> None:
    """Each guard is taken out of the product in the processes of the trials (`server.GUARDS`), and the same trials that pass with it must fail."""
    supervisor = guard == "undo once"
    writes = trials("count_supervisor" if supervisor else "count", scenario=scenario, phase=phase)
    acts = [n for n, (_, _, path) in enumerate(writes, 1) if path.startswith(where)]
    # What guards an effect matters from its first write until its receipt is committed.
    near = [(n, mode) for n, mode in points(writes) if any(0 <= n - act <= 20 for act in acts)]
    found: list[str] = []
    for n, mode in near[::3] + near[1::3] + near[2::3]:
        found += trials("trial", scenario=scenario, phase=phase, n=n, mode=mode, without=guard, supervisor=supervisor)["wrong"]
        if any(tell_tale in what for what in found):
            return
    raise AssertionError(f"nothing found without {guard!r}; found {found[:5]}")
