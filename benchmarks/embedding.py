"""What governing an agent's own tools costs, and what it is worth, against a bare agent and LangChain's human-in-the-loop middleware in one run.

    python benchmarks/embedding.py [--calls 30] [--rounds 5] [--json]

1. A call that nobody has to be asked about: a scripted agent makes many, one after the other. Everybody keeps checkpoints in SQLite, synchronously.
   assent also records each call's intent and its result at full durability; a plain commit of one row, twice, is shown beside it.
2. A call that is asked about, from the question to the tool's answer, with a fresh agent object in between.
3. The same accidents for all: how often the tool acted, and whether the thread could go on.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command

import assent
from assent.runtime.embed import Effects, Governed, declared

HOSTS = ("bare", "hitl", "hitl per call", "assent")
START: Any = {"messages": [("user", "go")]}


class Model(GenericFakeChatModel):
    """A chat model with a script."""

    def bind_tools(self, tools: Any, **given: Any) -> Any:
        """Take note of nothing: the script knows the tools."""
        return self


class Bench:
    """One host in a folder of its own: its tools, what they did, and the agents that it makes."""

    def __init__(self, host: str, folder: Path) -> None:
        self.host = host
        self.done: list[str] = []
        done = self.done

        @tool
        @declared(effects=Effects(reads=True))
        def look(number: int) -> str:
            """Look something up."""
            return f"found {number}"

        @tool
        def send(to: str) -> str:
            """Send a message."""
            done.append(to)
            return f"sent to {to}"

        self.tools = [look, send]
        self.saver = SqliteSaver(sqlite3.connect(folder / "host.db", check_same_thread=False))
        self.runtime = assent.open(folder / "home", workspace=folder) if host == "assent" else None

    def agent(self, *turns: AIMessage) -> Any:
        """Return a fresh agent whose model says these."""
        between: list[Any] = []
        if self.runtime is not None:
            between = [Governed(self.runtime)]
        elif self.host != "bare":
            between = [HumanInTheLoopMiddleware({"send": True}, interrupt_mode="per_call" if self.host == "hitl per call" else "batched")]
        return create_agent(Model(messages=iter(turns)), self.tools, middleware=between, checkpointer=self.saver)

    def answer(self, state: Any, verdict: str = "approve") -> Any:
        """Answer what a state asks, and return the resume; a bare agent asks nothing."""
        asked = state.get("__interrupt__", ())
        if self.runtime is not None:
            for one in asked:
                self.runtime.decide(one.value["request_id"], verdict, resume=False)
            return Command(resume="ring")
        if self.host == "hitl per call":
            return Command(resume={one.id: {"type": verdict} for one in asked})
        return Command(resume={"decisions": [{"type": verdict} for one in asked for _ in one.value["action_requests"]]})

    def close(self) -> None:
        """Close the databases."""
        self.saver.conn.close()
        if self.runtime is not None:
            self.runtime.close()


def call(name: str, number: int, /, **args: Any) -> AIMessage:
    """Return a turn that makes one call."""
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": f"call_{number}"}])


def on(thread: str) -> Any:
    """Return the configuration of a thread."""
    return {"configurable": {"thread_id": thread}, "recursion_limit": 10_000}


@contextmanager
def benches() -> Iterator[dict[str, Bench]]:
    """Open every host, each in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for number, host in enumerate(HOSTS):
            (Path(folder) / str(number)).mkdir()
            found[host] = Bench(host, Path(folder) / str(number))
        yield found
        for bench in found.values():
            bench.close()


def flowing(calls: int, rounds: int) -> dict[str, float]:
    """Return the median milliseconds of one call that flows, for each host; rounds are interleaved, the first one warms."""
    times: dict[str, list[float]] = {host: [] for host in HOSTS}
    with benches() as found:
        for number in range(rounds + 1):
            for host, bench in found.items():
                agent = bench.agent(*[call("look", n, number=n) for n in range(calls)], AIMessage("done"))
                began = time.perf_counter()
                agent.invoke(START, on(f"t{number}"), durability="sync")
                if number:
                    times[host].append((time.perf_counter() - began) / calls * 1000)
    return {host: statistics.median(took) for host, took in times.items()}


def asked(rounds: int) -> dict[str, float]:
    """Return the median milliseconds from the first word to the last of one call that is asked about, with a fresh agent in between."""
    times: dict[str, list[float]] = {host: [] for host in HOSTS if host != "bare"}
    with benches() as found:
        for number in range(rounds + 2):
            for host, took in times.items():
                bench, thread = found[host], on(f"t{number}")
                began = time.perf_counter()
                state = bench.agent(call("send", 1, to="ann")).invoke(START, thread, durability="sync")
                bench.agent(AIMessage("done")).invoke(bench.answer(state), thread, durability="sync")
                if number >= 2:
                    took.append((time.perf_counter() - began) * 1000)
                assert len(bench.done) == number + 1, (host, bench.done)
    return {host: statistics.median(took) for host, took in times.items()}


