"""Reading rows: what SQLite returns and our nouns cannot be built from was damaged or changed behind our back, and is called that.

Rule: an error of reading is a `StoreCorrupt` with the remedy, never a bare `ValueError` out of the middle of a transaction. SQLite's own check
of the file sees its structure only; a changed byte inside a value is seen here, by a plan's digest, by the chain of the log, or by `verify`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ...schemas.errors import StoreCorrupt

REMEDY = "`assent doctor` names the last good backup; `assent backup --restore FILE` puts it back"
_P = ParamSpec("_P")
_T = TypeVar("_T")


def decoding(read: Callable[_P, _T]) -> Callable[_P, _T]:
    """Let a function that builds a noun from a row say that the row is damaged when it cannot."""

    @functools.wraps(read)
    def decoded(*given: _P.args, **more: _P.kwargs) -> _T:
        try:
            return read(*given, **more)
        except (ValueError, TypeError, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise StoreCorrupt(f"a row of the ledger cannot be read: {reason}", hint=REMEDY) from error

    return decoded
