"""Signatures of roots: ECDSA on P-256 over a SHA-256 digest, DER, and the keys that made them.

Sources: FIPS 186-5; RFC 5480 (SubjectPublicKeyInfo of P-256); AWS KMS API reference, "Sign".
"""

import hashlib

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

MAX_SIGNATURE_BYTES = 72


def fingerprint(public_key: bytes) -> str:
    """SHA-256 of a SubjectPublicKeyInfo, as 64 hexadecimal digits: the name of the key."""
    return hashlib.sha256(public_key).hexdigest()


def is_signed(public_key: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether `signature` is of `digest` by `public_key`; False also where the key is no key."""
    key = _p256(public_key)
    if key is None or len(digest) != SHA256.digest_size or len(signature) > MAX_SIGNATURE_BYTES:
        return False
    try:
        key.verify(signature, digest, ECDSA(Prehashed(SHA256())))
    except InvalidSignature:
        return False
    return True


def is_p256_key(public_key: bytes) -> bool:
    """Whether these bytes are the SubjectPublicKeyInfo of a key on P-256."""
    return _p256(public_key) is not None


def _p256(public_key: bytes) -> EllipticCurvePublicKey | None:
    try:
        key = load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm):
        return None
    is_ours = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    return key if is_ours else None  # type: ignore[return-value]
