"""The Agent Server over one home, driven as Studio, Agent Chat UI and Agent Inbox drive it, and attacked as somebody with a token could.

`langgraph dev` really runs, on a free port of the loopback address, without key and network. Skipped where it is not installed, unless in CI.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient

from assent.runtime.runtime import Runtime
from assent.schemas.run import RunStatus

from .studio_server import ROOT, Server, assistant, beside, document, fresh, go, lines, refused, serving, until, waiting

if importlib.util.find_spec("langgraph_api") is None and not os.environ.get("CI"):
    pytest.skip("langgraph-cli[inmem] is not installed", allow_module_level=True)

RACES = 50 if os.environ.get("CI") else 12


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
    """Another process's view of the same home."""
    with beside(server) as runtime:
        yield runtime


# --- what Studio draws and fills in ----------------------------------------------------------------------------------------------------


async def test_the_server_starts_without_key_and_network_and_says_where_the_page_is(server: Server) -> None:
    assert re.search(r"/assent/sign-in\?ticket=\S+ of this server", server.log)
    assert "BlockingError" not in server.log


async def test_studio_finds_every_graph_of_langgraph_json(client: LangGraphClient) -> None:
    found = {one["graph_id"]: one for one in await client.assistants.search()}
    assert set(found) == set(json.loads((ROOT / "langgraph.json").read_text())["graphs"])
    for name, one in found.items():
        assert one["name"] == name and one["description"]


@pytest.mark.parametrize("name", sorted(json.loads((ROOT / "langgraph.json").read_text())["graphs"]))
async def test_studio_gets_a_form_and_a_drawing_of_every_graph(client: LangGraphClient, name: str) -> None:
    """A field without a title or a description is a field that nobody can fill in; an arrow with words of one way only hides the others."""
    found = (await client.assistants.search(graph_id=name))[0]["assistant_id"]
    schemas: Any = await client.assistants.get_schemas(found)
    assert schemas["input_schema"]["title"] and schemas["input_schema"]["properties"]
    for field, shown in schemas["input_schema"]["properties"].items():
        assert shown["title"] and shown["description"] and shown["examples"] and "default" in shown, field
    assert schemas["output_schema"]["properties"] and schemas["state_schema"]["properties"]
    graph = await client.assistants.get_graph(found, xray=True)
    stations = [str(node["id"]) for node in graph["nodes"]]
    assert stations[0] == "__start__" and "__end__" in stations
    for edge in graph["edges"]:
        assert re.fullmatch(r"[a-zA-Z][a-z A-Z/]*", edge.get("data") or "word"), edge


async def test_the_main_graph_reads_well(client: LangGraphClient) -> None:
    found = await assistant(client)
    schemas: Any = await client.assistants.get_schemas(found)
    assert schemas["input_schema"]["title"] == "Problem"
    assert [one["type"] for one in schemas["input_schema"]["properties"]["request"]["anyOf"]] == ["string", "object"]
    assert schemas["context_schema"]["properties"]["stepwise"]["title"] == "Stepwise"
    assert schemas["output_schema"]["properties"]["status"]["title"] == "Status"
    graph = await client.assistants.get_graph(found)
    stations = {node["id"] for node in graph["nodes"]}
    assert stations == {"__start__", "plan", "risk_assessment", "approval", "execute", "rollback", "consolidate", "results", "__end__"}
    assert {edge["data"] for edge in graph["edges"] if edge.get("data")} == {
        "low", "needs approval", "denied", "approved", "edited", "rejected / expired / cancelled", "done / stopped", "failed", "question", "next step", "rolled back",
    }


