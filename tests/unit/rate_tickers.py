"""Tickers for tests of rates, written as people write prices."""

from datetime import UTC, datetime, timedelta

from orion.billing.quote import Rate
from orion.billing.rates.model import Ticker

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def ticker(
    price: str | int, provider: str = "kraken", market: str = "BTC/EUR", age_s: int = 0
) -> Ticker:
    """A book of one price: text in units of the quote, or a number of 10^-12 of it."""
    rate = Rate(price) if isinstance(price, int) else Rate.parse(price)
    return Ticker(provider, market, rate, rate, NOW - timedelta(seconds=age_s))


def tickers(*prices: str | int, market: str = "BTC/EUR") -> list[Ticker]:
    """One of each of as many providers."""
    return [ticker(price, f"p{number}", market) for number, price in enumerate(prices)]
