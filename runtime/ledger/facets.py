"""By what open requests are found: everything one can filter by, each with its own order by time and by urgency.

Rules:
- One row for each open request and each of: `open`, its risk, each tag, each role that it asks for, and `backup` once the backup was called.
  They are written in the transaction that opens or settles it; `unlisted` tells where they do not say what the requests say.
- A page costs what is on it and what the rarest filter holds, never what waits altogether.

A row permits nothing and hides nothing for good: whoever knows a request's id can decide it.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime

from ...schemas.approval import Request
from ...schemas.noun import stamp

OPEN, BACKUP = "open", "backup"
_URGENCIES = ("critical", "high", "normal", "low")
# The columns of the key stand first: `integrity_check` of SQLite 3.40 takes another order for damage.
TABLES = """
CREATE TABLE request_facet (
    facet TEXT NOT NULL, opened_at TEXT NOT NULL, id TEXT NOT NULL, urgency INTEGER NOT NULL, PRIMARY KEY (facet, opened_at, id)
) WITHOUT ROWID;
CREATE INDEX request_facet_by_urgency ON request_facet (facet, urgency, opened_at, id);
"""
_COMMON = 2_000
"""From this many rows on, how many a facet holds does not matter."""


def put(c: sqlite3.Connection, request: Request, *, with_backup: bool) -> None:
    """List an open request, in the transaction that opens it."""
    names = {OPEN, f"risk:{request.risk.value}", *(f"tag:{tag}" for tag in request.tags), *(f"role:{role}" for role in request.need.roles)}
    if with_backup:
        names.add(BACKUP)
    at, urgency = stamp(request.opened_at), _URGENCIES.index(request.urgency)
    c.executemany(
        "INSERT INTO request_facet (facet, opened_at, id, urgency) VALUES (?,?,?,?) ON CONFLICT DO NOTHING", [(name, at, request.id, urgency) for name in sorted(names)]
    )


def take(c: sqlite3.Connection, request: Request) -> None:
    """Take a request off every list, in the transaction that settles it."""
    names = {OPEN, BACKUP, f"risk:{request.risk.value}", *(f"tag:{tag}" for tag in request.tags), *(f"role:{role}" for role in request.need.roles)}
    at = stamp(request.opened_at)
    c.executemany("DELETE FROM request_facet WHERE facet = ? AND opened_at = ? AND id = ?", [(name, at, request.id) for name in sorted(names)])


def ids(c: sqlite3.Connection, wanted: Sequence[Sequence[str]], *, before: datetime | None = None, by_urgency: bool = False) -> Iterator[str]:
    """Yield the ids of open requests, oldest first or most urgent first.

    Args:
        wanted: facets; a request has to have one of each group. An empty group fits nothing.
        before: only those opened before this time.
    """
    if not all(wanted):
        return
    groups = sorted(wanted, key=lambda group: _size(c, group)) if len(wanted) > 1 else list(wanted or ((OPEN,),))
    for urgency in range(len(_URGENCIES)) if by_urgency else (None,):
        newest = ("", "")
        for found in heapq.merge(*(_rows(c, facet, groups[1:], urgency, before) for facet in groups[0])):
            if found != newest:
                yield found[1]
            newest = found


def _size(c: sqlite3.Connection, group: Sequence[str]) -> int:
    counting = "SELECT count(*) FROM (SELECT 1 FROM request_facet WHERE facet = ? LIMIT ?)"
    return sum(int(c.execute(counting, (facet, _COMMON)).fetchone()[0]) for facet in group)


def _rows(
    c: sqlite3.Connection, facet: str, others: Sequence[Sequence[str]], urgency: int | None, before: datetime | None
) -> Iterator[tuple[str, str]]:
    where, values = "f.facet = ?", list[object]([facet])
    if urgency is not None:
        where, values = where + " AND f.urgency = ?", [*values, urgency]
    if before is not None:
        where, values = where + " AND f.opened_at < ?", [*values, stamp(before)]
    for group in others:
        marks = ",".join("?" * len(group))
        where += f" AND EXISTS (SELECT 1 FROM request_facet o WHERE o.facet IN ({marks}) AND o.opened_at = f.opened_at AND o.id = f.id)"  # noqa: S608
        values += group
    yield from c.execute(f"SELECT f.opened_at, f.id FROM request_facet f WHERE {where} ORDER BY f.opened_at, f.id", values)  # noqa: S608 - constant parts


def unlisted(c: sqlite3.Connection) -> Iterator[str]:
    """Yield every place where the rows do not say what the open requests say."""
    said = (
        "SELECT facet, CASE r.urgency WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'normal' THEN 2 ELSE 3 END, r.opened_at, r.id FROM request r, "
        "(SELECT 'open' AS facet, id AS of_id FROM request UNION ALL SELECT 'risk:' || risk, id FROM request"
        " UNION ALL SELECT 'tag:' || value, request.id FROM request, json_each(CASE WHEN json_valid(request.tags) THEN request.tags ELSE '[]' END)"
        " UNION ALL SELECT 'role:' || value, request.id FROM request, json_each(CASE WHEN json_valid(request.need) THEN request.need ELSE '{}' END, '$.roles')"
        " UNION ALL SELECT 'backup', request.id FROM request WHERE EXISTS (SELECT 1 FROM due_done d WHERE d.run_id = request.run_id"
        " AND d.digest = request.digest AND d.kind = 'backup')) WHERE of_id = r.id AND r.status = 'open'"
    )
    held = "SELECT facet, urgency, opened_at, id FROM request_facet"
    for one, other, what in ((said, held, "is missing"), (held, said, "is not what the requests say")):
        for facet, _, _, request_id in c.execute(f"{one} EXCEPT {other} LIMIT 20"):
            yield f"request_facet {facet} {request_id}: {what}"
