"""Coinbase Exchange. Source: Coinbase Exchange REST API, "Get product ticker" and "Rate limits"
(public: 10 requests a second an address, 15 in a burst).
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from orion.billing.rates.model import TickerRefusal
from orion.billing.rates.providers.answer import (
    Answer,
    Found,
    NotTheFormat,
    Quoted,
    as_object,
    quoted,
    read_json,
)

# Bid and ask are of now, `time` is the last trade's: a market that nobody trades in is no market.
TRADE_AGE_MAX = timedelta(hours=1)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?Z", re.ASCII)


class Coinbase:
    """One product a question."""

    name = "coinbase"
    symbols_max = 1

    def target(self, symbols: Sequence[str]) -> str:
        return f"/products/{quote(symbols[0], safe='')}/ticker"

    def read(self, symbols: Sequence[str], answer: Answer) -> Found:
        return {symbols[0]: _read(answer)}


def _read(answer: Answer) -> Quoted | TickerRefusal:
    if answer.status == 404:
        return TickerRefusal.UNKNOWN_PAIR
    if answer.status != 200:
        return TickerRefusal.STATUS
    body = as_object(read_json(answer.body))
    match = _MOMENT.fullmatch(str(body.get("time")))
    if match is None:
        raise NotTheFormat("the last trade has no time")
    try:
        traded_at = datetime.fromisoformat(match.group(1)).replace(tzinfo=UTC)
    except ValueError as exc:
        raise NotTheFormat("the last trade has no time") from exc
    if answer.at - traded_at > TRADE_AGE_MAX:
        return TickerRefusal.HALTED
    return quoted(body.get("bid"), body.get("ask"))
