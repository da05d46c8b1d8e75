"""Amount, and the exact reading and writing of decimals. No float and no context-dependent Decimal
comes near.
"""

import re
from dataclasses import dataclass

from orion.errors import OrionError
from orion.money.asset import Asset

MAX_UNITS = 2**128 - 1
_PLAIN_DECIMAL = re.compile(r"(-?)(0|[1-9][0-9]{0,79})(?:\.([0-9]{1,80}))?", re.ASCII)


class MalformedAmount(OrionError):
    """Text that is not a plain decimal such as "0.00012500"."""

    code = "malformed_amount"


class InexactAmount(OrionError):
    """A decimal with more places than the asset has."""

    code = "inexact_amount"


class AmountNotPositive(OrionError):
    """Zero or less where something must be paid."""

    code = "amount_not_positive"


class AmountTooLarge(OrionError):
    """More units than the ledger can hold."""

    code = "amount_too_large"


class AssetMismatch(OrionError):
    """Arithmetic over two assets."""

    code = "asset_mismatch"


@dataclass(frozen=True, slots=True)
class Amount:
    """`units` of the smallest denomination of `asset`: satoshi, wei, sun, lamports, cents. May be
    zero or negative as a
    difference; `positive` is the gate for what people ask to be paid."""

    units: int
    asset: Asset

    def __post_init__(self) -> None:
        if isinstance(self.units, bool) or not isinstance(self.units, int):
            raise TypeError("units are a whole number")
        if abs(self.units) > MAX_UNITS:
            raise AmountTooLarge("more than 2^128-1 units", asset=self.asset.code)

    @classmethod
    def parse(cls, text: str, asset: Asset) -> "Amount":
        """Read a plain decimal exactly: "0.00012500" BTC is 12,500 satoshi.

        Raises MalformedAmount (signs other than a minus, exponents, leading zeros, spaces),
        InexactAmount (a non-zero digit or any place beyond the asset's decimals), AmountTooLarge.
        """
        match = _PLAIN_DECIMAL.fullmatch(text)
        if match is None:
            raise MalformedAmount('amounts are plain decimals such as "25.00"', asset=asset.code)
        sign, whole, fraction = match.group(1), match.group(2), match.group(3) or ""
        if len(fraction) > asset.decimals:
            raise InexactAmount(
                f"{asset.code} has {asset.decimals} decimals",
                asset=asset.code,
                decimals=asset.decimals,
            )
        units = int(whole + fraction.ljust(asset.decimals, "0"))
        if units > MAX_UNITS:
            raise AmountTooLarge("more than 2^128-1 units", asset=asset.code)
        return cls(-units if sign else units, asset)

    def text(self) -> str:
        """The plain decimal with all places of the asset: 12,500 satoshi is "0.00012500"."""
        digits = str(abs(self.units)).rjust(self.asset.decimals + 1, "0")
        split = len(digits) - self.asset.decimals
        fraction = f".{digits[split:]}" if self.asset.decimals else ""
        return ("-" if self.units < 0 else "") + digits[:split] + fraction

    def positive(self) -> "Amount":
        """Itself, or AmountNotPositive."""
        if self.units <= 0:
            raise AmountNotPositive("the amount must be more than zero", asset=self.asset.code)
        return self

    def _same_asset(self, other: "Amount") -> None:
        if other.asset != self.asset:
            raise AssetMismatch(
                "two assets do not add up", left=self.asset.code, right=other.asset.code
            )

    def __add__(self, other: "Amount") -> "Amount":
        self._same_asset(other)
        return Amount(self.units + other.units, self.asset)

    def __sub__(self, other: "Amount") -> "Amount":
        self._same_asset(other)
        return Amount(self.units - other.units, self.asset)
