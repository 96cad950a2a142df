"""The tree of a statement, as a whitelist: which kinds of node may stand in a query, and what its tables and loops may be.

The tokens were judged before (`sql_text.py`, `sql.py`), and every call by its written name. The tree answers what tokens cannot: that the
root is a query, that no node of another kind is hidden in it, which names are tables, and whether a recursion or a join has an end in sight.
A kind of node that is not named here escalates, and so does a version of sqlglot that names them otherwise.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from ...schemas.risk import Level, Reason

_NODES = frozenset(
    """Add Alias Aliases All And Any AtIndex AtTimeZone Between BitString BitwiseAnd BitwiseLeftShift BitwiseNot BitwiseOr
    BitwiseRightShift BitwiseXor Boolean Bracket ByteString CTE CharacterSet Column ColumnDef Connect Cube DPipe DataType
    DataTypeParam Distance Distinct Div Dot EQ Escape Except ExtendsLeft ExtendsRight Fetch Filter ForIn From GT GTE Glob Group
    GroupingSets Having HavingMax HexString ILike Identifier IgnoreNulls In IntDiv Intersect Interval IntervalSpan Introducer Is
    JSON JSONColumnDef JSONExtractQuote JSONKeyValue JSONPath JSONPathFilter JSONPathKey JSONPathPart JSONPathRecursive
    JSONPathRoot JSONPathScript JSONPathSelector JSONPathSlice JSONPathSubscript JSONPathUnion JSONPathWildcard JSONSchema
    JSONValue Join Kwarg LT LTE Lambda Lateral Like Limit LimitOptions Literal Match Mod Mul NEQ National Neg NestedJSONSelect
    Not Null NullSafeEQ NullSafeNEQ Offset OnCondition OpenJSONColumnDef Operator Or Order Ordered OverflowTruncateBehavior
    Overlaps Parameter Paren Pivot PivotAlias PivotAny Placeholder Prior PropertyEQ PseudoType Pseudocolumn Qualify RawString
    RespectNulls Rollup Select SessionParameter SimilarTo Slice Sort Star Sub Subquery Table TableAlias TableColumn TableSample
    Tuple UnicodeString Union UnpivotColumns Values Var Where Window WindowSpec With WithinGroup""".split()  # noqa: SIM905 - a list of words, read as prose
)
_NEVER = (exp.NextValueFor,)
_ROOTS = (exp.Select, exp.SetOperation, exp.Values, exp.Subquery)
_PLAIN_TABLE = re.compile(r"[^\W\d][\w $#.-]*|#{1,2}\w+")
_FILE_NAME = re.compile(r"\.(?:csv|tsv|parquet|json|jsonl|ndjson|txt|xlsx?|arrow|orc|avro|db|sqlite3?|gz|zst)$", re.IGNORECASE)
_MOST_STEPS = 1_000_000

logging.getLogger("sqlglot").addHandler(
    logging.NullHandler()
)  # it warns about syntax that it takes for a command; our answer says it


def parse(statement: str, dialect: str) -> exp.Expr | Reason | None:
    """Return the one tree of a statement, `None` when the dialect cannot read it, or a reason when it reads several."""
    try:
        trees = [
            tree for tree in sqlglot.parse(statement, read=dialect) if tree is not None and not isinstance(tree, exp.Semicolon)
        ]
    except SqlglotError:
        return None
    if len(trees) != 1:
        return _no("sql.several", "more than one statement, or none")
    return trees[0]


def judge_tree(tree: exp.Expr, known: frozenset[str]) -> Iterator[Reason]:
    """Yield every reason against taking a tree for a harmless query.

    Args:
        tree: one statement.
        known: the functions that may be called, in lower case. The tokens were held to them; a name that sqlglot does not know is again.
    """
    if not isinstance(tree, _ROOTS):
        yield _no("sql.not_a_query", f"a statement of the kind {type(tree).__name__.upper()} is not known to read only")
        return
    for node in tree.walk():
        kind = type(node).__name__
        if isinstance(node, _NEVER) or (kind not in _NODES and not isinstance(node, exp.Func)):
            yield _no("sql.node", f"{kind} is not known to read only")
        elif isinstance(node, exp.Anonymous | exp.AnonymousAggFunc) and node.name.lower() not in known:
            yield _no("sql.function", f"the function {node.name[:60]} is not known to be harmless")
        elif isinstance(node, exp.Table):
            yield from _table(node)
        elif isinstance(node, exp.CTE):
            yield from _recursion(node)
        elif isinstance(node, exp.Select):
            yield from _cross_joins(node)


def _cross_joins(node: exp.Select) -> Iterator[Reason]:
    """Yield the reason against a query that multiplies one table with itself twice or more and compares no columns."""
    joins = [join for join in node.args.get("joins") or () if not join.args.get("on") and not join.args.get("using")]
    source = node.args.get("from_") or node.args.get("from")
    tables = [each.this for each in (source, *joins) if each is not None and isinstance(each.this, exp.Table)]
    most = max(Counter(table.name.lower() for table in tables).values(), default=0)
    where = node.args.get("where")
    compares = where is not None and any(isinstance(each.expression, exp.Column) for each in where.find_all(exp.EQ))
    if most >= 3 and not compares:
        yield _no("sql.cross_join", "joins a table with itself again and again without a condition", "join on a condition")


def _table(node: exp.Table) -> Iterator[Reason]:
    if len(node.parts) > 3:
        yield _no("sql.remote", "a name of four parts leads to another server")
    for part in node.parts:
        if isinstance(part, exp.Literal):
            yield _no("sql.file", "reads from a text instead of a table, which some databases take for a file")
        elif isinstance(part, exp.Identifier) and (not _PLAIN_TABLE.fullmatch(part.this) or _FILE_NAME.search(part.this)):
            yield _no("sql.file", "reads from a name that looks like a file or an address")
        elif not isinstance(part, exp.Identifier | exp.Func | exp.Dot | exp.Parameter | exp.Placeholder | exp.Star):
            yield _no("sql.node", f"{type(part).__name__} is not known as a table")
        elif isinstance(part, exp.Parameter | exp.Placeholder):
            yield _no("sql.table_unknown", "the table is named by a value that is not known")


def _recursion(node: exp.CTE) -> Iterator[Reason]:
    name = node.alias.lower()
    query = node.this
    if not isinstance(query, exp.SetOperation) or not any(table.name.lower() == name for table in query.find_all(exp.Table)):
        return
    step = query.expression
    if not any(step.find(kind) for kind in (exp.Where, exp.Join, exp.Limit)) and not query.args.get("limit"):
        yield _no("sql.endless", "a recursion without an end", "give the recursive part a WHERE")
    for number in query.find_all(exp.Literal):
        if not number.is_string and _size(number.this) > _MOST_STEPS:
            yield _no("sql.endless", "a recursion with more than a million steps in sight")
            return


def _size(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("inf")


def _no(rule: str, text: str, lower: str = "") -> Reason:
    return Reason(rule=rule, level=Level.HIGH, text=text, lower=lower)
