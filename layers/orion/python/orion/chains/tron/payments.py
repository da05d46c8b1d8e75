"""What a transaction pays to whom: TRX, or a whitelisted TRC-20 token by `transfer`.

Shared by custodians and sweep signers. A token is known by its contract's address only. Refusals
are SpendRefused with a `reason` (docs/chains/tron-custody.md).
"""

from collections.abc import Mapping

from orion.chains.spend import Payment, SpendRefused
from orion.chains.tron import raw_data
from orion.chains.tron.address import ACCOUNT_BYTES, address_of
from orion.chains.tron.protobuf import MalformedMessage
from orion.chains.tron.raw_data import Call, PermissionUpdate, RawData, Transfer
from orion.money.asset import ASSETS

CHAIN = "tron"
NATIVE_ASSET = "TRX.tron"
TRANSFER_SELECTOR = bytes.fromhex("a9059cbb")  # transfer(address,uint256), EIP-20 and TRC-20.
_WORD = 32
_CALL_BYTES = len(TRANSFER_SELECTOR) + 2 * _WORD


def transfer_call(recipient: bytes, units: int) -> bytes:
    """Call data of `transfer`: the account's 20 bytes and the units, a word of 32 bytes each.

    Tron's 0x41 is no part of the word, as tronweb and the EVM have it.
    """
    return TRANSFER_SELECTOR + recipient.rjust(_WORD, b"\0") + units.to_bytes(_WORD, "big")


def read(unsigned: bytes) -> RawData:
    """`raw_data.decode`. Raises SpendRefused."""
    try:
        return raw_data.decode(unsigned)
    except MalformedMessage as exc:
        raise SpendRefused(exc.detail, reason=exc.reason) from exc


def payment(raw: RawData, contracts: Mapping[str, str]) -> Payment:
    """The one payment of a transfer; `contracts` are token contracts by asset code, of which those
    of other chains do not count. Raises SpendRefused.
    """
    match raw.action:
        case Transfer(owner=owner, recipient=recipient, amount_sun=units):
            return Payment(NATIVE_ASSET, _recipient(recipient, owner), units)
        case Call(owner=owner, contract=contract, data=data):
            code = _token(address_of(contract), contracts)
            recipient, units = _read_transfer_call(data)
            if recipient == contract:
                raise SpendRefused("tokens sent to their own contract", reason="recipient")
            return Payment(code, _recipient(recipient, owner), units)
        case PermissionUpdate():
            raise SpendRefused("a permission update is no payment", reason="contract_type")


def _recipient(account: bytes, owner: bytes) -> str:
    if not any(account):
        raise SpendRefused("the zero account belongs to nobody", reason="recipient")
    if account == owner:
        raise SpendRefused("an account does not pay itself", reason="recipient")
    return address_of(account)


def _token(contract: str, contracts: Mapping[str, str]) -> str:
    codes = [
        code
        for code, address in contracts.items()
        if address == contract and code in ASSETS and ASSETS[code].chain == CHAIN
    ]
    if len(codes) != 1:
        raise SpendRefused("not the contract of one known token", reason="token")
    return codes[0]


def _read_transfer_call(data: bytes) -> tuple[bytes, int]:
    """Account and units of exactly one form of call data."""
    if len(data) != _CALL_BYTES or not data.startswith(TRANSFER_SELECTOR):
        raise SpendRefused("not a call of transfer", reason="calldata")
    to, amount = data[4 : 4 + _WORD], data[4 + _WORD :]
    if any(to[: _WORD - ACCOUNT_BYTES]):
        raise SpendRefused("more than an account in the first word", reason="calldata")
    units = int.from_bytes(amount, "big")
    if units == 0:
        raise SpendRefused("an amount of nothing", reason="amount")
    return to[_WORD - ACCOUNT_BYTES :], units