def two_commits(rounds: int = 200) -> float:
    """Return the milliseconds of two commits of one row each, as durable as the ledger's."""
    with tempfile.TemporaryDirectory() as folder, sqlite3.connect(Path(folder) / "plain.db", isolation_level=None) as c:
        c.execute("PRAGMA journal_mode = WAL")
        c.execute("PRAGMA synchronous = FULL")
        c.execute("CREATE TABLE t (b BLOB)")
        began = time.perf_counter()
        for _ in range(2 * rounds):
            c.execute("INSERT INTO t VALUES (?)", (bytes(1000),))
        return (time.perf_counter() - began) / rounds * 1000


# --- accidents ------------------------------------------------------------------------------------------------------------------------------


def replayed(bench: Bench) -> str:
    """Replay the host's checkpoint before the tool, after the call was approved and made."""
    agent = bench.agent(call("send", 1, to="ann"), AIMessage("done"), AIMessage("done again"))
    agent.invoke(bench.answer(agent.invoke(START, on("replayed"))), on("replayed"))
    before = next(snapshot for snapshot in agent.get_state_history(on("replayed")) if snapshot.next == ("tools",))
    asks = "__interrupt__" in agent.invoke(None, before.config)
    return f"acted {len(bench.done)}x{', asks again' if asks else ''}"


def at_once(bench: Bench) -> str:
    """Resume four times at once."""
    agent = bench.agent(call("send", 1, to="ann"), *[AIMessage("done")] * 8)
    resume = bench.answer(agent.invoke(START, on("at once")))
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(agent.invoke, resume, on("at once")) for _ in range(4)]:
            with suppress(Exception):
                future.result()
    return f"acted {len(bench.done)}x"


def malformed(bench: Bench) -> str:
    """Send an answer with a typing error, and then the right one."""
    agent = bench.agent(call("send", 1, to="ann"), AIMessage("done"))
    state = agent.invoke(START, on("malformed"))
    with suppress(Exception):
        agent.invoke(bench.answer(state, "aprove"), on("malformed"))
    try:
        agent.invoke(bench.answer(state), on("malformed"))
    except Exception as error:  # noqa: BLE001 - what it is, is the finding
        return f"stuck: {type(error).__name__}"
    return f"acted {len(bench.done)}x"


def skipped(bench: Bench) -> str:
    """Write into the host's state as if the station before the tool had let the call pass."""
    agent = bench.agent(call("send", 1, to="ann"), AIMessage("done"))
    agent.invoke(START, on("skipped"))
    station = next((name for name in agent.nodes if name.endswith(".after_model")), "model")
    agent.update_state(on("skipped"), {}, as_node=station)
    agent.invoke(None, on("skipped"))
    return f"acted {len(bench.done)}x"


def fails(bench: Bench) -> str:
    """Let the tool's process die after it acted, and go on from the checkpoint."""
    class Died(BaseException):
        pass

    acted: list[str] = []

    @tool
    def send(to: str) -> str:
        """Send a message."""
        acted.append(to)
        if len(acted) == 1:
            raise Died
        return "sent"

    bench.tools = [send]
    agent = bench.agent(call("send", 1, to="ann"), AIMessage("done"))
    resume = bench.answer(agent.invoke(START, on("fails")))
    with suppress(Died):
        agent.invoke(resume, on("fails"))
    state = agent.invoke(None, on("fails"))
    asks = "__interrupt__" in state
    return f"acted {len(acted)}x{', asks a person' if asks else ''}"


ACCIDENTS: dict[str, Callable[[Bench], str]] = {
    "a replayed checkpoint": replayed, "four resumes at once": at_once, "an answer with a typing error": malformed,
    "state written past the question": skipped, "death inside the tool": fails,
}  # fmt: skip


def accidents() -> dict[str, dict[str, str]]:
    """Return what each accident did to each host that asks."""
    table: dict[str, dict[str, str]] = {}
    for name, accident in ACCIDENTS.items():
        with benches() as found:
            table[name] = {host: accident(found[host]) for host in HOSTS if host != "bare"}
    return table


def main() -> None:
    """Run everything and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found: dict[str, Any] = {"flowing_ms": flowing(given.calls, given.rounds), "asked_ms": asked(3 * given.rounds), "two_commits_ms": two_commits(), "accidents": accidents()}
    if given.json:
        print(json.dumps(found))
        return
    bare = found["flowing_ms"]["bare"]
    print(f"{'a call that flows':34}" + "".join(f"{host}: {ms:.2f} ms ({ms - bare:+.2f})   " for host, ms in found["flowing_ms"].items()))
    print(f"{'two plain commits':34}{found['two_commits_ms']:.2f} ms")
    print(f"{'a call that is asked about':34}" + "".join(f"{host}: {ms:.2f} ms   " for host, ms in found["asked_ms"].items()))
    for name, row in found["accidents"].items():
        print(f"{name:34}" + "".join(f"{host}: {what}   " for host, what in row.items()))


if __name__ == "__main__":
    main()
