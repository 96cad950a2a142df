"""The call of an agent that is being made now, as what its tool's adapter can act through: in the host's context, sync or on its event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
from collections.abc import Awaitable, Callable
from typing import Any

from ..identity import ACTS


class BoundCall:
    """One attempt of one call; keeps what the tool answered, as it answered it."""

    def __init__(self, request: Any, call: Callable[[Any], Any]) -> None:
        self.heard_now: list[Any] = []
        self._request = request
        self._call = call

    def act(self, tool: Any, args: dict[str, Any]) -> Any:
        """Call the tool inside the agent with exactly these arguments, whatever the model's message says."""
        made = {**self._request.tool_call, "name": tool.name, "args": args}
        own = self._request.tool
        return self._call(self._request.override(tool_call=made, tool=own if own is not None and own.name == tool.name else tool))

    def heard(self, response: Any) -> None:
        """Keep a response, or the error that the tool raised."""
        self.heard_now.append(response)


def _marked() -> contextvars.Context:
    """Return the host's context, in which whoever acts is an agent: what a tool does, it does for the agent that calls it."""
    host = contextvars.copy_context()
    host.run(ACTS.set, True)
    return host


def in_context(handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a handler of the host that can be called from any context and sees the host's."""
    host = _marked()
    return lambda request: host.copy().run(handler, request)


def on_loop(handler: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Any]:
    """Return an async handler of the host that another thread can call; it runs on the host's loop, in the host's context."""
    host, loop = _marked(), asyncio.get_running_loop()

    def call(request: Any) -> Any:
        ended: concurrent.futures.Future[Any] = concurrent.futures.Future()

        async def go() -> None:
            try:
                ended.set_result(await handler(request))
            except BaseException as error:  # noqa: BLE001 - handed over to the thread that waits for it
                ended.set_exception(error)

        tasks = []
        loop.call_soon_threadsafe(lambda: tasks.append(loop.create_task(go(), context=host.copy())))
        return ended.result()

    return call
