"""What a payment costs: integers only, every rounding named. Pure; docs/fees.md is the
specification.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from orion.billing.quote import RATE_DECIMALS, Rate
from orion.money import MAX_UNITS, Amount, AmountTooLarge, Asset, asset

BASIS = 10_000
VOLUME_DAYS = 30


class Payer(StrEnum):
    """Who bears the fee: `customer` is asked for more, so that the merchant still gets the
    price.
    """

    MERCHANT = "merchant"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True)
class Tier:
    """`bps` basis points from `from_units` of volume on, in the plan's currency."""

    from_units: int
    bps: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The terms of one fee plan. `fixed` is in smallest units by currency; `reporting` what one
    whole unit of another currency counts in `currency`. `tiers` begin at 0 and rise.
    """

    name: str
    currency: str
    tiers: tuple[Tier, ...]
    fixed: Mapping[str, int]
    payer: Payer
    referral_bps: int
    reporting: Mapping[str, Rate]

    def volume(self, sums: Mapping[str, int]) -> int:
        """Volumes by currency, in smallest units of the plan's, each rounded down: 1,086.95 USD at
        0.92 count 999.99 EUR, the house gains 0.4 cents. A currency that the plan does not name
        counts nothing; less than zero is zero, and more than the ledger can hold is as much.
        """
        own = asset(self.currency).decimals
        total = sums.get(self.currency, 0)
        for currency, rate in self.reporting.items():
            units = sums.get(currency, 0)
            numerator = units * rate.units * 10**own
            total += numerator // 10 ** (RATE_DECIMALS + asset(currency).decimals)
        return min(max(0, total), MAX_UNITS)

    def tier(self, volume_units: int) -> Tier:
        """The last tier that begins at or below this volume."""
        return [tier for tier in self.tiers if tier.from_units <= volume_units][-1]

    @property
    def needs_volume(self) -> bool:
        """Whether a volume decides anything."""
        return len(self.tiers) > 1


@dataclass(frozen=True, slots=True)
class Terms:
    """What an invoice agreed on at its creation. `fixed_units` in the invoice's currency."""

    bps: int
    fixed_units: int
    payer: Payer
    referral_bps: int

    def asked(self, price: Amount) -> Amount:
        """What the customer is asked for.

        A customer who bears 1% and 0.10 EUR of 25.00 EUR is asked for 25.36 EUR, from 25.353535…
        rounded up: the merchant gains 0.6 cents. Raises AmountTooLarge.
        """
        if self.payer is not Payer.CUSTOMER:
            return price
        units = -(-(price.units + self.fixed_units) * BASIS // (BASIS - self.bps))
        if units > MAX_UNITS:
            raise AmountTooLarge("the amount with its fee is more than the ledger holds")
        return Amount(units, price.asset)


def volume_window(created_at: datetime) -> tuple[date, date]:
    """First and last of the 30 whole UTC days before the day of `created_at`."""
    last = created_at.date() - timedelta(days=1)
    return last - timedelta(days=VOLUME_DAYS - 1), last


def value_of(units: int, rate: Rate, coin: Asset, money: Asset) -> int:
    """What `units` of `coin` are worth, rounded down to the smallest unit of `money`: 20 satoshi
    at 60000.00 EUR/BTC are 1.2 cents, so 1.
    """
    numerator = units * rate.units * 10**money.decimals
    return int(numerator // 10 ** (RATE_DECIMALS + coin.decimals))


def coins_for(money_units: int, rate: Rate, coin: Asset, money: Asset) -> int:
    """The coins that `money_units` buy, rounded down: 0.10 EUR are 166.67 satoshi, so 166."""
    numerator = money_units * 10 ** (RATE_DECIMALS + coin.decimals)
    return int(numerator // (rate.units * 10**money.decimals))


@dataclass(frozen=True, slots=True)
class Assessment:
    """The fee of one final deposit: `percent_units + fixed_coins` is the fee, `share_units` and
    `kept_units` are its parts. `fixed_taken` and `value_units` are in the invoice's currency;
    without a rate of the house the value is not known, which is not zero.
    """

    percent_units: int
    fixed_taken: int
    fixed_coins: int
    share_units: int
    value_units: int | None

    @property
    def fee_units(self) -> int:
        return self.percent_units + self.fixed_coins

    @property
    def kept_units(self) -> int:
        return self.fee_units - self.share_units


def assess(
    terms: Terms,
    units: int,
    *,
    open_units: int,
    rate: Rate | None,
    coin: Asset,
    money: Asset,
    referred: bool,
) -> Assessment:
    """What a deposit of `units` of `coin` costs. `open_units` of the invoice's fixed part are not
    paid yet; `rate` is the one of the house that the invoice locked for this asset, never the
    merchant's; None where there was none.

    41,667 satoshi at 60000.00 EUR/BTC with 1% and 0.10 EUR: percent 416 of 416.67 and fixed 166 of
    166.67, the merchant gains both fractions; of the fee of 582 a referrer with 20% gets 116 of
    116.4, the house gains that fraction.
    """
    percent = units * terms.bps // BASIS
    taken = coins = 0
    value = None
    if rate is not None:
        value = value_of(units, rate, coin, money)
        # Whole smallest units of the currency only: dust is no way to pay a fixed part cheaply.
        taken = min(open_units, value_of(units - percent, rate, coin, money))
        coins = coins_for(taken, rate, coin, money)
    share = (percent + coins) * terms.referral_bps // BASIS if referred else 0
    return Assessment(percent, taken, coins, share, value)
