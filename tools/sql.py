"""sql: one statement on a database inside the workspace, in one transaction.

Rules:
- What the text shows to be a read is opened read-only; everything else runs between BEGIN IMMEDIATE and COMMIT, and any error rolls back.
- One statement, parameters bound, a time limit, no ATTACH, no extension, no setting that weakens the database.
- A database is made only by a CREATE; a file that a failed CREATE made is removed again.
- A lock that does not go away means `not_started`: BEGIN was refused, so nothing happened.
- Rows beyond the first 50 are kept by their digest.

What happened to a missing receipt: the schema tells for CREATE, ALTER and DROP; a read may be repeated; for other writes only a person can.
Source: DESIGN §6, reliability notes d.2. Deliberately no undo of its own (the plan writes one; `undo_verified` looks whether it worked), and
no engine but SQLite here: `ENGINES` is the seam for others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from ..schemas.dispatch import EffectClass, Effects, Receipt
from . import statement
from .engine import ENGINES, Engine, EngineError
from .output import SMALL_BYTES, plain
from .tool import Arguments, Found, Place, Preview, ToolRefused

FIRST_ROWS = 50
Scalar = str | int | float | bool | None


class SqlArguments(Arguments):
    """A statement and the database that it is for."""

    database: str = Field(min_length=1, description="For SQLite a path inside the workspace.")
    statement: str = Field(min_length=1, description="One statement.")
    parameters: list[Scalar] | dict[str, Scalar] | None = Field(
        default=None, description="Bound, never pasted: a list for ?, a mapping for :name."
    )
    dialect: str | None = Field(default=None, description="sqlite where it is not given.")

    @field_validator("statement")
    @classmethod
    def _is_text(cls, text: str) -> str:
        if "\0" in text:
            raise ValueError("text without NUL characters")
        return text


class Sql:
    """Runs one SQL statement."""

    name: ClassVar[str] = "sql"
    Arguments: ClassVar[type[Arguments]] = SqlArguments
    atomic: ClassVar[bool] = True

    def actions(self, args: SqlArguments) -> Sequence[tuple[str, Any]]:
        """Return the statement, and the file that it reads or changes."""
        if statement.kind(args.statement) == "read":
            return [("sql", args.statement), ("file_read", args.database)]
        return [("sql", args.statement), ("file_write", {"path": args.database, "content": "", "operation": "sql"})]

    def effects(self, args: SqlArguments) -> Effects:
        """Return whether it writes, and whether what it takes away is gone."""
        return Effects(
            reads=True, writes=statement.kind(args.statement) != "read", irreversible=statement.destroys(args.statement)
        )

    def effect_class(self, args: SqlArguments) -> EffectClass:
        """Return conditional for reads, readable for changes of the schema, opaque for the rest."""
        kinds = {"read": EffectClass.CONDITIONAL, "schema": EffectClass.READABLE}
        return kinds.get(statement.kind(args.statement), EffectClass.OPAQUE)

    def preview(self, args: SqlArguments, place: Place) -> Preview:
        """Show the whole statement and its parameters."""
        verb = {"read": "query", "schema": "change the schema of", "write": "change rows of"}[statement.kind(args.statement)]
        first = args.statement.strip().splitlines()[0] if args.statement.strip() else ""
        detail = args.statement
        if args.parameters:
            detail += "\nparameters: " + json.dumps(args.parameters, ensure_ascii=False)
        return Preview(headline=f"{verb} {args.database}: {first}", detail=detail)

    def prepare(self, args: SqlArguments, place: Place) -> dict[str, Any]:
        """Note the schema, and the row count of the table where that is cheap. Raises: ToolRefused: another dialect, or not a database here."""
        engine = _engine(args)
        is_there = engine.exists(place, args.database)
        kind = statement.kind(args.statement)
        if not is_there and not statement.creates(args.statement):
            raise ToolRefused(f"there is no database {args.database!r}; only a CREATE makes one", rule="sql.missing")
        if kind == "read":
            return {}
        noted: dict[str, Any] = {
            "existed": is_there,
            "schema": statement.EMPTY,
            "table": statement.table(args.statement),
            "rows": None,
        }
        if is_there:
            try:
                noted["schema"], noted["rows"] = _state(engine, place, args.database, noted["table"])
            except EngineError:
                noted["schema"] = None  # locked or unreadable now: the call itself says so, and looking later cannot tell
        return noted

    def run(self, args: SqlArguments, place: Place, *, key: str, before: Mapping[str, Any]) -> Receipt:
        """Run it in one transaction and read what comes back."""
        try:
            return _run(args, place, before)
        except ToolRefused as refusal:
            return Receipt(status="not_started", summary=refusal.reason, before=dict(before))
        except EngineError as error:
            return Receipt(status=error.status, summary=str(error), before=dict(before))

    def can_undo(self, args: SqlArguments) -> bool:
        """Return false: the plan writes the statement that takes it back."""
        return False

    def undo(self, args: SqlArguments, place: Place, *, key: str, receipt: Receipt) -> Receipt:
        """Return that nothing was done."""
        return Receipt(status="not_started", summary="a statement is taken back by a written undo only")

    def probe(
        self, args: SqlArguments, place: Place, *, key: str, before: Mapping[str, Any], direction: Literal["do", "undo"]
    ) -> Found:
        """Compare the schema with the one before; rows do not tell."""
        kind = statement.kind(args.statement)
        if kind == "read":
            return "did_not_happen"
        if kind != "schema" or before.get("schema") is None:
            return "unknown"
        try:
            engine = _engine(args)
            now = _state(engine, place, args.database, "")[0] if engine.exists(place, args.database) else statement.EMPTY
        except (ToolRefused, EngineError, OSError):
            return "unknown"
        return "did_not_happen" if now == before["schema"] else "happened"

    def recover(
        self, args: SqlArguments, place: Place, *, key: str, before: Mapping[str, Any], direction: Literal["do", "undo"]
    ) -> Receipt | None:
        """Rebuild the receipt of a change of the schema that is there."""
        if self.probe(args, place, key=key, before=before, direction=direction) != "happened":
            return None
        return Receipt(
            status="done",
            summary="the schema has changed: found done",
            output={"columns": [], "rows": [], "row_count": 0},
            before=dict(before),
        )

    def restored(self, args: SqlArguments, place: Place, *, before: Mapping[str, Any]) -> bool | None:
        """Compare schema and row count with what was noted before the step."""
        return undo_verified(before, place, args)


def undo_verified(before: Mapping[str, Any], place: Place, args: SqlArguments) -> bool | None:
    """Tell, after a written undo of `args` ran, whether the database is as `before` notes it.

    Returns:
        True or false where schema and row count (as far as noted) tell; None when the database cannot be read or nothing was noted.
    """
    if before.get("schema") is None:
        return None
    try:
        engine = _engine(args)
        if not engine.exists(place, args.database):
            return bool(before["schema"] == statement.EMPTY)
        schema, rows = _state(engine, place, args.database, before.get("table", ""))
    except (ToolRefused, EngineError, OSError):
        return None
    if schema != before["schema"]:
        return False
    return before.get("rows") is None or rows == before["rows"]


def _run(args: SqlArguments, place: Place, before: Mapping[str, Any]) -> Receipt:
    engine = _engine(args)
    kind = statement.kind(args.statement)
    with engine.connect(
        place, args.database, writes=kind != "read", may_create=statement.creates(args.statement), time_s=place.limits.time_s
    ) as session:
        result = session.execute(args.statement, args.parameters, most_bytes=place.limits.output_bytes)
    rows = [plain(row) for row in result.rows]
    output: dict[str, Any] = {
        "columns": list(result.columns),
        "rows": rows[:FIRST_ROWS],
        "row_count": len(rows),
        "rowcount": result.changed,
        "elapsed_ms": round(result.elapsed_s * 1000, 3),
    }
    if result.was_cut:
        output["cut"] = True
    if rows and rows[0] and isinstance(rows[0][0], int | float) and not isinstance(rows[0][0], bool):
        output["value"] = rows[0][0]
    whole = json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode() if rows else b""
    kept = ""
    if len(rows) > FIRST_ROWS or len(whole) > SMALL_BYTES:
        kept = place.keep.put(whole)
        output["rows"] = _fitting(output["rows"])
    summary = (
        f"{len(rows)} rows" + (" and more, cut at the limit" if result.was_cut else "")
        if result.columns
        else f"{result.changed} rows changed"
    )
    return Receipt(
        status="done",
        summary=f"{summary if kind != 'schema' else 'schema changed'} in {output['elapsed_ms']:.1f} ms",
        output=output,
        output_ref=kept,
        before=dict(before),
    )


def _fitting(rows: list[Any]) -> list[Any]:
    """Return as many first rows as fit a receipt."""
    size = 0
    for count, row in enumerate(rows):
        size += len(json.dumps(row, ensure_ascii=False))
        if size > SMALL_BYTES:
            return rows[:count]
    return rows


def _engine(args: SqlArguments) -> Engine:
    dialect = (args.dialect or "sqlite").lower()
    if dialect not in ENGINES:
        raise ToolRefused(
            f"no engine for the dialect {dialect!r} is installed; it would come with the extra `assent[{dialect}]`. Installed: {', '.join(ENGINES)}",
            rule="sql.dialect",
        )
    return ENGINES[dialect]


def _state(engine: Engine, place: Place, database: str, table: str) -> tuple[str, int | None]:
    with engine.connect(place, database, writes=False, may_create=False, time_s=place.limits.time_s) as session:
        return session.schema(), session.count(table) if table else None
