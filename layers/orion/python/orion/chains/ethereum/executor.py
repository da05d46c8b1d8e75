"""Transactions of an executor: a single key that pays gas, and can do nothing else.

It carries what custodians signed to the Safe, or makes a Safe at its first use. It sends no coins.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

from orion.chains.ethereum.abi import MalformedCall, address_bytes
from orion.chains.ethereum.creation import created_address
from orion.chains.ethereum.safe_contracts import EXECUTE, safe_contracts
from orion.chains.ethereum.safe_signatures import SIGNATURE_BYTES
from orion.chains.ethereum.safe_transaction import CALL, DELEGATE_CALL
from orion.chains.ethereum.transaction import parse_transaction, signing_digest
from orion.chains.spend import THRESHOLD, SpendRefused

# Fifty payments of the local USDT to new holders take 1.5 million; other tokens take more.
GAS_MAX = 5_000_000
_V = (27, 28)


@dataclass(frozen=True, slots=True)
class Execution:
    """What an executor's transaction does. `fee_max_units` is the most wei that it can cost.

    `body_digest` covers chain id, nonce, to, value and data, so all versions that differ in fees
    share it. `digest` is what the executor signs, `version` the same in hexadecimal.
    """

    chain_id: int
    nonce: int
    to: str
    fee_max_units: int
    body_digest: bytes
    digest: bytes
    version: str


def decode_execution(unsigned: bytes, accounts: Collection[str]) -> Execution:
    """Read an executor's unsigned transaction. `accounts` are the Safes that it serves, those that
    do not exist yet too, in the form of records.

    Raises SpendRefused: what `parse_transaction` raises, and value, account (a stranger's Safe, or
    the making of one), call (no execution with three signatures), gas_payment, operation, delegate,
    creation.
    """
    transaction = parse_transaction(unsigned, GAS_MAX)
    if transaction.value_wei != 0:
        raise SpendRefused("an executor sends no coins", reason="value")
    safe = transaction.to
    if safe == safe_contracts().factory:
        safe = created_address(transaction.data)
    else:
        _check_execution(transaction.data)
    if safe not in accounts:
        raise SpendRefused("not an account of ours", reason="account")
    digest = signing_digest(unsigned)
    return Execution(
        chain_id=transaction.chain_id,
        nonce=transaction.nonce,
        to=transaction.to,
        fee_max_units=transaction.fee_max_wei,
        body_digest=transaction.body_digest(),
        digest=digest,
        version=digest.hex(),
    )


def assemble_execution(unsigned: bytes, signature: bytes) -> bytes:
    """The raw transaction with 65 bytes r, s, recovery id of the executor.

    Raises SpendRefused, SignatureRefused.
    """
    return parse_transaction(unsigned, GAS_MAX).signed(signature)


def _check_execution(data: bytes) -> None:
    try:
        to, value, _, operation, *refund, signatures = EXECUTE.read(data)
    except MalformedCall as exc:
        raise SpendRefused("not a call of execTransaction", reason="call") from exc
    if refund != [0, 0, 0, bytes(20), bytes(20)]:
        raise SpendRefused("the Safe would pay for its gas", reason="gas_payment")
    if operation not in (CALL, DELEGATE_CALL):
        raise SpendRefused("neither a call nor a delegated call", reason="operation")
    if operation == DELEGATE_CALL and to != address_bytes(safe_contracts().multi_send):
        raise SpendRefused("foreign code would run as the account", reason="delegate")
    if operation == DELEGATE_CALL and value != 0:
        raise SpendRefused("a delegated call moves no value of its own", reason="value")
    signed = cast(bytes, signatures)
    if len(signed) != THRESHOLD * SIGNATURE_BYTES:
        raise SpendRefused("not three signatures", reason="call")
    if any(v not in _V for v in signed[SIGNATURE_BYTES - 1 :: SIGNATURE_BYTES]):
        raise SpendRefused("a signature of another kind", reason="call")
