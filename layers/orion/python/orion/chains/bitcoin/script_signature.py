"""A signature as a witness carries it: strict DER and one byte of sighash type (BIP-66)."""

from orion.chains import secp256k1
from orion.chains.bitcoin.sighash import SIGHASH_ALL
from orion.chains.secp256k1 import MalformedSignature


def script_signature(public_key: bytes, digest: bytes, signature: bytes) -> bytes:
    """`signature` is 65 bytes r, s, recovery id of `public_key` over `digest`; all three are
    checked. Raises MalformedSignature.
    """
    compact = signature[: secp256k1.COMPACT_BYTES]
    if secp256k1.recoverable(public_key, digest, compact) != signature:
        raise MalformedSignature("the recovery id leads to another key")
    return secp256k1.to_der(compact) + bytes((SIGHASH_ALL,))
