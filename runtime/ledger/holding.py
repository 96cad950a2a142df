"""Holding the connection: for reading, and for one write, which ends or is undone as a whole.

Plain objects, because a step of a plan takes several of them and a generator costs more than what it guards.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from .trouble import FOREIGN, in_our_words

if TYPE_CHECKING:
    from .store import Store


class Held:
    """The connection, held under the store's lock, with SQLite's errors in our words. One serves all: it keeps nothing of its own."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> sqlite3.Connection:
        self._store.lock.acquire()
        return self._store.connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._store.lock.release()
        if isinstance(error, FOREIGN):
            raise in_our_words(self._store.path, error) from error


class Writing:
    """One write. What the block raises undoes it, and so does what ending it raises."""

    __slots__ = ("_deferred", "_held", "_joined", "_keeping", "_store")

    def __init__(self, store: Store, held: Held, deferred: bool, keeping: bool) -> None:
        self._store, self._held, self._deferred, self._keeping = store, held, deferred, keeping

    def __enter__(self) -> sqlite3.Connection:
        connection = self._held.__enter__()
        try:
            self._joined = self._store.begin_part()
        except BaseException as error:
            self._held.__exit__(type(error), error, error.__traceback__)
            raise
        return connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                try:
                    self._store.end_part(self._joined, deferred=self._deferred, keeping=self._keeping)
                except BaseException:
                    self._store.undo_part(self._joined)
                    raise
            else:
                self._store.undo_part(self._joined)
        except BaseException as later:
            error = later
            raise
        finally:
            self._held.__exit__(kind, error, trace)
