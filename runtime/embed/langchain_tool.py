"""A LangChain tool as a tool of assent: what it may touch is declared by the program that made it, and without that it is HIGH and opaque.

    @declared(effects=Effects(reads=True), actions=lambda args: [("file_read", args["path"])])
    def read_note(path: str) -> str: ...

Rules:
- A declaration is code of the embedding program, like a shipped tool's; nothing that a model says can make one.
- Only what the assessor judges can be LOW: `actions` name what a call does. A tool that is declared to touch nothing (it neither writes nor
  uses the network) is judged as a computation; every other tool without actions is HIGH.
- It acts only inside the agent that it belongs to, on behalf of the call that is being made there (`Bound`). Elsewhere, in this process or
  another one, a decision about it can be recorded, and the agent goes on with it.
- What it returned is recorded with its receipt, so an agent that is killed and resumed gets the recorded answer and not another call.

Deliberately absent: undo. A LangChain tool has none; the plan of a call says so to whoever approves it.
"""

from __future__ import annotations

import contextvars
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from ...schemas.dispatch import EffectClass, Effects, Receipt
from ...schemas.errors import NotAllowed
from ...tools.tool import Arguments, Found, Place, Preview, Tool
from ...tools.toolbox import Toolbox

T = TypeVar("T")
Actions = Callable[[Mapping[str, Any]], Iterable[tuple[str, Any]]]
_UNKNOWN = Effects(reads=True, writes=True, network=True, irreversible=True)
_MARK = "__assent__"
_LONGEST = 300


@dataclass(frozen=True)
class Declaration:
    """What a program says of a tool of its own.

    Args:
        effects: what a call may touch.
        actions: arguments in, what the assessor has to judge out, as (kind, payload) with the kinds of `assent.assess`.
        effect_class: what can be known when its receipt is missing; `conditional` where a second call leaves the same state.
    """

    effects: Effects = _UNKNOWN
    actions: Actions | None = None
    effect_class: EffectClass = EffectClass.OPAQUE


class Bound(Protocol):
    """The call of the agent that is being made now."""

    def act(self, tool: Any, args: dict[str, Any]) -> Any:
        """Call the LangChain tool inside the agent and return its response. Raises: whatever the tool raises."""
        ...

    def heard(self, response: Any) -> None:
        """Keep the response as it is, for the agent that waits for it."""
        ...


BOUND: contextvars.ContextVar[Bound | None] = contextvars.ContextVar("assent_bound_call", default=None)
"""Set around the driving of a run by the agent whose call it is."""


def declared(*, effects: Effects | None = None, actions: Actions | None = None, effect_class: EffectClass | str = EffectClass.OPAQUE) -> Callable[[T], T]:
    """Declare what a function or a LangChain tool may touch; a decorator, above or below `@tool`.

    Args:
        effects: what it may touch; everything, when only `actions` are given. What neither writes nor uses the network is judged as a computation.
        actions: arguments in, `(kind, payload)` pairs out, with the kinds and payloads of `assent.assess`: they are what the level comes from.
            When it raises on some arguments, that call is HIGH.
        effect_class: what can be known about a call whose answer was lost in a crash: `opaque` (a person is asked) or `conditional` (a second call
            leaves the same state, so it is made again). What only looks is looked at again anyway.

    Returns:
        A decorator that gives back what it was given.

    Raises:
        ValueError: no such effect class.
    """

    def mark(tool: T) -> T:
        # Past pydantic, which knows nothing of this attribute; copies of the tool keep it.
        object.__setattr__(tool, _MARK, Declaration(effects or _UNKNOWN, actions, EffectClass(effect_class)))
        return tool

    return mark


def declaration_of(tool: Any) -> Declaration | None:
    """Return what was declared of a LangChain tool, or of the function that it was made from."""
    places = (tool, getattr(tool, "func", None), getattr(tool, "coroutine", None))
    return next((found for place in places if isinstance(found := getattr(place, _MARK, None), Declaration)), None)


class AgentArguments(Arguments):
    """The arguments of an agent's tool: open here, held against the tool's own schema."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=False)
    schema_of_tool: ClassVar[Any] = None

    @property
    def given(self) -> dict[str, Any]:
        """The arguments as they stand in the plan."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _fits(self) -> AgentArguments:
        schema = self.schema_of_tool
        if isinstance(schema, type) and issubclass(schema, BaseModel):
            try:
                schema.model_validate(self.given)
            except ValidationError as error:
                said = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}" for one in error.errors(include_url=False))
                raise ValueError(said) from error
        return self


