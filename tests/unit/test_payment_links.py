"""Payment links: what a visitor may pay, when a link makes invoices, and who holds a place."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from orion.billing.model import InvoiceStatus
from orion.billing.payment_links.errors import (
    AmountBoundsRefused,
    AmountOutOfBounds,
    PaymentLinkBusy,
    PaymentLinkEnded,
    PaymentLinkInactive,
    PaymentLinkUsedUp,
)
from orion.billing.payment_links.model import (
    UNPAID_MAX,
    LinkPlace,
    LinkStatus,
    PaymentLink,
    Price,
    asked_amount,
    check_open,
    keeps_place,
    link_status,
    place_of,
    read_price,
)
from orion.billing.payment_links.typed import typed_amount
from orion.errors import OrionError, Retry
from orion.money import (
    Amount,
    AmountNotPositive,
    AmountTooLarge,
    InexactAmount,
    MalformedAmount,
    asset,
)
from orion.runtime.links import unpaid_max
from orion.runtime.settings import MissingSetting, Settings

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
EUR, JPY = asset("EUR"), asset("JPY")


def link(**fields: object) -> PaymentLink:
    values: dict[str, object] = {
        "link_id": b"l" * 16,
        "merchant_id": b"m" * 16,
        "lane": "standard",
        "title": "Coffee",
        "price": Price(EUR, Amount(500, EUR), None, None),
        "assets": ("BTC.bitcoin",),
        "expires_in_s": None,
        "use_limit": None,
        "ends_at": None,
        "active": True,
        "success_url": None,
        "metadata": {},
        "created_at": NOW,
        "updated_at": NOW,
    }
    return PaymentLink(**{**values, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "typed, units",
    [
        ("5", 500),
        ("5.00", 500),
        ("12,5", 1250),
        ("12,50", 1250),
        ("  12.5 ", 1250),
        ("\uff11\uff12\uff0e\uff15", 1250),
        ("\uff11\uff12\uff0c\uff15\u3000", 1250),
    ],
)
def test_an_amount_is_read_as_people_type_it(typed: str, units: int) -> None:
    assert typed_amount(typed, EUR) == Amount(units, EUR)


@pytest.mark.parametrize(
    "typed, refusal",
    [
        ("", MalformedAmount),
        ("1,000", MalformedAmount),
        ("1.000,00", MalformedAmount),
        ("1,000.00", MalformedAmount),
        ("1 000", MalformedAmount),
        ("1e3", MalformedAmount),
        ("+5", MalformedAmount),
        ("five", MalformedAmount),
        ("5.001", InexactAmount),
        ("0", AmountNotPositive),
        ("-5", AmountNotPositive),
        ("9" * 60, AmountTooLarge),
        ("5" + " " * 80, MalformedAmount),
        ("5\u00b2", MalformedAmount),
        ("\u0665", MalformedAmount),
    ],
)
def test_what_could_mean_two_things_is_refused(typed: str, refusal: type[OrionError]) -> None:
    with pytest.raises(refusal):
        typed_amount(typed, EUR)


def test_a_decimal_comma_is_no_way_around_a_currency_without_decimals() -> None:
    with pytest.raises(InexactAmount):
        typed_amount("100,5", JPY)


@pytest.mark.parametrize(
    "typed, taken",
    [("5", True), ("5.00", True), ("50,00", True), ("4.99", False), ("50.01", False)],
)
def test_bounds_are_inclusive(typed: str, taken: bool) -> None:
    price = read_price(EUR, None, "5.00", "50.00")
    if taken:
        assert asked_amount(price, typed) == typed_amount(typed, EUR)
        return
    with pytest.raises(AmountOutOfBounds) as refusal:
        asked_amount(price, typed)
    assert refusal.value.fields == {"min_amount": "5.00", "max_amount": "50.00"}


def test_one_bound_alone_binds() -> None:
    with pytest.raises(AmountOutOfBounds):
        asked_amount(read_price(EUR, None, "5.00", None), "4.99")
    with pytest.raises(AmountOutOfBounds):
        asked_amount(read_price(EUR, None, None, "5.00"), "5.01")


def test_a_fixed_price_is_what_is_asked_whatever_was_typed() -> None:
    assert asked_amount(read_price(EUR, "25.00", None, None), "0.01") == Amount(2500, EUR)


@pytest.mark.parametrize(
    "prices", [("5", "1", None), ("5", None, "9"), (None, "9.01", "9"), ("5", "1", "9")]
)
def test_bounds_that_contradict_are_refused(prices: tuple[str | None, ...]) -> None:
    with pytest.raises(AmountBoundsRefused):
        read_price(EUR, *prices)


def test_equal_bounds_are_bounds() -> None:
    assert asked_amount(read_price(EUR, None, "9", "9.00"), "9") == Amount(900, EUR)


@pytest.mark.parametrize("number", range(3))
def test_every_part_of_a_price_is_positive(number: int) -> None:
    prices: list[str | None] = [None, None, None]
    prices[number] = "0.00"
    with pytest.raises(AmountNotPositive):
        read_price(EUR, *prices)


@pytest.mark.parametrize(
    "active, ended, used_up", list(product([True, False], [True, False], [True, False]))
)
def test_the_first_reason_that_holds_is_the_status(
    active: bool, ended: bool, used_up: bool
) -> None:
    held = 2 if used_up else 1
    found = link(active=active, ends_at=NOW if ended else NOW + SECOND, use_limit=2, held=held)
    refusal: type[OrionError]
    if not active:
        wanted, refusal = LinkStatus.INACTIVE, PaymentLinkInactive
    elif ended:
        wanted, refusal = LinkStatus.ENDED, PaymentLinkEnded
    elif used_up:
        wanted, refusal = LinkStatus.USED_UP, PaymentLinkUsedUp
    else:
        assert link_status(found, NOW) is LinkStatus.ACTIVE
        check_open(found, NOW)
        return
    assert link_status(found, NOW) is wanted
    with pytest.raises(refusal):
        check_open(found, NOW)


def test_a_link_without_limit_or_end_is_active_for_ever() -> None:
    found = link(held=10**6)
    assert link_status(found, NOW + timedelta(days=36_500)) is LinkStatus.ACTIVE


def test_a_link_of_which_too_many_invoices_wait_makes_no_more_for_now() -> None:
    check_open(link(unpaid=UNPAID_MAX - 1), NOW)
    with pytest.raises(PaymentLinkBusy) as refusal:
        check_open(link(unpaid=UNPAID_MAX), NOW)
    assert refusal.value.retry is Retry.LATER
    assert refusal.value.fields == {"limit": UNPAID_MAX, "retry_after_s": 60}
    with pytest.raises(PaymentLinkUsedUp):
        check_open(link(use_limit=1, held=1, unpaid=UNPAID_MAX), NOW)


@pytest.mark.parametrize("status", InvoiceStatus)
def test_an_invoice_waits_for_its_first_money_until_it_expires(status: InvoiceStatus) -> None:
    for now in (NOW - SECOND, NOW):
        waits = status in ("new", "invalid") and now < NOW
        place = place_of(status, NOW, now)
        assert place == LinkPlace(keeps_place(status, NOW, now), NOW if waits else None)


@pytest.mark.parametrize("status", InvoiceStatus)
def test_only_what_ended_without_money_gives_its_place_back(status: InvoiceStatus) -> None:
    before, after = (keeps_place(status, NOW, at) for at in (NOW - SECOND, NOW))
    if status in ("expired", "cancelled"):
        assert (before, after) == (False, False)
    elif status in ("new", "invalid"):
        assert (before, after) == (True, False)
    else:
        assert (before, after) == (True, True)


def test_a_stage_says_how_many_invoices_of_a_link_may_wait() -> None:
    name = "policy/payment-link-unpaid-max"
    for values, wanted in (({}, UNPAID_MAX), ({name: "none"}, UNPAID_MAX), ({name: "7"}, 7)):
        assert unpaid_max(Settings("dev", values)) == wanted
    with pytest.raises(MissingSetting):
        unpaid_max(Settings("dev", {name: "-7"}))
