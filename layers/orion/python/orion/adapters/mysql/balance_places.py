"""What a chain is asked for: deposits by rising wallet, a page at a time, ranges of one index."""

from collections.abc import Sequence

from orion.adapters.mysql.session import Cursor
from orion.log.balances.model import BY_OUTPUT, MAX_ITEMS, Place, TooManyAssets, output_of
from orion.log.balances.ports import ChainCheck, Places

# Wallets of a page of addresses: with five assets a wallet they fill a page.
_WALLETS = 100
_LIES_THERE = "chain = %s AND height <= %s AND state <> 'reversed'"
# Half by half, because 78 digits are more than any number type of the database has.
_HALVES = (
    "SUM(CAST(LEFT(LPAD(units, 78, '0'), 39) AS DECIMAL(65,0))),"
    " SUM(CAST(RIGHT(LPAD(units, 78, '0'), 39) AS DECIMAL(65,0)))"
)
_HALF = 10**39


def next_places(cursor: Cursor, check: ChainCheck) -> Places:
    """The port's `places`."""
    return _outputs(cursor, check) if check.chain in BY_OUTPUT else _addresses(cursor, check)


def _outputs(cursor: Cursor, check: ChainCheck) -> Places:
    group, index, last = _place(check.after)
    ranges: Sequence[tuple[str, tuple[object, ...]]] = (
        ("group_no = %s AND wallet_index = %s AND deposit_id > %s", (group, index, last)),
        ("group_no = %s AND wallet_index > %s", (group, index)),
        ("group_no > %s", (group,)),
    )
    if not check.after:
        ranges = (("group_no >= %s", (0,)),)
    places: list[Place] = []
    after = check.after
    for condition, values in ranges:
        cursor.execute(
            "SELECT group_no, wallet_index, deposit_id, asset, address, txid, tx_position, units,"  # noqa: S608
            " held_for IS NOT NULL FROM orion_moneyin.deposit FORCE INDEX (of_wallet)"
            f" WHERE {condition} AND {_LIES_THERE}"
            " ORDER BY group_no, wallet_index, deposit_id LIMIT %s",
            (*values, check.chain, check.height, MAX_ITEMS - len(places)),
        )
        for row in cursor.fetchall():
            group_no, wallet, deposit, asset, address, txid, position, units, held = row
            places.append(
                Place(
                    group=int(group_no),
                    index=int(wallet),
                    asset=str(asset),
                    address=str(address),
                    contract=None,
                    output=output_of(str(txid), str(position)),
                    units=int(units),
                    held=int(units) if held else 0,
                )
            )
            after = f"{group_no}:{wallet}:{deposit.hex()}"
        if len(places) == MAX_ITEMS:
            break
    return Places(places, after)


def _addresses(cursor: Cursor, check: ChainCheck) -> Places:
    wallets = _wallets(cursor, check)
    if not wallets:
        return Places([], check.after)
    by_wallet: dict[tuple[int, int], list[Place]] = {wallet: [] for wallet in wallets}
    for held in (False, True):
        _add(cursor, check, wallets, by_wallet, held=held)
    places: list[Place] = []
    after = check.after
    for (group, index), found in by_wallet.items():
        if len(found) > MAX_ITEMS:
            raise TooManyAssets("more assets than a page holds", group=group, index=index)
        if len(places) + len(found) > MAX_ITEMS:
            break
        places += found
        after = f"{group}:{index}:"
    return Places(places, after)


def _wallets(cursor: Cursor, check: ChainCheck) -> Sequence[tuple[int, int]]:
    group, index, _ = _place(check.after)
    ranges: Sequence[tuple[str, tuple[object, ...]]] = (
        ("group_no = %s AND wallet_index > %s", (group, index)),
        ("group_no > %s", (group,)),
    )
    if not check.after:
        ranges = (("group_no >= %s", (0,)),)
    found: list[tuple[int, int]] = []
    for condition, values in ranges:
        cursor.execute(
            "SELECT DISTINCT group_no, wallet_index"  # noqa: S608
            " FROM orion_moneyin.deposit FORCE INDEX (of_wallet)"
            f" WHERE {condition} AND {_LIES_THERE} ORDER BY group_no, wallet_index LIMIT %s",
            (*values, check.chain, check.height, _WALLETS - len(found)),
        )
        found += [(int(row[0]), int(row[1])) for row in cursor.fetchall()]
        if len(found) == _WALLETS:
            break
    return found


def _add(
    cursor: Cursor,
    check: ChainCheck,
    wallets: Sequence[tuple[int, int]],
    by_wallet: dict[tuple[int, int], list[Place]],
    *,
    held: bool,
) -> None:
    """The sums of the wallets' deposits by asset; held ones are added to what is there already."""
    marks = ",".join(["(%s, %s)"] * len(wallets))
    values = [number for wallet in wallets for number in wallet]
    cursor.execute(
        f"SELECT group_no, wallet_index, asset, contract, address, {_HALVES}"  # noqa: S608
        " FROM orion_moneyin.deposit"
        f" WHERE (group_no, wallet_index) IN ({marks}) AND {_LIES_THERE}"
        f" AND held_for IS {'NOT ' if held else ''}NULL"
        " GROUP BY group_no, wallet_index, asset, contract, address"
        " ORDER BY group_no, wallet_index, asset, contract, address",
        (*values, check.chain, check.height),
    )
    for group, index, asset, contract, address, high, low in cursor.fetchall():
        units = int(high) * _HALF + int(low)
        here = by_wallet[int(group), int(index)]
        same = [
            number
            for number, place in enumerate(here)
            if (place.asset, place.contract, place.address) == (asset, contract, address)
        ]
        before = here.pop(same[0]).units if same else 0
        here.append(
            Place(
                group=int(group),
                index=int(index),
                asset=str(asset),
                address=str(address),
                contract=None if contract is None else str(contract),
                output=None,
                units=before + units,
                held=units if held else 0,
            )
        )


def _place(after: str) -> tuple[int, int, bytes]:
    if not after:
        return 0, 0, b""
    group, index, last = after.split(":")
    return int(group), int(index), bytes.fromhex(last)