async def test_the_analysis_has_a_form_a_subgraph_and_a_result(server: Server, client: LangGraphClient) -> None:
    (server.workspace / "code").mkdir(exist_ok=True)
    (server.workspace / "code" / "shop.py").write_text("def total(prices):\n    return sum(prices)\n")
    found = (await client.assistants.search(graph_id="analysis"))[0]["assistant_id"]
    schemas: Any = await client.assistants.get_schemas(found)
    assert schemas["input_schema"]["title"] == "Analysis" and set(schemas["input_schema"]["properties"]) == {"folder"}
    inside = {node["id"] for node in (await client.assistants.get_graph(found, xray=True))["nodes"]}
    assert {"look", "phase:dispatch_agents", "phase:run_agent", "phase:collect", "phase:validate", "report"} <= inside
    assert "phase" in {node["id"] for node in (await client.assistants.get_graph(found))["nodes"]}
    assert "phase" in await client.assistants.get_subgraphs(found)
    thread = (await client.threads.create())["thread_id"]
    said: Any = await client.runs.wait(thread, found, input={"folder": "code"})
    assert said["risk"] in ("LOW", "MEDIUM", "HIGH", "CRITICAL") and isinstance(said["passed"], bool)
    assert "agent1" in said["summary"] and "agent3" in said["summary"]
    assert all(os.path.isfile(file) for file in said["files"]) and said["files"]
    state: Any = await client.threads.get_state(thread)
    assert "shop.py" not in json.dumps(state["values"].get("settled", {})), "reports are kept by digest, not in the state"
    for folder in ("..", "/etc", "code/../../home", "no-such"):
        other = (await client.threads.create())["thread_id"]
        with pytest.raises(Exception, match="workspace"):
            await client.runs.wait(other, found, input={"folder": folder})
    await refused(client.threads.update_state(thread, {"passed": True}), 403)


# --- answers in every dialect ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer", ["approve", {"decision": "approve", "reason": "fine"}, {"decisions": [{"type": "approve"}]}, [{"type": "accept", "args": None}]],
    ids=["studio text", "own", "agent chat ui", "agent inbox"],
)  # fmt: skip
async def test_every_screen_can_approve(server: Server, client: LangGraphClient, home: Runtime, answer: Any) -> None:
    command, name = fresh()
    thread, payload = await waiting(client, command)
    assert lines(server, name) == []
    found = await go(client, thread, command={"resume": answer})
    assert found["status"] == "completed"
    assert lines(server, name) == ["x"]
    decision = home.ledger.request(payload["request_id"]).decisions[0]
    assert decision.actor.id == home.actor.id
    assert found["run_id"] == thread == payload["run_id"], "a run's id is its thread's"
    assert home.run(thread).row.requester == home.actor.id


@pytest.mark.parametrize(
    "answer", ["reject: too risky", {"decisions": [{"type": "reject", "message": "too risky"}]}, [{"type": "response", "args": "too risky"}]], ids=["studio text", "agent chat ui", "agent inbox"]
)  # fmt: skip
async def test_every_screen_can_reject(server: Server, client: LangGraphClient, home: Runtime, answer: Any) -> None:
    command, name = fresh()
    thread, payload = await waiting(client, command)
    assert (await go(client, thread, command={"resume": answer}))["status"] == "rejected"
    assert lines(server, name) == []
    assert home.ledger.request(payload["request_id"]).decisions[0].reason == "too risky"


@pytest.mark.parametrize("screen", ["own", "agent chat ui", "agent inbox"])
async def test_every_screen_can_edit_and_the_edited_plan_asks_again(server: Server, client: LangGraphClient, screen: str) -> None:
    command, name = fresh("first")
    edited = command.replace("first", "second")
    answers: dict[str, Any] = {
        "own": {"decision": "edit", "edit": {"steps": {"1": {"args": {"command": edited}}}}},
        "agent chat ui": {"decisions": [{"type": "edit", "edited_action": {"name": "shell", "args": {"command": edited}}}]},
        "agent inbox": [{"type": "edit", "args": {"action": "shell", "args": {"command": edited}}}],
    }
    thread, first = await waiting(client, command)
    found = await go(client, thread, command={"resume": answers[screen]})
    second = found["__interrupt__"][0]["value"]
    assert second["digest"] != first["digest"]
    assert second["action_requests"][0]["args"] == {"command": edited}
    assert lines(server, name) == []
    assert (await go(client, thread, command={"resume": "approve"}))["status"] == "completed"
    assert lines(server, name) == ["second"]


async def test_the_answer_by_interrupt_id_and_by_the_event_protocol_counts_as_well(server: Server, client: LangGraphClient) -> None:
    command, name = fresh()
    thread, _ = await waiting(client, command)
    state: Any = await client.threads.get_state(thread)
    interrupt = state["interrupts"][0]["id"]
    assert (await go(client, thread, command={"resume": {interrupt: "approve"}}))["status"] == "completed"
    assert lines(server, name) == ["x"]
    command, name = fresh()
    thread, _ = await waiting(client, command)
    state = await client.threads.get_state(thread)
    body = {"id": 1, "method": "input.respond", "params": {"interrupt_id": state["interrupts"][0]["id"], "namespace": [], "response": "reject: over the wire", "assistant_id": "par"}}
    async with httpx.AsyncClient(base_url=server.url, headers={"authorization": f"Bearer {server.token}"}) as http:
        answered = await http.post(f"/threads/{thread}/commands", json=body)
    assert answered.status_code == 200, answered.text
    await until(client, thread)
    assert lines(server, name) == []


