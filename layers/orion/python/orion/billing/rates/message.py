"""What the function outside the network tells the one inside about one provider's round."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from orion.billing.quote import Rate
from orion.billing.rates.markets import MARKETS
from orion.billing.rates.model import FUTURE_MAX, Ticker
from orion.billing.rates.round import Report
from orion.billing.reading import Fields
from orion.errors import OrionError
from orion.records import MalformedRecord

_RATE_DIGITS_MAX = 40
_MOMENT_MAX_S = 2**33


def write(report: Report, trace_id: str) -> Mapping[str, object]:
    """The body of a message of the queue `rate-results`."""
    return {
        "v": 1,
        "trace_id": trace_id,
        "provider": report.provider,
        "tickers": [
            {
                "market": ticker.market,
                "bid": ticker.bid.text(),
                "ask": ticker.ask.text(),
                "observed_at_s": int(ticker.observed_at.timestamp()),
            }
            for ticker in report.tickers
        ],
        "refused": {market: reason.value for market, reason in sorted(report.refused.items())},
    }


def read(body: Mapping[str, object], now: datetime) -> Sequence[Ticker]:
    """The tickers of a message, judged again as far as it can be: markets that the data gives this
    provider, sides in order, nothing from the future. Raises MalformedRecord.
    """
    fields = Fields(body)
    if fields.integer("v") != 1:
        raise MalformedRecord("a message of another version", field="v")
    provider = fields.text("provider", max_length=16)
    found = [
        _ticker(provider, row, now) for row in fields.objects("tickers", max_items=len(MARKETS))
    ]
    if len({ticker.market for ticker in found}) != len(found):
        raise MalformedRecord("a market stands twice", field="tickers")
    return found


def _ticker(provider: str, row: Fields, now: datetime) -> Ticker:
    market = row.text("market", max_length=32)
    if provider not in MARKETS.get(market, {}):
        raise MalformedRecord("the provider does not list this market", field="market")
    bid, ask = _side(row, "bid"), _side(row, "ask")
    observed_at = datetime.fromtimestamp(row.integer("observed_at_s", maximum=_MOMENT_MAX_S), UTC)
    if bid.units > ask.units:
        raise MalformedRecord("the bid is above the ask", field="bid")
    if observed_at - now > FUTURE_MAX:
        raise MalformedRecord("a ticker from the future", field="observed_at_s")
    return Ticker(provider, market, bid, ask, observed_at)


def _side(row: Fields, name: str) -> Rate:
    try:
        return Rate.parse(row.text(name, max_length=_RATE_DIGITS_MAX))
    except MalformedRecord:
        raise
    except OrionError as exc:
        raise MalformedRecord("not a rate", field=name) from exc
