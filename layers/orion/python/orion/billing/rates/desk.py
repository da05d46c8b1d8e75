"""What merchants ask about rates: their own, their choice, and what an invoice would lock now."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from orion.billing.audit import Origin, audit
from orion.billing.creation import fiat
from orion.billing.fees.quote import needs_house_rate
from orion.billing.invoice import lock_view
from orion.billing.payment_link import Networks, payable_asset, payable_assets
from orion.billing.ports import BillingStore, Transaction
from orion.billing.quote import Rate
from orion.billing.rates.errors import RateSettingRefused
from orion.billing.rates.model import SPREAD_BPS_MAX, PriceRefusal, RateLock, Source
from orion.billing.rates.ports import RateChoice
from orion.billing.rates.source import Locked, RateSource, refusal
from orion.ids import public_id
from orion.money import ASSETS, Asset, UnknownAsset


class RateDesk:
    """The merchant's side of rates. Each method is one transaction."""

    def __init__(
        self,
        store: BillingStore,
        rates: RateSource,
        places: Networks,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._rates = rates
        self._places = places
        self._clock = clock

    def show(
        self, merchant_id: bytes, lane: str, currency: str, assets: Sequence[str] | None
    ) -> Mapping[str, object]:
        """`data`: for each asset what an invoice made now on this lane would lock, or the `code`
        that it would be refused with. `assets` None is all that can be paid here.

        Raises UnknownCurrency, UnknownAsset.
        """
        money = fiat(currency)
        coins = payable_assets(self._places) if assets is None else self._named(assets)
        now = self._clock()

        def look(tx: Transaction) -> Sequence[Mapping[str, object]]:
            fixed_part = needs_house_rate(tx, merchant_id, lane, money.code)
            found = self._rates.look(tx, merchant_id, money.code, coins, now, coins)
            return [
                _shown(code, money.code, lock, found.house[code], fixed_part=fixed_part)
                for code, lock in found.options.items()
            ]

        return {"data": self._store.transact(look)}

    def put_rate(
        self, merchant_id: bytes, asset_code: str, currency: str, text: str, *, trace_id: str
    ) -> Mapping[str, object]:
        """Set the merchant's price of one whole coin; repeating it changes nothing.

        Raises UnknownAsset, UnknownCurrency, MalformedAmount, InexactAmount, AmountNotPositive,
        AmountTooLarge.
        """
        coin, money = payable_asset(asset_code, self._places), fiat(currency)
        rate = Rate.parse(text)
        origin = Origin(merchant_id, "", trace_id, self._clock())

        def put(tx: Transaction) -> None:
            if tx.put_rate(merchant_id, coin.code, money.code, rate, origin.at):
                details = {"rate": rate.text()}
                tx.tell([audit("rate.set", origin, _pair(coin, money), details)], origin.at)

        self._store.transact(put)
        return {"asset": coin.code, "currency": money.code, "rate": rate.text()}

    def delete_rate(
        self, merchant_id: bytes, asset_code: str, currency: str, *, trace_id: str
    ) -> None:
        """Forget the merchant's own rate; one that is not there is forgotten already.

        Raises UnknownAsset, UnknownCurrency.
        """
        # Also of an asset that cannot be paid here any more.
        coin, money = ASSETS.get(asset_code), fiat(currency)
        if coin is None:
            raise UnknownAsset("no such asset", asset=asset_code[:40])
        origin = Origin(merchant_id, "", trace_id, self._clock())
        pair = _pair(coin, money)

        def delete(tx: Transaction) -> None:
            if tx.delete_rate(merchant_id, coin.code, money.code):
                tx.tell([audit("rate.deleted", origin, pair, {})], origin.at)

        self._store.transact(delete)

    def choice(self, merchant_id: bytes) -> Mapping[str, object]:
        """The merchant's sources in their order, and the spread on the market's rate."""
        return _choice(self._store.transact(lambda tx: tx.rate_choice(merchant_id)))

    def put_choice(
        self, merchant_id: bytes, sources: Sequence[str], spread_bps: int, *, trace_id: str
    ) -> Mapping[str, object]:
        """Replace the choice; repeating it changes nothing. Invoices that exist keep their rates.

        Raises RateSettingRefused.
        """
        known = [source.value for source in Source]
        unknown = [name for name in sources if name not in known]
        if unknown or not sources or len(set(sources)) != len(sources):
            raise RateSettingRefused("name each source once", known=", ".join(known))
        if not 0 <= spread_bps <= SPREAD_BPS_MAX:
            raise RateSettingRefused("the spread is out of bounds", maximum=SPREAD_BPS_MAX)
        choice = RateChoice(tuple(Source(name) for name in sources), spread_bps)
        origin = Origin(merchant_id, "", trace_id, self._clock())

        def put(tx: Transaction) -> None:
            if tx.put_rate_choice(merchant_id, choice, origin.at):
                subject = public_id("mer", merchant_id)
                tx.tell([audit("rate_settings.set", origin, subject, _choice(choice))], origin.at)

        self._store.transact(put)
        return _choice(choice)

    def _named(self, codes: Sequence[str]) -> Sequence[Asset]:
        return [payable_asset(code, self._places) for code in codes]


def _pair(coin: Asset, money: Asset) -> str:
    return f"{coin.code}/{money.code}"


def _choice(choice: RateChoice) -> Mapping[str, object]:
    return {
        "sources": [source.value for source in choice.sources],
        "spread_bps": choice.spread_bps,
    }


def _shown(
    code: str, currency: str, lock: Locked, house: Locked, *, fixed_part: bool
) -> Mapping[str, object]:
    named = {
        "asset": code,
        "currency": currency,
        "house_rate": house.rate.text() if isinstance(house, RateLock) else None,
    }
    if fixed_part and isinstance(lock, RateLock) and isinstance(house, PriceRefusal):
        lock = house
    if isinstance(lock, PriceRefusal):
        error = refusal(lock, code, currency)
        return {**named, "rate": None, "rate_lock": None, "code": error.code, "reason": lock.value}
    return {
        **named,
        "rate": lock.rate.text(),
        "rate_lock": lock_view(lock),
        "code": None,
        "reason": None,
    }
