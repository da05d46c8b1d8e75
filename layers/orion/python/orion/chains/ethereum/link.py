"""Payment links of EIP-681."""

from orion.chains.errors import AmountNotPayable
from orion.chains.ethereum.address import check_network, checksum_address, parse_address
from orion.money import Amount


def payment_link(address: str, amount: Amount, network: str, contract: str | None = None) -> str:
    """`ethereum:<address>@<chain id>?value=<wei>`, or a call of `transfer` on the token `contract`.

    The amount is an integer of smallest units: EIP-681 allows exponents, wallets disagree about
    them. Raises AmountNotPayable, MalformedAddress, UnknownNetwork.
    """
    chain_id = check_network(network)
    recipient = checksum_address(parse_address(address))
    if amount.units <= 0:  # An Amount always fits into uint256.
        raise AmountNotPayable("no such amount can be paid")
    if contract is None:
        return f"ethereum:{recipient}@{chain_id}?value={amount.units}"
    token = checksum_address(parse_address(contract))
    return f"ethereum:{token}@{chain_id}/transfer?address={recipient}&uint256={amount.units}"
