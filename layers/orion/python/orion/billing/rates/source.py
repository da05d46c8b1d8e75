"""The rates that an invoice locks: the merchant's sources in their order, and never a guess. Beside
them the rates of the house, in which no merchant has a say: fees follow from these alone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from orion.billing.errors import RateUnavailable
from orion.billing.rates import snapshot
from orion.billing.rates.errors import RateDisputed, RateStale
from orion.billing.rates.markets import path
from orion.billing.rates.model import (
    PriceRefusal,
    RateLock,
    Source,
    market_lock,
    merchants_lock,
)
from orion.billing.rates.ports import FixedRate, MerchantRates, RateTransaction, TickerCache
from orion.errors import FieldValue
from orion.money import Asset

Locked = RateLock | PriceRefusal


@dataclass(frozen=True, slots=True)
class HouseWanted:
    """The assets whose rates of the house are locked too, those offered among them. `required`: an
    asset that is offered and has none refuses the invoice.
    """

    assets: Sequence[Asset]
    required: bool


@dataclass(frozen=True, slots=True)
class Locks:
    """What an invoice locks, by asset: a rate for each one offered, and those of the house that are
    known.
    """

    options: Mapping[str, RateLock]
    house: Mapping[str, RateLock]


@dataclass(frozen=True, slots=True)
class Looked:
    """As `Locks`, with the reason where a rate is missing."""

    options: Mapping[str, Locked]
    house: Mapping[str, Locked]


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
        house: HouseWanted | None = None,
    ) -> Locks:
        """A rate for every asset, by its code, and the rates of the house that are wanted. Raises
        RateUnavailable, RateStale, RateDisputed for the first asset that lacks what it needs.
        """
        also = () if house is None else house.assets
        found = self.look(tx, merchant_id, currency, assets, now, also)
        options: dict[str, RateLock] = {}
        for code, lock in found.options.items():
            if isinstance(lock, PriceRefusal):
                raise refusal(lock, code, currency)
            options[code] = lock
            of_house = found.house.get(code)
            if house is not None and house.required and isinstance(of_house, PriceRefusal):
                raise refusal(of_house, code, currency, needed_for="fee")
        known = {code: lock for code, lock in found.house.items() if isinstance(lock, RateLock)}
        return Locks(options, known)

    def look(
        self,
        tx: RateTransaction,
        merchant_id: bytes,
        currency: str,
        assets: Sequence[Asset],
        now: datetime,
        house: Sequence[Asset] = (),
    ) -> Looked:
        """What an invoice made now would lock for each asset, or why it would be refused; and the
        rates of the house of the assets in `house`.
        """
        chosen = tx.merchant_rates(merchant_id, currency, [asset.code for asset in assets])
        inside = {asset.code for asset in house}
        needed = {
            asset.symbol
            for asset in assets
            if asset.code in inside or _asks_market(chosen, asset.code)
        }
        wanted = needed | {asset.symbol for asset in house}
        market = self._market(tx, currency, needed, wanted, now)
        return looked(chosen, assets, house, market)

    def _market(
        self,
        tx: RateTransaction,
        currency: str,
        needed: Collection[str],
        wanted: Collection[str],
        now: datetime,
    ) -> Mapping[str, Locked]:
        """The market's rate of each symbol in `wanted` that a path leads from. Only for want of one
        in `needed` the database is asked.
        """
        paths = {symbol: way for symbol in wanted if (way := path(symbol, currency))}
        must = paths.keys() & needed
        if not paths:
            return {}

        def locks(tickers: snapshot.Tickers) -> Mapping[str, Locked]:
            return {symbol: market_lock(way, tickers, now) for symbol, way in paths.items()}

        markets = {step.market for way in paths.values() for step in way}
        value = None if self._cache is None else self._cache.get(snapshot.KEY)
        cached = snapshot.read(value, markets)
        if cached is not None:
            found = locks(cached)
            if all(isinstance(found[symbol], RateLock) for symbol in must):
                return found
        if not must:
            return {}
        # The cache is behind, or knows nothing: nobody is refused before the database was asked.
        rows = tx.tickers()
        if rows and self._cache is not None:
            self._cache.put(snapshot.KEY, snapshot.write(rows), snapshot.EXPIRES_S)
        return locks(snapshot.by_market(rows))


def looked(
    chosen: MerchantRates,
    assets: Sequence[Asset],
    house: Sequence[Asset],
    market: Mapping[str, Locked],
) -> Looked:
    """What the merchant chose, over the market's rates by symbol. The house chooses nothing."""
    return Looked(
        {asset.code: _first(chosen, asset, market) for asset in assets},
        {asset.code: _of(market, asset) for asset in house},
    )


def refusal(
    reason: PriceRefusal, asset: str, currency: str, **more: FieldValue
) -> RateStale | RateDisputed | RateUnavailable:
    """The error that an invoice is refused with; `more` are its further fields."""
    if reason is PriceRefusal.STALE:
        return RateStale("the market's rate of this asset is too old", asset=asset, **more)
    if reason is PriceRefusal.DISPUTED:
        return RateDisputed("the providers disagree about this asset", asset=asset, **more)
    return RateUnavailable(
        "there is no rate for this asset",
        asset=asset,
        currency=currency,
        reason=reason.value,
        **more,
    )


def _asks_market(chosen: MerchantRates, code: str) -> bool:
    """Whether the market is reached before a fixed rate that is set."""
    for source in chosen.choice.sources:
        if source is Source.MARKET:
            return True
        if code in chosen.fixed:
            return False
    return False


def _first(chosen: MerchantRates, asset: Asset, market: Mapping[str, Locked]) -> Locked:
    refused = PriceRefusal.NO_MARKET
    for source in chosen.choice.sources:
        if source is Source.FIXED:
            if asset.code in chosen.fixed:
                return _fixed(chosen.fixed[asset.code])
            continue
        found = _of(market, asset)
        if isinstance(found, RateLock):
            found = merchants_lock(found, chosen.choice.spread_bps)
        if isinstance(found, RateLock):
            return found
        refused = found
    return refused


def _of(market: Mapping[str, Locked], asset: Asset) -> Locked:
    return market.get(asset.symbol, PriceRefusal.NO_MARKET)


def _fixed(fixed: FixedRate) -> RateLock:
    return RateLock(
        rate=fixed.rate,
        source=Source.FIXED,
        providers=(),
        path=(),
        spread_bps=0,
        observed_at=fixed.set_at,
    )
