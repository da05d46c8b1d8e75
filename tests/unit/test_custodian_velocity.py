"""The velocity cap: what a window counts, and when an asset is refused."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.chains.spend import Payment
from orion.kms.custody.errors import VelocityRefused
from orion.kms.custody.model import (
    Remembered,
    Step,
)
from orion.kms.custody.velocity import Window
from tests.engine.custodian_scene import NOW, Body, payout
from tests.unit.custodian_judging import ETH, SHOP, asked, decided, reason, spend

ONE = Payment(ETH, SHOP, 100)


def pay() -> Body:
    """An instruction of 100 units."""
    return payout("ethereum", ETH, SHOP, 100)


def with_spent(units: int, hours_ago: float) -> Remembered:
    at = NOW - timedelta(hours=hours_ago)
    return Remembered(windows={ETH: Window().added(units, at)})


def test_the_cap_holds_to_the_last_unit() -> None:
    assert decided(asked(pay()), spend(ONE), with_spent(900, 1)).step is Step.FIRST
    assert reason(asked(pay()), spend(ONE), with_spent(901, 1)) == "cap_exceeded"
    assert reason(asked(pay()), spend(ONE), with_spent(901, 23.99)) == "cap_exceeded"
    assert decided(asked(pay()), spend(ONE), with_spent(901, 25)).step is Step.FIRST


def test_an_asset_without_a_cap_is_refused() -> None:
    body = payout("ethereum", "USDC.ethereum", SHOP, 1)
    with pytest.raises(VelocityRefused) as refused:
        decided(asked(body), spend(Payment("USDC.ethereum", SHOP, 1)))

    assert (refused.value.reason, refused.value.part) == ("no_cap", "USDC.ethereum")


START = datetime(2026, 1, 1, tzinfo=UTC)
EVENTS = st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, 9)), max_size=60)


@settings(max_examples=60)
@given(EVENTS)
def test_a_window_never_counts_less_than_24_hours_and_never_more_than_25(
    events: list[tuple[int, int]],
) -> None:
    window = Window()
    told: list[tuple[datetime, int]] = []
    for minute, units in sorted(events):
        now = START + timedelta(minutes=minute)
        spent = window.spent(now)
        assert spent >= sum(u for at, u in told if now - at <= timedelta(hours=24))
        assert spent <= sum(u for at, u in told if now - at < timedelta(hours=25))
        window, told = window.added(units, now), [*told, (now, units)]
        assert len(window.hours) <= 27


def test_a_clock_that_is_ahead_hides_nothing_from_one_that_is_not() -> None:
    window = Window().added(5, NOW - timedelta(hours=23)).added(7, NOW + timedelta(hours=2))

    assert window.spent(NOW) == 12
