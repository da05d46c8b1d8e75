"""All tickers as one value of the cache, read only as far as a question needs it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from orion.billing.quote import Rate
from orion.billing.rates.model import Ticker
from orion.records import MalformedJson, canonical_json, parse_object

KEY = "rates:tickers:1"
# Longer than a round of questions, shorter than a ticker is fresh.
EXPIRES_S = 180
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Tickers = Mapping[str, Sequence[Ticker]]


def by_market(tickers: Sequence[Ticker]) -> dict[str, list[Ticker]]:
    """Markets without a ticker are absent."""
    found: dict[str, list[Ticker]] = {}
    for ticker in tickers:
        found.setdefault(ticker.market, []).append(ticker)
    return found


def write(tickers: Sequence[Ticker]) -> bytes:
    """The value under KEY."""
    return canonical_json(
        {
            market: [
                [t.provider, str(t.bid.units), str(t.ask.units), _moment(t.observed_at)]
                for t in found
            ]
            for market, found in by_market(tickers).items()
        }
    )


def read(value: bytes | None, markets: Collection[str]) -> Tickers | None:
    """The tickers of these markets; None where the value is missing or not of this form: a cache
    is never believed further than its form goes.
    """
    if value is None:
        return None
    try:
        body = cast(Mapping[str, Sequence[Sequence[Any]]], parse_object(value))
        return {market: _tickers(market, body.get(market, ())) for market in markets}
    except (MalformedJson, ValueError, TypeError, OverflowError):
        return None


def _tickers(market: str, rows: Sequence[Sequence[Any]]) -> Sequence[Ticker]:
    found = [
        Ticker(
            str(provider),
            market,
            _rate(bid),
            _rate(ask),
            _EPOCH + timedelta(microseconds=int(at)),
        )
        for provider, bid, ask, at in rows
    ]
    if len({ticker.provider for ticker in found}) != len(found):
        raise ValueError("one ticker a provider")
    return found


def _rate(text: str) -> Rate:
    units = int(text)
    if units <= 0:
        raise ValueError("a rate is positive")
    return Rate(units)


def _moment(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND
