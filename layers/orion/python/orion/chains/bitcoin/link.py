"""Payment links of BIP-21."""

from orion.chains.bitcoin.address import parse_address
from orion.chains.bitcoin.wire import UNITS_MAX
from orion.chains.errors import AmountNotPayable
from orion.chains.link_amount import whole_coins
from orion.money import Amount


def payment_link(address: str, amount: Amount, network: str, contract: str | None = None) -> str:
    """`bitcoin:<address>?amount=<BTC>`: the amount exact, in whole coins, without trailing zeros.

    Raises AmountNotPayable, MalformedAddress, WrongNetworkAddress, UnknownNetwork.
    """
    if contract is not None:
        raise AmountNotPayable("bitcoin has no token contracts")
    coins = whole_coins(amount, UNITS_MAX)
    return f"bitcoin:{parse_address(address, network).text}?amount={coins}"
