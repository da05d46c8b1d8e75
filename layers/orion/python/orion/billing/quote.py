"""Rates, and the amount in coins that an invoice asks for. Integers only."""

import re
from dataclasses import dataclass

from orion.money import (
    MAX_UNITS,
    Amount,
    AmountNotPositive,
    AmountTooLarge,
    Asset,
    InexactAmount,
    MalformedAmount,
)

RATE_WHOLE_DIGITS = 20
RATE_DECIMALS = 12
_PLAIN = re.compile(r"(0|[1-9][0-9]{0,79})(?:\.([0-9]{1,80}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rate:
    """Price of one whole coin: `units` × 10^-RATE_DECIMALS whole units of a currency. Always
    positive.
    """

    units: int

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Read a plain decimal such as "60000.00" exactly.

        Raises MalformedAmount, InexactAmount (over RATE_DECIMALS places), AmountNotPositive,
        AmountTooLarge.
        """
        match = _PLAIN.fullmatch(text.removeprefix("-"))
        if match is None:
            raise MalformedAmount('rates are plain decimals such as "60000.00"')
        whole, fraction = match.group(1), match.group(2) or ""
        if len(fraction) > RATE_DECIMALS:
            raise InexactAmount(
                f"a rate has at most {RATE_DECIMALS} decimals", decimals=RATE_DECIMALS
            )
        units = int(whole + fraction.ljust(RATE_DECIMALS, "0"))
        if text.startswith("-") or units == 0:
            raise AmountNotPositive("a rate must be more than zero")
        if len(whole) > RATE_WHOLE_DIGITS:
            raise AmountTooLarge(f"a rate has at most {RATE_WHOLE_DIGITS} digits before the point")
        return cls(units)

    def text(self) -> str:
        """The plain decimal with two places at least: "60000.00", "0.000000000001"."""
        digits = str(self.units).rjust(RATE_DECIMALS + 1, "0")
        whole, fraction = digits[:-RATE_DECIMALS], digits[-RATE_DECIMALS:].rstrip("0")
        return f"{whole}.{fraction.ljust(2, '0')}"


def quote(price: Amount, rate: Rate, coin: Asset) -> Amount:
    """The coins to ask for: price / rate, rounded up to the coin's display decimals.

    25.00 EUR at 60000.00 EUR/BTC is 0.000416666… BTC; asked are 0.00041667 BTC. The merchant gains
    the fraction, less than
    one displayed step; rounding down would leave the merchant short of the agreed price. Raises
    AmountTooLarge.
    """
    price.positive()
    # steps = ceil( (units / 10^fiat decimals) / (rate units / 10^RATE_DECIMALS) × 10^display
    # decimals )
    numerator = price.units * 10 ** (RATE_DECIMALS + coin.display_decimals)
    denominator = rate.units * 10**price.asset.decimals
    steps = -(-numerator // denominator)
    units = steps * 10 ** (coin.decimals - coin.display_decimals)
    if units > MAX_UNITS:
        raise AmountTooLarge("the amount in coins is more than the ledger holds", asset=coin.code)
    return Amount(units, coin)
