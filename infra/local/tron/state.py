"""The chain's state as keys and JSON texts: a durable store below, sessions of changes above it.

Every block's old values are kept until it is solidified, so that a block can be taken back and the
solidified state be read. One SQLite transaction is one block: a kill leaves whole blocks only.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

_TABLES = """
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS undo (key TEXT, height INTEGER, old TEXT, PRIMARY KEY (key, height))
  WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS undo_of_height ON undo (height);
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS pool (position INTEGER PRIMARY KEY, hex TEXT NOT NULL);
"""

Record = dict[str, object]


class View(Protocol):
    """State that can be read."""

    def get(self, key: str) -> str | None:
        """The text under `key`, None when there is none."""
        ...


def load(view: View, key: str) -> Record | None:
    """The JSON object under `key`."""
    found = view.get(key)
    if found is None:
        return None
    record: Record = json.loads(found)
    return record


def dump(record: Mapping[str, object]) -> str:
    """The text to store for `record`."""
    return json.dumps(record, separators=(",", ":"))


class Session:
    """Changes over another view, to be merged into a session below or thrown away."""

    def __init__(self, below: View) -> None:
        self._below = below
        self.changes: dict[str, str | None] = {}

    def get(self, key: str) -> str | None:
        if key in self.changes:
            return self.changes[key]
        return self._below.get(key)

    def put(self, key: str, value: str | None) -> None:
        """Set the text under `key`; None removes it."""
        self.changes[key] = value

    def unwritten(self) -> dict[str, str | None]:
        """All changes from here down to the store."""
        below = self._below.unwritten() if isinstance(self._below, Session) else {}
        return {**below, **self.changes}

    def merge(self, session: "Session") -> None:
        """Take the changes of a session above this one."""
        self.changes.update(session.changes)


class Solidified:
    """The state as it was after block `height`."""

    def __init__(self, store: "Store", height: int) -> None:
        self._store = store
        self._height = height

    def get(self, key: str) -> str | None:
        return self._store.get_at(key, self._height)


class Store:
    """The state on disk. Not for several threads at once."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        self._db.close()

    def get(self, key: str) -> str | None:
        row = self._db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def get_at(self, key: str, height: int) -> str | None:
        """The text under `key` after block `height`, which must not be older than the last
        solidified one.
        """
        row = self._db.execute(
            "SELECT old FROM undo WHERE key = ? AND height > ? ORDER BY height LIMIT 1",
            (key, height),
        ).fetchone()
        if row is None:
            return self.get(key)
        return None if row[0] is None else str(row[0])

    def changed_since(self, height: int) -> list[str]:
        """Keys that blocks above `height` changed."""
        rows = self._db.execute("SELECT DISTINCT key FROM undo WHERE height > ?", (height,))
        return [str(row[0]) for row in rows]

    def scan(self, prefix: str) -> Iterator[tuple[str, str]]:
        """All keys that begin with `prefix`, in order."""
        rows = self._db.execute(
            "SELECT key, value FROM state WHERE key >= ? AND key < ? ORDER BY key",
            (prefix, prefix + "\U0010ffff"),
        )
        for key, value in rows:
            yield str(key), str(value)

    def apply(
        self, height: int, changes: Mapping[str, str | None], pool: list[str], solid: int
    ) -> None:
        """Write block `height` and the pool that it leaves; solidified blocks stay for ever."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for key, value in changes.items():
                self._db.execute("INSERT INTO undo VALUES (?, ?, ?)", (key, height, self.get(key)))
                self._set(key, value)
            self._db.execute("DELETE FROM undo WHERE height <= ?", (solid,))
            self._replace_pool(pool)

    def revert(self, first: int, last: int, pool: list[str]) -> dict[str, str | None]:
        """Take back blocks `last` down to `first`; answers the changes that this made."""
        changes: dict[str, str | None] = {}
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for height in range(last, first - 1, -1):
                rows = self._db.execute("SELECT key, old FROM undo WHERE height = ?", (height,))
                changes.update({str(key): old for key, old in rows.fetchall()})
            for key, value in changes.items():
                self._set(key, value)
            self._db.execute("DELETE FROM undo WHERE height >= ?", (first,))
            self._replace_pool(pool)
        return changes

    def _set(self, key: str, value: str | None) -> None:
        if value is None:
            self._db.execute("DELETE FROM state WHERE key = ?", (key,))
        else:
            self._db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))

    def _replace_pool(self, pool: list[str]) -> None:
        self._db.execute("DELETE FROM pool")
        self._db.executemany("INSERT INTO pool VALUES (?, ?)", enumerate(pool))

    def pool(self) -> list[str]:
        """The waiting transactions as hex, oldest first."""
        return [str(row[0]) for row in self._db.execute("SELECT hex FROM pool ORDER BY position")]

    def add_to_pool(self, transaction: str) -> None:
        """Keep a waiting transaction over a restart."""
        self._db.execute(
            "INSERT INTO pool SELECT COALESCE(MAX(position), -1) + 1, ? FROM pool", (transaction,)
        )

    def setting(self, name: str, default: int) -> int:
        """A number that no fork takes back."""
        row = self._db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return default if row is None else int(row[0])

    def set_setting(self, name: str, value: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))
