"""Fan-out of a phase against raw LangGraph, in one run. Ratios count; absolute times are this machine's.

    python benchmarks/fanout.py [--rounds 12] [--json]

5 and 100 agents that each wait 0.2 s and answer with a small report; sync agents for `invoke`, coroutines for `ainvoke`. Raw is a `Send` per agent
into one node and a deferred node that counts, without anything else; a phase also checks, redacts, keeps and notes every report, consolidates and
passes its checkpoint. Rounds of both alternate, so a busy machine is busy for both. Bars: 1.05 and 1.25 times 0.2 s (median). Processor time is that
of this process for one fan-out; it is what others' load cannot make up for, while the times grow with every process that wants a processor too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import operator
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from assent.graphs import phase
from assent.nodes.phase_ports import PhasePorts
from assent.runtime.phases.store import PhaseStore, ReportKeep
from assent.schemas.phase import AgentSpec, Criterion, PhaseSpec

WAIT_S = 0.2
BARS = {5: 1.05, 100: 1.25}
REPORT = {"summary": "waited", "findings": [{"subject": "clock", "text": "0.2 s went by"}]}


class Counted(TypedDict, total=False):
    """State of the raw graph."""

    found: Annotated[dict[str, Any], operator.or_]
    total: int


def raw_graph(agents: int) -> Any:
    """Return the raw graph, with a node for each kind of caller."""

    def one(task: dict[str, Any]) -> dict[str, Any]:
        time.sleep(WAIT_S)
        return {"found": {str(task["n"]): REPORT}}

    async def aone(task: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(WAIT_S)
        return {"found": {str(task["n"]): REPORT}}

    graphs = []
    for node in (one, aone):
        graph: Any = StateGraph(Counted)
        graph.add_node("start", lambda state: {})
        graph.add_node("one", node)
        graph.add_node("count", lambda state: {"total": len(state["found"])}, defer=True)
        graph.add_edge(START, "start")
        graph.add_conditional_edges("start", lambda state: [Send("one", {"n": n}) for n in range(agents)], ["one"])
        graph.add_edge("one", "count")
        graph.add_edge("count", END)
        graphs.append(graph.compile())
    return graphs


def phase_graphs(agents: int, folder: Path) -> list[Any]:
    """Return the phase, once with blocking agents and once with coroutines."""

    def one(message: Any) -> dict[str, Any]:
        time.sleep(WAIT_S)
        return REPORT

    async def aone(message: Any) -> dict[str, Any]:
        await asyncio.sleep(WAIT_S)
        return REPORT

    spec = PhaseSpec(
        name="waiting",
        agents=tuple(AgentSpec(id=f"a{n}", role="waits", focus=("the clock",)) for n in range(agents)),
        criteria=(Criterion(id="all", text="all reported", check="agents_completed"),),
    )
    found = []
    for agent in (one, aone):
        ports = PhasePorts(keep=ReportKeep(folder), agents={f"a{n}": agent for n in range(agents)}, store=PhaseStore(folder / "notes"))
        found.append(phase.build(spec, ports, sizes=range(3, 101)).compile())
    return found


def _into(found: list[Any], act: Callable[[], Any]) -> None:
    found.append(act())


def timed(act: Callable[[], Any]) -> tuple[float, float]:
    """Return how long a call takes, in multiples of the wait, and how many milliseconds of processor time."""
    began, used = time.perf_counter(), time.process_time()
    act()
    return (time.perf_counter() - began) / WAIT_S, (time.process_time() - used) * 1000


def measure(agents: int, rounds: int) -> list[dict[str, Any]]:
    """Return one row for sync and one for async callers."""
    times: dict[str, list[float]] = {}
    used: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        (raw, araw), (ours, aours) = raw_graph(agents), phase_graphs(agents, Path(folder))
        for number in range(rounds + 2):
            start = {"run_id": f"run_{number}"}
            passed: list[Any] = []
            row = {
                "raw sync": timed(lambda: raw.invoke({}, {"max_concurrency": agents})),
                "sync": timed(partial(_into, passed, partial(ours.invoke, start))),
                "raw async": timed(lambda: runner.run(araw.ainvoke({}))),
                "async": timed(partial(_into, passed, lambda start=start: runner.run(aours.ainvoke({**start, "inputs": {"again": 1}})))),  # type: ignore[misc]
            }
            assert all(one["passed"] and len(one["settled"]) == agents for one in passed)
            if number >= 2:  # the first rounds load modules and make folders
                for name, (took, cpu_ms) in row.items():
                    times.setdefault(name, []).append(took)
                    used.setdefault(name, []).append(cpu_ms)
    return [
        {
            "agents": agents, "callers": kind, "phase": round(statistics.median(times[kind]), 3), "phase_best": round(min(times[kind]), 3),
            "raw": round(statistics.median(times[f"raw {kind}"]), 3), "raw_best": round(min(times[f"raw {kind}"]), 3), "bar": BARS[agents],
            "cpu_ms": round(statistics.median(used[kind]), 1), "raw_cpu_ms": round(statistics.median(used[f"raw {kind}"]), 1),
        }
        for kind in ("sync", "async")
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [row for agents in BARS for row in measure(agents, given.rounds)]
    if given.json:
        print(json.dumps({"load": os.getloadavg()[0], "rows": rows}))
        return
    print(f"multiples of {WAIT_S} s, median (best) of {given.rounds} rounds; load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    for row in rows:
        verdict = "met" if row["phase"] <= row["bar"] else "missed"
        print(f"{row['agents']:>4} agents, {row['callers']:<5}  phase {row['phase']:.3f} ({row['phase_best']:.3f})   raw {row['raw']:.3f} ({row['raw_best']:.3f})   bar {row['bar']}: {verdict}   processor {row['cpu_ms']:.0f} ms, raw {row['raw_cpu_ms']:.0f} ms")


if __name__ == "__main__":
    main()
