"""The host: the LangGraph graph inside which an embedded call runs, if there is one, and the boundary between its context and ours.

Rules:
- A graph of ours that is invoked inside a node of the host must not see the host's configuration: LangGraph would take it for a subgraph. So
  everything of ours runs in an empty context (`apart`), and what belongs to the host runs in a copy of the host's.
- A call is named by the host's thread, the tool call's id and what it asks for, so that a body which LangGraph runs again finds its own run.
  Without a thread there is nothing to come back to, and every call is a new one.
- Calls of async hosts run in threads of their own: LangChain runs sync tools on the loop's default pool, and waiting for it inside it could
  wait for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import hashlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from ...schemas.canonical import canonical

T = TypeVar("T")


def thread_of_host() -> str:
    """Return the thread of the graph around this call; empty where there is none, or no checkpointer that could bring an interrupt back."""
    from langgraph.config import get_config

    try:
        inside = get_config().get("configurable", {})
    except RuntimeError:
        return ""
    # LangGraph tells nobody else whether an interrupt here could be resumed; a test watches over the name.
    return str(inside.get("thread_id") or "") if inside.get("__pregel_checkpointer") else ""


def run_id_of(thread: str, call_id: str, asked: Any) -> str | None:
    """Return the id of the run of one tool call; `None` where a second execution could not be told from a second call.

    Args:
        asked: what the call asks for, as JSON. Some models number their calls anew in every turn; what they ask for tells them apart.

    Raises:
        ValueError: `asked` has no canonical form.
    """
    if not (thread and call_id):
        return None
    return "run_" + hashlib.sha256(canonical(["assent/call/v1", thread, call_id, asked])).hexdigest()[:16]


def apart(act: Callable[..., T], *args: Any) -> T:
    """Run something of ours outside of the host's context."""
    return contextvars.Context().run(act, *args)


async def aside(act: Callable[..., T], *args: Any) -> T:
    """Run something of ours in a thread of its own, outside of the host's context. Cancelling does not stop it; the ledger knows how it ends."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def tell(settle: Callable[[], None]) -> None:
        # A caller who has gone away, loop and all, is told nothing.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: None if future.done() else settle())

    def work() -> None:
        try:
            found = apart(act, *args)
        except BaseException as error:  # noqa: BLE001 - handed over to the caller, who waits for it
            problem = error
            tell(lambda: future.set_exception(problem))
        else:
            tell(lambda: future.set_result(found))

    threading.Thread(target=work, name="assent call").start()
    return await future
