"""The rates that an invoice locks: the merchant's sources in their order, and never a guess."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from orion.billing.errors import RateUnavailable
from orion.billing.rates import snapshot
from orion.billing.rates.errors import RateDisputed, RateStale
from orion.billing.rates.markets import Step, path
from orion.billing.rates.model import PriceRefusal, RateLock, Source, market_lock
from orion.billing.rates.ports import FixedRate, MerchantRates, RateTransaction, TickerCache
from orion.errors import OrionError
from orion.money import Asset

Locked = RateLock | PriceRefusal
Paths = Mapping[str, tuple[Step, ...]]


class RateSource:
    """Rates for one merchant, of the merchant's fixed ones and of the market. Without a cache the
    database is asked each time.
    """

    def __init__(self, cache: TickerCache | None = None) -> None:
        self._cache = cache

    def lock(
        self,
        tx: RateTransaction,
        merchant_id: bytes,
        currency: str,
        assets: Sequence[Asset],
        now: datetime,
    ) -> Mapping[str, RateLock]:
        """A rate for every asset, by its code. Raises RateUnavailable, RateStale, RateDisputed for
        the first asset that has none.
        """
        locks: dict[str, RateLock] = {}
        for code, found in self.look(tx, merchant_id, currency, assets, now).items():
            if isinstance(found, PriceRefusal):
                raise refusal(found, code, currency)
            locks[code] = found
        return locks

    def look(
        self,
        tx: RateTransaction,
        merchant_id: bytes,
        currency: str,
        assets: Sequence[Asset],
        now: datetime,
    ) -> Mapping[str, Locked]:
        """What an invoice made now would lock for each asset, or why it would be refused."""
        chosen = tx.merchant_rates(merchant_id, currency, [asset.code for asset in assets])
        symbols = {asset.code: asset.symbol for asset in assets if _asks_market(chosen, asset.code)}
        market = self._market(tx, symbols, currency, chosen.choice.spread_bps, now)
        return {asset.code: _first(chosen, asset.code, market) for asset in assets}

    def _market(
        self,
        tx: RateTransaction,
        symbols: Mapping[str, str],
        currency: str,
        spread_bps: int,
        now: datetime,
    ) -> Mapping[str, Locked]:
        paths = {code: way for code, symbol in symbols.items() if (way := path(symbol, currency))}
        if not paths:
            return {}
        markets = {step.market for way in paths.values() for step in way}
        value = None if self._cache is None else self._cache.get(snapshot.KEY)
        cached = snapshot.read(value, markets)
        if cached is not None:
            locks = _locks(paths, cached, spread_bps, now)
            if not any(isinstance(lock, PriceRefusal) for lock in locks.values()):
                return locks
        # The cache is behind, or knows nothing: nobody is refused before the database was asked.
        rows = tx.tickers()
        if rows and self._cache is not None:
            self._cache.put(snapshot.KEY, snapshot.write(rows), snapshot.EXPIRES_S)
        return _locks(paths, snapshot.by_market(rows), spread_bps, now)


def refusal(reason: PriceRefusal, asset: str, currency: str) -> OrionError:
    """The error that an invoice is refused with."""
    if reason is PriceRefusal.STALE:
        return RateStale("the market's rate of this asset is too old", asset=asset)
    if reason is PriceRefusal.DISPUTED:
        return RateDisputed("the providers disagree about this asset", asset=asset)
    return RateUnavailable(
        "there is no rate for this asset", asset=asset, currency=currency, reason=reason.value
    )


def _locks(
    paths: Paths, tickers: snapshot.Tickers, spread_bps: int, now: datetime
) -> Mapping[str, Locked]:
    return {code: market_lock(way, tickers, spread_bps, now) for code, way in paths.items()}


def _asks_market(chosen: MerchantRates, code: str) -> bool:
    """Whether the market is reached before a fixed rate that is set."""
    for source in chosen.choice.sources:
        if source is Source.MARKET:
            return True
        if code in chosen.fixed:
            return False
    return False


def _first(chosen: MerchantRates, code: str, market: Mapping[str, Locked]) -> Locked:
    refused = PriceRefusal.NO_MARKET
    for source in chosen.choice.sources:
        if source is Source.FIXED:
            if code in chosen.fixed:
                return _fixed(chosen.fixed[code])
            continue
        found = market.get(code, PriceRefusal.NO_MARKET)
        if isinstance(found, RateLock):
            return found
        refused = found
    return refused


def _fixed(fixed: FixedRate) -> RateLock:
    return RateLock(
        rate=fixed.rate,
        source=Source.FIXED,
        providers=(),
        path=(),
        spread_bps=0,
        observed_at=fixed.set_at,
    )
