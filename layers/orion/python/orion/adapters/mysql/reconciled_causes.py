"""Entries with their accounts' names, and the facts of other modules that stand behind them.

Entries come as their lines, one concatenated value a record: a driver in Python needs longer for
sixteen columns of a row than for one.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from orion.adapters.mysql.ledger_lines import ENTRY_LINE_SQL
from orion.adapters.mysql.one_moment import see_one_moment
from orion.adapters.mysql.reconciled_fees import fee_facts
from orion.adapters.mysql.reconciled_ledger import account_names
from orion.adapters.mysql.session import Cursor, Database
from orion.ledger.codes import Purpose
from orion.log.reconciliation.causes import (
    CausedEntry,
    DepositFact,
    DepositState,
    Facts,
    LegCause,
    PlacedAccount,
    Wanted,
)
from orion.log.reconciliation.lines import caused_entry, line_accounts, unreadable_entry
from orion.log.reconciliation.model import AccountName
from orion.log.reconciliation.planning import Span

# Records read at once: at most 14,000 entries, with their lines about 10 MB.
PIECE_RECORDS = 20
_LIST_SIZE = 900
# No line holds a line end: causes are canonical JSON, which escapes it.
_END = b"\n"
_MAX_RECORD_BYTES = 8_388_608
_MAX_NAMES = 200_000
_DEPOSIT = """
SELECT d.deposit_id, d.chain, d.asset, d.units, d.txid, d.tx_position, d.merchant_id,
  w.merchant_id, d.state, d.confirmations_final, d.credit_epoch
FROM orion_moneyin.deposit d
LEFT JOIN orion_moneyin.address a ON a.chain = d.chain AND a.address = d.address
LEFT JOIN orion_moneyin.wallet w ON w.group_no = a.group_no AND w.wallet_index = a.wallet_index
WHERE d.deposit_id IN ({marks})
"""
_HISTORY = """
SELECT deposit_id, state, credit_epoch, units FROM orion_moneyin.deposit_history
WHERE deposit_id IN ({marks}) ORDER BY deposit_id, version
"""
_LEG = """
SELECT COUNT(*), COALESCE(SUM(units), 0) FROM orion_ledger.transfer
WHERE shard_no = %s AND number BETWEEN %s AND %s
  AND (number > %s OR position >= %s) AND (number < %s OR position <= %s)
  AND counterpart = %s AND kind IN ('direct', 'post')
  AND {side}_account IN (SELECT id FROM orion_ledger.account WHERE owner = %s AND purpose = %s)
