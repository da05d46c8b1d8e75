"""Facts of invoices for tests of the status rule: 2 units of A or 3 of B are due, until EXPIRES."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from orion.billing.model import Deposit, DepositState, Facts, Refund, sums_of

EXPIRES = datetime(2026, 1, 1, tzinfo=UTC)
BEFORE, AFTER = EXPIRES - timedelta(minutes=1), EXPIRES + timedelta(minutes=1)
DUE = {"A": 2, "B": 3}


def deposit(
    units: int = 2,
    state: DepositState = DepositState.CONFIRMED,
    *,
    asset: str = "A",
    epoch: int = 0,
    posted: frozenset[int] = frozenset({0}),
    seen: datetime = BEFORE,
    block: datetime | None = None,
) -> Deposit:
    return Deposit(
        deposit_id=b"d" * 16,
        asset=asset,
        units=units,
        state=state,
        version=1,
        confirmations=2,
        confirmations_settled=2,
        credit_epoch=epoch,
        block_time=block or seen,
        first_seen_at=seen,
        txid="t",
        posted_epochs=posted,
    )


def refund(units: int, asset: str = "A") -> Refund:
    return Refund(b"r" * 16, b"r" * 16, asset, units, AFTER)


def facts(
    *parts: Deposit | Refund,
    due: Mapping[str, int] | None = None,
    tolerance_bps: int = 0,
    cancelled_at: datetime | None = None,
) -> Facts:
    return Facts(
        due=due or DUE,
        expires_at=EXPIRES,
        sums=sums_of(
            (part for part in parts if isinstance(part, Deposit)),
            (part for part in parts if isinstance(part, Refund)),
            EXPIRES,
        ),
        tolerance_bps=tolerance_bps,
        cancelled_at=cancelled_at,
    )
