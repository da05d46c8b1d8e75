"""Payments of tokens: `transfer(address,uint256)` of ERC-20, by contracts that are named."""

from collections.abc import Mapping
from typing import cast

from orion.chains.ethereum.abi import ZERO_ADDRESS, MalformedCall, address_bytes, address_text
from orion.chains.ethereum.address import parse_address
from orion.chains.ethereum.safe_contracts import TRANSFER
from orion.chains.spend import Payment, SpendRefused

NATIVE_ASSET = "ETH.ethereum"
_SUFFIX = ".ethereum"


def tokens_by_contract(contracts: Mapping[str, str]) -> dict[str, str]:
    """Asset codes of Ethereum's tokens by contract, in the form of records; other chains' entries
    are left out.

    Raises MalformedAddress, and SpendRefused (reason contracts) where two codes share a contract:
    then nobody can say which of them is paid.
    """
    tokens: dict[str, str] = {}
    for code, contract in contracts.items():
        if not code.endswith(_SUFFIX):
            continue
        address = address_text(parse_address(contract))
        if address in tokens or code == NATIVE_ASSET:
            raise SpendRefused("one contract stands for two assets", reason="contracts")
        tokens[address] = code
    return tokens


def transfer_call(recipient: str, units: int) -> bytes:
    """Call data that pays `units` of a token. Raises MalformedCall."""
    return TRANSFER.call(address_bytes(recipient), units)


def read_transfer(data: bytes, code: str, payer: str, tokens: Mapping[str, str]) -> Payment:
    """The payment of asset `code` that call data makes. Raises SpendRefused (call, units,
    recipient, self_payment).
    """
    try:
        recipient, units = cast(tuple[bytes, int], TRANSFER.read(data))
    except MalformedCall as exc:
        raise SpendRefused("not a transfer of a token", reason="call") from exc
    address = address_text(recipient)
    check_recipient(address, payer, tokens)
    if units == 0:
        raise SpendRefused("pays nothing", reason="units")
    return Payment(code, address, units)


def check_recipient(recipient: str, payer: str, tokens: Mapping[str, str]) -> None:
    """Refuse what pays nobody: the zero address, a token's own contract (whatever it holds is lost
    there), the payer. Raises SpendRefused (recipient, self_payment).
    """
    if recipient == ZERO_ADDRESS or recipient in tokens:
        raise SpendRefused("nobody has this address", reason="recipient")
    if recipient == payer:
        raise SpendRefused("the account would pay itself", reason="self_payment")
