"""From tickers to a rate, or to the reason why there is none. Pure; integers only (docs/rates.md).

A price is a `Rate`: units of 10^-12 of the quote for one whole coin of the base.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from orion.billing.quote import RATE_DECIMALS, RATE_WHOLE_DIGITS, Rate
from orion.billing.rates.markets import Step

ONE = 10**RATE_DECIMALS
BPS = 10_000
SOURCES_MIN = 2
OUTLIER_BPS = 100
STALE_AFTER = timedelta(seconds=300)
FUTURE_MAX = timedelta(seconds=30)
WIDE_BPS = 500
SPREAD_BPS_MAX = 2_000
_UNITS_MAX = 10 ** (RATE_WHOLE_DIGITS + RATE_DECIMALS) - 1


class TickerRefusal(StrEnum):
    """Why a provider gave no ticker of a market. The whole set."""

    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    REDIRECTED = "redirected"
    TOO_LARGE = "too_large"
    STATUS = "status"
    RATE_LIMITED = "rate_limited"
    MALFORMED = "malformed"
    UNKNOWN_PAIR = "unknown_pair"
    NO_TIME = "no_time"
    FROM_FUTURE = "from_future"
    EMPTY_BOOK = "empty_book"
    CROSSED = "crossed"
    WIDE = "wide"
    HALTED = "halted"


class PriceRefusal(StrEnum):
    """Why there is no price. The whole set."""

    NO_MARKET = "no_market"
    TOO_FEW_SOURCES = "too_few_sources"
    STALE = "stale"
    DISPUTED = "disputed"
    TOO_SMALL = "too_small"


class Source(StrEnum):
    """Where a merchant's rates come from."""

    FIXED = "fixed"
    MARKET = "market"


@dataclass(frozen=True, slots=True)
class Ticker:
    """The best bid and ask of one market at one provider, in the market's own direction."""

    provider: str
    market: str
    bid: Rate
    ask: Rate
    observed_at: datetime

    @property
    def price_units(self) -> int:
        """The middle, rounded down: bid 60,000.00 and ask 60,020.00 are 60,010.00."""
        return (self.bid.units + self.ask.units) // 2


@dataclass(frozen=True, slots=True)
class Price:
    """A price that `providers` (sorted) bear witness to, the oldest of them at `observed_at`."""

    rate: Rate
    providers: tuple[str, ...]
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class RateLock:
    """The rate of one payment option, and why it is this one. `observed_at` of a fixed rate is when
    it was set; its `providers` and `path` are empty.
    """

    rate: Rate
    source: Source
    providers: tuple[str, ...]
    path: tuple[str, ...]
    spread_bps: int
    observed_at: datetime


def book(bid: Rate, ask: Rate, *, turned: bool) -> tuple[Rate, Rate] | TickerRefusal:
    """A provider's bid and ask in the market's direction, or why they are no price.

    `turned` inverts and exchanges them, each rounded down: EURUSDT at 1.1600 / 1.1602 is USDT/EUR
    at 0.861920358558 / 0.862068965517.
    """
    if bid.units > ask.units:
        return TickerRefusal.CROSSED
    if turned:
        low, high = ONE * ONE // ask.units, ONE * ONE // bid.units
        if low == 0:
            return TickerRefusal.EMPTY_BOOK
        bid, ask = Rate(low), Rate(high)
    if (ask.units - bid.units) * BPS * 2 > WIDE_BPS * (bid.units + ask.units):
        return TickerRefusal.WIDE
    return bid, ask


