"""moneyin's store on MySQL: transactions, windows, staged parts, address pool and outbox."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from orion.adapters.mysql import outbox
from orion.adapters.mysql.fence import fresh
from orion.adapters.mysql.moneyin_deposits import DepositRows
from orion.adapters.mysql.moneyin_wallets import WalletRows
from orion.adapters.mysql.session import Cursor, Database
from orion.chains.blocks import Transfer
from orion.moneyin.events import BlockRef, read_transfer, transfer_body
from orion.moneyin.messages import Message
from orion.moneyin.model import Watched
from orion.moneyin.ports import Unit
from orion.moneyin.window import Window, window_change
from orion.records import Record

T = TypeVar("T")

MAX_IN = 1_000


class MySqlMoneyIn:
    """The port Store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def once(self, records: Sequence[Record], work: Callable[[Unit, Sequence[Record]], T]) -> T:
        return self._database.run(lambda cursor: work(MySqlUnit(cursor), fresh(cursor, records)))

    def run(self, work: Callable[[Unit], T]) -> T:
        return self._database.run(lambda cursor: work(MySqlUnit(cursor)))


def _chunks(values: Collection[T]) -> Iterator[Sequence[T]]:
    listed = list(values)
    for start in range(0, len(listed), MAX_IN):
        yield listed[start : start + MAX_IN]


def _marks(values: Sequence[object]) -> str:
    return ",".join(["%s"] * len(values))


class MySqlUnit(DepositRows, WalletRows):
    """The port Unit on the cursor of one open transaction."""

    def __init__(self, cursor: Cursor) -> None:
        DepositRows.__init__(self, cursor)
        WalletRows.__init__(self, cursor)
        self._cursor = cursor

    def deciding_node(self, chain: str, node: str) -> str:
        self._cursor.execute(
            "INSERT INTO chain_head (chain, node) VALUES (%s, %s)"
            " ON DUPLICATE KEY UPDATE node = chain_head.node",
            (chain, node),
        )
        self._cursor.execute("SELECT node FROM chain_head WHERE chain = %s FOR UPDATE", (chain,))
        return str(self._one()[0])

    def window(self, chain: str, node: str) -> Window:
        self._cursor.execute(
            "SELECT height, block_hash, parent FROM chain_block"
            " WHERE chain = %s AND node = %s ORDER BY height",
            (chain, node),
        )
        return Window(tuple(BlockRef(*row) for row in self._cursor.fetchall()))

    def save_window(self, chain: str, node: str, before: Window, after: Window) -> None:
        if before == after:
            return
        change = window_change(before, after)
        self._cursor.execute(
            "DELETE FROM chain_block WHERE chain = %s AND node = %s"
            " AND (height < %s OR height > %s)",
            (chain, node, change.first, change.common),
        )
        self._cursor.executemany(
            "INSERT INTO chain_block (chain, node, height, block_hash, parent)"
            " VALUES (%s, %s, %s, %s, %s)",
            [(chain, node, b.height, b.hash, b.parent) for b in change.added],
        )
        tip = after.tip
        self._cursor.execute(
            "INSERT INTO chain_cursor (chain, node, tip_height, tip_hash) VALUES (%s, %s, %s, %s)"
            " ON DUPLICATE KEY UPDATE tip_height = VALUES(tip_height), tip_hash = VALUES(tip_hash)",
            (chain, node, tip.height if tip else None, tip.hash if tip else None),
        )

    def resume_sent_at(self, chain: str, node: str) -> datetime | None:
        self._cursor.execute(
            "SELECT resume_sent_at FROM chain_cursor WHERE chain = %s AND node = %s", (chain, node)
        )
        row = self._cursor.fetchone()
        return row[0].replace(tzinfo=UTC) if row and row[0] else None

    def set_resume_sent(self, chain: str, node: str, at: datetime | None) -> None:
        self._cursor.execute(
            "INSERT INTO chain_cursor (chain, node, resume_sent_at) VALUES (%s, %s, %s)"
            " ON DUPLICATE KEY UPDATE resume_sent_at = VALUES(resume_sent_at)",
            (chain, node, at.replace(tzinfo=None) if at else None),
        )

    def stage(
        self, chain: str, node: str, block_hash: str, part: int, transfers: Sequence[Transfer]
    ) -> None:
        text = json.dumps({"transfers": [transfer_body(t) for t in transfers]})
        self._cursor.execute(
            "INSERT INTO staged_part (chain, node, block_hash, part, transfers)"
            " VALUES (%s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE transfers = VALUES(transfers)",
            (chain, node, block_hash, part, text),
        )

    def staged(self, chain: str, node: str, block_hash: str) -> Mapping[int, Sequence[Transfer]]:
        self._cursor.execute(
            "SELECT part, transfers FROM staged_part"
            " WHERE chain = %s AND node = %s AND block_hash = %s",
            (chain, node, block_hash),
        )
        return {
            int(part): [read_transfer(row) for row in json.loads(text)["transfers"]]
            for part, text in self._cursor.fetchall()
        }

    def drop_staged(self, chain: str, node: str) -> None:
        self._cursor.execute(
            "DELETE FROM staged_part WHERE chain = %s AND node = %s", (chain, node)
        )

    def watched(self, chain: str, addresses: Collection[str]) -> Mapping[str, Watched]:
        found: dict[str, Watched] = {}
        for chunk in _chunks(addresses):
            self._cursor.execute(
                "SELECT a.address, a.group_no, a.wallet_index, w.merchant_id, w.invoice_id"  # noqa: S608
                " FROM address a JOIN wallet w"
                " ON w.group_no = a.group_no AND w.wallet_index = a.wallet_index"
                f" WHERE a.chain = %s AND a.address IN ({_marks(chunk)})",
                (chain, *chunk),
            )
            for address, *place in self._cursor.fetchall():
                found[str(address)] = Watched(*place)
        return found

    def emit(self, messages: Sequence[Message], now: datetime) -> None:
        outbox.append(
            self._cursor,
            [outbox.kafka_row(m.topic, m.key, m.body, m.event_id) for m in messages],
            now,
        )

    def _one(self) -> tuple[object, ...]:
        row = self._cursor.fetchone()
        if row is None:
            raise LookupError("a row that a migration or this transaction wrote is missing")
        return row
