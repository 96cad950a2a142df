"""Model-driven agents: a prompt, tools and a model make an agent of a phase (`graphs/phase_agent.py`), governed by a home's rules.

    agents = model_agents(spec, runtime, model="openai:gpt-…")          # one for each agent of the phase that has a prompt
    ports = PhasePorts(keep=…, agents={**agents, **mine}, store=…)

- The model is any that `runtime/models/` takes: OpenAI's protocol, a LangChain chat model, one with a script.
- Its calls are made by `calls.py`: assessed, recorded in the ledger, and asked about where they are not LOW.
- Its answers are in the journal before anything is made of them, and each exchange is kept. An agent that is begun again after a crash or after
  people have answered is not asked anew what it has answered.
- Turns, tokens and time are bounded by the limits of its task. What it reports is marked as the model's (`explained.py` where programs measured
  before it).

Source: E1, E8. Deliberately not a coroutine: it works in a thread of its own, which no pool limits.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ...nodes.agent_ports import AgentBounds, AgentPorts, Asked
from ...nodes.phase_crew import AsksPerson, Exhausted
from ...policies.agent_message import Unreadable
from ...policies.prices import cost_usd
from ...policies.redact import redact
from ...schemas.agent_message import AgentMessage, AgentReport, Body, Header, Metadata
from ...schemas.agent_turn import AgentTurn
from ...schemas.canonical import canonical, digest
from ...schemas.errors import InvalidConfiguration, ModelFailed, NotFound
from ...schemas.phase import AgentLimits, FaultCategory, PhaseSpec
from ...schemas.prompt import Prompt, Usage
from ...tools.toolbox import Toolbox
from ..keep import Keep, is_plain
from ..models.build import build
from ..models.exchange import Exchange, Journal, keep_exchange
from ..models.port import Model
from ..models.talk import talk
from ..planner import described
from ..tokens import count
from .calls import PhaseCalls

if TYPE_CHECKING:
    from ..runtime import Runtime

_AWAY = frozenset({"timeout", "unreachable", "rate_limited", "server_error", "broken", "quota"})
_STANDING = "phase"


def model_agents(spec: PhaseSpec, runtime: Runtime, model: Any = None, *, keep: Keep | None = None) -> Mapping[str, ModelAgent]:
    """Return an agent for each of a phase that has a prompt, by the name under which the phase calls it.

    Args:
        model: in any form that `assent.open` takes; the runtime's own by default.
        keep: where journals and exchanges lie; the home's artifact folder by default.

    Raises:
        InvalidConfiguration: there is no model, or an agent names a tool that the runtime does not have.
    """
    found = {}
    for agent in spec.agents:
        if not agent.prompt:
            continue
        unknown = [name for name in agent.tools if name not in runtime.tools]
        if unknown:
            raise InvalidConfiguration(
                f"agent {agent.id!r} of phase {spec.name!r} has a tool {unknown[0]!r} that is not known", hint=f"the tools are: {', '.join(runtime.tools)}"
            )
        found[agent.callable] = ModelAgent(runtime, chosen_model(runtime, model), phase=spec.name, keep=keep)
    return found


def chosen_model(runtime: Runtime, model: Any = None) -> Model:
    """Return the model of an agent. Raises: InvalidConfiguration: none is configured."""
    chosen = build(model if model is not None else runtime.model)
    if chosen is None:
        raise InvalidConfiguration("an agent with a prompt needs a model", hint="give one: `--model openai:NAME`, or `model:` in config.yaml")
    return chosen


@dataclass(frozen=True)
class ModelAgent:
    """An agent that a model drives.

    Args:
        runtime: in whose ledger its calls are, and whose rules and people govern them.
        model: that is asked.
        phase: name of the phase, as people are shown it.
        keep: where journals and exchanges lie; the home's artifact folder by default.
        tools: instead of those that the task names.
        now: the monotonic clock.
    """

    runtime: Runtime
    model: Model
    phase: str = _STANDING
    keep: Keep | None = None
    tools: tuple[str, ...] | None = None
    now: Callable[[], float] = time.monotonic

    def __call__(self, message: AgentMessage) -> AgentMessage:
        """Look and report; see `work`."""
        return self.work(message)

    def work(self, message: AgentMessage, facts: Mapping[str, Any] | None = None) -> AgentMessage:
        """Look and report.

        Args:
            facts: what programs found before; shown to the model as data.

        Raises:
            AsksPerson: a call needs a person. Late, Exhausted: a limit was reached. ConnectionError: the model did not answer.
            Unreadable: what it answered cannot be used, also after it was told why.
        """
        from ...graphs import phase_agent

        content = message.body.content
        limits = AgentLimits.model_validate(content.get("limits") or {})
        names: Any = self.tools if self.tools is not None else content.get("tools", ())
        work = _Work(self, message)
        bounds = AgentBounds(turns=limits.turns, tokens=limits.tokens, deadline=self.now() + limits.time_s)
        box = Toolbox([self.runtime.tools[name] for name in names if name in self.runtime.tools])
        calls = PhaseCalls(
            self.runtime, list(box), who=f"Agent {message.header.agent_id} of phase {self.phase}", about=work.name, author=f"model:{self.model.name}",
            beside=str(content.get("run") or ""),
        )
        ports = AgentPorts(
            ask=work.asker(bounds), act=calls, tools={name: described(Toolbox([tool])) for name, tool in box.items()}, bounds=bounds, now=self.now,
            hide=partial(redact, known=self.runtime.known_secrets),
        )  # fmt: skip
        graph: Any = phase_agent.build(ports).compile(name="phase_agent")
        try:
            found = graph.invoke({"message": message.as_json(), "facts": dict(facts or {})}, {"recursion_limit": 3 * limits.turns + 10})
        except (AsksPerson, ConnectionError):
            raise  # it goes on from here when people have answered, or the model is back
        except Exception:
            work.forget()  # begun again, the same answers would only lead here again
            raise
        work.forget()
        return self._message(message, found)

    def _message(self, message: AgentMessage, found: Mapping[str, Any]) -> AgentMessage:
        report = AgentReport.model_validate(found["report"])
        if found["steers"]:
            tried = tuple(f"text that tries to steer its reader was met: {one}"[:400] for one in found["steers"])
            report = report.model_copy(update={"not_looked_at": (*report.not_looked_at, *tried)})
        spent = Usage.model_validate(found["spent"])
        used = {"model": self.model.name, "input_tokens": spent.input_tokens, "output_tokens": spent.output_tokens, "turns": found["turn"], "calls": found["made"]}
        return AgentMessage(
            header=Header(phase=message.header.phase, agent_id=message.header.agent_id, timestamp=self.runtime.clock(), priority=message.header.priority),
            body=Body(message_type="result", content={**report.as_json(), "data": {**report.data, "written_by": self.model.name}}),
            metadata=Metadata(resource_usage=used),
        )


class _Work:
    """One task of one agent: its journal and its exchanges."""

    def __init__(self, agent: ModelAgent, message: AgentMessage) -> None:
        content, header = message.body.content, message.header
        self._agent = agent
        self._keep = agent.keep if agent.keep is not None else agent.runtime.keep
        self._run_id = str(content.get("run") or _STANDING)
        about = [self._run_id, agent.phase, header.agent_id, content.get("role"), content.get("focus"), content.get("inputs"), content.get("prompt", ""), agent.model.name]
        # Not of what programs measured before: that differs a little each time, and an answer that was paid for is still the answer.
        self.name = digest(canonical(["assent/agent/v1", about, message.metadata.retry_count]))
        self._stem = f"{header.agent_id}-{self.name[7:19]}"
        # A thread may be called anything; a folder may not.
        self._folder = self._run_id if is_plain(self._run_id) else "phase-" + digest(self._run_id.encode("utf-8", "backslashreplace"))[7:23]
        self._journal = Journal(self._keep, self._folder)

    def asker(self, bounds: AgentBounds) -> Callable[[Prompt, int, Usage], Asked]:
        """Return what asks one turn."""

        def ask(prompt: Prompt, turn: int, spent: Usage) -> Asked:
            def allow(question: Prompt, so_far: Usage) -> None:
                asks = count(question.text, self._agent.model.name).tokens
                used = spent.input_tokens + spent.output_tokens + so_far.input_tokens + so_far.output_tokens
                if used + asks > bounds.tokens:
                    raise Exhausted(f"turn {turn} would take {used + asks:,} tokens in all, at most {bounds.tokens:,} are allowed")

            try:
                said = talk(
                    self._agent.model, prompt, AgentTurn, lambda found: found, name=f"{self._stem}-{turn}", journal=self._journal, record=self._record, price=cost_usd, allow=allow,
                    key=digest(canonical([self.name, turn])),
                )  # fmt: skip
            except ModelFailed as failure:
                if failure.fields.get("kind") in _AWAY:
                    raise ConnectionError(failure.message) from failure
                raise Unreadable(FaultCategory.DATA_CORRUPTION, failure.message[:400]) from failure
            return said.result, said.usage

        return ask

    def forget(self) -> None:
        """Remove the raw answers of a finished agent; the exchanges stay."""
        for path in (self._keep.folder / self._folder).glob(f"{self._stem}-*.journal.json"):
            path.unlink(missing_ok=True)

    def _record(self, exchange: Exchange) -> None:
        artifact = keep_exchange(exchange, self._keep, self._folder, self._agent.runtime.clock())
        ledger = self._agent.runtime.ledger
        with contextlib.suppress(NotFound):  # a phase without a run has its exchanges beside its reports
            ledger.run(self._run_id)
            ledger.note(self._run_id, "model.asked", actor=f"model:{exchange.model}", **exchange.note())
            if self._keep is self._agent.runtime.keep:
                ledger.keep(self._run_id, artifact)
