"""Payment links of Solana Pay's specification, "Transfer Request"."""

from orion.chains.link_amount import whole_coins
from orion.chains.solana.address import canonical_address
from orion.money import Amount

_UINT64_MAX = 2**64 - 1


def payment_link(address: str, amount: Amount, network: str, contract: str | None = None) -> str:
    """`solana:<address>?amount=<whole coins>`, with `&spl-token=<mint>` for a token.

    `address` is the owner's, never a token account: the wallet finds the associated account by
    itself. Raises AmountNotPayable, MalformedAddress, UnknownNetwork.
    """
    link = f"solana:{canonical_address(address, network)}?amount={whole_coins(amount, _UINT64_MAX)}"
    return link if contract is None else f"{link}&spl-token={canonical_address(contract, network)}"
