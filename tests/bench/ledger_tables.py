"""Which physical design of the transfer log, and which way of inserting, keeps batches of 8,000
fast?

Starts a private MariaDB that is durable (binlog and redo log flushed at every commit) and times
whole transactions. LOAD DATA of the same rows into the same table is the reference of each,
measured in the same run. Run: `make bench BENCH=ledger_tables`.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pymysql
from pymysql.cursors import Cursor

from tests.bench.figures import Figure, progress

BATCH_ROWS = 8_000
BATCHES = 12
READY_TIMEOUT_S = 20
MERCHANTS = 1_000

_COLUMNS = """
  shard_no SMALLINT UNSIGNED NOT NULL,
  number BIGINT UNSIGNED NOT NULL,
  position SMALLINT UNSIGNED NOT NULL,
  id BINARY(16) NOT NULL,
  digest BINARY(16) NOT NULL,
  kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  code VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  debit_account BINARY(16) NOT NULL,
  credit_account BINARY(16) NOT NULL,
  units DECIMAL(39,0) NOT NULL,
  cause VARBINARY(512) NOT NULL,
  trace_id BINARY(16) NOT NULL,
  posted_at DATETIME(6) NOT NULL,
"""
DESIGNS = {
    "log order, unique id": "PRIMARY KEY (shard_no, number, position), UNIQUE KEY id (id)",
    "log order, unique id, two statement indexes": (
        "PRIMARY KEY (shard_no, number, position), UNIQUE KEY id (id),"
        " KEY debit (debit_account, number, position),"
        " KEY credit (credit_account, number, position)"
    ),
    "clustered by id, two statement indexes": (
        "PRIMARY KEY (id), KEY debit (debit_account, number, position),"
        " KEY credit (credit_account, number, position)"
    ),
}
_NAMES = (
    "shard_no, number, position, id, digest, kind, code, debit_account, credit_account, units,"
    " cause, trace_id, posted_at"
)
_BINARY = frozenset({3, 4, 7, 8, 10, 11})

Row = tuple[int | str | bytes, ...]
Insert = Callable[[Cursor, Sequence[Row], Path], None]


def multi_row(cursor: Cursor, rows: Sequence[Row], _folder: Path) -> None:
    """The driver quotes every value into one INSERT."""
    cursor.executemany(
        f"INSERT INTO transfer ({_NAMES}) VALUES (%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s)", rows
    )


def hex_literals(cursor: Cursor, rows: Sequence[Row], _folder: Path) -> None:
    """One INSERT of literals that need no quoting: bytes as x'…', numbers, ASCII words."""
    values = ",".join(f"({','.join(_literal(value) for value in row)})" for row in rows)
    cursor.execute(f"INSERT INTO transfer ({_NAMES}) VALUES {values}")


def json_table(cursor: Cursor, rows: Sequence[Row], _folder: Path) -> None:
    """One JSON parameter, unpacked by the server."""
    document = json.dumps(
        [
            [_hex(value) if place in _BINARY else value for place, value in enumerate(r)]
            for r in rows
        ]
    )
    fields = ", ".join(f"c{place} VARCHAR(1024) PATH '$[{place}]'" for place in range(13))
    chosen = ", ".join(f"UNHEX(c{p})" if p in _BINARY else f"c{p}" for p in range(13))
    cursor.execute(
        f"INSERT INTO transfer ({_NAMES}) SELECT {chosen} FROM"
        f" JSON_TABLE(%s, '$[*]' COLUMNS ({fields})) AS batch",
        (document,),
    )


def load_data(cursor: Cursor, rows: Sequence[Row], folder: Path) -> None:
    """A file of tab-separated values; bytes as hexadecimal digits."""
    path = folder / "rows.tsv"
    path.write_text(
        "".join(
            "\t".join(_hex(v) if p in _BINARY else str(v) for p, v in enumerate(r)) + "\n"
            for r in rows
        )
    )
    fields = ", ".join(
        f"@c{p}" if p in _BINARY else name for p, name in enumerate(_NAMES.split(", "))
    )
    unhexed = ", ".join(
        f"{name} = UNHEX(@c{p})" for p, name in enumerate(_NAMES.split(", ")) if p in _BINARY
    )
    cursor.execute(
        f"LOAD DATA LOCAL INFILE %s INTO TABLE transfer ({fields}) SET {unhexed}", (path,)
    )


REFERENCE = "LOAD DATA LOCAL"
MEANS: dict[str, Insert] = {
    REFERENCE: load_data,
    "multi-row INSERT": multi_row,
    "INSERT of hex literals": hex_literals,
    "JSON_TABLE": json_table,
}


def _literal(value: int | str | bytes) -> str:
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    return str(value) if isinstance(value, int) else f"'{value}'"


def _hex(value: int | str | bytes) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _rows(number: int) -> list[Row]:
    custody = hashlib.sha256(b"custody").digest()[:16]
    posted_at = "2026-01-01 00:00:00.000000"
    found: list[Row] = []
    for position in range(BATCH_ROWS):
        merchant = hashlib.sha256(b"%d" % secrets.randbelow(MERCHANTS)).digest()[:16]
        identity = secrets.token_bytes(16)
        cause = b'{"credit_epoch":0,"deposit_id":"%s","type":"deposit"}' % identity.hex().encode()
        found.append(
            (
                0, number, position, identity, secrets.token_bytes(16), "direct",
                "deposit_credit", custody, merchant, secrets.randbelow(2**64) + 1, cause,
                secrets.token_bytes(16), posted_at,
            )
        )  # fmt: skip
    return found


@contextmanager
def _mariadb(folder: Path) -> Iterator[pymysql.Connection[Cursor]]:
    data, socket = folder / "data", folder / "s.sock"
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db",
         "--auth-root-authentication-method=normal"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    server = subprocess.Popen(
        ["mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={socket}",
         "--skip-networking", "--log-bin=bin", "--binlog-format=ROW", "--sync-binlog=1",
         "--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=1G",
         "--innodb-log-file-size=512M", "--max-allowed-packet=64M", "--local-infile=1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not socket.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        connection = pymysql.connect(unix_socket=str(socket), user="root", local_infile=True)
        with connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE bench")
            cursor.execute("USE bench")
        yield connection
        connection.close()
    finally:
        server.terminate()
        server.wait(timeout=READY_TIMEOUT_S)


def _rate(connection: pymysql.Connection[Cursor], keys: str, insert: Insert, folder: Path) -> float:
    """Rows per second of the median durable transaction, client-side work included."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS transfer")
        cursor.execute(f"CREATE TABLE transfer ({_COLUMNS} {keys}) ENGINE=InnoDB")
        connection.commit()
        spent_s = []
        for number in range(BATCHES):
            rows = _rows(number)
            started = time.perf_counter()
            connection.begin()
            insert(cursor, rows, folder)
            connection.commit()
            spent_s.append(time.perf_counter() - started)
    return BATCH_ROWS / statistics.median(spent_s)


def main() -> None:
    """Every design with every means."""
    with tempfile.TemporaryDirectory() as name, _mariadb(Path(name)) as connection:
        for design, keys in DESIGNS.items():
            reference = 0.0
            for means, insert in MEANS.items():
                progress("ledger_tables", f"{design}, {means}")
                rate = _rate(connection, keys, insert, Path(name))
                reference = rate if means == REFERENCE else reference
                Figure(
                    "ledger_tables",
                    f"{design}; {means}; batch {BATCH_ROWS}",
                    "rows_per_s",
                    rate,
                    "1/s",
                    reference,
                    "LOAD DATA LOCAL of as many rows into the same table, same run",
                ).show()
