"""The reference of the ledger's bench: the rows of a batch once more, without deciding anything.

The same tables with the same indexes stand in a schema of their own. What one batch wrote is read
back and made into files and statements beforehand; only the database's own work is timed: one
durable transaction, by LOAD DATA LOCAL or by INSERT of literals, in turn. The faster one counts.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pymysql
from pymysql.cursors import Cursor

from infra.local.mariadb import MariaDb

Row = tuple[Any, ...]
MEANS = ("LOAD DATA LOCAL", "INSERT of literals")
_ID_BYTES = 16
_SCHEMA = "bench_raw"
_TABLES = ("account", "transfer", "outbox", "refusal", "pending", "leg", "shard", "consumer_offset")
_COUNTERS = ("debits_posted", "debits_pending", "credits_posted", "credits_pending")
_ROWS_A_STATEMENT = {"transfer": 2_000, "account": 2_500, "outbox": 3}
_ESCAPES = ((b"\\", b"\\\\"), (b"\t", b"\\t"), (b"\n", b"\\n"), (b"\0", b"\\0"))


class Raw:
    """Repeats what the ledger's batches wrote. `catch_up` first."""

    def __init__(self, server: MariaDb, folder: Path, shard: int = 0) -> None:
        self._folder = folder
        self._shard = shard
        # Tables of its own: two shards' REPLACE would lock each other's gaps, which no writer does.
        self._schema = f"{_SCHEMA}_{shard}"
        self._connection = pymysql.connect(
            host=server.host,
            port=server.port,
            user=server.admin.username,
            password=server.admin.password,
            charset="utf8mb4",
            local_infile=True,
            ssl_ca=server.ca_path,
        )
        self._cursor: Cursor = self._connection.cursor()
        # As the store's own.
        self._cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        self._columns: dict[str, Sequence[str]] = {}
        self._do(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")
        for table in _TABLES:
            self._do(f"CREATE TABLE IF NOT EXISTS {self._schema}.{table} LIKE orion_ledger.{table}")
            self._cursor.execute(f"SELECT * FROM {self._schema}.{table} LIMIT 0")
            self._columns[table] = [column[0] for column in self._cursor.description]
        # An open transaction would keep the other shard's copy from being emptied.
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()

    def catch_up(self) -> None:
        """Begin where the ledger is: its accounts, an empty log."""
        for table in _TABLES:
            self._do(f"TRUNCATE {self._schema}.{table}")
        for table in ("account", "shard", "consumer_offset"):
            self._do(f"INSERT INTO {self._schema}.{table} SELECT * FROM orion_ledger.{table}")

    def seconds(self, means: str, first_number: int, at: datetime) -> float:
        """How long the rows of the batch from `first_number` on, written at `at`, take."""
        moment, shard = at.replace(tzinfo=None), self._shard
        rows = {
            "transfer": self._read(
                f"transfer WHERE shard_no = {shard} AND number >= {first_number}"
            ),
            "outbox": self._read("outbox WHERE created_at = %s ORDER BY seq", moment),
            "account": self._read("account WHERE updated_at = %s ORDER BY id", moment),
        }
        statements = self._files(rows) if means == MEANS[0] else self._literals(rows)
        started = time.perf_counter()
        self._connection.begin()
        for statement in statements:
            self._cursor.execute(statement)
        self._cursor.execute(
            f"UPDATE {self._schema}.shard SET version = version + 1 WHERE shard_no = {shard}"
        )
        self._cursor.execute(
            f"UPDATE {self._schema}.consumer_offset SET next_offset = next_offset + 1"
            f" WHERE partition_no = {shard}"
        )
        self._connection.commit()
        return time.perf_counter() - started

    def bare_commit(self) -> float:
        """The seconds of a durable transaction that changes one row."""
        started = time.perf_counter()
        self._connection.begin()
        self._cursor.execute(
            f"UPDATE {self._schema}.shard SET version = version + 1 WHERE shard_no = {self._shard}"
        )
        self._connection.commit()
        return time.perf_counter() - started

    def _read(self, what: str, *values: object) -> Sequence[Row]:
        self._cursor.execute(f"SELECT * FROM orion_ledger.{what}", values or None)
        return self._cursor.fetchall()

    def _do(self, statement: str) -> None:
        self._cursor.execute(statement)
        self._connection.commit()

    def _files(self, tables: Mapping[str, Sequence[Row]]) -> Sequence[str]:
        statements = []
        for table, rows in tables.items():
            path = self._folder / f"{table}-{self._shard}.tsv"
            path.write_bytes(b"".join(b"\t".join(map(_field, row)) + b"\n" for row in rows))
            replace = " REPLACE" if table == "account" else ""
            statements.append(
                f"LOAD DATA LOCAL INFILE '{path}'{replace} INTO TABLE {self._schema}.{table}"
                f" CHARACTER SET binary ({', '.join(self._columns[table])})"
            )
        return statements

    def _literals(self, tables: Mapping[str, Sequence[Row]]) -> Sequence[str]:
        statements = []
        for table, rows in tables.items():
            columns, chosen, ending = self._columns[table], rows, ""
            into = f"{self._schema}.{table}"
            if table == "account":
                wanted = [columns.index(name) for name in ("id", *_COUNTERS)]
                chosen = [tuple(row[place] for place in wanted) for row in rows]
                columns = ["id", *_COUNTERS]
                moved = ", ".join(f"{name} = VALUES({name})" for name in _COUNTERS)
                ending = f" ON DUPLICATE KEY UPDATE {moved}"
            size = _ROWS_A_STATEMENT[table]
            for start in range(0, len(chosen), size):
                values = ",".join(
                    f"({','.join(map(_literal, row))})" for row in chosen[start : start + size]
                )
                statements.append(
                    f"INSERT INTO {into} ({', '.join(columns)}) VALUES {values}{ending}"
                )
        return statements


def _field(value: object) -> bytes:
    """As LOAD DATA reads it: tab-separated, with backslashes."""
    if value is None:
        return b"\\N"
    if not isinstance(value, bytes):
        return str(value).encode()
    for raw, escaped in _ESCAPES:
        value = value.replace(raw, escaped)
    return value


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'" if len(value) == _ID_BYTES else _quoted(value.decode())
    return _quoted(str(value)) if isinstance(value, str | datetime) else str(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"_binary'{escaped}'"
