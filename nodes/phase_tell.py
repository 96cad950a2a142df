"""What happens in a phase, told as it happens: to the ports, and into LangGraph's custom stream for other screens. Source: E14."""

from __future__ import annotations

from typing import Any

from langgraph.config import get_stream_writer

from .phase_ports import PhasePorts


def tell(ports: PhasePorts, kind: str, **data: Any) -> None:
    """Tell one event: `kind` is `phase.began`, `phase.agent`, `phase.consolidated` or `phase.checked`; the rest is small JSON."""
    event = {"type": kind, **data}
    ports.notify(event)
    try:
        write = get_stream_writer()
    except RuntimeError:
        return  # called outside of a graph
    write(event)
