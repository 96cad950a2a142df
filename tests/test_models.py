"""The port to models: one contract for every adapter, and every misbehaviour of a service ends in an answer or in a clear error, in time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel, Field

from assent.prompts.load import fill, read_template
from assent.runtime.fake_openai import FakeOpenAI, Turn, faults
from assent.runtime.keep import Keep
from assent.runtime.models.build import build
from assent.runtime.models.deadline import within
from assent.runtime.models.exchange import Exchange, Journal, Reply, keep_exchange
from assent.runtime.models.langchain import LangChainModel
from assent.runtime.models.openai import OpenAIModel
from assent.runtime.models.port import Answer, Model
from assent.runtime.models.shape import shape_of
from assent.runtime.models.talk import Unfit, talk
from assent.runtime.models.waiting import asked_s, is_worth_repeating, wait_s
from assent.runtime.scripted import ScriptedModel
from assent.schemas.errors import AssentError, InvalidConfiguration, ModelFailed, StoreCorrupt
from assent.schemas.noun import Noun
from assent.schemas.prompt import Message, Prompt, Usage
from assent.schemas.proposal import Proposal

TIME_S = 1.0
KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"


class Answered(Noun):
    """A closed shape."""

    answer: int = Field(ge=0)
    why: Literal["known", "guessed"] = "known"


class Open(Noun):
    """A shape with an open object."""

    args: dict[str, Any]


PROMPT = fill(read_template("ask", "---\nvariables: [a]\n---\n# system\nBe brief.\n# user\n{{ a }}"), {"a": "how many?"})
GOOD = {"answer": 42, "why": "known"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key, and no service but the fake one."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as running:
        yield running


def model_of(server: FakeOpenAI, protocol: Literal["chat", "responses"] = "chat", **more: Any) -> OpenAIModel:
    return OpenAIModel("gpt-5-mini", base_url=server.url, timeout_s=TIME_S, protocol=protocol, sleep=lambda seconds: None, **more)


# --- the contract: the same for every adapter ---------------------------------------------------------------------------------------


def _chat(server: FakeOpenAI) -> Callable[..., Model]:
    return lambda *turns: server.will(*turns) or model_of(server)  # type: ignore[func-returns-value]


def _responses(server: FakeOpenAI) -> Callable[..., Model]:
    return lambda *turns: server.will(*turns) or model_of(server, "responses")  # type: ignore[func-returns-value]


def _scripted(server: FakeOpenAI) -> Callable[..., Model]:
    def make(turn: Any) -> Model:
        finish = turn.finish_reason if isinstance(turn, Turn) else "stop"
        return ScriptedModel(turn.content if isinstance(turn, Turn) else turn, finish_reason=finish)

    return make


def _langchain(server: FakeOpenAI) -> Callable[..., Model]:
    def make(turn: Any) -> Model:
        scripted = _scripted(server)(turn)
        assert isinstance(scripted, ScriptedModel)
        return LangChainModel(scripted.chat_model(), timeout_s=TIME_S)

    return make


@pytest.fixture(params=[_chat, _responses, _scripted, _langchain], ids=["chat", "responses", "scripted", "langchain"])
def make(request: pytest.FixtureRequest, server: FakeOpenAI) -> Callable[..., Model]:
    """Return what makes a model that answers with one turn."""
    built: Callable[..., Model] = request.param(server)
    return built


def test_good_reply_is_an_object_with_its_text_and_its_cost(make: Callable[..., Model]) -> None:
    model = make(GOOD)
    answer = model.ask(PROMPT, Answered)
    assert isinstance(model, Model)
    assert answer.value == Answered(answer=42)
    assert json.loads(answer.raw) == GOOD
    assert answer.usage.input_tokens > 0 < answer.usage.output_tokens
    assert answer.finish_reason in ("stop", "")
    assert answer.complaints == () and answer.fault == "" and answer.attempts == 1
    assert ":" in answer.model and ":" in model.name


@pytest.mark.parametrize(
    ("turn", "fault", "said"),
    [
        (Turn(content='{"answer": 4'), "invalid", "not JSON"),
        (Turn(content='{"answer": 1, "answer": 2}'), "invalid", "twice"),
        (Turn(content='{"answer": -1}'), "invalid", "answer: expected"),
        (Turn(content='{"answers": 1}'), "invalid", "answers: expected no such field"),
        (Turn(content="[1]"), "invalid", "reply: expected"),
        (Turn(content=""), "empty", "empty"),
        (Turn(content="  \n"), "empty", "empty"),
        (Turn(content='{"answer": 4', finish_reason="length"), "truncated", "cut off"),
        (Turn(content='{"answer": 42}', finish_reason="length"), "truncated", "cut off"),
        (Turn(content="[" * 50_000), "invalid", "not JSON"),
    ],
    ids=[
        "cut json",
        "key twice",
        "out of bounds",
        "wrong field",
        "list",
        "empty",
        "blank",
        "truncated",
        "truncated whole",
        "deep",
    ],
)
def test_bad_reply_is_an_answer_that_says_what_is_wrong(make: Callable[..., Model], turn: Turn, fault: str, said: str) -> None:
    answer = make(turn).ask(PROMPT, Answered)
    assert answer.value is None
    assert answer.fault == fault
    assert said in " ".join(answer.complaints)
    assert answer.raw == turn.content
    assert answer.usage.input_tokens > 0


def test_reply_in_a_code_fence_is_read(make: Callable[..., Model]) -> None:
    assert make(Turn(content='```json\n{"answer": 3}\n```')).ask(PROMPT, Answered).value == Answered(answer=3)


# --- what the service sees ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["chat", "responses"])
def test_service_gets_messages_schema_and_key(server: FakeOpenAI, protocol: Literal["chat", "responses"]) -> None:
    server.will(GOOD)
    model_of(server, protocol).ask(PROMPT, Answered)
    (request,) = server.requests
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body["model"] == "gpt-5-mini"
    messages = request.body["messages" if protocol == "chat" else "input"]
    assert messages == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "how many?"}]
    form = request.body["response_format"]["json_schema"] if protocol == "chat" else request.body["text"]["format"]
    assert form["strict"] is True
    assert form["schema"]["required"] == ["answer", "why"]
    assert form["schema"]["additionalProperties"] is False
    assert form["schema"]["properties"]["answer"] == {"type": "integer"}


def test_open_object_is_not_sent_as_strict() -> None:
    assert shape_of(Answered).is_strict
    assert not shape_of(Open).is_strict
    assert not shape_of(Proposal).is_strict  # a tool's arguments are open
    assert shape_of(Proposal).schema["additionalProperties"] is False


def test_strict_schema_has_no_word_that_strict_services_refuse() -> None:
    class Deep(BaseModel):
        model_config = {"extra": "forbid"}
        title: str = Field(default="x", min_length=1, max_length=9, pattern="x", description="kept")
        inner: Answered | None = Field(default=None, description="beside a reference")
        many: list[Answered] = Field(default_factory=list, max_length=3)

    shape = shape_of(Deep)
    text = json.dumps(shape.schema)
    assert shape.is_strict
    assert not any(f'"{word}"' in text for word in ("minLength", "maxLength", "pattern", "default", "maxItems", "minimum"))
    assert (
        set(shape.schema["properties"]) == {"title", "inner", "many"} == set(shape.schema["required"])
    )  # a property may be called title
    assert "kept" in text
    assert all(set(one) == {"$ref"} for one in shape.schema["properties"]["inner"]["anyOf"] if "$ref" in one)


def test_service_without_schemas_gets_it_in_words(server: FakeOpenAI) -> None:
    server.will(faults.no_schema(), GOOD)
    answer = model_of(server).ask(PROMPT, Answered)
    assert answer.value == Answered(answer=42)
    assert answer.attempts == 1
    assert server.requests[1].body["response_format"] == {"type": "json_object"}
    assert '"answer"' in server.requests[1].body["messages"][-1]["content"]


# --- misbehaviour -------------------------------------------------------------------------------------------------------------------

PASSING = {
    "429": faults.rate_limited(),
    "429 with retry-after": faults.rate_limited(0.01),
    "429 with a date": faults.rate_limited("Fri, 20 Nov 2020 10:00:00 GMT"),
    "500": faults.broken(),
    "503": faults.broken(503),
    "408": faults.broken(408),
    "cut off": faults.cut_off(40, GOOD),
    "cut off in the head": faults.cut_off(0, GOOD),
    "another protocol": faults.no_protocol(),
    "no choices": faults.no_protocol(b'{"choices": [], "output": null}'),
    "half an envelope": faults.no_protocol(b'{"choices": [{"mess'),
}


@pytest.mark.parametrize("protocol", ["chat", "responses"])
@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_passes_is_tried_again(server: FakeOpenAI, fault: Turn, protocol: Literal["chat", "responses"]) -> None:
    server.will(fault, GOOD)
    answer = model_of(server, protocol).ask(PROMPT, Answered)
    assert answer.value == Answered(answer=42)
    assert answer.attempts == 2 == len(server.requests)


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_does_not_pass_is_a_clear_error(server: FakeOpenAI, fault: Turn) -> None:
    server.will(fault, fault, fault, GOOD)
    with pytest.raises(ModelFailed) as failed:
        replace(model_of(server), timeout_s=10).ask(PROMPT, Answered)
    assert len(server.requests) == 3
    assert "3 attempts" in failed.value.message
    assert failed.value.hint and failed.value.fields["kind"] in (
        "rate_limited",
        "server_error",
        "unreachable",
        "broken",
        "timeout",
    )
    assert failed.value.__cause__ is None or KEY not in str(failed.value.__cause__)


@pytest.mark.parametrize(
    ("fault", "kind", "hint"),
    [
        (faults.out_of_credit(), "quota", "credit"),
        (faults.broken(401), "unauthorized", "OPENAI_API_KEY"),
        (faults.broken(403), "unauthorized", "OPENAI_API_KEY"),
        (faults.broken(404), "not_found", "name"),
        (faults.broken(400), "invalid_request", ""),
        (Turn(status=500, headers={"x-should-retry": "false"}), "server_error", ""),
    ],
    ids=["no credit", "401", "403", "404", "400", "told not to"],
)
def test_what_cannot_get_better_is_not_repeated(server: FakeOpenAI, fault: Turn, kind: str, hint: str) -> None:
    server.will(fault, GOOD)
    with pytest.raises(ModelFailed) as failed:
        model_of(server).ask(PROMPT, Answered)
    assert failed.value.fields["kind"] == kind
    assert hint in failed.value.hint
    assert len(server.requests) == 1


@pytest.mark.parametrize("protocol", ["chat", "responses"])
@pytest.mark.parametrize(
    "fault",
    [faults.slow(30, GOOD), faults.dripping(0.02, GOOD), faults.dripping(0.2, GOOD), faults.dripping_head(0.1)],
    ids=["slow", "drips often", "drips seldom", "drips its head"],
)
def test_no_answer_holds_a_call_beyond_its_time(server: FakeOpenAI, fault: Turn, protocol: Literal["chat", "responses"]) -> None:
    server.will(fault)
    began = time.monotonic()
    with pytest.raises(ModelFailed, match=r"within 0\.4 s") as failed:
        replace(model_of(server, protocol), timeout_s=0.4).ask(PROMPT, Answered)
    assert time.monotonic() - began < 0.4 + 1
    assert failed.value.fields["kind"] == "timeout"


def test_wait_that_the_service_asks_for_is_kept(server: FakeOpenAI) -> None:
    server.will(faults.rate_limited(0.25), GOOD)
    waited: list[float] = []
    OpenAIModel("m", base_url=server.url, timeout_s=TIME_S, sleep=waited.append).ask(PROMPT, Answered)
    assert waited == [0.25]


def test_wait_beyond_the_time_is_not_begun(server: FakeOpenAI) -> None:
    server.will(faults.rate_limited(60), GOOD)
    waited: list[float] = []
    with pytest.raises(ModelFailed, match="asks to wait 60 s"):
        OpenAIModel("m", base_url=server.url, timeout_s=TIME_S, sleep=waited.append).ask(PROMPT, Answered)
    assert waited == []


def test_nobody_listening_is_a_clear_error() -> None:
    model = OpenAIModel("m", base_url="http://127.0.0.1:9/v1", timeout_s=TIME_S, sleep=lambda seconds: None)
    with pytest.raises(ModelFailed) as failed:
        model.ask(PROMPT, Answered)
    assert failed.value.fields["kind"] == "unreachable"
    assert "OPENAI_BASE_URL" in failed.value.hint


@pytest.mark.parametrize("protocol", ["chat", "responses"])
def test_refusal_is_an_answer(server: FakeOpenAI, protocol: Literal["chat", "responses"]) -> None:
    server.will(faults.refusal("I will not."))
    answer = model_of(server, protocol).ask(PROMPT, Answered)
    assert (answer.fault, answer.refusal, answer.value) == ("refused", "I will not.", None)


def test_service_that_does_not_count_is_estimated(server: FakeOpenAI) -> None:
    server.will(Turn(content=json.dumps(GOOD), usage=False))
    usage = model_of(server).ask(PROMPT, Answered).usage
    assert usage.estimated and usage.input_tokens > 0 < usage.output_tokens


def test_answer_as_a_tool_call_is_read(server: FakeOpenAI) -> None:
    server.will(Turn(content=None, calls=(("answer", GOOD),)))
    assert model_of(server).ask(PROMPT, Answered).value == Answered(answer=42)


def test_huge_answer_is_refused(server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assent.runtime.models.openai.LARGEST_BYTES", 1000)
    server.will(Turn(content="x" * 5000))
    with pytest.raises(ModelFailed, match="larger than 1000 bytes"):
        model_of(server).ask(PROMPT, Answered)


def test_missing_key_says_what_to_set(server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(InvalidConfiguration, match="OPENAI_API_KEY is not set") as failed:
        model_of(server).ask(PROMPT, Answered)
    assert "export OPENAI_API_KEY" in failed.value.hint
    assert server.requests == []


def test_key_never_stands_in_an_error(server: FakeOpenAI) -> None:
    server.will(Turn(status=401, error="invalid_api_key", message=f"Incorrect API key provided: {KEY}."))
    with pytest.raises(ModelFailed) as failed:
        model_of(server).ask(PROMPT, Answered)
    assert KEY not in json.dumps(failed.value.data())
    assert KEY not in repr(model_of(server))


def test_base_url_comes_from_the_environment(server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    server.will(GOOD)
    model = build("openai:gpt-5-mini", timeout_s=TIME_S)
    assert model is not None and model.ask(PROMPT, Answered).value == Answered(answer=42)


# --- waiting ------------------------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "3"}, 3.0), ({"retry-after": "0"}, 0.0), ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Mon, 05 Jan 2026 09:00:30 GMT"}, 30.0), ({"retry-after": "Mon, 05 Jan 2026 08:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None), ({"retry-after": "-5"}, None), ({"retry-after": "nan"}, None), ({"retry-after": "1e99"}, None), ({}, None),
    ],
)  # fmt: skip
def test_what_the_service_asks_for_is_read(headers: dict[str, str], wait: float | None) -> None:
    assert asked_s(headers, NOW) == wait


def test_waits_double_and_are_bounded() -> None:
    assert [wait_s(attempt, {}, NOW, 0) for attempt in (1, 2, 3, 9)] == [0.5, 1.0, 2.0, 8.0]
    assert wait_s(1, {}, NOW, 1) == 0.375


@pytest.mark.parametrize(
    ("status", "headers", "code", "again"),
    [
        (429, {}, "", True), (500, {}, "", True), (503, {}, "", True), (408, {}, "", True), (409, {}, "", True), (400, {}, "", False),
        (401, {}, "", False), (404, {}, "", False), (429, {}, "insufficient_quota", False), (500, {"x-should-retry": "false"}, "", False),
        (400, {"x-should-retry": "true"}, "", True),
    ],
)  # fmt: skip
def test_only_what_may_pass_is_worth_repeating(status: int, headers: dict[str, str], code: str, again: bool) -> None:
    assert is_worth_repeating(status, headers, code) is again


def test_call_that_never_returns_does_not_hold_its_caller() -> None:
    forever = threading.Event()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        within(0.05, forever.wait)
    assert time.monotonic() - began < 0.5
    forever.set()
    assert within(1, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(1, lambda: 1 / 0)


# --- LangChain ----------------------------------------------------------------------------------------------------------------------


class Chat:
    """As much of a LangChain chat model as the adapter uses, with structured output by tool call."""

    _llm_type = "fake"
    model_name = "m"

    def __init__(self, message: Any) -> None:
        self.message = message
        self.asked: list[Any] = []
        self.ways: list[dict[str, Any]] = []

    def with_structured_output(self, schema: Any, *, include_raw: bool, **way: Any) -> Any:
        assert include_raw and schema["title"]
        self.ways.append(way)
        return self

    def invoke(self, messages: Any) -> Any:
        self.asked.append(messages)
        if isinstance(self.message, Exception):
            raise self.message
        return {"raw": self.message, "parsed": None, "parsing_error": None}


def ai(**fields: Any) -> Any:
    from langchain_core.messages import AIMessage

    return AIMessage(**{"content": "", **fields})


def test_langchain_tool_call_is_read_with_its_usage() -> None:
    usage = {
        "input_tokens": 9,
        "output_tokens": 4,
        "total_tokens": 13,
        "input_token_details": {"cache_read": 5},
        "output_token_details": {"reasoning": 2},
    }
    chat = Chat(
        ai(
            tool_calls=[{"name": "Answered", "args": GOOD, "id": "1"}],
            usage_metadata=usage,
            response_metadata={"model_name": "m-2026"},
        )
    )
    answer = LangChainModel(chat).ask(PROMPT, Answered)
    assert answer.value == Answered(answer=42)
    assert answer.usage == Usage(input_tokens=9, output_tokens=4, cached_tokens=5, reasoning_tokens=2)
    assert answer.model == "fake:m-2026"
    assert chat.asked == [[("system", "Be brief."), ("human", "how many?")]]


def test_langchain_tool_call_that_is_not_json_is_not_lost() -> None:
    broken = [{"name": "Answered", "args": '{"answer": 4', "id": "1", "error": "", "type": "invalid_tool_call"}]
    answer = LangChainModel(Chat(ai(invalid_tool_calls=broken))).ask(PROMPT, Answered)
    assert (answer.raw, answer.fault) == ('{"answer": 4', "invalid")


def test_langchain_refusal_and_cut_are_seen() -> None:
    assert LangChainModel(Chat(ai(additional_kwargs={"refusal": "no"}))).ask(PROMPT, Answered).fault == "refused"
    assert (
        LangChainModel(Chat(ai(content="{", response_metadata={"stop_reason": "max_tokens"}))).ask(PROMPT, Answered).fault
        == "truncated"
    )


def test_langchain_open_shape_goes_in_as_a_tool_call() -> None:
    chat = Chat(ai(content='{"args": {"x": 1}}'))
    assert LangChainModel(chat).ask(PROMPT, Open).value == Open(args={"x": 1})
    LangChainModel(chat).ask(PROMPT, Answered)
    assert chat.ways == [{"method": "function_calling"}, {}]


def test_langchain_model_without_structured_output_gets_the_schema_in_words() -> None:
    script = ScriptedModel(GOOD)
    assert LangChainModel(script.chat_model()).ask(PROMPT, Answered).value == Answered(answer=42)
    assert "JSON Schema" in script.asked[0].messages[-1].text


@pytest.mark.parametrize(("status", "kind"), [(401, "unauthorized"), (429, "rate_limited"), (None, "unreachable")])
def test_error_of_a_vendor_becomes_ours(status: int | None, kind: str) -> None:
    class Vendor(Exception):
        status_code = status

    with pytest.raises(ModelFailed) as failed:
        LangChainModel(Chat(Vendor(f"key {KEY} is wrong"))).ask(PROMPT, Answered)
    assert failed.value.fields["kind"] == kind
    assert KEY not in failed.value.message


def test_langchain_model_that_hangs_does_not_hold_its_caller() -> None:
    held = threading.Event()

    class Hanging(Chat):
        def invoke(self, messages: Any) -> Any:
            held.wait(10)
            return super().invoke(messages)

    with pytest.raises(ModelFailed, match="no answer within"):
        LangChainModel(Hanging(ai()), timeout_s=0.1).ask(PROMPT, Answered)
    held.set()


# --- building -----------------------------------------------------------------------------------------------------------------------


def test_model_is_built_from_what_people_write() -> None:
    assert build(None) is None and build("") is None
    built = build("openai:gpt-5-mini@http://127.0.0.1:8000/v1")
    assert isinstance(built, OpenAIModel) and (built.model, built.base_url) == ("gpt-5-mini", "http://127.0.0.1:8000/v1")
    mapped = build({"model": "openai:gpt-5", "key": "MY_KEY", "protocol": "responses", "timeout_s": 5, "attempts": 1})
    assert isinstance(mapped, OpenAIModel)
    assert (mapped.model, mapped.key_variable, mapped.protocol, mapped.timeout_s, mapped.attempts) == (
        "gpt-5",
        "MY_KEY",
        "responses",
        5.0,
        1,
    )
    scripted = ScriptedModel()
    assert build(scripted) is scripted
    assert isinstance(build(scripted.chat_model()), LangChainModel)


@pytest.mark.parametrize(
    "given",
    ["gpt-5", "openai:", "openai", "mistral:large", 7, object(), {"model": ""}, {"modle": "gpt"}, {"model": "g", "protocol": "smoke"},
     {"model": "g", "base_url": "ftp://x"}, {"model": "g", "timeout_s": 0}, {"model": "g", "attempts": "3"}],
)  # fmt: skip
def test_what_is_no_model_is_said_so(given: Any) -> None:
    with pytest.raises(InvalidConfiguration) as failed:
        build(given)
    assert failed.value.hint
    assert "model" in failed.value.message


def test_name_without_vendor_gets_the_right_hint() -> None:
    with pytest.raises(InvalidConfiguration) as failed:
        build("gpt-5-mini")
    assert "openai:gpt-5-mini" in failed.value.hint


# --- talking: one repair, nothing paid twice ----------------------------------------------------------------------------------------


def talking(
    model: Model,
    keep: Keep,
    *,
    make: Callable[[Answered], int] = lambda answered: answered.answer,
    records: list[Exchange] | None = None,
) -> Any:
    kept = [] if records is None else records
    return talk(
        model,
        PROMPT,
        Answered,
        make,
        name="ask",
        journal=Journal(keep, "run_1"),
        record=kept.append,
        price=lambda name, usage: "0.5",
    )


FAULTY = {
    "not JSON": Turn(content='{"answer'), "wrong schema": Turn(content='{"x": 1}'), "empty": faults.empty(), "refusal": faults.refusal(),
    "truncated": faults.truncated(),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTY.values(), ids=FAULTY)
def test_unusable_answer_is_repaired_once(server: FakeOpenAI, tmp_path: Path, fault: Turn) -> None:
    server.will(fault, GOOD)
    records: list[Exchange] = []
    said = talking(model_of(server), Keep(tmp_path), records=records)
    assert said.result == 42
    assert said.usage.input_tokens == sum(record.usage.input_tokens for record in records)
    assert [bool(record.complaints) for record in records] == [True, False]
    repair = server.requests[1].body["messages"]
    assert [message["role"] for message in repair] == ["system", "user", *(["assistant"] if fault.content else []), "user"]
    assert records[0].complaints[0][:20] in repair[-1]["content"]


@pytest.mark.parametrize("fault", FAULTY.values(), ids=FAULTY)
def test_unusable_answer_twice_is_a_clear_error(server: FakeOpenAI, tmp_path: Path, fault: Turn) -> None:
    server.will(fault, fault, GOOD)
    with pytest.raises(ModelFailed) as failed:
        talking(model_of(server), Keep(tmp_path))
    assert len(server.requests) == 2
    assert failed.value.fields["kind"] in ("invalid", "empty", "refused", "truncated")
    assert failed.value.fields["complaints"]
    assert failed.value.fields["input_tokens"] > 0
    assert "assent new" in failed.value.hint


def test_answer_that_does_not_fit_is_repaired_with_its_exact_complaints(tmp_path: Path) -> None:
    def make(answered: Answered) -> int:
        if answered.answer == 42:
            raise Unfit(("42 is too large", "42 is even"))
        return answered.answer

    model = ScriptedModel(GOOD, {"answer": 7})
    assert talking(model, Keep(tmp_path), make=make).result == 7
    assert "- 42 is too large\n- 42 is even" in model.asked[1].messages[-1].text


class Died(BaseException):
    """The process is gone."""


def test_answer_that_arrived_is_not_asked_again_after_a_crash(tmp_path: Path) -> None:
    keep = Keep(tmp_path)

    def dies(answered: Answered) -> int:
        raise Died

    with pytest.raises(Died):
        talking(ScriptedModel(GOOD), keep, make=dies)
    silent = ScriptedModel()
    assert talking(silent, keep).result == 42
    assert silent.asked == []


def test_second_answer_that_arrived_is_not_asked_again_either(tmp_path: Path) -> None:
    keep = Keep(tmp_path)

    def dies(answered: Answered) -> int:
        raise Died

    with pytest.raises(Died):
        talking(ScriptedModel("nonsense", GOOD), keep, make=dies)
    silent = ScriptedModel()
    records: list[Exchange] = []
    said = talking(silent, keep, records=records)
    assert (said.result, silent.asked) == (42, [])
    assert [record.name for record in records] == ["ask-1", "ask-2"]
    assert said.usage.input_tokens == sum(record.usage.input_tokens for record in records)


def test_question_whose_answer_never_arrived_is_counted(tmp_path: Path) -> None:
    keep = Keep(tmp_path)
    with pytest.raises(Died):
        talking(ScriptedModel(Died()), keep)
    with pytest.raises(ModelFailed):
        talking(ScriptedModel(ModelFailed("late", kind="timeout")), keep)
    records: list[Exchange] = []
    assert talking(ScriptedModel(GOOD), keep, records=records).result == 42
    assert records[0].unanswered == 2
    records.clear()
    talking(ScriptedModel(), keep, records=records)
    assert records[0].unanswered == 2


def test_record_after_a_crash_holds_what_was_asked_then(tmp_path: Path) -> None:
    records: list[Exchange] = []
    journal = Journal(Keep(tmp_path), "run_1")
    talk(ScriptedModel(GOOD), PROMPT, Answered, lambda one: one, name="ask", journal=journal, record=records.append, key="k")
    later = PROMPT.model_copy(update={"messages": (Message(role="user", text="asked by nobody"),)})
    talk(ScriptedModel(), later, Answered, lambda one: one, name="ask", journal=journal, record=records.append, key="k")
    assert records[0] == records[1]
    assert records[1].messages == PROMPT.messages


def test_answer_is_durable_before_anything_is_made_of_it(tmp_path: Path) -> None:
    keep = Keep(tmp_path)

    def make(answered: Answered) -> int:
        kept = json.loads((tmp_path / "run_1" / "ask-1.journal.json").read_text())
        assert json.loads(kept["reply"]["raw"]) == GOOD
        return 1

    assert talking(ScriptedModel(GOOD), keep, make=make).result == 1


def test_another_question_does_not_get_the_kept_answer(tmp_path: Path) -> None:
    journal = Journal(Keep(tmp_path), "run_1")
    journal.asking("ask-1", "one", PROMPT)
    journal.arrived("ask-1", "one", Reply(raw="{}", model="m", usage=Usage()))
    assert journal.answered("ask-1", "one") is not None
    assert journal.answered("ask-1", "two") is None
    assert journal.unanswered("ask-1", "two") == 0
    journal.forget()
    assert journal.answered("ask-1", "one") is None


@pytest.mark.parametrize("text", ["", "{", "{}", '{"key": "k", "asked": 1, "reply": {"raw": 1}}', "[]"])
def test_journal_that_cannot_be_read_is_not_passed_over(tmp_path: Path, text: str) -> None:
    Keep(tmp_path).write("run_1", "ask-1.journal.json", text.encode())
    with pytest.raises(StoreCorrupt, match="cannot be read"):
        Journal(Keep(tmp_path), "run_1").answered("ask-1", "k")


def test_exchange_is_kept_whole_and_without_secrets(tmp_path: Path) -> None:
    secret = "ghp_" + "aZ3kQ9mR1tY7bV5xC2nL8pW4sD6fG0hJuE1i"
    prompt = Prompt(name="ask", template="sha256:t", key="sha256:k", messages=(Message(role="user", text=f"token={secret}"),))
    records: list[Exchange] = []
    model = ScriptedModel(f"not JSON {secret}", GOOD)
    talk(model, prompt, Answered, lambda one: one, name="ask", journal=Journal(Keep(tmp_path), "run_1"), record=records.append)
    artifact = keep_exchange(records[0], Keep(tmp_path), "run_1", NOW)
    raw = (tmp_path / "run_1" / artifact.name).read_bytes()
    assert artifact.size_bytes == len(raw)
    found = json.loads(raw)
    assert secret not in raw.decode()
    assert (
        found["model"] == "scripted:model"
        and found["template"] == "sha256:t"
        and found["complaints"]
        and found["reply_digest"].startswith("sha256:")
    )
    note = records[0].note()
    assert all(isinstance(value, str | int) for value in note.values())
    assert secret not in json.dumps(note)


def test_half_a_character_in_a_reply_is_kept_and_read_again(tmp_path: Path) -> None:
    keep = Keep(tmp_path)
    with pytest.raises(ModelFailed):
        talking(ScriptedModel("\ud800", "\ud800"), keep)
    with pytest.raises(ModelFailed):
        talking(ScriptedModel(), keep)


# --- the fake server, by the vendor's own client ------------------------------------------------------------------------------------


def client_of(server: FakeOpenAI) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url, api_key="any", max_retries=0, timeout=TIME_S)


def test_fake_server_speaks_to_the_vendors_client(server: FakeOpenAI) -> None:
    server.will(
        GOOD, GOOD, Turn(content=None, calls=(("look", {"at": "x"}),)), Turn(content=None, calls=(("look", {"at": "x"}),))
    )
    with client_of(server) as client:
        assert client.chat.completions.parse(model="m", messages=[], response_format=Answered).choices[
            0
        ].message.parsed == Answered(answer=42)
        assert client.responses.parse(model="m", input="x", text_format=Answered).output_parsed == Answered(answer=42)
        calls = client.chat.completions.create(model="m", messages=[]).choices[0].message.tool_calls
        assert calls is not None and calls[0].type == "function" and calls[0].function.name == "look"
        assert client.responses.create(model="m", input="x").output[0].type == "function_call"
        assert [model.id for model in client.models.list()] == ["gpt-fake"]


def test_fake_server_streams(server: FakeOpenAI) -> None:
    text = "one two three four five"
    server.will(text, text, Turn(content=None, calls=(("look", {"at": "x"}),)))
    with client_of(server) as client:
        chunks = list(client.chat.completions.create(model="m", messages=[], stream=True, stream_options={"include_usage": True}))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == text
        assert chunks[-1].usage is not None
        events = list(client.responses.create(model="m", input="x", stream=True))
        assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == text
        assert events[-1].type == "response.completed"
        called = list(client.chat.completions.create(model="m", messages=[], stream=True))
        assert any(chunk.choices[0].delta.tool_calls for chunk in called if chunk.choices)


def test_fake_server_says_when_its_script_is_over(server: FakeOpenAI) -> None:
    with client_of(server) as client, pytest.raises(openai.BadRequestError, match="no turn left"):
        client.chat.completions.create(model="m", messages=[])


def test_scripted_model_says_when_its_script_is_over() -> None:
    model = ScriptedModel(GOOD)
    model.ask(PROMPT, Answered)
    assert model.is_spent
    with pytest.raises(ModelFailed, match="no reply left"):
        model.ask(PROMPT, Answered)
    assert len(model.asked) == 2


def test_scripted_model_may_answer_by_the_prompt() -> None:
    model = ScriptedModel(lambda prompt: {"answer": len(prompt.messages)})
    assert model.ask(PROMPT, Answered).value == Answered(answer=2)


def test_fakes_are_at_hand_for_users() -> None:
    from assent.runtime import testing

    assert testing.ScriptedModel is ScriptedModel
    assert testing.FakeOpenAI is FakeOpenAI
    with pytest.raises(AttributeError):
        _ = testing.NothingLikeIt


def test_openai_is_imported_only_when_something_is_asked() -> None:
    import subprocess
    import sys

    code = "import sys, assent.runtime.planner, assent.runtime.models.build as b; b.build('openai:x'); print('openai' in sys.modules, 'tiktoken' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == [
        "False",
        "False",
    ]


def test_every_failure_is_of_our_tree() -> None:
    assert issubclass(ModelFailed, AssentError)
    assert isinstance(Answer(value=None, complaints=(), raw="", model="m", usage=Usage()), Answer)