async def test_screens_that_show_one_call_show_the_whole_plan_beside_it(client: LangGraphClient) -> None:
    """Agent Inbox and Agent Chat UI show the first action request, and answer for all of them."""
    (one, first), (two, second) = fresh(), fresh()
    _, payload = await waiting(client, one, two)
    shown = payload["action_requests"][0]["description"]
    assert "for the whole plan: 2 steps" in shown and first in shown and second in shown
    assert shown.index(first) < shown.index(second)


async def test_the_tier_of_a_document_is_kept(client: LangGraphClient, home: Runtime) -> None:
    command, _ = fresh()
    thread = (await client.threads.create())["thread_id"]
    found = await go(client, thread, input={"request": {"metadata": {"agent_tier": 1}, **document(command)}})
    assert found["status"] == "denied"
    assert home.run(thread).row.tier == 1


async def test_a_doorbell_alone_decides_nothing(server: Server, client: LangGraphClient, home: Runtime) -> None:
    command, name = fresh()
    thread, payload = await waiting(client, command)
    bells: tuple[Any, ...] = ("", {}, "continue")
    for bell in bells:
        found = await go(client, thread, command={"resume": bell})
        assert found["__interrupt__"][0]["value"]["request_id"] == payload["request_id"]
    assert lines(server, name) == []
    home.decide(payload["request_id"], "approve", resume=False)
    assert (await go(client, thread, command={"resume": "continue"}))["status"] == "completed"
    assert lines(server, name) == ["x"]


async def test_an_answer_never_reaches_the_graph(client: LangGraphClient) -> None:
    thread, _ = await waiting(client, fresh()[0])
    await go(client, thread, command={"resume": {"decision": "reject", "reason": "a very private reason"}})
    history = await client.threads.get_history(thread, limit=50)
    runs = await client.runs.list(thread)
    assert "very private" not in str(history)
    assert "very private" not in str(runs)


# --- ways around ------------------------------------------------------------------------------------------------------------------------


async def test_no_way_around_a_station_is_open(server: Server, client: LangGraphClient) -> None:
    command, name = fresh()
    thread, payload = await waiting(client, command)
    graph = await assistant(client)
    forged = {"route": "approved", "run_id": thread, "status": "running"}
    attempts: list[tuple[Any, tuple[int, ...]]] = [
        (client.runs.wait(thread, graph, command={"goto": "execute"}), (403,)),
        (client.runs.wait(thread, graph, command={"goto": "__end__"}), (403,)),
        (client.runs.wait(thread, graph, command={"goto": [{"node": "execute", "input": forged}]}), (403,)),
        (client.runs.wait(thread, graph, command={"update": forged}), (403,)),
        (client.runs.wait(thread, graph, command={"update": forged, "goto": "execute", "resume": "approve"}), (403,)),
        (client.runs.wait(thread, graph, input={"request": document("true")}), (409,)),
        (client.runs.wait(thread, graph, input={}), (409,)),
        (client.threads.update_state(thread, forged), (403,)),
        (client.threads.update_state(thread, forged, as_node="approval"), (403,)),
        (client.threads.update_state(thread, None, as_node="__end__"), (403,)),
        (client.runs.wait(thread, graph, command={"resume": "approve"}, config={"configurable": {"__pregel_resuming": True}}), (403,)),
        (client.runs.wait(thread, graph, command={"resume": "approve, but only on Tuesdays"}), (422,)),
        (client.runs.wait(thread, graph, command={"resume": {"decision": "approve", "digest": "sha256:" + "0" * 64}}), (409,)),
        (client.runs.wait(thread, graph, command={"resume": {"decision": "approve", "request_id": "req_0000000000000000"}}), (404,)),
        (client.runs.wait(thread, graph, command={"resume": {"decision": "approve", "actor": "admin"}}), (422,)),
        (client.crons.create_for_thread(thread, graph, schedule="* * * * *", input={}), (403,)),
        (client.crons.create(graph, schedule="* * * * *", input={}), (403,)),
        (client.store.put_item(["a"], "b", {"c": 1}), (403,)),
        (client.assistants.create("par", config={"configurable": {"a": 1}}), (403,)),
    ]
    for call, statuses in attempts:
        await refused(call, *statuses)
    state: Any = await client.threads.get_state(thread)
    assert state["interrupts"][0]["value"]["request_id"] == payload["request_id"], "the question still waits"
    assert lines(server, name) == []


