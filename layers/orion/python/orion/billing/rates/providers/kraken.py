"""Kraken spot. Source: Kraken API documentation, "Get Ticker Information" (a and b are [price,
whole lot volume, lot volume]), "General Errors" and "Spot REST Rate Limits".
"""

from collections.abc import Mapping, Sequence

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

_UNKNOWN = "EQuery:Unknown asset pair"
# Refusals that pass; the first two words of Kraken's rate limits, then its maintenance.
_LIMITED = ("EGeneral:Too many requests", "EAPI:Rate limit exceeded")


class Kraken:
    """Symbols are written "XBT/EUR". Kraken answers by names of its own (XXBTZEUR), in which old
    assets carry an X and old currencies a Z.
    """

    name = "kraken"
    symbols_max = 20

    def target(self, symbols: Sequence[str]) -> str:
        return "/0/public/Ticker?pair=" + ",".join(s.replace("/", "") for s in symbols)

    def read(self, symbols: Sequence[str], answer: Answer) -> Found:
        if answer.status != 200:
            return dict.fromkeys(symbols, TickerRefusal.STATUS)
        body = as_object(read_json(answer.body))
        errors = [str(error) for error in as_list(body.get("error"))]
        if any(error.startswith(_UNKNOWN) for error in errors):
            if len(symbols) > 1:
                raise OneIsNotListed
            return {symbols[0]: TickerRefusal.UNKNOWN_PAIR}
        # A warning ("W…") leaves the result standing, an error does not.
        if any(error.startswith(_LIMITED) for error in errors):
            return dict.fromkeys(symbols, TickerRefusal.RATE_LIMITED)
        if any(error.startswith("E") for error in errors):
            return dict.fromkeys(symbols, TickerRefusal.STATUS)
        rows = as_object(body.get("result"))
        return {symbol: _of(symbol, rows) for symbol in symbols}


def _of(symbol: str, rows: Mapping[str, object]) -> Quoted | TickerRefusal:
    base, _, counter = symbol.partition("/")
    names = {first + second for first in (base, f"X{base}") for second in _counters(counter)}
    found = [rows[name] for name in sorted(names) if name in rows]
    if not found:
        return TickerRefusal.UNKNOWN_PAIR
    if len(found) > 1:
        raise NotTheFormat("a pair stands twice")
    row = as_object(found[0])
    bid, ask = as_list(row.get("b")), as_list(row.get("a"))
    return quoted(bid[0] if bid else None, ask[0] if ask else None)


def _counters(counter: str) -> tuple[str, ...]:
    return counter, f"X{counter}", f"Z{counter}"
