"""Keccak-256 as Ethereum uses it (the padding before FIPS 202.

Hashlib's sha3_256 is another function).
"""

import sha3


def keccak256(data: bytes) -> bytes:
    """The 32 bytes of Keccak-256."""
    digest: bytes = sha3.keccak_256(data).digest()
    return digest
