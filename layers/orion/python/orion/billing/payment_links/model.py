"""A payment link and what follows from it. Pure; docs/payment-links.md is the specification."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from orion.billing.model import InvoiceStatus
from orion.billing.payment_links.errors import (
    AmountBoundsRefused,
    AmountOutOfBounds,
    PaymentLinkBusy,
    PaymentLinkEnded,
    PaymentLinkInactive,
    PaymentLinkUsedUp,
)
from orion.billing.payment_links.typed import typed_amount
from orion.money import Amount, Asset

TITLE_MAX_LENGTH = 120
USE_LIMIT_MAX = 10_000
# Invoices of one link that wait for their first money at the same time, where the stage says
# nothing. Each uses up a wallet for good.
UNPAID_MAX = 200
# How long a visitor who found that many is asked to wait: so often a pass ends invoices.
BUSY_RETRY_AFTER_S = 60


class LinkStatus(StrEnum):
    """Whether a link makes invoices now, and if not, why."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    ENDED = "ended"
    USED_UP = "used_up"


@dataclass(frozen=True, slots=True)
class Price:
    """What a link asks for: `fixed`, or what a visitor types within the bounds, both inclusive. All
    of `currency`.
    """

    currency: Asset
    fixed: Amount | None
    minimum: Amount | None
    maximum: Amount | None


@dataclass(frozen=True, slots=True)
class PaymentLink:
    """One link. Times are aware UTC. `held` places are taken; `unpaid` of its invoices wait for
    their first money.
    """

    link_id: bytes
    merchant_id: bytes
    lane: str
    title: str
    price: Price
    assets: tuple[str, ...]
    expires_in_s: int | None
    use_limit: int | None
    ends_at: datetime | None
    active: bool
    success_url: str | None
    metadata: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    held: int = 0
    unpaid: int = 0


def read_price(
    currency: Asset, fixed: str | None, minimum: str | None, maximum: str | None
) -> Price:
    """The price as a merchant writes it.

    Raises AmountBoundsRefused, MalformedAmount, InexactAmount, AmountNotPositive, AmountTooLarge.
    """
    price = Price(
        currency, _amount(fixed, currency), _amount(minimum, currency), _amount(maximum, currency)
    )
    if price.fixed is not None and (price.minimum is not None or price.maximum is not None):
        raise AmountBoundsRefused("a fixed amount has no bounds")
    low, high = price.minimum, price.maximum
    if low is not None and high is not None and low.units > high.units:
        raise AmountBoundsRefused("min_amount is above max_amount")
    return price


def _amount(text: str | None, currency: Asset) -> Amount | None:
    return None if text is None else Amount.parse(text, currency).positive()


def asked_amount(price: Price, typed: str) -> Amount:
    """What a visitor is to pay; what was typed beside a fixed price counts for nothing.

    With bounds 5.00 to 50.00, "5" and "50,00" are taken, "4.99" and "50.01" are AmountOutOfBounds.
    Also raises MalformedAmount, InexactAmount, AmountNotPositive, AmountTooLarge.
    """
    if price.fixed is not None:
        return price.fixed
    amount = typed_amount(typed, price.currency)
    below = price.minimum is not None and amount.units < price.minimum.units
    above = price.maximum is not None and amount.units > price.maximum.units
    if below or above:
        raise AmountOutOfBounds(
            "the amount is outside the link's bounds",
            min_amount=None if price.minimum is None else price.minimum.text(),
            max_amount=None if price.maximum is None else price.maximum.text(),
        )
    return amount


def link_status(link: PaymentLink, now: datetime) -> LinkStatus:
    """The first reason that holds, in the order of the specification."""
    if not link.active:
        return LinkStatus.INACTIVE
    if link.ends_at is not None and now >= link.ends_at:
        return LinkStatus.ENDED
    if link.use_limit is not None and link.held >= link.use_limit:
        return LinkStatus.USED_UP
    return LinkStatus.ACTIVE


def check_open(link: PaymentLink, now: datetime, unpaid_max: int = UNPAID_MAX) -> None:
    """Raise why no invoice is made: PaymentLinkInactive, PaymentLinkEnded, PaymentLinkUsedUp,
    PaymentLinkBusy.
    """
    match link_status(link, now):
        case LinkStatus.INACTIVE:
            raise PaymentLinkInactive("this payment link is switched off")
        case LinkStatus.ENDED:
            raise PaymentLinkEnded("this payment link has ended")
        case LinkStatus.USED_UP:
            raise PaymentLinkUsedUp("all places of this payment link are taken")
        case LinkStatus.ACTIVE:
            if link.unpaid >= unpaid_max:
                raise PaymentLinkBusy(
                    "too many invoices of this payment link wait to be paid",
                    limit=unpaid_max,
                    retry_after_s=BUSY_RETRY_AFTER_S,
                )


# Ended without money, for good; and what has ended without money once its time is over. Before that
# the customer of an `invalid` one may pay again, to the same address.
ENDED = frozenset({InvoiceStatus.EXPIRED, InvoiceStatus.CANCELLED})
WAITING = frozenset({InvoiceStatus.NEW, InvoiceStatus.INVALID})


def keeps_place(status: InvoiceStatus, expires_at: datetime, now: datetime) -> bool:
    """Whether an invoice of this status holds its link's place, and its visitor."""
    if status in WAITING:
        return now < expires_at
    return status not in ENDED


@dataclass(frozen=True, slots=True)
class LinkPlace:
    """What an invoice is to its link: `held`, whether it holds a place; `until`, when time ends its
    waiting for money, None where it does not wait.
    """

    held: bool
    until: datetime | None


def place_of(status: InvoiceStatus, expires_at: datetime, now: datetime) -> LinkPlace:
    """The place of an invoice of this status."""
    waits = status in WAITING and now < expires_at
    return LinkPlace(keeps_place(status, expires_at, now), expires_at if waits else None)
