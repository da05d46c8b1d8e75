"""The legs of a commit: what its entries did for accounts of other shards, summed.

docs/ledger.md, "One decider".
"""

from collections.abc import Sequence
from dataclasses import dataclass

from orion.ledger.codes import Kind, Purpose
from orion.ledger.model import MAX_COUNTER, AccountKey, Entry, Leg, Side, leg_cause, leg_id

# The entries of one posted record. The largest transfer with its cause takes under 1,280 bytes, so
# that a record of so many stays below the 900,000 bytes of one message.
MAX_ANSWERED = 700
_MOVES_POSTED = frozenset({Kind.DIRECT, Kind.POST})


@dataclass(slots=True)
class _Sum:
    """A leg that grows: entries `first` to `last` of the commit."""

    account: AccountKey
    side: Side
    trace_id: bytes
    first: int
    last: int
    units: int = 0


def sum_legs(
    accepted: Sequence[Entry], shard: int, next_posted: int, next_leg: int
) -> tuple[Leg, ...]:
    """One leg for each account meant and side, in the order in which they begin; more where a sum
    would pass the largest amount of a transfer.
    """
    legs: list[_Sum] = []
    growing: dict[tuple[bytes, Side], _Sum] = {}
    for place, (transfer, _, meant) in enumerate(accepted):
        if meant is None or transfer.kind not in _MOVES_POSTED:
            continue
        side = Side.CREDIT if transfer.credit.purpose is Purpose.CLEARING else Side.DEBIT
        grown = growing.get((meant.id, side))
        if grown is None or grown.units + transfer.units > MAX_COUNTER:
            grown = _Sum(meant, side, transfer.trace_id, place, place)
            growing[meant.id, side] = grown
            legs.append(grown)
        grown.units += transfer.units
        grown.last = place
    return tuple(
        Leg(
            id=leg_id(shard, next_leg + index),
            number=next_leg + index,
            account=leg.account,
            side=leg.side,
            units=leg.units,
            cause=leg_cause(
                shard,
                next_leg + index,
                number_of(leg.first, next_posted),
                number_of(leg.last, next_posted),
            ),
            from_shard=shard,
            trace_id=leg.trace_id,
        )
        for index, leg in enumerate(legs)
    )


def number_of(place: int, next_posted: int) -> tuple[int, int]:
    """Record number and position of the entry at `place` of a commit."""
    record, position = divmod(place, MAX_ANSWERED)
    return next_posted + record, position
