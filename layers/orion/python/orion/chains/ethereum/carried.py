"""Whether what an executor carries to a Safe is signed by three of its owners, before it pays."""

from collections.abc import Collection, Sequence
from typing import cast

from orion.chains.ethereum.abi import MalformedCall, address_text
from orion.chains.ethereum.executor import GAS_MAX
from orion.chains.ethereum.safe_account import owner_of
from orion.chains.ethereum.safe_contracts import EXECUTE, safe_contracts
from orion.chains.ethereum.safe_signatures import SIGNATURE_BYTES, checked_signature
from orion.chains.ethereum.safe_transaction import SafeTransaction
from orion.chains.ethereum.transaction import parse_transaction
from orion.chains.spend import THRESHOLD, CustodyAccount, SignatureRefused, SpendRefused

_V_BASE = 27


def check_carried(
    unsigned: bytes, safe_nonce: int | None, accounts: Collection[CustodyAccount]
) -> None:
    """Verify the signatures of an executor's transaction against the keys of the accounts at the
    Safe's address: after a rotation two sets have one, and each signs at its time.

    `safe_nonce` is the nonce of the Safe that the owners signed for, which the call does not name;
    None where a Safe is made. Whether it is the Safe's next one is on the chain. Raises
    SpendRefused (as `parse_transaction`, and safe_nonce, call, signatures).
    """
    transaction = parse_transaction(unsigned, GAS_MAX)
    makes = transaction.to == safe_contracts().factory
    if makes or safe_nonce is None:
        if makes and safe_nonce is None:
            return
        raise SpendRefused("a Safe's nonce for each execution only", reason="safe_nonce")
    try:
        to, value, data, operation, *_, signatures = EXECUTE.read(transaction.data)
    except MalformedCall as exc:
        raise SpendRefused("not a call of execTransaction", reason="call") from exc
    carried = SafeTransaction(
        chain_id=transaction.chain_id,
        safe=transaction.to,
        to=address_text(cast(bytes, to)),
        value=cast(int, value),
        data=cast(bytes, data),
        operation=cast(int, operation),
        nonce=safe_nonce,
    )
    keys = [each.keys.secp256k1 for each in accounts if each.address == transaction.to]
    signed = cast(bytes, signatures)
    if not any(_signed_by(carried.digest, signed, five) for five in keys):
        raise SpendRefused("not signed by three of the Safe's owners", reason="signatures")


def _signed_by(digest: bytes, signatures: bytes, keys: Sequence[bytes]) -> bool:
    """Whether three owners signed, in ascending order, as the Safe demands (checkNSignatures)."""
    parts = [
        signatures[start : start + SIGNATURE_BYTES]
        for start in range(0, len(signatures), SIGNATURE_BYTES)
    ]
    owners = [_owner(digest, part, keys) for part in parts]
    found = [owner for owner in owners if owner is not None]
    return len(found) == len(owners) == THRESHOLD and found == sorted(set(found))


def _owner(digest: bytes, signature: bytes, keys: Sequence[bytes]) -> bytes | None:
    if len(signature) != SIGNATURE_BYTES or signature[64] < _V_BASE:
        return None
    compact = signature[:64] + bytes([signature[64] - _V_BASE])
    for key in keys:
        try:
            checked_signature(key, digest, compact)
        except SignatureRefused:
            continue
        return owner_of(key)
    return None