"""
_DEBT = """
SELECT debits_posted - credits_posted FROM orion_ledger.entry
WHERE account = %s AND posted_at = %s AND shard_no = %s AND number = %s AND position = %s
"""


class MySqlCauseReader:
    """The port CauseReader."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._names: dict[bytes, AccountName] = {}

    def entries(self, shard: int, span: Span) -> Iterator[Sequence[CausedEntry]]:
        after = span.first - 1
        while after < span.last:
            read = partial(self._piece, shard=shard, after=after, through=span.last)
            piece, last = self._database.run(read)
            if last is None:
                return
            yield piece
            after = last

    def _piece(
        self, cursor: Cursor, *, shard: int, after: int, through: int
    ) -> tuple[Sequence[CausedEntry], int | None]:
        cursor.execute("SET SESSION group_concat_max_len = %s", (_MAX_RECORD_BYTES,))
        cursor.execute(
            "SELECT t.number, COUNT(*),"  # noqa: S608 - constants
            f" GROUP_CONCAT({ENTRY_LINE_SQL} ORDER BY t.position SEPARATOR '\n')"
            " FROM orion_ledger.transfer t WHERE t.shard_no = %s AND t.number > %s"
            " AND t.number <= %s GROUP BY t.number ORDER BY t.number LIMIT %s",
            (shard, after, through, PIECE_RECORDS),
        )
        rows = cursor.fetchall()
        entries: list[CausedEntry] = []
        for number, count, joined in rows:
            lines = joined.split(_END)
            try:
                read = self._read(cursor, lines)
            except ValueError:
                read = []
            # A cause may have got a line end, or a line a form that no entry has.
            entries += read if len(read) == count else self._one_by_one(cursor, shard, number)
        return entries, rows[-1][0] if rows else None

    def _one_by_one(self, cursor: Cursor, shard: int, number: int) -> Iterator[CausedEntry]:
        """A record in which somebody has put what no entry has: every other entry is still read."""
        cursor.execute(
            f"SELECT t.position, {ENTRY_LINE_SQL} FROM orion_ledger.transfer t"  # noqa: S608
            " WHERE t.shard_no = %s AND t.number = %s ORDER BY t.position",
            (shard, number),
        )
        for position, line in cursor.fetchall():
            try:
                yield from self._read(cursor, [line])
            except ValueError:
                yield unreadable_entry(shard, number, position)

    def _read(self, cursor: Cursor, lines: Sequence[bytes]) -> list[CausedEntry]:
        self._learn(cursor, lines)
        return [caused_entry(line, self._names) for line in lines]

    def _learn(self, cursor: Cursor, lines: Sequence[bytes]) -> None:
        """Names of accounts are kept between pieces: an id never changes its name."""
        unknown = {account for line in lines for account in line_accounts(line)} - set(self._names)
        if len(self._names) + len(unknown) > _MAX_NAMES:
            self._names.clear()
            unknown = {account for line in lines for account in line_accounts(line)}
        if unknown:
            self._names |= account_names(cursor, sorted(unknown))

    def facts(self, wanted: Wanted, now: datetime) -> Facts:
        """As the port says, all of one moment: a reversal between two looks would otherwise be in a
        deposit and not yet in its history.
        """

        def work(cursor: Cursor) -> Facts:
            see_one_moment(cursor)
            return Facts(
                now,
                deposits=_deposits(cursor, sorted(wanted.deposits)),
                transfers=self._transfers(cursor, sorted(wanted.transfers)),
                legs=_legs(cursor, wanted.legs),
                debts=_debts(cursor, wanted.debts),
                fees=fee_facts(cursor, sorted(wanted.fees)),
            )

        return self._database.run(work)

    def _transfers(self, cursor: Cursor, ids: Sequence[bytes]) -> Mapping[bytes, CausedEntry]:
        found: dict[bytes, CausedEntry] = {}
        for chunk in _chunks(ids):
            cursor.execute(
                f"SELECT {ENTRY_LINE_SQL} FROM orion_ledger.transfer t"  # noqa: S608
                f" WHERE t.id IN ({_marks(chunk)})",
                tuple(chunk),
            )
            lines = [line for (line,) in cursor.fetchall()]
            found |= {entry.id: entry for entry in self._read(cursor, lines)}
        return found


def _deposits(cursor: Cursor, ids: Sequence[bytes]) -> Mapping[bytes, DepositFact]:
    found: dict[bytes, DepositFact] = {}
    for chunk in _chunks(ids):
        cursor.execute(_HISTORY.format(marks=_marks(chunk)), tuple(chunk))
        history: dict[bytes, list[DepositState]] = {}
        for identity, state, epoch, units in cursor.fetchall():
            history.setdefault(identity, []).append(DepositState(state, epoch, int(units)))
        cursor.execute(_DEPOSIT.format(marks=_marks(chunk)), tuple(chunk))
        for (
            identity, chain, asset, units, txid, position, merchant, assigned, state, final, epoch
        ) in cursor.fetchall():  # fmt: skip
            found[identity] = DepositFact(
                id=identity,
                chain=chain,
                asset=asset,
                units=int(units),
                txid=txid,
                tx_position=position,
                merchant_id=merchant,
                assigned_to=assigned,
                state=state,
                confirmations_final=final,
                epoch=epoch,
                history=tuple(history.get(identity, ())),
            )
    return found


def _legs(cursor: Cursor, legs: frozenset[LegCause]) -> Mapping[LegCause, int]:
    found: dict[LegCause, int] = {}
    for leg in legs:
        side = "debit" if leg.side == "debit" else "credit"
        (first, first_position), (last, last_position) = leg.first, leg.last
        cursor.execute(
            _LEG.format(side=side),
            (
                leg.shard, first, last, first, first_position, last, last_position, leg.account,
                f"shard:{leg.shard}", Purpose.CLEARING.value,
            ),
        )  # fmt: skip
        [(entries, units)] = cursor.fetchall()
        if entries:
            found[leg] = int(units)
    return found


def _debts(cursor: Cursor, places: frozenset[PlacedAccount]) -> Mapping[PlacedAccount, int]:
    found: dict[PlacedAccount, int] = {}
    for place in places:
        moment = place.posted_at.astimezone(UTC).replace(tzinfo=None)
        cursor.execute(_DEBT, (place.account, moment, place.shard, place.number, place.position))
        for (left,) in cursor.fetchall():
            found[place] = int(left)
    return found


def _chunks(ids: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(ids), _LIST_SIZE):
        yield ids[start : start + _LIST_SIZE]


def _marks(chunk: Sequence[bytes]) -> str:
    return ",".join(["%s"] * len(chunk))
