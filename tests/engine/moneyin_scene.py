"""A partition of blocks before a real database, and what the worker behind it left there."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from orion.adapters.mysql.moneyin import MySqlMoneyIn
from orion.adapters.mysql.session import Database, MySqlConfig
from orion.moneyin.policy import read_policy
from orion.moneyin.service import MoneyIn
from orion.records import Record, canonical_json

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TRACE = "ab" * 16
USDT = "0x" + "11" * 20
OURS, SECOND, FREE = "0x" + "aa" * 20, "0x" + "bb" * 20, "0x" + "cc" * 20
MERCHANT, INVOICE = b"m" * 16, b"i" * 16
POLICY = read_policy(
    {"ethereum": "31337"},
    {"ethereum": {"settled": 2, "final": 3}},
    {"USDT.ethereum": USDT.upper().replace("0X", "0x")},
)
TABLES = (
    "outbox",
    "consumer_offset",
    "wallet",
    "address",
    "chain_head",
    "chain_block",
    "chain_cursor",
    "staged_part",
    "deposit",
    "deposit_history",
)

Event = dict[str, Any]


def config_of(host: str, port: int, user: str, password: str, ca_pem: str) -> MySqlConfig:
    return MySqlConfig(host, port, user, password, "orion_moneyin", ca_pem)


def emptied(mysql_admin: Any) -> MySqlConfig:
    """The module's own user on emptied tables, with two wallets of an invoice and a free one."""
    login = mysql_admin.credentials("moneyin")
    found = config_of(
        mysql_admin.host, mysql_admin.port, login.username, login.password, mysql_admin.ca_pem
    )
    database = Database(found)
    with database.transaction() as cursor:
        for table in TABLES:
            cursor.execute(f"DELETE FROM {table}")
        cursor.execute(
            "INSERT INTO wallet VALUES (0, 0, 'assigned', %s, %s, UTC_TIMESTAMP(6)),"
            " (0, 1, 'assigned', %s, %s, UTC_TIMESTAMP(6)), (0, 2, 'free', NULL, NULL, NULL)",
            (MERCHANT, INVOICE, MERCHANT, b"j" * 16),
        )
        cursor.execute(
            "INSERT INTO address VALUES ('ethereum', %s, 0, 0), ('ethereum', %s, 0, 1),"
            " ('ethereum', %s, 0, 2)",
            (OURS, SECOND, FREE),
        )
    database.close()
    return found


class World:
    """One partition of `chain.blocks.ethereum` and the worker behind it."""

    def __init__(self, config: MySqlConfig) -> None:
        self.database = Database(config)
        self.service = MoneyIn(MySqlMoneyIn(self.database), POLICY)
        self.offset = 0
        self.log: list[Record] = []

    def records(self, *events: Event) -> list[Record]:
        fresh = []
        for event in events:
            fresh.append(
                Record("chain.blocks.ethereum", 0, self.offset, b"n", canonical_json(event))
            )
            self.offset += 1
        self.log += fresh
        return fresh

    def tell(self, *events: Event, now: datetime = NOW) -> int:
        return self.service.blocks(self.records(*events), now)

    def ask(self, sql: str, *values: object) -> Sequence[tuple[Any, ...]]:
        with self.database.transaction() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall()

    def sent(self, topic: str) -> list[Event]:
        rows = self.ask(
            "SELECT payload FROM outbox WHERE destination = %s ORDER BY seq", f"kafka:{topic}"
        )
        return [json.loads(payload) for (payload,) in rows]

    def transfers(self) -> list[tuple[str, int]]:
        return [
            (t["code"], t["cause"]["credit_epoch"])
            for record in self.sent("ledger.transfers")
            for t in record["transfers"]
        ]

    def states(self) -> list[tuple[str, int, int]]:
        return [
            (d["state"], d["confirmations"], d["credit_epoch"])
            for d in self.sent("moneyin.deposits")
        ]

    def window(self) -> list[str]:
        rows = self.ask("SELECT block_hash FROM chain_block ORDER BY node, height")
        return [row[0] for row in rows]


def pay(txid: str, units: int = 5, to: str = OURS, **more: Any) -> Event:
    transfer = {"txid": txid, "position": "call:", "contract": None, "from": "0xs", "to": to}
    return transfer | {"units": str(units)} | more


def block(height: int, name: str, parent: str, *transfers: Event, **more: Any) -> Event:
    event: Event = {"v": 1, "trace_id": TRACE, "kind": "connected", "chain": "ethereum"}
    event |= {"network": "31337", "node": "ethereum-1", "height": height, "hash": name}
    event |= {"parent": parent, "time": 1_700_000_000 + height, "part": 0, "parts": 1}
    return event | {"transfers": list(transfers)} | more


def gone(height: int, name: str, parent: str) -> Event:
    event = block(height, name, parent) | {"kind": "disconnected"}
    return {
        name: v for name, v in event.items() if name not in ("part", "parts", "transfers", "time")
    }
