"""One payment of a merchant's list, and which of many a filter takes. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from orion.billing.invoice import moment
from orion.billing.model import DepositState
from orion.billing.places import Place
from orion.ids import public_id
from orion.money import Amount

# How many rows one page looks at, however rare what it looks for.
SCAN_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Payment:
    """A deposit with the invoice that it belongs to. `rate` and `currency` are those locked for its
    asset, None where the invoice did not offer it; `block_time` is None until it is in a block.
    """

    deposit_id: bytes
    invoice_id: bytes
    reference: str | None
    amount: Amount
    txid: str
    state: DepositState
    confirmations: int
    confirmations_settled: int
    credited: bool
    first_seen_at: datetime
    block_time: datetime | None
    currency: str
    rate: str | None

    @property
    def place(self) -> Place:
        return Place(self.first_seen_at, self.deposit_id)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which payments; None is any."""

    asset: str | None = None
    state: DepositState | None = None
    invoice_id: bytes | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a scan knows of one payment."""

    place: Place
    asset: str
    state: DepositState

    def fits(self, wanted: Wanted) -> bool:
        """An invoice is the scan's own range, so it is not asked here."""
        return wanted.asset in (None, self.asset) and wanted.state in (None, self.state)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Identities of a page, and where the next one begins; None at the end."""

    identities: Sequence[bytes]
    next_place: Place | None


def choose(seen: Sequence[Seen], wanted: Wanted, limit: int) -> Chosen:
    """A page of at most `limit` out of a scan of at most SCAN_MAX rows, in the scan's order.

    Where the scan was full the list may go on behind it, although the page may be empty: with 1,000
    rows seen and none that fits, the next page begins behind the thousandth.
    """
    fitting = [row for row in seen if row.fits(wanted)]
    page = fitting[:limit]
    identities = [row.place.identity for row in page]
    if len(fitting) > limit:
        return Chosen(identities, page[-1].place)
    return Chosen(identities, seen[-1].place if len(seen) >= SCAN_MAX else None)


def payment_view(payment: Payment) -> Mapping[str, object]:
    """A payment as the merchant sees it."""
    return {
        "id": public_id("dep", payment.deposit_id),
        "invoice_id": public_id("inv", payment.invoice_id),
        "reference": payment.reference,
        "asset": payment.amount.asset.code,
        "chain": payment.amount.asset.chain,
        "amount": payment.amount.text(),
        "currency": payment.currency,
        "rate": payment.rate,
        "txid": payment.txid,
        "state": payment.state.value,
        "confirmations": payment.confirmations,
        "confirmations_required": payment.confirmations_settled,
        "credited": payment.credited,
        "first_seen_at": moment(payment.first_seen_at),
        "block_time": None if payment.block_time is None else moment(payment.block_time),
    }
