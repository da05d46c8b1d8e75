"""The check of balances on MySQL: runs and commands in its own schema, what it compares read from
moneyin's and the ledger's.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

from orion.adapters.mysql import outbox
from orion.adapters.mysql.balance_books import read_books
from orion.adapters.mysql.balance_places import next_places
from orion.adapters.mysql.session import Cursor, Database
from orion.log.balances.model import BY_OUTPUT, AssetBooks, Page
from orion.log.balances.ports import ChainCheck, Places
from orion.log.node_commands.command import COMMANDS_TOPIC, NodeCommand
from orion.records import canonical_json, parse_object

_KEPT = timedelta(days=90)
_FORGOTTEN_AT_ONCE = 2_000
_CHECK = (
    "SELECT chain, node, height, block_hash, pages, after_place, asked_all, deadline, done"
    " FROM balance_check WHERE run_id = %s"
)


class MySqlBalanceStore:
    """The port BalanceStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self, run: bytes, finals: Mapping[str, int], deadline: datetime
    ) -> Sequence[ChainCheck]:
        """As the port says."""
        return self._database.run(lambda cursor: _begin(cursor, run, finals, deadline))

    def unanswered(self, run: bytes, chain: str, now: datetime) -> int:
        """As the port says."""

        def work(cursor: Cursor) -> int:
            cursor.execute(
                "SELECT COUNT(*) FROM node_command WHERE subject = %s AND chain = %s"
                " AND outcome IS NULL AND expires_at > %s",
                (run, chain, now.replace(tzinfo=None)),
            )
            row = cursor.fetchone()
            return int(row[0]) if row else 0

        return self._database.run(work)

    def places(self, check: ChainCheck) -> Places:
        """As the port says."""
        return self._database.run(lambda cursor: next_places(cursor, check))

    def ask(
        self,
        check: ChainCheck,
        run: bytes,
        command: NodeCommand,
        places: Places,
        signature: bytes,
        now: datetime,
    ) -> bool:
        """As the port says."""

        def work(cursor: Cursor) -> bool:
            moved = cursor.execute(
                "UPDATE balance_check SET pages = pages + 1, after_place = %s"
                " WHERE run_id = %s AND chain = %s AND pages = %s AND asked_all = 0 AND done = 0",
                (places.after, run, check.chain, check.pages),
            )
            if moved != 1:
                return False
            _insert(cursor, check, run, command, places, now)
            row = outbox.kafka_row(
                COMMANDS_TOPIC, command.node, command.signed(signature), command.id
            )
            outbox.append(cursor, [row], now)
            return True

        return self._database.run(work)

    def asked_all(self, check: ChainCheck, run: bytes) -> None:
        """As the port says."""
        self._database.run(
            lambda cursor: cursor.execute(
                "UPDATE balance_check SET asked_all = 1"
                " WHERE run_id = %s AND chain = %s AND pages = %s",
                (run, check.chain, check.pages),
            )
        )

    def pages(self, check: ChainCheck, run: bytes) -> Sequence[Page]:
        """As the port says."""

        def work(cursor: Cursor) -> Sequence[Page]:
            cursor.execute(
                "SELECT expected, outcome, reason, result FROM node_command"
                " WHERE subject = %s AND chain = %s ORDER BY page",
                (run, check.chain),
            )
            return [_page(check, *row) for row in cursor.fetchall()]

        return self._database.run(work)

    def books(self, checks: Collection[ChainCheck]) -> Sequence[AssetBooks]:
        """As the port says."""
        heights = {check.chain: check.height for check in checks}
        with self._database.transaction() as cursor:
            return read_books(cursor, heights)

    def finish(self, run: bytes) -> None:
        """As the port says."""
        self._database.run(
            lambda cursor: cursor.execute(
                "UPDATE balance_check SET done = 1 WHERE run_id = %s", (run,)
            )
        )


