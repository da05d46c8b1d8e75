"""Binance spot. Source: Binance Spot API Docs, rest-api.md, "Symbol order book ticker" and
"HTTP Return Codes"; errors.md, -1121 "Invalid symbol." and -1100.
"""

from collections.abc import Sequence
from urllib.parse import quote

from orion.billing.rates.model import TickerRefusal
from orion.billing.rates.providers.answer import (
    Answer,
    Found,
    NotTheFormat,
    OneIsNotListed,
    Quoted,
    as_list,
    as_object,
    quoted,
    read_json,
)

_INVALID_SYMBOL = ("-1121", "-1100")


class Binance:
    """The best bid and ask of several symbols in one question, of weight 4."""

    name = "binance"
    symbols_max = 20

    def target(self, symbols: Sequence[str]) -> str:
        names = ",".join(f'"{symbol}"' for symbol in symbols)
        return f"/api/v3/ticker/bookTicker?symbols={quote(f'[{names}]', safe='')}"

    def read(self, symbols: Sequence[str], answer: Answer) -> Found:
        body = read_json(answer.body)
        if answer.status == 400 and as_object(body).get("code") in _INVALID_SYMBOL:
            if len(symbols) > 1:
                raise OneIsNotListed
            return {symbols[0]: TickerRefusal.UNKNOWN_PAIR}
        if answer.status != 200:
            return dict.fromkeys(symbols, TickerRefusal.STATUS)
        rows: dict[str, Quoted | TickerRefusal] = {}
        for row in map(as_object, as_list(body)):
            symbol = row.get("symbol")
            if not isinstance(symbol, str) or symbol in rows:
                raise NotTheFormat("a row without a symbol of its own")
            rows[symbol] = quoted(row.get("bidPrice"), row.get("askPrice"))
        return {symbol: rows.get(symbol, TickerRefusal.UNKNOWN_PAIR) for symbol in symbols}
