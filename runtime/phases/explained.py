"""An agent that measures, and a model that reads on and explains: what was measured stays as it is, what the model says is marked as the model's.

Rules: the model's findings have no `aspect`, so they contradict nothing that was measured, and begin with its name; its risks can raise the combined
risk and lower none; when it fails or runs out of time, the measured report stands and says so. A question of the model is a question of the agent.
Source: E1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...nodes.phase_crew import Exhausted, Late
from ...policies.agent_message import Unreadable, read_answer, report_of
from ...schemas.agent_message import AgentMessage, AgentReport
from ...schemas.errors import AssentError
from ...schemas.phase import AgentLimits, AgentSpec, Criterion, PhaseSpec
from .model_agent import ModelAgent

READS_ON = "Read further than the programs did and explain what they found: what it means, what follows from it, and what they could not see."
_MOST_SAID = 6000


@dataclass(frozen=True)
class Explained:
    """A measuring agent with a model behind it.

    Args:
        measures: the agent whose facts stay.
        explains: the model-driven agent.
    """

    measures: Callable[[AgentMessage], Any]
    explains: ModelAgent

    def __call__(self, message: AgentMessage) -> AgentMessage:
        """Measure, then let the model explain. Raises: what `measures` raises; AsksPerson: the model needs a person."""
        began = self.explains.now()
        measured = _read(self.measures(message), message)
        if measured.body.message_type == "error":
            return measured
        facts = report_of(measured)
        left = AgentLimits.model_validate(message.body.content.get("limits") or {}).time_s - (self.explains.now() - began)
        try:
            said = self.explains.work(_prompted(message, left), facts.as_json())
        except (Late, Exhausted, ConnectionError, Unreadable, AssentError) as failure:
            told = f"the model {self.explains.model.name} explained nothing: {failure}"[:400]
            stands = _with(measured, facts.model_copy(update={"not_looked_at": (*facts.not_looked_at, told)}))
            # A warning, so that the next run does not take it for what there is to know.
            return stands.model_copy(update={"body": stands.body.model_copy(update={"message_type": "warning"})})
        return _with(measured, joined(facts, report_of(said), self.explains.model.name), said.metadata.resource_usage)


def joined(facts: AgentReport, said: AgentReport, model: str) -> AgentReport:
    """Return the facts with what a model says about them, marked as the model's."""
    findings = tuple(one.model_copy(update={"aspect": "", "value": None, "text": f"[{model}] {one.text or one.value or one.aspect}"[:4000]}) for one in said.findings)
    risks = tuple(one.model_copy(update={"text": f"[{model}] {one.text}"[:4000]}) for one in said.risks)
    advice = tuple(one.model_copy(update={"action": f"[{model}] {one.action}"[:1000]}) for one in said.advice)
    summary = "\n\n".join(part for part in (facts.summary, f"[{model}] {said.summary}" if said.summary else "") if part)[: _MOST_SAID + 2000]
    return facts.model_copy(
        update={
            "summary": summary, "findings": (*facts.findings, *findings), "risks": (*facts.risks, *risks), "advice": (*facts.advice, *advice),
            "not_looked_at": (*facts.not_looked_at, *(f"[{model}] {one}" for one in said.not_looked_at)), "data": {**facts.data, "model": {"written_by": model, **said.as_json()}},
        }
    )  # fmt: skip


def _prompted(message: AgentMessage, time_s: float) -> AgentMessage:
    content = message.body.content
    limits = AgentLimits.model_validate(content.get("limits") or {}).model_copy(update={"time_s": max(0.001, time_s)})
    more: dict[str, Any] = {"limits": limits.as_json(), "prompt": content.get("prompt") or READS_ON}
    return message.model_copy(update={"body": message.body.model_copy(update={"content": {**content, **more}})})


def _read(answer: Any, message: AgentMessage) -> AgentMessage:
    # The same reading as for every agent's answer, so that only a report in order is explained.
    agent = AgentSpec(id=message.header.agent_id, role="measures", focus=("all",), limits=AgentLimits.model_validate(message.body.content.get("limits") or {}))
    spec = PhaseSpec(name="explained", number=message.header.phase, agents=(agent,), criteria=(Criterion(id="any", text="any", check="risk_documented"),))
    return read_answer(answer, spec, agent, took_s=0, attempt=message.metadata.retry_count, now=message.header.timestamp)


def _with(measured: AgentMessage, report: AgentReport, used: dict[str, Any] | None = None) -> AgentMessage:
    metadata = measured.metadata if used is None else measured.metadata.model_copy(update={"resource_usage": {**measured.metadata.resource_usage, **used}})
    return measured.model_copy(update={"body": measured.body.model_copy(update={"content": report.as_json()}), "metadata": metadata})
