"""State edited, runs forked and replayed over the Agent Server's API, as Studio does it; and every way around that HTTP can express.

The attacks are those of `test_bypass.py`. There each is shown to reach the effect once the ledger's check is removed; here nothing of it may even be
taken in, and whatever is taken in may have no effect.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient

from assent.runtime.runtime import Runtime
from assent.runtime.studio.keys import Keys
from assent.schemas.run import RunStatus

from .studio_server import Server, assistant, beside, document, fresh, go, lines, refused, serving, waiting

if importlib.util.find_spec("langgraph_api") is None and not os.environ.get("CI"):
    pytest.skip("langgraph-cli[inmem] is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as found:
        yield found


@pytest.fixture
async def client(server: Server) -> AsyncIterator[LangGraphClient]:
    found = server.client()
    yield found
    await found.aclose()


@pytest.fixture
def home(server: Server) -> Iterator[Runtime]:
    with beside(server) as runtime:
        yield runtime


async def state_of(client: LangGraphClient, thread: str) -> dict[str, Any]:
    found: Any = await client.threads.get_state(thread)
    return dict(found)


async def before(client: LangGraphClient, thread: str, station: str) -> dict[str, Any]:
    """Return the newest checkpoint from which a station would run next."""
    history: Any = await client.threads.get_history(thread, limit=100)
    return dict(next(one for one in history if one["next"] == [station]))


async def stopped_before_plan(client: LangGraphClient, command: str) -> str:
    thread = (await client.threads.create())["thread_id"]
    await go(client, thread, input={"request": document(command)}, interrupt_before=["plan"])
    assert (await state_of(client, thread))["next"] == ["plan"]
    return str(thread)


# --- editing ----------------------------------------------------------------------------------------------------------------------------


async def test_what_is_asked_can_be_edited_before_it_is_planned(server: Server, client: LangGraphClient, home: Runtime) -> None:
    (command, name), (other, changed) = fresh(), fresh()
    thread = await stopped_before_plan(client, command)
    await client.threads.update_state(thread, {"request": document(other), "tier": 4})
    assert (await state_of(client, thread))["next"] == ["plan"]
    found = await go(client, thread, input=None)
    assert found["__interrupt__"][0]["value"]["action_requests"][0]["args"] == {"command": other}
    assert home.run(thread).row.tier == 4
    assert (await go(client, thread, command={"resume": "approve"}))["status"] == "completed"
    assert (lines(server, name), lines(server, changed)) == ([], ["x"])


async def test_an_edit_of_the_state_of_a_waiting_run_is_an_edit_of_its_plan_under_ones_own_name(server: Server, client: LangGraphClient, home: Runtime) -> None:
    (command, name), (other, changed) = fresh(), fresh()
    thread, payload = await waiting(client, command)
    state = await state_of(client, thread)
    # As Studio sends it: all that it shows, under the station that wrote it.
    await client.threads.update_state(thread, {**state["values"], "request": document(other)}, as_node="risk_assessment", checkpoint=state["checkpoint"])
    decision = home.ledger.request(payload["request_id"]).decisions[0]
    assert (decision.verdict.value, decision.actor.id) == ("edit", home.actor.id)
    assert (await state_of(client, thread))["next"] == ["approval"], "the question is the next station still"
    found = await go(client, thread, input=None)
    second = found["__interrupt__"][0]["value"]
    assert second["digest"] != payload["digest"] and second["action_requests"][0]["args"] == {"command": other}
    assert lines(server, changed) == [], "asked about again"
    await refused(client.runs.wait(thread, await assistant(client), command={"resume": {"decision": "approve", "digest": payload["digest"]}}), 409)
    assert (await go(client, thread, command={"resume": "approve"}))["status"] == "completed"
    assert (lines(server, name), lines(server, changed)) == ([], ["x"])


async def test_an_edit_at_an_earlier_checkpoint_forks_the_thread_and_not_the_authority(server: Server, client: LangGraphClient, home: Runtime) -> None:
    (command, name), (other, changed) = fresh(), fresh()
    thread, _ = await waiting(client, command)
    early = await before(client, thread, "plan")
    forked: Any = await client.threads.update_state(thread, {"request": document(other)}, checkpoint=early["checkpoint"])
    assert forked["checkpoint"]["checkpoint_id"] != early["checkpoint"]["checkpoint_id"]
    found = await go(client, thread, input=None)
    assert found["__interrupt__"][0]["value"]["action_requests"][0]["args"] == {"command": other}
    assert [one.status.value for one in home.ledger.requests(thread)] == ["edited", "open"]
    assert home.run(thread).row.version == 2
    await go(client, thread, command={"resume": "reject: what if not"})
    assert (lines(server, name), lines(server, changed)) == ([], [])


async def test_a_checkpoint_can_be_forked_as_it_is(server: Server, client: LangGraphClient, home: Runtime) -> None:
    command, name = fresh()
    thread, payload = await waiting(client, command)
    for station in ("plan", "approval"):
        early = await before(client, thread, station)
        await client.threads.update_state(thread, None, checkpoint=early["checkpoint"])
        assert (await state_of(client, thread))["next"] == [station]
        found = await go(client, thread, input=None)
        assert found["__interrupt__"][0]["value"]["request_id"] == payload["request_id"], "the same question, asked once"
    assert lines(server, name) == []
    assert len(home.ledger.requests(thread)) == 1


async def test_a_copy_that_is_edited_before_plan_is_a_run_of_its_own(server: Server, client: LangGraphClient, home: Runtime) -> None:
    """The what-if: the original was approved, and nothing of that follows."""
    (command, name), (other, changed) = fresh(), fresh()
    thread, _ = await waiting(client, command)
    assert (await go(client, thread, command={"resume": "approve"}))["status"] == "completed"
    said = await refused(client.threads.update_state(thread, {"request": document(other)}, checkpoint=(await before(client, thread, "plan"))["checkpoint"]), 409)
    assert "copy the thread" in said
    copied: Any = await client.threads.copy(thread)  # type: ignore[func-returns-value]
    copy = copied["thread_id"]
    await refused(client.threads.update_state(copy, {"request": document(other)}, checkpoint=(await before(client, copy, "approval"))["checkpoint"]), 403)
    await client.threads.update_state(copy, {"request": document(other)}, checkpoint=(await before(client, copy, "plan"))["checkpoint"])
    found = await go(client, copy, input=None)
    assert found["__interrupt__"][0]["value"]["run_id"] == copy
    assert lines(server, changed) == []
    assert home.run(copy).status is RunStatus.AWAITING_APPROVAL and home.run(thread).status is RunStatus.COMPLETED
    assert (await go(client, copy, command={"resume": "approve"}))["status"] == "completed"
    assert (lines(server, name), lines(server, changed)) == (["x"], ["x"])


async def test_an_edit_of_the_state_counts_only_from_somebody_whose_edit_would_count(server: Server, client: LangGraphClient, home: Runtime) -> None:
    keys = Keys(home.home.root, owner=home.actor, policy=home.policy)
    (command, name), (other, changed) = fresh(), fresh()
    thread, payload = await waiting(client, command)
    for nobody in ("guest", "robot"):
        async with held(server.client(keys.give(nobody))) as one:
            await refused(one.threads.update_state(thread, {"request": document(other)}), 403)
    assert home.ledger.request(payload["request_id"]).is_open
    async with held(server.client(keys.give("lena"))) as lena:
        await lena.threads.update_state(thread, {"request": document(other)})
    assert home.ledger.request(payload["request_id"]).decisions[0].actor.id == "lena"
    await refused(client.threads.update_state(thread, {"request": document(command)}), 409)
    await go(client, thread, input=None)
    said = await refused(client.threads.update_state(thread, {"request": document(command)}), 409)
    assert "somebody else" in said, "this person was not shown what lena made of it"
    assert (lines(server, name), lines(server, changed)) == ([], [])


@contextlib.asynccontextmanager
async def held(client: LangGraphClient) -> AsyncIterator[LangGraphClient]:
    try:
        yield client
    finally:
        await client.aclose()


UNREADABLE: list[tuple[Any, int]] = [
    ({"request": "/etc/plan.yaml"}, 403), ({"request": "write it tomorrow"}, 422), ({"request": None}, 422), ({"request": {}}, 422), ({"request": 5}, 422),
    ({"request": {"problem": {"title": "t"}, "action": {"steps": [{"step": 1, "tool": "no-such-tool", "args": {}}]}}}, 422), ({"tier": 1}, 409),
]  # fmt: skip


@pytest.mark.parametrize(("values", "status"), UNREADABLE, ids=lambda value: str(value)[:40])
async def test_an_edit_that_cannot_be_read_changes_nothing_and_says_why(client: LangGraphClient, home: Runtime, values: Any, status: int) -> None:
    thread, payload = await waiting(client, fresh()[0])
    said = await refused(client.threads.update_state(thread, values), status)
    assert len(said) > 30
    assert home.ledger.request(payload["request_id"]).is_open
    assert (await state_of(client, thread))["interrupts"][0]["value"]["digest"] == payload["digest"]


async def test_a_tier_that_is_none_is_refused_before_the_run_is_admitted(client: LangGraphClient) -> None:
    thread = await stopped_before_plan(client, fresh()[0])
    await refused(client.threads.update_state(thread, {"tier": 9}), 422)
    await refused(client.threads.update_state(thread, {"tier": 1}, as_node="plan"), 403)


# --- the ways around --------------------------------------------------------------------------------------------------------------------


class Scene:
    """One attack over HTTP: what it may use, and what legitimately happened."""

    def __init__(self, server: Server, client: LangGraphClient, home: Runtime, tokens: dict[str, str]) -> None:
        self.server, self.client, self.home, self.tokens = server, client, home, tokens
        self.names: list[str] = []
        self.legitimate: list[str] = []
        self.taken = 0

    def command(self) -> str:
        command, name = fresh()
        self.names.append(name)
        return command

    async def waiting(self) -> tuple[str, dict[str, Any]]:
        return await waiting(self.client, self.command())

    async def done(self) -> tuple[str, dict[str, Any]]:
        thread, payload = await self.waiting()
        assert (await go(self.client, thread, command={"resume": "approve"}))["status"] == "completed"
        self.legitimate.append(self.names[-1])
        return thread, payload

    async def attempt(self, call: Awaitable[Any]) -> None:
        """Do something that may be refused; a failure of the server itself is none."""
        try:
            await call
            self.taken += 1
        except Exception as error:  # noqa: BLE001 - the client raises a type of its own for each status
            status = getattr(getattr(error, "response", None), "status_code", 400)
            assert 400 <= status < 500, (status, error)

    async def run(self, thread: str, **how: Any) -> None:
        await self.attempt(self.client.runs.wait(thread, await assistant(self.client), **how))

    async def write(self, thread: str, values: Any, **how: Any) -> None:
        await self.attempt(self.client.threads.update_state(thread, values, **how))


ATTACKS: dict[str, Callable[[Scene], Awaitable[None]]] = {}


def attack(function: Callable[[Scene], Awaitable[None]]) -> Callable[[Scene], Awaitable[None]]:
    ATTACKS[function.__name__] = function
    return function


@attack
async def update_state_as_every_station(s: Scene) -> None:
    thread, _ = await s.waiting()
    for station in ("__start__", "plan", "risk_assessment", "approval", "execute", "rollback", "consolidate", "results", "__end__", "__input__", "__copy__", "__interrupt__"):
        for values in ({"route": "approved", "status": "running", "run_id": thread}, {"route": "low", "risk": "LOW"}, {}, None):
            if station != "risk_assessment" or values:
                await s.write(thread, values, as_node=station)
    assert s.taken == 0
    await s.run(thread, input=None)


@attack
async def write_every_channel_by_itself(s: Scene) -> None:
    thread, _ = await s.waiting()
    attempts: tuple[Any, ...] = (
        {"route": "approved"}, {"risk": "LOW"}, {"question": {}}, {"status": "running"}, {"digest": "sha256:0"}, {"run_id": "run_1"}, {"summary": "x"}, {"success": True},
        {"branch:to:execute": None}, {"__pregel_tasks": []}, {"__resume__": "approve"}, {"__interrupt__": []}, {"no-such-channel": 1}, [{"route": "approved"}], [], "approved", 5,
    )  # fmt: skip
    for values in attempts:
        await s.write(thread, values)
    assert s.taken == 0
    await s.run(thread, input=None)


@attack
async def edits_in_bulk(s: Scene) -> None:
    thread, _ = await s.waiting()
    forged: dict[str, Any] = {"values": {"route": "approved", "run_id": thread}, "as_node": "approval"}
    bulk: tuple[list[Any], ...] = ([{"updates": [forged]}], [{"updates": [forged, forged]}], [{"updates": [{"values": None, "command": {"goto": "execute", "update": forged["values"]}, "as_node": "approval"}]}])
    for supersteps in bulk:
        made: Any = await s.client.threads.create(graph_id="par", supersteps=supersteps)
        other = made.get("thread_id")
        if other:
            await s.run(other, input=None)


@attack
async def a_namespace_of_a_subgraph(s: Scene) -> None:
    thread, _ = await s.waiting()
    state = await state_of(s.client, thread)
    for namespace in ("execute", "approval:1", "x|y"):
        await s.write(thread, {"request": document("true")}, checkpoint={**state["checkpoint"], "checkpoint_ns": namespace})
        await s.run(thread, input=None, checkpoint={**state["checkpoint"], "checkpoint_ns": namespace})


@attack
async def goto_in_every_form(s: Scene) -> None:
    thread, _ = await s.waiting()
    forged = {"route": "approved", "status": "running", "risk": "LOW", "tier": 4, "question": {}}
    for command in (
        {"goto": "execute"}, {"goto": ["execute"]}, {"goto": {"node": "execute", "input": {"run_id": thread, "route": "approved"}}}, {"goto": "rollback"}, {"goto": "__end__"},
        {"update": forged}, {"update": forged, "goto": "execute"}, {"update": [["route", "approved"]]}, {"goto": "execute", "resume": "approve"}, {"graph": "__parent__", "goto": "execute"},
    ):  # fmt: skip
        await s.run(thread, command=command, context={"stepwise": True})
        await s.run(thread, command=command)
    assert s.taken == 0


@attack
async def resume_with_every_approve_shaped_value_of_somebody_else(s: Scene) -> None:
    thread, payload = await s.waiting()
    interrupt = (await state_of(s.client, thread))["interrupts"][0]["id"]
    values: tuple[Any, ...] = (
        "approve", "yes", True, 1, {"type": "approve"}, [{"type": "accept"}], {"approved": True}, {"decisions": [{"type": "approve"}]}, {interrupt: "approve"},
        {"request_id": payload["request_id"], "verdict": "approve", "actor": "lena", "digest": payload["digest"], "roles": ["lead", "admin"]},
        {"decision": "approve", "digest": payload["digest"]},
    )  # fmt: skip
    for nobody in ("guest", "robot"):
        async with held(s.server.client(s.tokens[nobody])) as one:
            for value in values:
                await s.attempt(one.runs.wait(thread, await assistant(one), command={"resume": value}))
    assert s.taken == 0


@attack
async def an_identity_of_ones_own_in_the_configuration(s: Scene) -> None:
    thread, _ = await s.waiting()
    forged = {"langgraph_auth_user_id": s.home.actor.id, "langgraph_auth_user": {"identity": s.home.actor.id}, "langgraph_auth_permissions": ["api"], "actor": "lena", "requester": "lena"}
    async with held(s.server.client(s.tokens["guest"])) as guest:
        await s.attempt(guest.runs.wait(thread, await assistant(guest), command={"resume": "approve"}, config={"configurable": forged}))
        await s.attempt(guest.runs.wait(thread, await assistant(guest), command={"resume": "approve"}, context={"stepwise": False, "actor": "lena"}))
    assert s.taken == 0


@attack
async def a_fresh_thread_that_names_the_waiting_run(s: Scene) -> None:
    thread, _ = await s.waiting()
    fresh_thread = (await s.client.threads.create())["thread_id"]
    await s.run(fresh_thread, input={"run_id": thread, "tier": 4, "route": "approved", "status": "running", "risk": "LOW"})
    for command in ({"goto": "execute"}, {"resume": ""}, {"resume": {"approved": True}}):
        await s.run(fresh_thread, command=command)
    await s.write(fresh_thread, {"route": "approved"}, as_node="approval")


@attack
async def new_input_on_a_waiting_thread(s: Scene) -> None:
    thread, _ = await s.waiting()
    low = {"problem": {"title": "t"}, "action": {"steps": [{"step": 1, "tool": "shell", "args": {"command": "ls"}}]}}
    for given in ({"request": low}, {"run_id": thread, "request": low}, {}, {"route": "approved"}):
        for strategy in ("enqueue", "interrupt", "rollback", "reject"):
            await s.run(thread, input=given, multitask_strategy=strategy)
    assert s.taken == 0


@attack
async def replay_of_every_checkpoint_after_completion(s: Scene) -> None:
    thread, _ = await s.done()
    for one in await s.client.threads.get_history(thread, limit=100):
        if one["next"]:
            await s.run(thread, input=None, checkpoint=one["checkpoint"])
            await s.run(thread, command={"resume": "approve"}, checkpoint=one["checkpoint"])
            await s.run(thread, command={"goto": "execute"}, checkpoint=one["checkpoint"])
            await s.write(thread, {"route": "approved", "status": ""}, as_node="approval", checkpoint=one["checkpoint"])
            await s.write(thread, None, checkpoint=one["checkpoint"])
            await s.run(thread, input=None)


@attack
async def fork_of_an_old_checkpoint_after_a_rejection(s: Scene) -> None:
    thread, payload = await s.waiting()
    old = await before(s.client, thread, "approval")
    assert (await go(s.client, thread, command={"resume": "reject: no"}))["status"] == "rejected"
    for how in ({"input": None}, {"command": {"resume": "approve"}}, {"command": {"resume": {"decision": "approve", "digest": payload["digest"]}}}):
        await s.run(thread, checkpoint=old["checkpoint"], **how)
    await s.write(thread, None, checkpoint=old["checkpoint"])
    await s.run(thread, input=None)
    await s.run(thread, command={"resume": "approve"})


@attack
async def force_after_a_cancellation(s: Scene) -> None:
    thread, payload = await s.waiting()
    s.home.run(thread).cancel("no longer needed")
    for command in ({"resume": "approve"}, {"resume": {"decision": "approve", "request_id": payload["request_id"]}}, {"goto": "execute"}, {"resume": "continue"}):
        await s.run(thread, command=command)


@attack
async def the_answer_of_an_approved_run_for_another(s: Scene) -> None:
    _, approved = await s.done()
    thread, _ = await s.waiting()
    for answer in ({"decision": "approve", "request_id": approved["request_id"]}, {"decision": "approve", "digest": approved["digest"]}):
        await s.run(thread, command={"resume": answer})
    for values in ({"run_id": approved["run_id"]}, {"digest": approved["digest"]}, {"question": {"id": approved["request_id"], "kind": "plan", "subject": {"key": "plan"}}}):
        await s.write(thread, values, as_node="risk_assessment")
    assert s.taken == 0
    await s.run(thread, input=None)


@attack
async def an_answer_to_the_first_version_after_an_edit(s: Scene) -> None:
    thread, first = await s.waiting()
    await s.write(thread, {"request": document(s.command())})
    assert s.taken == 1
    await s.run(thread, input=None)
    for answer in ({"decision": "approve", "digest": first["digest"]}, {"decision": "approve", "request_id": first["request_id"]}):
        await refused(s.client.runs.wait(thread, await assistant(s.client), command={"resume": answer}), 409)


@attack
async def an_edit_while_the_approved_plan_runs(s: Scene) -> None:
    """Two steps, the first of which lasts: what was approved must be what runs, whatever is written meanwhile."""
    command, name = fresh()
    s.names.append(name)
    s.legitimate.append(name)
    thread, _ = await waiting(s.client, "sleep 1", command)
    running = asyncio.create_task(go(s.client, thread, command={"resume": "approve"}))
    while s.home.run(thread).requests[0].is_open:
        await asyncio.sleep(0.02)
    evil = s.command()
    try:
        while not running.done():
            await s.write(thread, {"request": document("true", evil)})
            await asyncio.sleep(0.1)
    finally:
        await asyncio.wait([running])
    assert running.result()["status"] == "completed"
    await s.write(thread, {"request": document(evil)})
    assert s.taken == 0


@attack
async def a_copy_of_a_waiting_thread(s: Scene) -> None:
    thread, payload = await s.waiting()
    copied: Any = await s.client.threads.copy(thread)  # type: ignore[func-returns-value]
    copy = copied["thread_id"]
    for how in ({"command": {"resume": "approve"}}, {"input": None}, {"command": {"goto": "execute"}}):
        await s.run(copy, **how)
    await s.write(copy, {"request": document(s.command())})
    await s.write(copy, {"route": "approved"}, as_node="approval")
    assert s.home.ledger.request(payload["request_id"]).is_open


@attack
async def a_thread_that_becomes_one_of_another_graph(s: Scene) -> None:
    """Metadata are the client's: a thread may say that it belongs to a graph whose state is held by another rule."""
    thread, _ = await s.waiting()
    await s.attempt(s.client.threads.update(thread, metadata={"graph_id": "analysis"}))
    await s.write(thread, {"route": "approved"}, as_node="approval")
    await s.write(thread, {"passed": True})
    analysis = (await s.client.assistants.search(graph_id="analysis"))[0]["assistant_id"]
    await s.attempt(s.client.runs.wait(thread, analysis, command={"resume": "continue"}))
    await s.attempt(s.client.threads.update(thread, metadata={"graph_id": "par"}))
    await s.run(thread, input=None)


