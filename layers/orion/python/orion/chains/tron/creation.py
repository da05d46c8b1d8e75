"""A 3-of-5 account's creation: the group's own account is activated, then handed over.

Activation is any payment of TRX to the address. The handover is one AccountPermissionUpdate, signed
once by the group's own key under the owner permission that every account is born with; that key is
in none of the new permissions. It is the only thing that key ever signs.
"""

from dataclasses import dataclass

from orion.chains.spend import CustodyAccount, SpendRefused
from orion.chains.tron import building, custody, payments, raw_data
from orion.chains.tron.fees import FEES, fee_max_sun
from orion.chains.tron.permissions import address_of_key
from orion.chains.tron.raw_data import Frame
from orion.chains.tron.signed import transaction, verified


@dataclass(frozen=True, slots=True)
class CreationCost:
    """In sun. `activation_sun` is what the first payment costs its payer at most beside its
    amount; `handover_sun` is what the account must hold for its handover.
    """

    activation_sun: int
    handover_sun: int


def handover(account: CustodyAccount, frame: Frame) -> bytes:
    """The unsigned handover.

    Raises MalformedMessage, MalformedAddress, and SpendRefused when `account` is not the account of
    its own keys and anchor.
    """
    if custody.account(account.place, account.keys, account.anchor) != account:
        raise SpendRefused("a description that contradicts itself", reason="handover")
    return building.rotation(account, account.keys, frame)


def decode_handover(unsigned: bytes, account: CustodyAccount) -> bytes:
    """The 32 bytes that the group's own key signs, once `unsigned` is the handover of this account
    to exactly these five keys and nothing else. Raises SpendRefused.

    Only the reference block and the times are the caller's choice, so the bytes are compared with
    the ones that we would write.
    """
    if handover(account, payments.read(unsigned).frame) != unsigned:
        raise SpendRefused("not the handover of this account", reason="handover")
    return raw_data.digest(unsigned)


def assemble_handover(
    unsigned: bytes, account: CustodyAccount, public_key: bytes, signature: bytes
) -> bytes:
    """The message Transaction with the signature (65 bytes r, s, recovery id) of the group's own
    key (33 bytes). Raises SpendRefused, MalformedAddress, SignatureRefused.
    """
    message = decode_handover(unsigned, account)
    if address_of_key(public_key) != account.address:
        raise SpendRefused("a key that did not name this account", reason="owner")
    return transaction(unsigned, (verified(public_key, message, signature),))


def creation_cost(unsigned: bytes) -> CreationCost:
    """What activation and the handover `unsigned` cost at most. Raises SpendRefused."""
    return CreationCost(
        activation_sun=FEES.new_account_sun + FEES.new_account_bandwidth_sun,
        handover_sun=fee_max_sun(unsigned, payments.read(unsigned), signatures=1),
    )
