"""How large a phase or workflow may be: three to five members, and what to make of more.

Rules: fewer than three are refused, because two agents cannot outvote each other and one is no fan-out; more than five are refused with a split
into linked workflows of three to five, each of which depends on what its members depend on and may otherwise run beside the others.
Source: A15, the complexity section of the problem/action/results guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from ..schemas.errors import InvalidPlan
from ..schemas.phase import LinkedWorkflow, PhaseSpec
from .counted import counted

FEWEST, MOST = 3, 5
SIZES = range(FEWEST, MOST + 1)


def check_size(spec: PhaseSpec, sizes: range = SIZES) -> None:
    """Let a phase of the right size pass.

    Args:
        sizes: how many agents are right; three to five, except for a fan-out whose breadth something else governs.

    Raises:
        InvalidPlan: too few or too many agents; with too many, the field `proposed` holds the split.
    """
    check_count(spec.name, [agent.id for agent in spec.agents], sizes)


def check_count(name: str, agents: Sequence[str], sizes: range = SIZES) -> None:
    """Let so many agents pass; see `check_size`."""
    count = len(agents)
    if count in sizes:
        return
    if count < sizes.start:
        raise InvalidPlan(f"phase {name!r} has {counted(count, 'agent')}, the fewest are {sizes.start}", hint="give each agent one role; add the roles that are missing")
    proposed = split(name, agents)
    lines = "; ".join(f"{part.name}: {', '.join(part.members)}" for part in proposed)
    raise InvalidPlan(
        f"phase {name!r} has {count} agents, the most are {sizes.stop - 1}",
        hint=f"make linked workflows of it: {lines}",
        proposed=[part.as_json() for part in proposed],
    )


def split(name: str, members: Sequence[str], depends_on: Mapping[str, Iterable[str]] | None = None) -> tuple[LinkedWorkflow, ...]:
    """Propose linked workflows of three to five members each.

    Args:
        members: in the order in which they were written.
        depends_on: member → the members that have to be finished before it; unknown names are ignored.

    Returns:
        parts whose dependencies never point forward. Members stay in their order where nothing forbids it; a part that depends on none of another
        and is not needed by it names it in `can_run_parallel_with`.

    Raises:
        InvalidPlan: members depend on each other in a circle.
    """
    needs = {member: {one for one in (depends_on or {}).get(member, ()) if one in members and one != member} for member in members}
    ordered = _ordered(members, needs)
    parts, begin = [], 0
    for size in _sizes(len(ordered)):
        parts.append(tuple(ordered[begin : begin + size]))
        begin += size
    part_of = {member: number for number, part in enumerate(parts) for member in part}
    edges = [{part_of[one] for member in part for one in needs[member]} - {number} for number, part in enumerate(parts)]
    before = [_reach(number, edges) for number in range(len(parts))]
    names = [f"{name}_{number}" for number in range(1, len(parts) + 1)]
    return tuple(
        LinkedWorkflow(
            name=names[n],
            members=part,
            depends_on=tuple(names[m] for m in sorted(edges[n])),
            can_run_parallel_with=tuple(names[m] for m in range(len(parts)) if m != n and m not in before[n] and n not in before[m]),
        )
        for n, part in enumerate(parts)
    )


def _ordered(members: Sequence[str], needs: Mapping[str, set[str]]) -> list[str]:
    sorter = TopologicalSorter(needs)
    try:
        sorter.prepare()
    except CycleError as error:
        raise InvalidPlan(f"these depend on each other in a circle: {' → '.join(error.args[1])}", hint="break the circle; one of them has to come first") from None
    place = {member: number for number, member in enumerate(members)}
    ready: list[str] = []
    found: list[str] = []
    while sorter.is_active():
        # The earliest written of what may come next, so that a sequence without dependencies stays as it is.
        ready = sorted([*ready, *sorter.get_ready()], key=place.__getitem__)
        found.append(ready.pop(0))
        sorter.done(found[-1])
    return found


def _sizes(count: int) -> list[int]:
    # As few parts as possible, as even as possible; up to five is one part, and from six on every part has at least three.
    parts = max(1, -(-count // MOST))
    small, larger = divmod(count, parts)
    return [small + 1] * larger + [small] * (parts - larger)


def _reach(start: int, edges: Sequence[set[int]]) -> set[int]:
    found: set[int] = set()
    todo = list(edges[start])
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += edges[one]
    return found