def _begin(
    cursor: Cursor, run: bytes, finals: Mapping[str, int], deadline: datetime
) -> Sequence[ChainCheck]:
    found = _checks(cursor, run)
    if found:
        return found
    _forget(cursor, deadline)
    for chain, final in sorted(finals.items()):
        node, height, block_hash = _final_block(cursor, chain, final)
        cursor.execute(
            "INSERT INTO balance_check (run_id, chain, node, height, block_hash, pages,"
            " after_place, asked_all, deadline, done) VALUES (%s, %s, %s, %s, %s, 0, '', 0, %s, 0)"
            # Two first rounds at once: whoever commits first has fixed the heights.
            " ON DUPLICATE KEY UPDATE pages = balance_check.pages",
            (run, chain, node, height, block_hash, deadline.replace(tzinfo=None)),
        )
    return _checks(cursor, run)


def _forget(cursor: Cursor, now: datetime) -> None:
    """What was asked so long ago that its run is forgotten too; a part of it at each new run."""
    before = (now - _KEPT).replace(tzinfo=None)
    for table, column in (("node_command", "asked_at"), ("balance_check", "deadline")):
        cursor.execute(
            f"DELETE FROM {table} WHERE {column} < %s ORDER BY {column} LIMIT %s",  # noqa: S608
            (before, _FORGOTTEN_AT_ONCE),
        )


def _final_block(
    cursor: Cursor, chain: str, final: int
) -> tuple[str | None, int | None, str | None]:
    """Node, height and hash of the newest block that cannot leave, as moneyin sees the chain."""
    cursor.execute("SELECT node FROM orion_moneyin.chain_head WHERE chain = %s", (chain,))
    head = cursor.fetchone()
    if head is None:
        return None, None, None
    cursor.execute(
        "SELECT b.height, b.block_hash FROM orion_moneyin.chain_cursor c"
        " JOIN orion_moneyin.chain_block b ON b.chain = c.chain AND b.node = c.node"
        " AND b.height + %s = c.tip_height + 1 WHERE c.chain = %s AND c.node = %s",
        (final, chain, head[0]),
    )
    block = cursor.fetchone()
    return (str(head[0]), None, None) if block is None else (str(head[0]), block[0], block[1])


def _checks(cursor: Cursor, run: bytes) -> Sequence[ChainCheck]:
    cursor.execute(_CHECK + " ORDER BY chain", (run,))
    return [
        ChainCheck(
            chain=str(chain),
            node=None if node is None else str(node),
            height=None if height is None else int(height),
            block_hash=str(block_hash or ""),
            pages=int(pages),
            after=str(after),
            asked_all=bool(asked_all),
            deadline=deadline.replace(tzinfo=UTC),
            done=bool(done),
        )
        for (
            chain,
            node,
            height,
            block_hash,
            pages,
            after,
            asked_all,
            deadline,
            done,
        ) in cursor.fetchall()
    ]


def _insert(
    cursor: Cursor,
    check: ChainCheck,
    run: bytes,
    command: NodeCommand,
    places: Places,
    now: datetime,
) -> None:
    expected = [place.expected() for place in places.places]
    cursor.execute(
        "INSERT INTO node_command (command_id, subject, chain, page, node, command, purpose,"
        " arguments, expected, trace_id, asked_at, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            command.id,
            run,
            check.chain,
            check.pages,
            command.node,
            command.name,
            command.purpose,
            canonical_json(command.arguments),
            json.dumps(expected, separators=(",", ":")).encode(),
            bytes.fromhex(command.trace_id),
            now.replace(tzinfo=None),
            command.expires_at.astimezone(UTC).replace(tzinfo=None),
        ),
    )


def _page(
    check: ChainCheck,
    expected: bytes,
    outcome: str | None,
    reason: str | None,
    result: bytes | None,
) -> Page:
    if check.height is None:
        raise ValueError("a chain without a height was asked nothing")
    return Page(
        height=check.height,
        block_hash=check.block_hash,
        by_output=check.chain in BY_OUTPUT,
        expected=cast(Sequence[Sequence[object]], json.loads(expected)),
        outcome=outcome,
        reason=reason,
        result=None if result is None else parse_object(result),
    )
