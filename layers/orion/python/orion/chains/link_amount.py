"""The amount of a payment link, for schemes that write whole coins (BIP-21, Solana Pay)."""

from orion.chains.errors import AmountNotPayable
from orion.money import Amount


def whole_coins(amount: Amount, units_max: int) -> str:
    """The exact plain decimal without trailing zeros: 41,234 sat is "0.00041234", 10^8 sat is "1".

    Raises AmountNotPayable unless it is 1 to `units_max` units.
    """
    if not 0 < amount.units <= units_max:
        raise AmountNotPayable("no such amount can be paid", asset=amount.asset.code)
    text = amount.text()
    return text.rstrip("0").rstrip(".") if "." in text else text