async def test_a_thread_made_with_forged_steps_holds_nothing(server: Server, client: LangGraphClient) -> None:
    command, name = fresh()
    thread, _ = await waiting(client, command)
    forged = {"values": {"route": "approved", "run_id": thread}, "as_node": "approval"}
    made: Any = await client.threads.create(graph_id="par", supersteps=[{"updates": [forged]}], thread_id=str(uuid.uuid4()))
    assert "problems updating the state" in made["detail"]
    assert lines(server, name) == []


async def test_copies_and_earlier_checkpoints_carry_no_authority(server: Server, client: LangGraphClient, home: Runtime) -> None:
    command, name = fresh()
    thread, payload = await waiting(client, command)
    copied: Any = await client.threads.copy(thread)  # type: ignore[func-returns-value]
    copy = copied["thread_id"]
    await refused(client.runs.wait(copy, await assistant(client), command={"resume": "approve"}), 403)
    await go(client, copy, input=None)
    await go(client, copy, command={"resume": "continue"})
    history = await client.threads.get_history(thread, limit=50)
    before = next(one for one in history if one["next"] == ["approval"])
    await refused(client.runs.wait(thread, await assistant(client), command={"resume": "approve"}, checkpoint=before["checkpoint"]), 409)
    for one in history:
        if one["next"]:
            await go(client, thread, input=None, checkpoint=one["checkpoint"])
    assert lines(server, name) == []
    assert home.ledger.request(payload["request_id"]).is_open
    assert (await go(client, thread, command={"resume": {"decision": "approve", "digest": payload["digest"]}}))["status"] == "completed"
    stations = {tuple(one["next"]): one for one in await client.threads.get_history(thread, limit=50) if one["next"]}
    assert ("execute",) in stations
    for one in stations.values():
        await go(client, thread, input=None, checkpoint=one["checkpoint"])
    assert lines(server, name) == ["x"], "replayed from everywhere, done once"


async def test_an_answer_to_the_plan_before_the_edit_is_refused(server: Server, client: LangGraphClient, home: Runtime) -> None:
    command, name = fresh()
    thread, payload = await waiting(client, command)
    home.decide(payload["request_id"], "edit", edit={"steps": {"1": {"args": {"command": command.replace("x", "worse")}}}}, actor="lena", resume=False)
    home.resume(thread)
    for answer in ("approve", {"decision": "approve", "digest": payload["digest"]}, {"decision": "approve", "request_id": payload["request_id"]}):
        await refused(client.runs.wait(thread, await assistant(client), command={"resume": answer}), 409)
    assert lines(server, name) == []


async def test_a_request_is_never_the_name_of_a_file(server: Server, client: LangGraphClient) -> None:
    (server.folder / "private.yaml").write_text("problem: {title: private}\n")
    for request in (str(server.folder / "private.yaml"), {"words": str(server.folder / "private.yaml")}):
        thread = (await client.threads.create())["thread_id"]
        with pytest.raises(Exception, match="names a file"):
            await client.runs.wait(thread, await assistant(client), input={"request": request})


# --- who --------------------------------------------------------------------------------------------------------------------------------


