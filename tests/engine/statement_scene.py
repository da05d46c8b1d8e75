"""Ledgers of tests about statements: random histories, and what their accounts went through."""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from infra.local.mariadb import MariaDb
from orion.adapters.mysql.ledger_store import MySqlLedgerStore
from orion.adapters.mysql.session import Cursor, Database, MySqlConfig
from orion.ledger.model import AccountKey, Counters, Purpose
from orion.ledger.service import post_partition
from orion.records import Record, canonical_json

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ASSET = "BTC.bitcoin"
CUSTODY = AccountKey("system:bitcoin", Purpose.CUSTODY, ASSET)
TABLES = (
    "transfer", "refusal", "account", "pending", "leg", "held", "outbox", "consumer_offset",
    "entry", "statement_account", "statement_cursor", "bucket_move",
)  # fmt: skip
DIRECT = {
    "deposit_credit": (None, "settling"),
    "deposit_final": ("settling", "available"),
    "deposit_reversal": ("settling", None),
    "deposit_reversal_final": ("available", None),
}


def account(merchant: int, purpose: Purpose = Purpose.AVAILABLE) -> AccountKey:
    """An account of a merchant of tests."""
    return AccountKey(f"merchant:{merchant:032x}", purpose, ASSET)


def database(server: MariaDb, principal: str = "ledger") -> Database:
    """The ledger as a principal reaches it."""
    login = server.credentials(principal)
    return Database(
        MySqlConfig(
            server.host, server.port, login.username, login.password, "orion_ledger", server.ca_pem
        )
    )


@contextmanager
def empty_ledger(server: MariaDb) -> Iterator[Cursor]:
    """An administrator's cursor on a ledger without transfers and with shard 0 only."""

    def empty(cursor: Cursor) -> None:
        for table in TABLES:
            cursor.execute(f"DELETE FROM {table}")
        # What tests of moneyin left would reach the shards here.
        cursor.execute("DELETE FROM orion_moneyin.outbox")
        cursor.execute("DELETE FROM shard WHERE shard_no > 0")
        cursor.execute(
            "UPDATE shard SET next_posted = 1, next_refused = 1, next_leg = 1, version = 0,"
            " last_posted_at = '1970-01-01'"
        )
        cursor.execute("UPDATE bucket SET shard_no = 0, map_version = 1, taken = 1")
        cursor.execute("DELETE FROM shard_map WHERE map_version > 1")
        cursor.connection.commit()

    connection = server.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute("USE orion_ledger")
            empty(cursor)
            connection.autocommit(True)
            yield cursor
            connection.autocommit(False)
            empty(cursor)
    finally:
        connection.close()


def side(merchant: int, purpose: str | None) -> dict[str, str]:
    """One side of a transfer record; no purpose means custody."""
    if purpose is None:
        return {"owner": "system:bitcoin", "purpose": "custody"}
    return {"owner": f"merchant:{merchant:032x}", "purpose": purpose}


def asked(
    name: str, merchant: int, code: str, units: int, kind: str = "direct", pending: str = ""
) -> dict[str, object]:
    """A transfer as its record has it; its id follows from `name`."""
    debit, credit = DIRECT.get(code, ("available", None))
    cause = "chain_final" if kind == "void" else "test"
    body = {
        "id": identity(name),
        "kind": kind,
        "code": code,
        "asset": ASSET,
        "units": str(units),
        "debit": side(merchant, debit),
        "credit": side(merchant, credit),
        "cause": {"type": cause, "name": name},
        "linked": False,
    }
    return body | ({"pending_id": identity(pending)} if pending else {})


def identity(name: str) -> str:
    """32 hexadecimal digits."""
    return sha256(name.encode()).hexdigest()[:32]


def told(offset: int, transfers: Sequence[dict[str, object]], shard: int = 0) -> Record:
    """A record of `ledger.transfers`."""
    body = {"v": 1, "trace_id": identity(f"trace{offset}"), "transfers": list(transfers)}
    return Record("ledger.transfers", shard, offset, b"bucket:0", canonical_json(body))


def every_kind(name: str) -> list[dict[str, object]]:
    """Transfers of two merchants of their own, all accepted, a shortfall among them."""
    made = [asked(f"{name}/in", 8, "deposit_credit", 100)]
    made.append(asked(f"{name}/final", 8, "deposit_final", 100))
    for ending, units in (("post", 4), ("void", 10), ("timeout", 10)):
        made.append(asked(f"{name}/{ending}/out", 8, "payout", 10, "pending"))
        if ending != "timeout":
            made.append(
                asked(f"{name}/{ending}/signed", 8, "payout", 10, "signed", f"{name}/{ending}/out")
            )
        made.append(asked(f"{name}/{ending}", 8, "payout", units, ending, f"{name}/{ending}/out"))
    made.append(asked(f"{name}/little", 9, "deposit_credit", 30))
    return [*made, asked(f"{name}/much", 9, "deposit_reversal", 40)]


