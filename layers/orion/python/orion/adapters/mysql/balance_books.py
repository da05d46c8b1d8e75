"""Deposits and custody accounts in one snapshot of the database (docs/books.md, "Balances").

One read view for all: a credit that is posted between two looks would otherwise be counted once as
a deposit and not yet as money, and call for an alarm where nothing is wrong.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from orion.adapters.mysql.one_moment import see_one_moment
from orion.adapters.mysql.session import Cursor
from orion.ids import fact_id
from orion.log.balances.model import AssetBooks, custody

_OWNER = "system:"
_PURPOSE = "custody"
MAX_IN = 1_000

Key = tuple[str, str]  # Chain and asset.


def read_books(cursor: Cursor, heights: Mapping[str, int | None]) -> Sequence[AssetBooks]:
    """The port's `books`. Ends the transaction that `cursor` is in and begins one of its own."""
    see_one_moment(cursor)
    accounts = _accounts(cursor)
    deposits: dict[Key, int] = {}
    above: dict[Key, int] = {}
    for chain, height in heights.items():
        deposits |= _deposits(cursor, chain, height)
        if height is not None:
            above |= _credited_above(cursor, chain, height)
    keys = sorted({*accounts, *deposits, *above})
    flight = _in_flight(cursor, {custody(*key).id: key for key in keys})
    return [
        AssetBooks(
            chain=chain,
            asset=asset,
            deposits=deposits.get((chain, asset), 0),
            custody=accounts.get((chain, asset), 0)
            + flight.get((chain, asset), 0)
            - above.get((chain, asset), 0),
        )
        for chain, asset in keys
    ]


def _accounts(cursor: Cursor) -> dict[Key, int]:
    """Balances of the custody accounts: debits less credits, as posted."""
    cursor.execute(
        "SELECT owner, asset, debits_posted, credits_posted FROM orion_ledger.account"
        " WHERE owner LIKE %s AND purpose = %s",
        (_OWNER + "%", _PURPOSE),
    )
    return {
        (str(owner).removeprefix(_OWNER), str(asset)): int(debited) - int(credited)
        for owner, asset, debited, credited in cursor.fetchall()
    }


def _in_flight(cursor: Cursor, custody_accounts: Mapping[bytes, Key]) -> dict[Key, int]:
    """What shards have sent to custody accounts and those have not applied yet."""
    cursor.execute(
        "SELECT account, side, SUM(units) FROM orion_ledger.leg WHERE applied_at IS NULL"
        " GROUP BY account, side"
    )
    found: dict[Key, int] = defaultdict(int)
    for account, side, units in cursor.fetchall():
        if account in custody_accounts:
            found[custody_accounts[account]] += int(units) if side == "debit" else -int(units)
    return found


def _deposits(cursor: Cursor, chain: str, height: int | None) -> dict[Key, int]:
    # Those that are not held have at most 39 digits each.
    cursor.execute(
        "SELECT asset, SUM(CAST(units AS DECIMAL(65,0))) FROM orion_moneyin.deposit"
        " WHERE chain = %s AND state <> 'reversed' AND held_for IS NULL AND height <= %s"
        " GROUP BY asset",
        (chain, 2**63 if height is None else height),
    )
    return {(chain, str(asset)): int(units) for asset, units in cursor.fetchall()}


def _credited_above(cursor: Cursor, chain: str, height: int) -> dict[Key, int]:
    """Deposits above `height` whose credit is posted already."""
    cursor.execute(
        "SELECT asset, units, txid, tx_position, credit_epoch FROM orion_moneyin.deposit"
        " WHERE chain = %s AND state <> 'reversed' AND held_for IS NULL AND height > %s",
        (chain, height),
    )
    credits_of = {
        fact_id("deposit_credit", chain, str(txid), str(position), int(epoch)): (
            (chain, str(asset)),
            int(units),
        )
        for asset, units, txid, position, epoch in cursor.fetchall()
    }
    found: dict[Key, int] = defaultdict(int)
    ids = list(credits_of)
    for start in range(0, len(ids), MAX_IN):
        chunk = ids[start : start + MAX_IN]
        marks = ",".join(["%s"] * len(chunk))
        cursor.execute(
            f"SELECT id FROM orion_ledger.transfer WHERE id IN ({marks})",  # noqa: S608
            chunk,
        )
        for (transfer,) in cursor.fetchall():
            key, units = credits_of[transfer]
            found[key] += units
    return found
