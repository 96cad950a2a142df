"""Where a run stands, in lines: phase, steps, what is done now, what it waits for, and where it can be taken back to. Source: E4, E14."""

from __future__ import annotations

from collections.abc import Iterator

from ...schemas.progress import Progress
from .lines import Line, moment, one_line, styled

_MOST = 12


def tracked(found: Progress) -> Iterator[Line]:
    """Yield the tracker."""
    steps = f", {found.completed} of {found.total_steps} steps" if found.total_steps else ""
    ends = f", until about {moment(found.estimated_completion)}" if found.estimated_completion is not None else ""
    yield styled(("Progress  ", "dim"), f"{found.phase}, {found.percent} %{steps}{ends}")
    step = found.current_step
    if step is not None:
        since = f", since {moment(step.started)}" if step.started is not None else ""
        ends = f", until about {moment(step.estimated_completion)}" if step.estimated_completion is not None else ""
        yield styled(("Now       ", "dim"), one_line(step.name, 160, prose=True), f"{since}{ends}")
    if found.active_agents:
        yield styled(("At work   ", "dim"), one_line(", ".join(found.active_agents), 200))
    for blocker in found.blockers:
        yield styled(("Blocked   ", "dim"), (one_line(blocker, 240), "yellow"))
    back = [point for point in found.rollback_points if point.steps_back]
    if back:
        points = ", ".join(f"--to {point.to} {point.name}" for point in back[:_MOST])
        more = f" … {len(back) - _MOST} more" if len(back) > _MOST else ""
        yield styled(("Way back  ", "dim"), (one_line(points, 400, prose=True) + more, "dim"))
