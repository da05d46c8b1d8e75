"""Token amounts as the RPC shows them."""

from infra.local.solana.model import Json


def ui_amount(units: int, decimals: int) -> Json:
    """A token amount; `uiAmount` is a float for people, the others are exact."""
    digits = str(units).rjust(decimals + 1, "0")
    whole, fraction = digits[: len(digits) - decimals], digits[len(digits) - decimals :]
    text = f"{whole}.{fraction}".rstrip("0").rstrip(".")
    return {
        "amount": str(units),
        "decimals": decimals,
        "uiAmount": float(text),
        "uiAmountString": text,
    }
