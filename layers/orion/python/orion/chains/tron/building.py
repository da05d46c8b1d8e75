"""Unsigned transactions as bytes of raw_data, from facts that the caller has: reference block,
times, amounts. Pure. What is built here is what `decode`, `decode_handover` and `decode_sweep`
read.

All raise MalformedAddress, and MalformedMessage for what they would refuse.
"""

from collections.abc import Sequence

from orion.chains.spend import CustodyAccount, CustodyKeys
from orion.chains.tron.address import parse_address
from orion.chains.tron.payments import transfer_call
from orion.chains.tron.permissions import addresses_of_keys, permission_update
from orion.chains.tron.protobuf import MalformedMessage
from orion.chains.tron.raw_data import (
    OWNER_PERMISSION_ID,
    Call,
    Frame,
    RawData,
    Transfer,
    encode,
)

_UINT256_MAX = 2**256 - 1


def transfer(
    source: str, recipient: str, amount_sun: int, frame: Frame, permission_id: int
) -> bytes:
    """TRX to an address, under the account's active permission 2 or, 0, its own key."""
    action = Transfer(parse_address(source), parse_address(recipient), amount_sun)
    return encode(RawData(frame, action, permission_id))


def token_transfer(
    source: str,
    contract: str,
    recipient: str,
    units: int,
    fee_limit_sun: int,
    frame: Frame,
    permission_id: int,
) -> bytes:
    """Units of a TRC-20 token to an address. An energy bill beyond `fee_limit_sun` fails the call
    and is charged all the same.
    """
    if not 0 < units <= _UINT256_MAX:
        raise MalformedMessage("an amount that uint256 does not hold", reason="amount")
    data = transfer_call(parse_address(recipient), units)
    action = Call(parse_address(source), parse_address(contract), data)
    return encode(RawData(frame, action, permission_id, fee_limit_sun))


def update(address: str, owners: Sequence[str], frame: Frame) -> bytes:
    """The update after which any three of `owners` rule the account; five, ascending."""
    return encode(RawData(frame, permission_update(address, owners), OWNER_PERMISSION_ID))


def rotation(account: CustodyAccount, target: CustodyKeys, frame: Frame) -> bytes:
    """The update that puts the keys of another custody set in the place of the account's."""
    return update(account.address, addresses_of_keys(target.secp256k1), frame)
