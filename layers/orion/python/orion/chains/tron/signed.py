"""The message Transaction: raw_data with its signatures, as broadcasthex takes it.

A signature has 65 bytes r, s, recovery id 0 to 3, the form that java-tron itself writes (it reads
27 to 30 as well). Tron gives signatures no order. Source: core/Tron.proto; java-tron
TransactionCapsule, ECKey.
"""

from collections.abc import Sequence

from orion.chains import secp256k1
from orion.chains.secp256k1 import MalformedSignature
from orion.chains.spend import SignatureRefused
from orion.chains.tron import protobuf

SIGNATURE_BYTES = secp256k1.RECOVERABLE_BYTES


def transaction(unsigned: bytes, signatures: Sequence[bytes]) -> bytes:
    """The bytes of the whole transaction, signatures as given."""
    return protobuf.part(1, unsigned) + b"".join(protobuf.octets(2, one) for one in signatures)


def verified(
    public_key: bytes, message: bytes, signature: bytes, custodian: int | None = None
) -> bytes:
    """`signature` itself, when it is this key's over these 32 bytes, low s and right recovery id.

    Raises SignatureRefused (field `custodian`).
    """
    try:
        whole = secp256k1.recoverable(public_key, message, signature[:-1])
    except MalformedSignature as exc:
        raise SignatureRefused("not this key's signature", custodian=custodian) from exc
    if whole != signature:
        raise SignatureRefused("another recovery id than the key's", custodian=custodian)
    return whole