async def test_nobody_comes_in_without_a_token(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        heads: list[dict[str, str]] = [
            {}, {"x-auth-scheme": "langsmith"}, {"x-auth-scheme": "langsmith", "x-api-key": "any"}, {"authorization": "Bearer guess"}, {"x-api-key": "guess"},
            {"authorization": f"Basic {server.token}"}, {"cookie": "assent_session=owner.1.2.3"}, {"x-user-id": "root", "langgraph-auth-user": "root"},
        ]  # fmt: skip
        for head in heads:
            for path in ("/threads/search", "/assistants/search", "/runs/wait", "/threads/prune"):
                assert (await http.post(path, json={}, headers=head)).status_code == 401, (head, path)
        for path in ("/assent/../threads/search", "/assent/%2e%2e/threads/search", "//threads/search", "/assent//../threads"):
            assert (await http.post(path, json={})).status_code in (401, 404, 405), path
        for path in ("/mcp/", "/a2a/par"):
            assert (await http.post(path, json={}, headers={"authorization": f"Bearer {server.token}"})).status_code in (404, 405)
        assert (await http.post("/threads/search", json={}, headers={"x-api-key": server.token})).status_code == 200


async def test_studio_may_ask_from_its_own_site_and_no_other_site_gets_at_the_page(server: Server) -> None:
    """Studio is a page of another site: its browser asks first whether it may send the token. The page's cookie is never sent along from there."""
    studio = {"origin": "https://smith.langchain.com"}
    async with httpx.AsyncClient(base_url=server.url) as http:
        for head in ("authorization", "x-api-key"):
            asked = await http.options("/threads/search", headers={**studio, "access-control-request-method": "POST", "access-control-request-headers": head})
            assert asked.status_code == 200 and head in asked.headers["access-control-allow-headers"].lower()
        signed = await http.post("/assent/sign-in", data={"token": server.token})
        assert "samesite=lax" in signed.headers["set-cookie"].lower() and "httponly" in signed.headers["set-cookie"].lower()
        assert (await http.post("/assent/sign-out", data={}, headers=studio)).status_code == 403
        assert (await http.post("/assent/sign-in", data={"token": server.token}, headers=studio)).status_code == 403


async def test_a_session_of_the_page_does_not_open_the_api(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        signed = await http.post("/assent/sign-in", data={"token": server.token})
        assert signed.status_code == 303
        assert (await http.get("/assent/")).status_code == 200
        assert (await http.post("/threads/search", json={}, headers={"cookie": f"assent_session={http.cookies['assent_session']}"})).status_code == 401


async def test_each_answers_under_their_own_name_and_within_their_own_role(server: Server, client: LangGraphClient, home: Runtime) -> None:
    from assent.runtime.studio.keys import Keys

    keys = Keys(home.home.root, owner=home.actor, policy=home.policy)
    command, name = fresh()
    thread, payload = await waiting(client, command)
    graph = await assistant(client)
    for nobody in ("guest", "robot"):
        other = server.client(keys.give(nobody))
        await refused(other.runs.wait(thread, graph, command={"resume": "approve"}), 403)
        await other.aclose()
    assert lines(server, name) == []
    lena = server.client(keys.give("lena"))
    assert (await go(lena, thread, command={"resume": "approve"}))["status"] == "completed"
    assert [d.actor.id for d in home.ledger.request(payload["request_id"]).decisions] == ["lena"]
    asked, _ = await waiting(lena, fresh()[0])
    assert home.run(asked).row.requester == "lena", "whoever the server authenticated is who asked"
    await lena.aclose()
    keys.take_away("lena")


# --- stepping, restarts, races ----------------------------------------------------------------------------------------------------------


async def test_studio_steps_through_station_by_station_and_step_by_step(server: Server, client: LangGraphClient) -> None:
    (one, first), (two, second) = fresh(), fresh()
    thread = (await client.threads.create())["thread_id"]
    stepping: dict[str, Any] = {"interrupt_before": "*", "context": {"stepwise": True}}
    passed = []
    await go(client, thread, input={"request": document(one, two)}, **stepping)
    for turn in range(12):
        state: Any = await client.threads.get_state(thread)
        passed.append((state["next"][0] if state["next"] else "", len(lines(server, first)), len(lines(server, second))))
        if not state["next"]:
            break
        await go(client, thread, **({"command": {"resume": "approve"}} if state["interrupts"] else {"input": None}), **stepping)
        assert turn < 11
    assert passed == [
        ("plan", 0, 0), ("risk_assessment", 0, 0), ("approval", 0, 0), ("approval", 0, 0), ("execute", 0, 0), ("execute", 1, 0), ("consolidate", 1, 1),
        ("results", 1, 1), ("", 1, 1),
    ]  # fmt: skip


async def test_a_question_outlives_the_server(server: Server, client: LangGraphClient) -> None:
    command, name = fresh()
    thread, payload = await waiting(client, command)
    server.stop()
    server.start()
    again = server.client()
    state: Any = await again.threads.get_state(thread)
    assert state["interrupts"][0]["value"]["digest"] == payload["digest"]
    assert (await go(again, thread, command={"resume": "approve"}))["status"] == "completed"
    assert lines(server, name) == ["x"]
    await again.aclose()


async def test_a_thread_that_goes_on_with_a_run_of_elsewhere_can_be_answered_after_a_restart(server: Server, home: Runtime) -> None:
    client = server.client()
    command, name = fresh()
    run = home.start(document(command))
    thread = (await client.threads.create())["thread_id"]
    await go(client, thread, input={"run_id": run.id})
    await client.aclose()
    server.stop()
    server.start()
    again = server.client()
    assert (await go(again, thread, command={"resume": {"decisions": [{"type": "approve"}]}}))["status"] == "completed"
    assert lines(server, name) == ["x"]
    await again.aclose()


async def test_a_killed_server_loses_its_threads_and_no_question(server: Server, home: Runtime) -> None:
    client = server.client()
    command, name = fresh()
    thread, payload = await waiting(client, command)
    await client.aclose()
    server.stop(signal.SIGKILL)
    server.start()
    assert home.ledger.request(payload["request_id"]).is_open
    assert home.decide(payload["request_id"], "approve").status is RunStatus.COMPLETED
    assert lines(server, name) == ["x"]
    again = server.client()
    # A thread of any id goes on with a run that was begun elsewhere; it finds everything done.
    adopted = (await again.threads.create())["thread_id"]
    assert (await go(again, adopted, input={"run_id": thread}))["status"] == "completed"
    assert lines(server, name) == ["x"]
    await again.aclose()


async def test_a_server_that_is_killed_in_a_step_repeats_nothing(server: Server, home: Runtime) -> None:
    """What the killed server started ends by itself; the next server reads how, or a person would be asked."""
    client = server.client()
    (one, first), (two, second) = fresh(), fresh()
    thread, _ = await waiting(client, f"{one}; sleep 2", two)
    await client.runs.create(thread, await assistant(client), command={"resume": "approve"})
    while lines(server, first) == []:
        await asyncio.sleep(0.05)
    await client.aclose()
    server.stop(signal.SIGKILL)
    assert home.run(thread).status is RunStatus.RUNNING and lines(server, second) == []
    server.start()
    again = server.client()
    adopted = (await again.threads.create())["thread_id"]
    for _ in range(20):  # until that command ends, the run is owned
        found = await go(again, adopted, input={"run_id": thread})
        if found.get("status") == "completed":
            break
        adopted = (await again.threads.create())["thread_id"]
    assert found["status"] == "completed"
    assert (lines(server, first), lines(server, second)) == (["x"], ["x"])
    await again.aclose()


async def test_two_clients_that_answer_at_once_have_one_outcome(server: Server, home: Runtime) -> None:
    one, two = server.client(), server.client()

    async def answer(client: LangGraphClient, thread: str, value: Any) -> str:
        try:
            return str((await go(client, thread, command={"resume": value}))["status"])
        except Exception as error:  # noqa: BLE001 - the client raises different types for the same refusal
            response = getattr(error, "response", None)
            assert response is not None, error
            assert response.status_code == 409, response.text
            return "refused"

    async def race(number: int) -> None:
        command, name = fresh()
        thread, payload = await waiting(one, command)
        pair = ("approve", {"decisions": [{"type": "reject", "message": "no"}]})[:: 1 if number % 2 else -1]
        said = await asyncio.gather(answer(one, thread, pair[0]), answer(two, thread, pair[1]))
        status = home.run(thread).status.value
        assert sorted(said) == sorted(["refused", status]), said
        assert len(home.ledger.request(payload["request_id"]).decisions) == 1
        assert lines(server, name) == (["x"] if status == "completed" else [])

    for first in range(0, RACES, 4):
        await asyncio.gather(*(race(number) for number in range(first, min(first + 4, RACES))))
    await one.aclose()
    await two.aclose()


async def test_nothing_of_all_this_blocked_the_servers_loop(server: Server, home: Runtime) -> None:
    assert "BlockingError" not in server.log
    assert home.verify().ok


async def test_a_delivery_is_drawn_and_comes_to_its_question(client: LangGraphClient, home: Runtime, server: Server) -> None:
    """Analysis with its three agents in the server's loop, its checkpoint, and the plan's question on the thread."""
    (server.workspace / "module.py").write_text('"""Something to analyse."""\n')
    made = str((await client.assistants.search(graph_id="delivery"))[0]["assistant_id"])
    drawn: Any = await client.assistants.get_graph(made)
    assert {"analysis", "checkpoint", "testing_extended", "go_no_go"} <= {node["id"] for node in drawn["nodes"]}
    thread = (await client.threads.create())["thread_id"]
    found: Any = await client.runs.wait(thread, made, input={"request": document("touch delivered.txt")}, raise_error=False)
    assert "__error__" not in found, found
    run = home.run(thread)
    assert (run.row.graph, run.status, run.progress.phase) == ("delivery", "awaiting_approval", "approval")
    assert found["__interrupt__"][0]["value"]["request_id"] == run.requests[0].id
    assert home.ledger.has_passed(thread)
