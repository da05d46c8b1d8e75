"""Payment links in BIP-21's form. No TIP defines a scheme for payments.

TronLink's deep links work only for registered sites and name the payer, so they are no choice here.
A wallet that knows no `tron:` links reads the address, and the payer types the amount.
"""

from orion.chains.link_amount import whole_coins
from orion.chains.tron.address import canonical_address
from orion.money import Amount

_INT64_MAX = 2**63 - 1  # TransferContract.amount; a token's uint256 is held to the same.


def payment_link(address: str, amount: Amount, network: str, contract: str | None = None) -> str:
    """`tron:<address>?amount=<whole coins>`, with `&token=<contract>` for a TRC-20 token.

    Raises AmountNotPayable, MalformedAddress, UnknownNetwork.
    """
    link = f"tron:{canonical_address(address, network)}?amount={whole_coins(amount, _INT64_MAX)}"
    return link if contract is None else f"{link}&token={canonical_address(contract, network)}"