def judge(tickers: Sequence[Ticker], now: datetime) -> Price | PriceRefusal:
    """The price of one market from the last ticker of each provider, at most one of each.

    The median is taken of all fresh ones and never again: of three, one liar cannot move it beyond
    the other two.
    """
    if len({ticker.provider for ticker in tickers}) != len(tickers):
        raise ValueError("one ticker a provider")
    if len(tickers) < SOURCES_MIN:
        return PriceRefusal.TOO_FEW_SOURCES
    fresh = [t for t in tickers if -FUTURE_MAX <= now - t.observed_at <= STALE_AFTER]
    if len(fresh) < SOURCES_MIN:
        return PriceRefusal.STALE
    middle = median([ticker.price_units for ticker in fresh])
    witnesses = [t for t in fresh if abs(t.price_units - middle) * BPS <= OUTLIER_BPS * middle]
    if len(witnesses) < SOURCES_MIN:
        return PriceRefusal.DISPUTED
    return Price(
        Rate(middle),
        tuple(sorted(ticker.provider for ticker in witnesses)),
        min(ticker.observed_at for ticker in witnesses),
    )


def median(units: Sequence[int]) -> int:
    """The one in the middle; of an even number the mean of the two there, rounded down."""
    ordered = sorted(units)
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    return (ordered[half - 1] + ordered[half]) // 2


def cross(steps: Sequence[Step], prices: Mapping[str, Price]) -> Price | PriceRefusal:
    """The price over a path of judged markets: exact, then rounded down once.

    TRX/BTC 0.000002871 × BTC/EUR 60,010.00 is 0.172288710000. Backwards over BTC/USDT 69,612.34,
    then BTC/JPY 10,400,000 is 149.398799120960 (…0960.9): the merchant gains the fraction, for
    fewer of the currency a coin are more coins an invoice.
    """
    numerator, denominator = ONE, 1
    for step in steps:
        units = prices[step.market].rate.units
        if step.forward:
            numerator, denominator = numerator * units, denominator * ONE
        else:
            numerator, denominator = numerator * ONE, denominator * units
    rate = _rate(numerator // denominator)
    if isinstance(rate, PriceRefusal):
        return rate
    passed = [prices[step.market] for step in steps]
    anywhere = {name for price in passed for name in price.providers}
    return Price(rate, tuple(sorted(anywhere)), min(price.observed_at for price in passed))


def with_spread(rate: Rate, spread_bps: int) -> Rate | PriceRefusal:
    """The rate less the merchant's spread, rounded down: the merchant gains the fraction.

    60,000.00 less 50 bps is 59,700.00. Raises ValueError outside 0 to SPREAD_BPS_MAX.
    """
    if not 0 <= spread_bps <= SPREAD_BPS_MAX:
        raise ValueError(f"a spread is 0 to {SPREAD_BPS_MAX} basis points")
    return _rate(rate.units * (BPS - spread_bps) // BPS)


def market_lock(
    steps: Sequence[Step],
    tickers: Mapping[str, Sequence[Ticker]],
    now: datetime,
) -> RateLock | PriceRefusal:
    """The market's rate over a path, which is the rate of the house: each market judged for itself,
    the first refused one refuses all. `tickers` by market; a market without any is absent.
    """
    prices: dict[str, Price] = {}
    for step in steps:
        judged = judge(tickers.get(step.market, ()), now)
        if isinstance(judged, PriceRefusal):
            return judged
        prices[step.market] = judged
    crossed = cross(steps, prices)
    if isinstance(crossed, PriceRefusal):
        return crossed
    return RateLock(
        rate=crossed.rate,
        source=Source.MARKET,
        providers=crossed.providers,
        path=tuple(step.market for step in steps),
        spread_bps=0,
        observed_at=crossed.observed_at,
    )


def merchants_lock(market: RateLock, spread_bps: int) -> RateLock | PriceRefusal:
    """What a merchant with this spread locks of the market's rate."""
    rate = with_spread(market.rate, spread_bps)
    if isinstance(rate, PriceRefusal):
        return rate
    return replace(market, rate=rate, spread_bps=spread_bps)


def _rate(units: int) -> Rate | PriceRefusal:
    if units == 0:
        return PriceRefusal.TOO_SMALL
    # More than a rate can hold is nobody's price either: the path was multiplied by nonsense.
    return Rate(units) if units <= _UNITS_MAX else PriceRefusal.DISPUTED