class AgentTool:
    """The adapter; `adapted` makes one of a class of its own, because a tool's name belongs to its class."""

    name: ClassVar[str] = ""
    Arguments: ClassVar[type[Arguments]] = AgentArguments
    atomic: ClassVar[bool] = False

    def __init__(self, tool: Any, declaration: Declaration | None) -> None:
        self.tool = tool
        self.declaration = declaration or Declaration()

    @property
    def is_here(self) -> bool:
        """Whether a call can act in this flow: only on behalf of the agent that makes it."""
        return BOUND.get() is not None

    def actions(self, args: AgentArguments) -> Sequence[tuple[str, Any]]:
        """Return what the declaration says that the assessor has to judge; nothing, which is HIGH, where it says nothing or breaks."""
        if self.declaration.actions is None:
            effects = self.declaration.effects
            return [] if effects.writes or effects.network or effects.irreversible else [("python", "pass")]
        try:
            return list(self.declaration.actions(args.given))
        except Exception:  # noqa: BLE001 - a declaration that breaks on these arguments says nothing about them
            return []

    def effects(self, args: AgentArguments) -> Effects:
        """Return what is declared; everything, without a declaration."""
        return self.declaration.effects

    def effect_class(self, args: AgentArguments) -> EffectClass:
        """Return what is declared; opaque, without a declaration. What only looks leaves the same state when it looks again."""
        said, effects = self.declaration.effect_class, self.declaration.effects
        return EffectClass.CONDITIONAL if said is EffectClass.OPAQUE and not (effects.writes or effects.irreversible) else said

    def preview(self, args: AgentArguments, place: Place) -> Preview:
        """Show the call and its arguments."""
        return Preview(headline=call_in_words(self.name, args.given), detail=json.dumps(args.given, ensure_ascii=False, indent=2, default=str))

    def prepare(self, args: AgentArguments, place: Place) -> dict[str, Any]:
        """Note nothing. Raises: NotAllowed: it is not the agent that drives this run."""
        if not self.is_here:
            raise NotAllowed(f"{self.name} acts only inside the agent that it belongs to", hint="resume that agent; it looks at the ledger and goes on")
        return {}

    def run(self, args: AgentArguments, place: Place, *, key: str, before: Mapping[str, Any]) -> Receipt:
        """Make the call inside the agent, once."""
        from langgraph.errors import GraphBubbleUp

        bound = BOUND.get()
        if bound is None:
            return Receipt(status="not_started", summary="the agent is not here")
        try:
            response = bound.act(self.tool, args.given)
        except GraphBubbleUp:
            return Receipt(status="unknown", summary=f"{self.name} paused by itself, so nobody knows how far it came; leave such tools to the agent (`leave`)")
        except Exception as error:  # noqa: BLE001 - raising is how LangChain tools fail; the agent gets the error itself
            bound.heard(error)
            return Receipt(status="failed", summary=f"{type(error).__name__}: {error}")
        bound.heard(response)
        kept = recorded(response)
        failed = kept["status"] == "error"
        return Receipt(status="failed" if failed else "done", summary=_short(kept["content"]), output={"message": kept})

    def can_undo(self, args: AgentArguments) -> bool:
        """Return that nothing takes it back."""
        return False

    def undo(self, args: AgentArguments, place: Place, *, key: str, receipt: Receipt) -> Receipt:
        """Say that nothing can be done."""
        return Receipt(status="not_started", summary="a tool of an agent has no undo")

    def probe(self, args: AgentArguments, place: Place, *, key: str, before: Mapping[str, Any], direction: Literal["do", "undo"]) -> Found:
        """Return what is known without a receipt: that a second call does no harm where that is declared, and otherwise nothing."""
        return "did_not_happen" if self.effect_class(args) is EffectClass.CONDITIONAL else "unknown"

    def recover(self, args: AgentArguments, place: Place, *, key: str, before: Mapping[str, Any], direction: Literal["do", "undo"]) -> Receipt | None:
        """Return `None`: the tool keeps no receipts of its own."""
        return None


def adapted(tool: Any, *, prefix: str = "agent", declaration: Declaration | None = None) -> Tool:
    """Return a LangChain tool as a tool of assent, named `prefix.name`."""
    arguments = type("AgentArguments", (AgentArguments,), {"schema_of_tool": getattr(tool, "tool_call_schema", None), "__module__": __name__})
    made = type("AgentTool", (AgentTool,), {"name": f"{prefix}.{tool.name}", "Arguments": arguments, "__module__": __name__})
    return cast(Tool, made(tool, declaration or declaration_of(tool)))


class OpenToolbox(Toolbox):
    """A toolbox to which an agent adds its tools when they are first called."""

    def add(self, tool: Tool) -> bool:
        """Add a tool, or replace the one of the same name and declaration; tells whether the name is new.

        Raises:
            NotAllowed: the name means a tool with another declaration, and one must not be judged by the other's.
        """
        known = self._tools.get(tool.name)
        if known is not None and _said(known) != _said(tool):
            raise NotAllowed(f"two tools called {tool.name} are declared differently", hint="give each agent its own prefix: Governed(…, prefix=…)")
        self._tools[tool.name] = tool
        return known is None


def recorded(response: Any) -> dict[str, Any]:
    """Return a tool's response as the JSON that is kept with its receipt: the content of its messages, and whether it reports an error."""
    parts = response if isinstance(response, list) else [response]
    messages = [message for part in parts for message in _messages(part)]
    content: Any = messages[0].content if len(messages) == 1 else [str(message.content) for message in messages]
    status = "error" if any(getattr(message, "status", "") == "error" for message in messages) else "success"
    return {"content": json.loads(json.dumps(content, default=str)), "status": status}


def call_in_words(name: str, args: Mapping[str, Any]) -> str:
    """Return a call as one line: name(argument=value, …)."""
    return _short(f"{name}({', '.join(f'{key}={value!r}' for key, value in args.items())})")


def _messages(part: Any) -> list[Any]:
    update = getattr(part, "update", None)
    if hasattr(part, "tool_call_id"):
        return [part]
    found = update.get("messages", []) if isinstance(update, Mapping) else []
    return [message for message in (found if isinstance(found, list) else [found]) if hasattr(message, "tool_call_id")]


def _short(text: Any) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}… ({len(line) - _LONGEST:,} more characters)"


def _said(tool: Any) -> tuple[Any, ...]:
    said = getattr(tool, "declaration", None)
    if said is None:
        return (type(tool),)
    actions = said.actions
    return (said.effects, said.effect_class, getattr(actions, "__module__", None), getattr(actions, "__qualname__", repr(actions) if actions else None))
