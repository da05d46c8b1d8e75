"""Keeps what the providers said: the newest ticker of each, in the database and in the cache."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from orion.billing.rates import snapshot
from orion.billing.rates.model import Ticker
from orion.billing.rates.ports import RateTransaction, TickerCache

T = TypeVar("T")


class RateStore(Protocol):
    """Transactions over the schema that holds the rates."""

    def transact(self, work: Callable[[RateTransaction], T]) -> T:
        """`work` in one transaction."""
        ...


class TickerKeeping:
    """The writing side of the market's rates."""

    def __init__(self, store: RateStore, cache: TickerCache, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._cache = cache
        self._clock = clock

    def keep(self, tickers: Sequence[Ticker]) -> None:
        """Store those that are newer than what is known, then show all of them to the cache. An
        older or repeated one changes nothing.
        """

        def work(tx: RateTransaction) -> Sequence[Ticker]:
            if tickers:
                tx.put_tickers(tickers, self._clock())
            return tx.tickers()

        known = self._store.transact(work)
        # After the commit: the cache never shows what the database may forget.
        self._cache.put(snapshot.KEY, snapshot.write(known), snapshot.EXPIRES_S)
