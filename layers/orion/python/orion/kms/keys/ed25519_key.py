"""Private keys on the Ed25519 curve (SLIP-10): master from seed, hardened children.

Ed25519 has no public derivation: a private key is hashed and its bits are set before it becomes a
scalar, so that no sum of points belongs to a sum of keys, and SLIP-10 defines hardened children
alone. Every child therefore costs an open seed, and the group's Solana addresses are derived where
the seed is. No child is ever invalid: all 2^256 strings are keys.
"""

import hmac
from typing import NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from orion.kms.keys.extended_private_key import checked_seed
from orion.wallet.errors import MalformedExtendedKey, NormalFromEd25519
from orion.wallet.paths import HARDENED, Path, child_number_bytes

PAYLOAD_BYTES = 64


class Ed25519Key:
    """A private key with its chain code. Made by `master`, `child` and `parse` only."""

    __slots__ = ("_chain_code", "_secret")

    def __init__(self, secret: bytes, chain_code: bytes) -> None:
        self._secret = secret
        self._chain_code = chain_code

    @classmethod
    def master(cls, seed: bytes | bytearray) -> "Ed25519Key":
        """The root of a seed of 16 to 64 bytes. Raises InvalidSeed."""
        mixed = hmac.digest(b"ed25519 seed", checked_seed(seed), "sha512")
        return cls(mixed[:32], mixed[32:])

    def child(self, number: int) -> "Ed25519Key":
        """The hardened child `number`, which has the bit HARDENED set.

        Raises NormalFromEd25519, IndexOutOfRange.
        """
        data = b"\0" + self._secret + child_number_bytes(number)
        if number < HARDENED:
            raise NormalFromEd25519("this curve has hardened children only")
        mixed = hmac.digest(self._chain_code, data, "sha512")
        return Ed25519Key(mixed[:32], mixed[32:])

    def derive(self, path: Path) -> "Ed25519Key":
        """`child` for each step of `path`, which starts at this key."""
        key = self
        for number in path.numbers:
            key = key.child(number)
        return key

    def public_key(self) -> bytes:
        """The 32 bytes of RFC 8032, without the zero byte that SLIP-10 writes before them."""
        return Ed25519PrivateKey.from_private_bytes(self._secret).public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of RFC 8032 over a whole message; deterministic by that standard."""
        return Ed25519PrivateKey.from_private_bytes(self._secret).sign(message)

    def payload(self) -> bytes:
        """Chain code and private key, 64 bytes, for a node to be encrypted and opened by `parse`:
        to be encrypted, never to be shown. SLIP-10 has no serialization of its own.
        """
        return self._chain_code + self._secret

    @classmethod
    def parse(cls, payload: bytes) -> "Ed25519Key":
        """Read `payload()`. Raises MalformedExtendedKey."""
        if len(payload) != PAYLOAD_BYTES:
            raise MalformedExtendedKey("a node on this curve has 64 bytes")
        return cls(payload[32:], payload[:32])

    def __repr__(self) -> str:
        return "Ed25519Key(redacted)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not copied or pickled")
