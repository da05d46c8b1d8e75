"""The facts that reach billing by Kafka, read strictly: deposits, and posted credits and refunds
(docs/contracts.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from orion.billing.fees.posted import FINAL, REVERSED, FinalCredit, read_final
from orion.billing.model import Deposit, DepositState, Refund
from orion.billing.reading import Fields
from orion.records import Record, parse_json

_CREDIT, _PAYOUT = "deposit_credit", "payout"
_POST, _REFUND = "post", "refund"
_MAX_TRANSFERS = 1_000
_MAX_COUNT = 2**31 - 1
_MAX_UNIX_S = 253_402_300_799  # The end of the year 9999, beyond which datetime does not go.


@dataclass(frozen=True, slots=True)
class DepositEvent:
    """One record of `moneyin.deposits`: the whole state of a deposit, without what billing adds to
    it.
    """

    trace_id: str
    invoice_id: bytes
    deposit: Deposit


@dataclass(frozen=True, slots=True)
class PostedCredit:
    """One credit of a deposit that the ledger has posted."""

    trace_id: str
    deposit_id: bytes
    epoch: int
    transfer_id: bytes


@dataclass(frozen=True, slots=True)
class PostedRefund:
    """One payout that pays an invoice back, posted by the ledger."""

    trace_id: str
    invoice_id: bytes
    refund: Refund


def read_deposit(record: Record, now: datetime) -> DepositEvent:
    """Raises MalformedRecord. `now` is the first sight of a deposit that is not stored yet."""
    fields = Fields(parse_json(record.value))
    state = fields.choice("state", DepositState)
    mined_at = fields.optional_integer("block_time", maximum=_MAX_UNIX_S)
    if mined_at is None and state not in (DepositState.SEEN, DepositState.INVALID):
        mined_at = fields.integer("block_time", maximum=_MAX_UNIX_S)
    deposit = Deposit(
        deposit_id=fields.id("deposit_id"),
        asset=fields.text("asset", max_length=64),
        units=fields.units("units"),
        state=state,
        version=fields.integer("version"),
        confirmations=fields.integer("confirmations", maximum=_MAX_COUNT),
        confirmations_settled=fields.integer("confirmations_settled", maximum=_MAX_COUNT),
        credit_epoch=fields.integer("credit_epoch", maximum=_MAX_COUNT),
        block_time=None if mined_at is None else datetime.fromtimestamp(mined_at, UTC),
        first_seen_at=now,
        txid=fields.text("txid", max_length=128),
    )
    return DepositEvent(fields.trace_id(), fields.id("invoice_id"), deposit)


Posted = PostedCredit | PostedRefund | FinalCredit


def read_posted(record: Record, now: datetime) -> Sequence[Posted]:
    """The credits, final credits, their reversals and the refunds in one record of `ledger.posted`,
    in its order; other transfers are not an invoice's. `now` is when billing learnt of a refund.
    Raises MalformedRecord.
    """
    fields = Fields(parse_json(record.value))
    trace_id = fields.trace_id()
    found: list[Posted] = []
    for transfer in fields.objects("transfers", max_items=_MAX_TRANSFERS):
        code = transfer.text("code", max_length=64)
        if code == _CREDIT:
            found.append(_credit(transfer, trace_id))
        elif code in (FINAL, REVERSED):
            found.append(read_final(transfer, code, trace_id))
        elif code == _PAYOUT and transfer.text("kind", max_length=16) == _POST:
            cause = transfer.object("cause")
            if cause.text("type", max_length=64) == _REFUND:
                found.append(_refund(transfer, cause, trace_id, now))
    return found


def _credit(transfer: Fields, trace_id: str) -> PostedCredit:
    cause = transfer.object("cause")
    return PostedCredit(
        transfer.trace_id(default=trace_id),
        cause.id("deposit_id"),
        cause.integer("credit_epoch", maximum=_MAX_COUNT),
        transfer.id("id"),
    )


def _refund(transfer: Fields, cause: Fields, trace_id: str, now: datetime) -> PostedRefund:
    refund = Refund(
        transfer_id=transfer.id("id"),
        refund_id=cause.id("refund_id"),
        asset=transfer.text("asset", max_length=64),
        units=transfer.units("units"),
        posted_at=now,
    )
    return PostedRefund(transfer.trace_id(default=trace_id), cause.id("invoice_id"), refund)
