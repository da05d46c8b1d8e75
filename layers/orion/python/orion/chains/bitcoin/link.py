"""Payment links of BIP-21."""

from orion.chains.bitcoin.address import parse_address
from orion.chains.bitcoin.wire import UNITS_MAX
from orion.chains.errors import AmountNotPayable

_SATOSHI_PLACES = 8


def payment_link(address: str, units: int, network: str, contract: str | None = None) -> str:
    """`bitcoin:<address>?amount=<BTC>`: the amount exact, in whole coins, without trailing zeros.

    41,234 sat is `amount=0.00041234`, 100,000,000 sat is `amount=1`. Raises AmountNotPayable,
    MalformedAddress, WrongNetworkAddress, UnknownNetwork.
    """
    if contract is not None:
        raise AmountNotPayable("bitcoin has no token contracts")
    if not 0 < units <= UNITS_MAX:
        raise AmountNotPayable("no such amount of bitcoin can be paid", units=units)
    digits = str(units).rjust(_SATOSHI_PLACES + 1, "0")
    whole, fraction = digits[:-_SATOSHI_PLACES], digits[-_SATOSHI_PLACES:].rstrip("0")
    amount = f"{whole}.{fraction}" if fraction else whole
    return f"bitcoin:{parse_address(address, network).text}?amount={amount}"
