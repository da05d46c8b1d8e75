"""From tickers to a price, or to the reason why there is none; the numbers of docs/rates.md."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.billing.quote import Rate
from orion.billing.rates.markets import MARKETS, Step, listings, path
from orion.billing.rates.model import (
    SPREAD_BPS_MAX,
    Price,
    PriceRefusal,
    RateLock,
    Source,
    Ticker,
    TickerRefusal,
    book,
    cross,
    judge,
    market_lock,
    median,
    merchants_lock,
    with_spread,
)
from orion.billing.rates.providers import PROVIDERS
from orion.money import ASSETS
from tests.unit.rate_tickers import NOW, ticker, tickers

PRICES = st.integers(1, 10**26)
NEARLY = st.integers(990 * 10**9, 1010 * 10**9)


def price_of(*prices: str | int) -> str | PriceRefusal:
    found = judge(tickers(*prices), NOW)
    return found if isinstance(found, PriceRefusal) else found.rate.text()


def test_the_price_is_the_median_of_those_who_agree() -> None:
    found = judge(tickers("60010.00", "60000.00", "60020.00"), NOW)
    assert found == Price(Rate.parse("60010.00"), ("p0", "p1", "p2"), NOW)


def test_of_two_the_price_is_their_mean_rounded_down() -> None:
    assert price_of("60010.00", "60000.00") == "60005.00"
    assert price_of(100, 101) == Rate(100).text()


def test_a_liar_is_no_witness_and_moves_nothing() -> None:
    found = judge(tickers("60010.00", "60000.00", "1.00"), NOW)
    assert found == Price(Rate.parse("60000.00"), ("p0", "p1"), NOW)
    assert price_of("60010.00", "60000.00", "999999999.00") == "60010.00"


def test_exactly_the_bound_is_still_a_witness() -> None:
    assert price_of(9_900, 10_000) != PriceRefusal.DISPUTED
    found = judge(tickers(10_000, 10_000, 10_100), NOW)
    assert isinstance(found, Price)
    assert found.providers == ("p0", "p1", "p2")
    beyond = judge(tickers(10_000, 10_000, 10_101), NOW)
    assert isinstance(beyond, Price)
    assert beyond.providers == ("p0", "p1")


@pytest.mark.parametrize(
    "prices",
    [("60000.00", "61000.00", "62000.00"), ("60000.00", "61300.00"), ("1.00", "60000.00")],
)
def test_without_two_who_agree_the_price_is_disputed(prices: tuple[str, ...]) -> None:
    assert price_of(*prices) is PriceRefusal.DISPUTED


def test_a_ticker_counts_for_five_minutes_and_not_a_moment_longer() -> None:
    young = [ticker("60010.00", "a"), ticker("60000.00", "b", age_s=300)]
    assert judge(young, NOW) == Price(
        Rate.parse("60005.00"), ("a", "b"), NOW - timedelta(seconds=300)
    )
    assert judge(young, NOW + timedelta(microseconds=1)) is PriceRefusal.STALE
    assert judge([*young, ticker("60020.00", "c")], NOW + timedelta(seconds=1)) == Price(
        Rate.parse("60015.00"), ("a", "c"), NOW
    )


def test_a_ticker_from_the_future_is_not_fresh() -> None:
    early = [ticker("1.00", "a"), ticker("1.00", "b", age_s=-30)]
    assert isinstance(judge(early, NOW), Price)
    early[1] = ticker("1.00", "b", age_s=-31)
    assert judge(early, NOW) is PriceRefusal.STALE


def test_one_provider_alone_is_nobodys_price() -> None:
    assert price_of("60000.00") is PriceRefusal.TOO_FEW_SOURCES
    assert price_of() is PriceRefusal.TOO_FEW_SOURCES
    with pytest.raises(ValueError, match="one ticker a provider"):
        judge([ticker("1.00"), ticker("1.00")], NOW)


@settings(max_examples=60)
@given(honest=st.lists(PRICES, min_size=2, max_size=4), lie=PRICES, at=st.integers(0, 4))
def test_one_liar_among_three_or_more_never_moves_the_price_out_of_the_honest_range(
    honest: list[int], lie: int, at: int
) -> None:
    said = honest.copy()
    said.insert(at, lie)
    found = judge(tickers(*said), NOW)
    if isinstance(found, Price):
        assert min(honest) <= found.rate.units <= max(honest)
        assert len(found.providers) >= 2


@settings(max_examples=60)
@given(price=PRICES, lie=PRICES)
def test_one_liar_of_two_moves_the_price_by_at_most_102_bps(price: int, lie: int) -> None:
    found = judge(tickers(price, lie), NOW)
    if isinstance(found, Price):
        assert abs(found.rate.units - price) * 10_000 <= 102 * price + 10_000


@settings(max_examples=60)
@given(st.lists(PRICES, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_providers_decides_nothing(prices: list[int], random: object) -> None:
    shuffled = tickers(*prices)
    getattr(random, "shuffle")(shuffled)  # noqa: B009 - Hypothesis' type is private.
    assert judge(shuffled, NOW) == judge(tickers(*prices), NOW)
    assert min(prices) <= median(prices) <= max(prices)


def test_a_turned_book_is_inverted_and_its_sides_exchanged() -> None:
    found = book(Rate.parse("1.1600"), Rate.parse("1.1602"), turned=True)
    assert not isinstance(found, TickerRefusal)
    assert [side.text() for side in found] == ["0.861920358558", "0.862068965517"]


def test_a_book_that_is_crossed_or_wide_is_no_price() -> None:
    low, high = Rate.parse("97.50"), Rate.parse("102.50")
    assert book(low, high, turned=False) == (low, high)
    assert book(low, Rate(high.units + 10**9), turned=False) is TickerRefusal.WIDE
    assert book(high, low, turned=False) is TickerRefusal.CROSSED
    assert book(high, low, turned=True) is TickerRefusal.CROSSED
    huge = Rate(10**25)
    assert book(huge, huge, turned=True) is TickerRefusal.EMPTY_BOOK


def test_the_price_of_a_book_is_its_middle_rounded_down() -> None:
    assert Ticker("p", "m", Rate(3), Rate(6), NOW).price_units == 4


def priced(**prices: str) -> dict[str, Price]:
    return {
        market.replace("_", "/"): Price(Rate.parse(price), ("a", "b"), NOW)
        for market, price in prices.items()
    }


def test_a_cross_rate_is_exact_until_its_end_and_then_rounded_down() -> None:
    forward = (Step("TRX/BTC", forward=True), Step("BTC/EUR", forward=True))
    found = cross(forward, priced(TRX_BTC="0.000002871", BTC_EUR="60010.00"))
    assert isinstance(found, Price)
    assert found.rate.text() == "0.17228871"
    backwards = (Step("BTC/USDT", forward=False), Step("BTC/JPY", forward=True))
    found = cross(backwards, priced(BTC_USDT="69612.34", BTC_JPY="10400000"))
    assert isinstance(found, Price)
    assert found.rate.text() == "149.39879912096"
    # Rounded after each market, the first half would have lost its last digits.
    there_and_back = (Step("BTC/USDT", forward=False), Step("BTC/USDT", forward=True))
    found = cross(there_and_back, priced(BTC_USDT="69612.34"))
    assert isinstance(found, Price)
    assert found.rate.text() == "1.00"


def test_a_cross_rate_is_witnessed_by_all_and_as_old_as_its_oldest_market() -> None:
    prices = {
        "A/B": Price(Rate.parse("2.00"), ("a", "b"), NOW - timedelta(seconds=7)),
        "B/C": Price(Rate.parse("3.00"), ("b", "c"), NOW),
    }
    found = cross((Step("A/B", forward=True), Step("B/C", forward=True)), prices)
    assert found == Price(Rate.parse("6.00"), ("a", "b", "c"), NOW - timedelta(seconds=7))


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.booleans(), PRICES), min_size=1, max_size=3),
    st.integers(0, 2),
    st.integers(1, 10**20),
)
def test_a_cross_rate_rises_with_markets_passed_forwards_and_falls_with_others(
    steps: list[tuple[bool, int]], at: int, more: int
) -> None:
    at %= len(steps)

    def rate(added: int) -> int:
        way = [Step(f"M{n}", forward=forward) for n, (forward, _) in enumerate(steps)]
        prices = {
            f"M{n}": Price(Rate(units + (added if n == at else 0)), ("a", "b"), NOW)
            for n, (_, units) in enumerate(steps)
        }
        found = cross(way, prices)
        if isinstance(found, PriceRefusal):
            return 0 if found is PriceRefusal.TOO_SMALL else 10**32
        return found.rate.units

    if steps[at][0]:
        assert rate(more) >= rate(0)
    else:
        assert rate(more) <= rate(0)


def test_a_rate_too_small_to_write_is_refused_and_one_too_large_is_disputed() -> None:
    down = (Step("A/B", forward=True), Step("B/C", forward=True))
    tiny = {name: Price(Rate(1), ("a", "b"), NOW) for name in ("A/B", "B/C")}
    assert cross(down, tiny) is PriceRefusal.TOO_SMALL
    vast = {name: Price(Rate(10**31), ("a", "b"), NOW) for name in ("A/B", "B/C")}
    assert cross(down, vast) is PriceRefusal.DISPUTED


def test_the_spread_makes_the_rate_smaller_in_the_merchants_favour() -> None:
    assert with_spread(Rate.parse("60000.00"), 50) == Rate.parse("59700.00")
    assert with_spread(Rate(199), 50) == Rate(198)
    assert with_spread(Rate(1), 1) is PriceRefusal.TOO_SMALL
    assert with_spread(Rate(10_000), SPREAD_BPS_MAX) == Rate(8_000)
    for spread_bps in (-1, SPREAD_BPS_MAX + 1):
        with pytest.raises(ValueError, match="spread"):
            with_spread(Rate(1), spread_bps)


def test_a_lock_says_where_its_rate_came_from() -> None:
    way = (Step("TRX/BTC", forward=True), Step("BTC/EUR", forward=True))
    known = {
        "TRX/BTC": tickers("0.000002871", "0.000002871", market="TRX/BTC"),
        "BTC/EUR": tickers("60010.00", "60000.00", "60020.00"),
    }
    house = market_lock(way, known, NOW)
    assert isinstance(house, RateLock)
    assert house == RateLock(
        rate=Rate.parse("0.17228871"),
        source=Source.MARKET,
        providers=("p0", "p1", "p2"),
        path=("TRX/BTC", "BTC/EUR"),
        spread_bps=0,
        observed_at=NOW,
    )
    assert merchants_lock(house, 100) == replace(
        house, rate=Rate.parse("0.1705658229"), spread_bps=100
    )


@settings(max_examples=40)
@given(
    first=st.lists(st.tuples(NEARLY, st.integers(0, 400)), max_size=3),
    second=st.lists(st.tuples(NEARLY, st.integers(0, 400)), max_size=3),
)
def test_one_market_without_a_price_refuses_the_whole_path(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    way = (Step("A/B", forward=True), Step("B/C", forward=False))
    known = {
        market: [ticker(units, f"p{n}", market, age) for n, (units, age) in enumerate(rows)]
        for market, rows in (("A/B", first), ("B/C", second))
    }
    judged = [judge(known[step.market], NOW) for step in way]
    found = market_lock(way, known, NOW)
    refused = [one for one in judged if isinstance(one, PriceRefusal)]
    assert isinstance(found, RateLock) if not refused else found is refused[0]


def test_every_listing_is_of_a_provider_that_there_is() -> None:
    assert {name for names in MARKETS.values() for name in names} == set(PROVIDERS)
    for provider in PROVIDERS:
        symbols = [listing.symbol for listing in listings(provider)]
        assert len(symbols) == len(set(symbols))
    assert all(len(names) >= 2 for names in MARKETS.values())


def test_every_coin_reaches_every_currency_that_any_market_knows() -> None:
    coins = {asset.symbol for asset in ASSETS.values() if asset.chain is not None}
    for coin in coins:
        for currency in ("EUR", "USD", "GBP", "JPY"):
            assert path(coin, currency), (coin, currency)
        assert path(coin, "CNY") is None


def test_a_path_is_the_shortest_and_the_first_in_the_data() -> None:
    assert path("BTC", "EUR") == (Step("BTC/EUR", forward=True),)
    assert path("TRX", "EUR") == (Step("TRX/BTC", forward=True), Step("BTC/EUR", forward=True))
    assert path("USDT", "JPY") == (Step("BTC/USDT", forward=False), Step("BTC/JPY", forward=True))
    assert path("EUR", "BTC") == (Step("BTC/EUR", forward=False),)
    assert path("BTC", "BTC") is None
