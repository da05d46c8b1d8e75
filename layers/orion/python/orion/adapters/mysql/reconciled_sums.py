"""The ledger's counters as of one moment, and sums over its entries."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic

from orion.adapters.mysql import reconciled_statements
from orion.adapters.mysql.one_moment import see_one_moment
from orion.adapters.mysql.session import Cursor, Database
from orion.log.reconciliation.model import AccountName
from orion.log.reconciliation.statement_rows import Ending
from orion.log.reconciliation.sums import MAX_NAMED, NONE, AccountSums, Flight, Sums, Unfrozen

MAX_SHARDS = 1_024
PAGE_ACCOUNTS = 10_000
# Numbers that are added up by one statement: at most 700,000 entries, far from the time that a
# statement has (`session.READ_TIMEOUT_S`).
SUMMED_NUMBERS = 1_000
# How long the search for the wrong one of counters and sums may take; a step has 300 s.
SUMMED_S = 120.0
_SUMMED = "debits_posted, debits_pending, credits_posted, credits_pending"
# What an entry does to the counters of each side: a second phase takes back all units of the
# pending transfer that it ends, which may be more than it posts (docs/ledger.md, "Transfers").
_POSTED = "IF(t.kind IN ('direct', 'post'), t.units, 0)"
_PENDING = (
    "CASE WHEN t.kind = 'pending' THEN t.units"
    " WHEN t.kind IN ('post', 'void', 'timeout') THEN -COALESCE(p.units, 0) ELSE 0 END"
)
_FROM = (
    "FROM orion_ledger.transfer t LEFT JOIN orion_ledger.transfer p ON p.id = t.pending_id"
    " WHERE {condition}"
)
_MOVED = f"""
SELECT account, SUM(dp), SUM(dn), SUM(cp), SUM(cn) FROM (
  SELECT t.debit_account AS account, {_POSTED} AS dp, {_PENDING} AS dn, 0 AS cp, 0 AS cn {_FROM}
  UNION ALL SELECT t.credit_account, 0, 0, {_POSTED}, {_PENDING} {_FROM}
) AS moved {{accounts}} GROUP BY account
"""  # noqa: S608 - constants


class MySqlLedgerSums:
    """The port LedgerSums. `summed_s`: how long the sums of single accounts may take."""

    def __init__(self, database: Database, *, summed_s: float = SUMMED_S) -> None:
        self._database = database
        self._summed_s = summed_s

    @contextmanager
    def snapshot(self) -> Iterator["MySqlCounterSnapshot"]:
        with self._database.transaction() as cursor:
            see_one_moment(cursor)
            yield MySqlCounterSnapshot(cursor, self._summed_s)


class MySqlCounterSnapshot:
    """The port CounterSnapshot, on a transaction that sees one moment."""

    def __init__(self, cursor: Cursor, summed_s: float) -> None:
        self._cursor = cursor
        self._summed_s = summed_s

    def counters(self) -> Iterator[AccountSums]:
        for identity, owner, purpose, asset, *sums in self._pages(
            f"SELECT id, owner, purpose, asset, {_SUMMED} FROM orion_ledger.account"  # noqa: S608
            " WHERE id > %s ORDER BY id LIMIT %s"
        ):
            name = AccountName(str(owner), str(purpose), str(asset))
            yield AccountSums(_bytes(identity), name, _sums(sums))

    def statements(self) -> Iterator[AccountSums]:
        for identity, *sums in self._pages(
            f"SELECT account, {_SUMMED} FROM orion_ledger.statement_account"  # noqa: S608
            " WHERE account > %s ORDER BY account LIMIT %s"
        ):
            yield AccountSums(_bytes(identity), None, _sums(sums))

    def endings(self) -> Iterator[Ending]:
        return reconciled_statements.endings(self._cursor)

    def _pages(self, statement: str) -> Iterator[tuple[object, ...]]:
        after = b""
        while True:
            self._cursor.execute(statement, (after, PAGE_ACCOUNTS))
            page = self._cursor.fetchall()
            yield from page
            if len(page) < PAGE_ACCOUNTS:
                return
            after = _bytes(page[-1][0])

    def later(self, through: Mapping[int, int]) -> Mapping[bytes, Sums]:
        return self._moved(_after(through), "")

    def summed(
        self, accounts: Iterable[bytes], through: Mapping[int, int]
    ) -> Mapping[bytes, Sums] | None:
        listed = ",".join(f"x'{account.hex()}'" for account in accounts)
        if not listed:
            return {}
        until = monotonic() + self._summed_s
        totals: dict[bytes, Sums] = {}
        for condition in _slices(through):
            if monotonic() >= until:
                return None
            moved = self._moved(condition, f"WHERE account IN ({listed})")
            for account, sums in moved.items():
                totals[account] = totals.get(account, NONE) + sums
        return totals

    def _moved(self, condition: str, accounts: str) -> Mapping[bytes, Sums]:
        self._cursor.execute(_MOVED.format(condition=condition, accounts=accounts))
        return {_bytes(account): _sums(sums) for account, *sums in self._cursor.fetchall()}

    def unfrozen(self) -> Sequence[Unfrozen]:
        self._cursor.execute(
            "SELECT i.incident_id, i.asset, f.lifted_at IS NOT NULL FROM orion_log.incident i"
            " LEFT JOIN orion_ledger.asset_freeze f"
            " ON f.asset = i.asset AND f.incident_id = i.incident_id"
            " WHERE i.freezes = 1 AND (f.incident_id IS NULL"
            " OR (f.lifted_at IS NOT NULL AND COALESCE(f.lifted_reason, '') = ''))"
            " ORDER BY i.opened_at DESC LIMIT %s",
            (MAX_NAMED,),
        )
        return [
            Unfrozen(_bytes(identity), str(asset), bool(lifted))
            for identity, asset, lifted in self._cursor.fetchall()
        ]

    def flight(self) -> Flight:
        self._cursor.execute(
            "SELECT asset, side, SUM(units) FROM orion_ledger.leg WHERE applied_at IS NULL"
            " GROUP BY asset, side"
        )
        units = {(asset, side): int(sent) for asset, side, sent in self._cursor.fetchall()}
        self._cursor.execute(
            "SELECT s.shard_no, s.next_leg, COUNT(l.leg_number), COALESCE(MAX(l.leg_number), 0)"
            " FROM orion_ledger.shard s LEFT JOIN orion_ledger.leg l ON l.from_shard = s.shard_no"
            " GROUP BY s.shard_no, s.next_leg LIMIT %s",
            (MAX_SHARDS,),
        )
        legs = {
            int(shard): (int(count), int(highest), int(following))
            for shard, following, count, highest in self._cursor.fetchall()
        }
        return Flight(units, legs)

    def followed(self) -> Mapping[int, int]:
        self._cursor.execute(
            "SELECT shard_no, next_number FROM orion_ledger.statement_cursor LIMIT %s",
            (MAX_SHARDS,),
        )
        return {int(shard): int(number) - 1 for shard, number in self._cursor.fetchall()}


def _slices(through: Mapping[int, int]) -> Iterator[str]:
    """Conditions on all entries up to each shard's number, each on few; of whole numbers only.

    Numbers below 1 are strays that nobody gave: the external book's sums have them too.
    """
    for shard, last in through.items():
        yield f"t.shard_no = {int(shard)} AND t.number < 1"
        for first in range(1, int(last) + 1, SUMMED_NUMBERS):
            end = min(first + SUMMED_NUMBERS - 1, int(last))
            yield f"t.shard_no = {int(shard)} AND t.number BETWEEN {first} AND {end}"


def _after(through: Mapping[int, int]) -> str:
    """A condition on entries above each shard's number; of whole numbers only."""
    if not through:
        return "TRUE"
    shards = ",".join(str(int(shard)) for shard in through)
    named = " OR ".join(
        f"(t.shard_no = {int(shard)} AND t.number > {int(number)})"
        for shard, number in through.items()
    )
    return f"({named} OR t.shard_no NOT IN ({shards}))"


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("an id is bytes")
    return value


def _sums(row: Iterable[object]) -> Sums:
    return Sums(*(int(str(value)) for value in row))
