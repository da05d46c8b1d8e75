"""What the ledger says of final credits, read strictly (docs/contracts.md, "Posted record")."""

import re
from dataclasses import dataclass

from orion.billing.reading import Fields
from orion.ledger.codes import Code
from orion.records import MalformedRecord

FINAL, REVERSED = Code.DEPOSIT_FINAL.value, Code.DEPOSIT_REVERSAL_FINAL.value
_MERCHANT = re.compile(r"merchant:([0-9a-f]{32})\Z", re.ASCII)
_MAX_EPOCH = 2**31 - 1


@dataclass(frozen=True, slots=True)
class FinalCredit:
    """A final credit that the ledger posted: what became whose.

    `reversed`: it was taken back. Then merchant, asset and units are None: what an account lacked
    of a reversal stands in another entry, and a fee goes back whole.
    """

    trace_id: str
    deposit_id: bytes
    epoch: int
    merchant_id: bytes | None = None
    asset: str | None = None
    units: int | None = None
    reversed: bool = False


def read_final(transfer: Fields, code: str, trace_id: str) -> FinalCredit:
    """A posted transfer of code FINAL or REVERSED; `trace_id` is its record's. Raises
    MalformedRecord.
    """
    cause = transfer.object("cause")
    trace = transfer.trace_id(default=trace_id)
    deposit_id, epoch = cause.id("deposit_id"), cause.integer("credit_epoch", maximum=_MAX_EPOCH)
    if code == REVERSED:
        return FinalCredit(trace, deposit_id, epoch, reversed=True)
    owner = transfer.object("credit").text("owner", max_length=64)
    merchant = _MERCHANT.match(owner)
    if merchant is None:
        raise MalformedRecord("a final credit is a merchant's", field="credit.owner")
    return FinalCredit(
        trace,
        deposit_id,
        epoch,
        bytes.fromhex(merchant[1]),
        transfer.text("asset", max_length=64),
        transfer.units("units"),
    )
