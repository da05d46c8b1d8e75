"""Ed25519 signatures of whole messages, and the slots of a transaction that hold them."""

from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from orion.chains.solana.message import SIGNATURE_BYTES, parse_transaction, transaction
from orion.chains.spend import CUSTODIANS, SignatureRefused

_EMPTY = bytes(SIGNATURE_BYTES)


def signature_holds(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is the key's over `message` (RFC 8032, OpenSSL's reading)."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def custodians_transaction(
    message: bytes,
    slots: Sequence[int],
    keys: Sequence[bytes],
    signatures: Mapping[int, tuple[bytes, ...]],
) -> bytes:
    """The transaction with the signatures of the custodians `slots`, in that order, behind an
    empty slot for the fee payer. All `signatures` are verified, also those that have no slot.

    Raises SignatureRefused.
    """
    for number, given in signatures.items():
        if not 1 <= number <= CUSTODIANS:
            raise SignatureRefused("no such custodian", custodian=number)
        if len(given) != 1 or not signature_holds(keys[number - 1], message, given[0]):
            raise SignatureRefused("not this key's over this message", custodian=number)
    for number in slots:
        if number not in signatures:
            raise SignatureRefused("a listed custodian has not signed", custodian=number)
    return transaction(message, [_EMPTY, *(signatures[number][0] for number in slots)])


def with_fee_payer(signed: bytes, signature: bytes) -> bytes:
    """The transaction with the fee payer's signature in its first slot, which is empty or holds
    the same one. All signatures are verified, so what comes out can be sent.

    Raises SpendRefused (not a transaction), SignatureRefused.
    """
    signatures, message, parsed = parse_transaction(signed)
    if signatures[0] not in {_EMPTY, signature}:
        raise SignatureRefused("the slot holds another signature")
    filled = [signature, *signatures[1:]]
    for key, given in zip(parsed.keys, filled, strict=False):
        if not signature_holds(key, message, given):
            raise SignatureRefused("not this key's over this message")
    return transaction(message, filled)
