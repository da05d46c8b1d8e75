"""Keys for the tests of the signers: a seed and custody sets, the same at each run."""

import hashlib

from coincurve import PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from orion.chains.spend import CustodyKeys, WalletKind
from orion.kms.groups import CustodySet

SEED = bytes(range(32))


def custodian_secret(set_no: int, custodian: int) -> bytes:
    """The private key of a custodian in a set, on both curves."""
    return hashlib.sha256(f"custodian {custodian} of set {set_no}".encode()).digest()


def custody_set(set_no: int, purpose: WalletKind) -> CustodySet:
    """A set of five custodians' keys."""
    secrets = [custodian_secret(set_no, custodian) for custodian in range(1, 6)]
    keys = CustodyKeys(
        tuple(PublicKey.from_secret(secret).format() for secret in secrets),
        tuple(
            Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
            for secret in secrets
        ),
    )
    return CustodySet(set_no, purpose, keys)