@dataclass
class History:
    """A random but reproducible ledger, posted batch by batch, a second apart."""

    server: MariaDb
    seed: int
    offset: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - a history, not a secret
        self.store = MySqlLedgerStore(database(self.server))
        self.open: list[tuple[str, int, int]] = []

    def batch(self, size: int) -> None:
        """Post `size` random transfers behind one of each kind; some are refused, some are carried
        out in two entries.
        """
        transfers = every_kind(f"{self.seed}/{self.offset}")
        transfers += [self._next(place) for place in range(size)]
        now = NOON + timedelta(seconds=self.offset)
        post_partition(self.store, [told(self.offset, transfers)], now)
        self.offset += 1

    def _next(self, place: int) -> dict[str, object]:
        draw, name = self.random, f"{self.seed}/{self.offset}/{place}"
        merchant = draw.randrange(3)
        choice = draw.randrange(10)
        if choice < 5 or (choice >= 7 and not self.open):
            code = draw.choice(["deposit_credit", "deposit_final"] * 3 + sorted(DIRECT))
            # One merchant is rich beyond any shortfall, the others often owe.
            return asked(name, merchant, code, draw.choice([1, 7, 40] if merchant else [7, 2**100]))
        if choice < 7:
            units = draw.randrange(1, 50)
            self.open.append((name, merchant, units))
            return asked(name, merchant, "payout", units, "pending")
        pending, merchant, units = draw.choice(self.open)
        kind = draw.choice(["signed", "post", "void", "timeout"])
        moved = draw.randrange(1, units + 1) if kind == "post" else units
        return asked(name, merchant, "payout", moved, kind, pending)


def recomputed(cursor: Cursor) -> dict[bytes, list[tuple[Any, ...]]]:
    """What each account went through, from the log alone and one transfer after the other:
    (posted_at, shard, number, position, side, kind, units, four counters).
    """
    cursor.execute(
        "SELECT posted_at, shard_no, number, position, id, kind, pending_id, debit_account,"
        " credit_account, units FROM transfer ORDER BY posted_at, shard_no, number, position"
    )
    rows = cursor.fetchall()
    units_of = {row[4]: int(row[9]) for row in rows}
    reached: dict[bytes, Counters] = defaultdict(Counters)
    found: dict[bytes, list[tuple[Any, ...]]] = defaultdict(list)
    for posted_at, shard, number, position, _, kind, pending_id, debit, credit, units in rows:
        if kind == "signed":
            continue
        posted = int(units) if kind in {"direct", "post"} else 0
        pending = int(units) if kind == "pending" else 0
        if kind in {"post", "void", "timeout"}:
            pending = -units_of[pending_id]
        for identity_, word in ((debit, "debit"), (credit, "credit")):
            was = reached[identity_]
            now = (
                was._replace(
                    debits_posted=was.debits_posted + posted,
                    debits_pending=was.debits_pending + pending,
                )
                if word == "debit"
                else was._replace(
                    credits_posted=was.credits_posted + posted,
                    credits_pending=was.credits_pending + pending,
                )
            )
            reached[identity_] = now
            found[identity_].append(
                (posted_at, shard, number, position, word, kind, int(units), *now)
            )
    return dict(found)


def entered(cursor: Cursor) -> dict[bytes, list[tuple[Any, ...]]]:
    """The same as the follower has entered it."""
    cursor.execute(
        "SELECT account, posted_at, shard_no, number, position, side, kind, units, debits_posted,"
        " debits_pending, credits_posted, credits_pending FROM entry"
        " ORDER BY account, posted_at, shard_no, number, position"
    )
    found: dict[bytes, list[tuple[Any, ...]]] = defaultdict(list)
    for identity_, *place, units, debits, dpending, credits_, cpending in cursor.fetchall():
        sums = (int(units), int(debits), int(dpending), int(credits_), int(cpending))
        found[identity_].append((*place, *sums))
    return dict(found)


def counters(cursor: Cursor, table: str, key: str) -> dict[bytes, tuple[int, ...]]:
    """All accounts' counters as a table keeps them."""
    cursor.execute(
        f"SELECT {key}, debits_posted, debits_pending, credits_posted, credits_pending FROM {table}"
    )
    return {row[0]: tuple(int(value) for value in row[1:]) for row in cursor.fetchall()}
