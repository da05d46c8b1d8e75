"""Pure decisions of the signers: what a sweep may do, and whether a float has room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orion.chains.spend import Operation, Spend
from orion.kms.signing.errors import (
    BodyConflicts,
    CustodyAccountNotOnChain,
    FeeTooHigh,
    FloatExhausted,
    LimitMissing,
    NotASweep,
    RecipientNotOurs,
)
from orion.kms.signing.model import AccountRow, Reservation, SlotState, whole_units

# Where an account does not follow from its keys alone, nor can anybody make it by a call that
# follows from them: a naming key holds it first, or it does not exist and its address names no set.
MADE_FIRST = frozenset({"tron", "solana"})


@dataclass(frozen=True, slots=True)
class Destinations:
    """A group's own addresses on one chain: those that may be paid, and those that have to be seen
    on the chain first.
    """

    ready: frozenset[str]
    waiting: frozenset[str] = frozenset()


def destinations(rows: Sequence[AccountRow]) -> Destinations:
    """Where the wallets of these accounts' group may be swept to."""
    waiting = {
        row.account.address
        for row in rows
        if row.account.place.chain in MADE_FIRST and row.on_chain_at is None
    }
    return Destinations(
        frozenset(row.account.address for row in rows) - waiting, frozenset(waiting)
    )


def limit_of(document: Mapping[str, object] | None, name: str, parameter: str) -> int:
    """The limit `name` of a parameter's JSON object: decimal text of smallest units.

    Absent is not zero and not unlimited: raises LimitMissing.
    """
    units = whole_units(document.get(name)) if document is not None else None
    if units is None:
        raise LimitMissing("the stage says no limit here", parameter=parameter, name=name)
    return units


def check_sweep(
    spend: Spend, owners: int, signatures: int, ours: Destinations, cap_units: int
) -> None:
    """A sweep pays somebody, pays only `ours`, and loses at most `cap_units` of the native asset;
    it wants one signature of each of its `owners`.

    Raises NotASweep, RecipientNotOurs, CustodyAccountNotOnChain, FeeTooHigh.
    """
    if spend.operation is not Operation.PAY or not spend.payments:
        raise NotASweep("this transaction pays nothing")
    for payment in spend.payments:
        if payment.recipient in ours.waiting:
            raise CustodyAccountNotOnChain(
                "nobody has seen this account on its chain", recipient=payment.recipient[:128]
            )
        if payment.recipient not in ours.ready:
            raise RecipientNotOurs(
                "wallets pay their group's own custody accounts only",
                recipient=payment.recipient[:128],
            )
        if payment.units <= 0:
            raise NotASweep("a payment of nothing")
    if signatures != owners:
        raise NotASweep("one signature for each owner named", signatures=signatures, owners=owners)
    if not 0 <= spend.fee_max_units <= cap_units:
        raise FeeTooHigh(
            "the fee is above the stage's cap",
            fee_max_units=str(spend.fee_max_units),
            cap_units=str(cap_units),
        )


def committed_after(
    wanted: Reservation, slot: SlotState | None, committed_units: int, cap_units: int
) -> int:
    """What the float has committed once `wanted` is signed too.

    Versions of one slot exclude each other on the chain, so that only the dearest one counts: a
    bump from 100 to 130 adds 30, and a cheaper version nothing. Raises BodyConflicts when the slot
    belongs to another body, FloatExhausted.
    """
    if slot is not None and slot.body_digest != wanted.body_digest:
        raise BodyConflicts("another body was signed under this nonce", slot=wanted.slot)
    counted = slot.fee_max_units if slot is not None else 0
    added = max(0, wanted.fee_max_units - counted)
    if added and committed_units + added > cap_units:
        raise FloatExhausted(
            "the float has no room until it is refilled",
            committed_units=str(committed_units),
            wanted_units=str(added),
            cap_units=str(cap_units),
        )
    return committed_units + added


def committed_after_refill(committed_units: int, units: int) -> int:
    """What stays committed: a refill restores at most what was used."""
    return max(0, committed_units - units)


def repeated(keys: Sequence[bytes]) -> int | None:
    """The place, from 0, of the first key that stood before; None when all differ."""
    for place, key in enumerate(keys):
        if key in keys[:place]:
            return place
    return None
