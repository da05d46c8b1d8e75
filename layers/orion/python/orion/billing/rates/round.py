"""One round of questions to one provider: what it said of each market that it lists."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from orion.billing.rates.markets import Listing
from orion.billing.rates.model import FUTURE_MAX, Ticker, TickerRefusal, book
from orion.billing.rates.providers.answer import (
    Answer,
    Found,
    NotTheFormat,
    OneIsNotListed,
    Provider,
    Quoted,
)

QUESTIONS_MAX = 64
RATE_LIMITS = (418, 429)

# Asks path and query below the provider's base URL, within limits of its own; never raises.
Get = Callable[[str], Answer | TickerRefusal]


@dataclass(frozen=True, slots=True)
class Report:
    """Each market of the provider is in exactly one of both."""

    provider: str
    tickers: tuple[Ticker, ...]
    refused: Mapping[str, TickerRefusal]


def ask(provider: Provider, listings: Sequence[Listing], get: Get, now: datetime) -> Report:
    """Ask for all `listings` in as few questions as the provider takes.

    Where one pair refuses a question for several, its halves are asked, so that a pair that ended
    takes no other with it. After a rate limit, or QUESTIONS_MAX, nothing more is asked.
    """
    by_symbol = {listing.symbol: listing for listing in listings}
    symbols = list(by_symbol)
    waiting = deque(
        symbols[first : first + provider.symbols_max]
        for first in range(0, len(symbols), provider.symbols_max)
    )
    found: dict[str, Ticker | TickerRefusal] = {}
    asked = 0
    limited = False
    while waiting:
        some = waiting.popleft()
        if limited or asked == QUESTIONS_MAX:
            found.update(dict.fromkeys(some, TickerRefusal.RATE_LIMITED))
            continue
        asked += 1
        answer = get(provider.target(some))
        try:
            said, at = _said(provider, some, answer)
        except OneIsNotListed:
            half = len(some) // 2
            waiting += [some[:half], some[half:]]
            continue
        limited = TickerRefusal.RATE_LIMITED in said.values()
        for symbol, quoted in said.items():
            found[symbol] = _ticker(provider.name, by_symbol[symbol], quoted, at, now)
    return _report(provider.name, by_symbol, found)


def _said(
    provider: Provider, symbols: Sequence[str], answer: Answer | TickerRefusal
) -> tuple[Found, datetime | None]:
    if isinstance(answer, TickerRefusal):
        return dict.fromkeys(symbols, answer), None
    if answer.status in RATE_LIMITS:
        return dict.fromkeys(symbols, TickerRefusal.RATE_LIMITED), None
    if 300 <= answer.status < 400:
        return dict.fromkeys(symbols, TickerRefusal.REDIRECTED), None
    if not 200 <= answer.status < 500:
        return dict.fromkeys(symbols, TickerRefusal.STATUS), None
    try:
        return provider.read(symbols, answer), answer.at
    except NotTheFormat:
        # An error page in the place of an answer says by its status what it is.
        word = TickerRefusal.MALFORMED if answer.status == 200 else TickerRefusal.STATUS
        return dict.fromkeys(symbols, word), None


def _ticker(
    provider: str,
    listing: Listing,
    quoted: Quoted | TickerRefusal,
    at: datetime | None,
    now: datetime,
) -> Ticker | TickerRefusal:
    if isinstance(quoted, TickerRefusal):
        return quoted
    if at is None:
        return TickerRefusal.NO_TIME
    if at - now > FUTURE_MAX:
        return TickerRefusal.FROM_FUTURE
    sides = book(*quoted, turned=listing.turned)
    if isinstance(sides, TickerRefusal):
        return sides
    return Ticker(provider, listing.market, *sides, at)


def _report(
    provider: str,
    by_symbol: Mapping[str, Listing],
    found: Mapping[str, Ticker | TickerRefusal],
) -> Report:
    tickers: list[Ticker] = []
    refused: dict[str, TickerRefusal] = {}
    for symbol, listing in by_symbol.items():
        said = found[symbol]
        if isinstance(said, TickerRefusal):
            refused[listing.market] = said
        else:
            tickers.append(said)
    return Report(provider, tuple(tickers), refused)