@attack
async def runs_without_a_thread(s: Scene) -> None:
    thread, _ = await s.waiting()
    graph = await assistant(s.client)
    for how in ({"input": {"run_id": thread}}, {"input": {"request": document(s.command())}}, {"command": {"resume": "approve"}}, {"command": {"goto": "execute"}}):
        await s.attempt(s.client.runs.wait(None, graph, **how))


@attack
async def stepping_over_the_question(s: Scene) -> None:
    thread, _ = await s.waiting()
    for how in ({"interrupt_before": "*"}, {"interrupt_after": "*"}, {"interrupt_before": ["execute"]}, {"interrupt_after": ["approval"]}):
        await s.run(thread, input=None, context={"stepwise": True}, **how)
        await s.run(thread, command={"resume": "continue"}, **how)
        await s.run(thread, input=None, **how)


@attack
async def settings_that_the_context_does_not_have(s: Scene) -> None:
    thread, _ = await s.waiting()
    for more in ({"context": {"approved": True}}, {"config": {"configurable": {"route": "approved", "stepwise": True}}}, {"config": {"configurable": {"thread_id": "x"}}}):
        await s.run(thread, input=None, **more)


@pytest.fixture(scope="module")
def fought(server: Server) -> dict[str, tuple[Scene, BaseException | None]]:
    """Let all attacks happen at the same time: a server polls for work, so one after another they would mostly wait."""

    async def fight(name: str, client: LangGraphClient, home: Runtime, tokens: dict[str, str]) -> tuple[str, tuple[Scene, BaseException | None]]:
        scene = Scene(server, client, home, tokens)
        try:
            await ATTACKS[name](scene)
        except Exception as error:  # noqa: BLE001 - belongs to the test of that attack
            return name, (scene, error)
        return name, (scene, None)

    async def all_of_them() -> dict[str, tuple[Scene, BaseException | None]]:
        with beside(server) as home:
            keys = Keys(home.home.root, owner=home.actor, policy=home.policy)
            tokens = {name: keys.give(name) for name in ("guest", "robot")}
            async with held(server.client()) as client:
                return dict(await asyncio.gather(*(fight(name, client, home, tokens) for name in ATTACKS)))

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_attack_over_http_has_no_effect(server: Server, fought: dict[str, tuple[Scene, BaseException | None]], name: str) -> None:
    scene, error = fought[name]
    if error is not None:
        raise error
    assert {one: lines(server, one) for one in scene.names} == {one: ["x"] if one in scene.legitimate else [] for one in scene.names}


async def test_all_that_was_written_here_blocked_nothing_and_left_the_log_whole(server: Server, home: Runtime) -> None:
    assert "BlockingError" not in server.log
    assert home.verify().ok
