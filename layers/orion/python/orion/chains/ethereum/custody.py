"""3 of 5 on Ethereum: what `orion.chains.spend.Custody` asks of every chain, for a Safe 1.4.1
(docs/chains/ethereum-custody.md).

Claims are `<safe>:<nonce>`: whatever was signed for a nonce of the Safe, one of it is executed. A
reverted execution leaves the nonce as it was, and its signatures are public. The executor's gas is
not the account's, so the account loses no fees.
"""

from collections.abc import Mapping

from orion.chains.ethereum.abi import address_text
from orion.chains.ethereum.safe_account import (
    anchor_is_ours,
    owners_of,
    rotated_anchor,
    safe_account,
    safe_description,
)
from orion.chains.ethereum.safe_calls import (
    calls_of,
    is_swap,
    is_void,
    owners_after,
    payments_of,
)
from orion.chains.ethereum.safe_proposals import (
    propose_payments,
    propose_rotation,
    propose_void,
)
from orion.chains.ethereum.safe_signatures import owner_signatures
from orion.chains.ethereum.safe_transaction import SafeTransaction, transaction_of
from orion.chains.ethereum.token import tokens_by_contract
from orion.chains.spend import (
    Curve,
    CustodyAccount,
    CustodyKeys,
    CustodyPlace,
    Operation,
    Payment,
    Spend,
    SpendRefused,
)

__all__ = [
    "account",
    "anchor_is_ours",
    "assemble",
    "decode",
    "describe",
    "owner_addresses",
    "propose_payments",
    "propose_rotation",
    "propose_void",
    "rotated_anchor",
]


def account(place: CustodyPlace, keys: CustodyKeys, anchor: str) -> CustodyAccount:
    """The Safe of `keys` at `place`. `anchor` is empty while the set that made the Safe holds it,
    afterwards what `rotated_anchor` said. Raises UnknownNetwork, MalformedAddress.
    """
    return safe_account(place, keys, anchor)


def decode(unsigned: bytes, account: CustodyAccount, contracts: Mapping[str, str]) -> Spend:
    """Read a Safe transaction of `account`: payments of coins and of the tokens in `contracts`, or
    a rotation, alone or in a multi-send; or a void of its nonce. Raises SpendRefused, and
    MalformedAddress when `contracts` holds none.
    """
    tokens = tokens_by_contract(contracts)
    transaction = transaction_of(unsigned, account)
    operation, payments, after = _effect(transaction, account, tokens)
    return Spend(
        operation=operation,
        payments=payments,
        fee_max_units=0,
        claims=(f"{account.address}:{transaction.nonce}",),
        version=transaction.digest.hex(),
        curve=Curve.SECP256K1,
        messages=(transaction.digest,),
        owners_after=after,
    )


def assemble(
    unsigned: bytes, account: CustodyAccount, signatures: Mapping[int, tuple[bytes, ...]]
) -> bytes:
    """Call data of `execTransaction`, which anybody may send to the Safe.

    Raises SpendRefused (no transaction of the account), SignatureRefused.
    """
    transaction = transaction_of(unsigned, account)
    signed = owner_signatures(transaction.digest, account.keys.secp256k1, signatures)
    return transaction.execution(signed)


def owner_addresses(keys: CustodyKeys) -> tuple[str, ...]:
    """The five keys as owners of a Safe, ascending. Raises MalformedAddress."""
    return tuple(sorted(map(address_text, owners_of(keys))))


def describe(account: CustodyAccount) -> Mapping[str, object]:
    """Threshold, keys, owners in the Safe's order, and what its address follows from."""
    return safe_description(account)


def _effect(
    transaction: SafeTransaction, account: CustodyAccount, tokens: Mapping[str, str]
) -> tuple[Operation, tuple[Payment, ...], tuple[str, ...]]:
    """What it is for, whom it pays, and who owns the Safe after a rotation."""
    if is_void(transaction):
        return Operation.VOID, (), ()
    calls = calls_of(transaction)
    swaps = sum(is_swap(call, account.address) for call in calls)
    if not swaps:
        return Operation.PAY, payments_of(calls, account.address, tokens), ()
    if swaps != len(calls):
        raise SpendRefused("pays and changes owners at once", reason="mixed")
    owners = owners_after(calls, account.address, owners_of(account.keys))
    return Operation.ROTATE, (), tuple(sorted(map(address_text, owners)))
