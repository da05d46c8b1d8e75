"""The rows of `deposit` and `deposit_history`."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from orion.adapters.mysql.session import Cursor
from orion.chains.blocks import Transfer
from orion.moneyin.model import Change, Deposit, Held, Inclusion, State, Watched

MAX_IN = 1_000

_COLUMNS = (
    "deposit_id",
    "chain",
    "asset",
    "units",
    "txid",
    "tx_position",
    "contract",
    "sender",
    "address",
    "group_no",
    "wallet_index",
    "merchant_id",
    "invoice_id",
    "state",
    "held_for",
    "height",
    "block_hash",
    "block_time",
    "confirmations_settled",
    "confirmations_final",
    "credit_epoch",
    "version",
)
_NAMES = ", ".join(_COLUMNS)
# What a re-mined payment may change; its identity (chain, txid, position) never.
_FIXED = frozenset({"deposit_id", "chain", "txid", "tx_position"})
_WRITTEN = (*_COLUMNS, "settled_height", "final_height", "created_at", "updated_at")
_UPDATES = ", ".join(
    f"{name} = VALUES({name})" for name in _WRITTEN if name not in _FIXED | {"created_at"}
)
_UPSERT = (
    f"INSERT INTO deposit ({', '.join(_WRITTEN)})"  # noqa: S608 - only column names
    f" VALUES ({', '.join(['%s'] * len(_WRITTEN))}) ON DUPLICATE KEY UPDATE {_UPDATES}"
)


class DepositRows:
    """The deposits' part of the port Unit."""

    def __init__(self, cursor: Cursor) -> None:
        self._rows = cursor

    def deposits(self, ids: Collection[bytes]) -> Mapping[bytes, Deposit]:
        found: dict[bytes, Deposit] = {}
        listed = list(ids)
        for start in range(0, len(listed), MAX_IN):
            chunk = listed[start : start + MAX_IN]
            marks = ",".join(["%s"] * len(chunk))
            for deposit in self._select(f"deposit_id IN ({marks})", chunk):
                found[deposit.id] = deposit
        return found

    def deposits_in(self, chain: str, block_hashes: Collection[str]) -> Sequence[Deposit]:
        marks = ",".join(["%s"] * len(block_hashes))
        return self._select(
            f"chain = %s AND block_hash IN ({marks}) AND state <> 'reversed'",
            (chain, *block_hashes),
        )

    def deposits_moved_by(self, chain: str, tip_height: int) -> Sequence[Deposit]:
        return self._select(
            "state IN ('included', 'confirmed') AND chain = %s"
            " AND (state = 'included' OR final_height <= %s OR settled_height > %s)",
            (chain, tip_height, tip_height),
        )

    def _select(self, condition: str, values: Sequence[object]) -> Sequence[Deposit]:
        self._rows.execute(
            f"SELECT {_NAMES} FROM deposit WHERE {condition} ORDER BY seq",  # noqa: S608
            tuple(values),
        )
        return [_deposit(row) for row in self._rows.fetchall()]

    def save(self, changes: Sequence[Change], *, trace_id: str, now: datetime) -> None:
        at = now.replace(tzinfo=None)
        newest = {change.deposit.id: change.deposit for change in changes}
        self._rows.executemany(_UPSERT, [_row(deposit, at) for deposit in newest.values()])
        self._rows.executemany(
            "INSERT INTO deposit_history (deposit_id, version, state, cause, units, height,"
            " block_hash, tip_height, credit_epoch, trace_id, at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    change.deposit.id,
                    change.deposit.version,
                    str(change.deposit.state),
                    change.cause,
                    str(change.deposit.payment.units),
                    change.deposit.included.height,
                    change.deposit.included.hash,
                    # Below the first block of a chain there is no height.
                    max(change.tip_height, 0),
                    change.deposit.epoch,
                    bytes.fromhex(trace_id),
                    at,
                )
                for change in changes
            ],
        )


def _row(deposit: Deposit, at: datetime) -> tuple[object, ...]:
    payment, watched, included = deposit.payment, deposit.watched, deposit.included
    return (
        deposit.id,
        deposit.chain,
        deposit.asset,
        str(payment.units),
        payment.txid,
        payment.position,
        payment.contract,
        payment.sender,
        payment.recipient,
        watched.group,
        watched.index,
        watched.merchant_id,
        watched.invoice_id,
        str(deposit.state),
        str(deposit.held_for) if deposit.held_for else None,
        included.height,
        included.hash,
        included.time,
        deposit.settled,
        deposit.final,
        deposit.epoch,
        deposit.version,
        deposit.settled_height,
        deposit.final_height,
        at,
        at,
    )


def _deposit(row: tuple[object, ...]) -> Deposit:
    named = dict(zip(_COLUMNS, row, strict=True))
    held_for, contract, sender = named["held_for"], named["contract"], named["sender"]
    return Deposit(
        id=_bytes(named["deposit_id"]),
        chain=str(named["chain"]),
        asset=str(named["asset"]),
        payment=Transfer(
            txid=str(named["txid"]),
            position=str(named["tx_position"]),
            contract=None if contract is None else str(contract),
            sender=None if sender is None else str(sender),
            recipient=str(named["address"]),
            units=int(str(named["units"])),
        ),
        watched=Watched(
            _int(named["group_no"]),
            _int(named["wallet_index"]),
            None if named["merchant_id"] is None else _bytes(named["merchant_id"]),
            None if named["invoice_id"] is None else _bytes(named["invoice_id"]),
        ),
        state=State(str(named["state"])),
        held_for=None if held_for is None else Held(str(held_for)),
        included=Inclusion(
            _int(named["height"]), str(named["block_hash"]), _int(named["block_time"])
        ),
        settled=_int(named["confirmations_settled"]),
        final=_int(named["confirmations_final"]),
        epoch=_int(named["credit_epoch"]),
        version=_int(named["version"]),
    )


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"a whole number was stored, {type(value).__name__} came back")
    return value


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"bytes were stored, {type(value).__name__} came back")
    return value
