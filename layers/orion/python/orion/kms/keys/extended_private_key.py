"""Extended private keys (BIP-32): master from seed, hardened and normal children.

What Python can promise: no repr, exception or comparison of these objects shows key material, and
they cannot be pickled or copied. What it cannot: `bytes` and `int` are immutable, so derived keys
stay in memory until their pages are used again; the process is therefore not dumpable and
short-lived (`orion.kms.process`).
"""

import hmac
from typing import NoReturn

from coincurve import PrivateKey, PublicKey

from orion.kms.keys.errors import InvalidSeed, MalformedDigest
from orion.wallet.errors import InvalidChildKey, MalformedExtendedKey
from orion.wallet.extended_key import PAYLOAD_BYTES, ExtendedPublicKey, Lineage
from orion.wallet.paths import HARDENED, Path, child_number_bytes

VERSION_PRIVATE = bytes.fromhex("0488ade4")
# Order of the group of secp256k1 (SEC 2, section 2.4.1).
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
DIGEST_BYTES = 32
SEED_BYTES_MIN, SEED_BYTES_MAX = 16, 64


class ExtendedPrivateKey:
    """A private key with its chain code. Made by `master`, `child` or `parse` only."""

    __slots__ = ("_chain_code", "_lineage", "_public_key", "_secret")

    def __init__(self, secret: bytes, chain_code: bytes, lineage: Lineage) -> None:
        self._secret = secret
        self._chain_code = chain_code
        self._lineage = lineage
        self._public_key = PublicKey.from_valid_secret(secret).format()

    @classmethod
    def master(cls, seed: bytes | bytearray) -> "ExtendedPrivateKey":
        """The root of a seed of 16 to 64 bytes. Raises InvalidSeed (of the right length:
        probability below 2^-127).
        """
        mixed = hmac.digest(b"Bitcoin seed", checked_seed(seed), "sha512")
        if not is_secret(mixed[:32]):
            raise InvalidSeed("this seed has no master key")
        return cls(mixed[:32], mixed[32:], Lineage())

    def child(self, number: int) -> "ExtendedPrivateKey":
        """CKDpriv, hardened when `number` has the bit HARDENED. Raises InvalidChildKey,
        IndexOutOfRange, DepthExceeded.
        """
        lineage = self._lineage.below(self._public_key, number)
        head = b"\0" + self._secret if number >= HARDENED else self._public_key
        mixed = hmac.digest(self._chain_code, head + child_number_bytes(number), "sha512")
        return ExtendedPrivateKey(added(self._secret, mixed[:32]), mixed[32:], lineage)

    def derive(self, path: Path) -> "ExtendedPrivateKey":
        """`child` for each step of `path`, which starts at this key."""
        key = self
        for number in path.numbers:
            key = key.child(number)
        return key

    def public(self) -> ExtendedPublicKey:
        """The same node without its private key (BIP-32, "N")."""
        return ExtendedPublicKey(self._public_key, self._chain_code, self._lineage)

    def public_key(self) -> bytes:
        """The compressed point, 33 bytes."""
        return self._public_key

    def sign(self, digest: bytes) -> bytes:
        """ECDSA over 32 bytes: r, s and recovery id, 65 bytes, with low s. The nonce is that of RFC
        6979, so the same digest always gets the same signature. Raises MalformedDigest.
        """
        if len(digest) != DIGEST_BYTES:
            raise MalformedDigest("ECDSA signs 32 bytes", size_bytes=len(digest))
        return PrivateKey(self._secret).sign_recoverable(digest, hasher=None)

    def payload(self) -> bytes:
        """The 78 bytes of BIP-32's serialization, private key included: to be encrypted, never to
        be shown.
        """
        return VERSION_PRIVATE + self._lineage.payload() + self._chain_code + b"\0" + self._secret

    @classmethod
    def parse(cls, payload: bytes) -> "ExtendedPrivateKey":
        """Read `payload()`. Raises MalformedExtendedKey, as BIP-32's test vector 5 wants."""
        if len(payload) != PAYLOAD_BYTES:
            raise MalformedExtendedKey("an extended key has 78 bytes")
        if payload[:4] != VERSION_PRIVATE:
            raise MalformedExtendedKey("not the version of an extended private key")
        if payload[45] != 0:
            raise MalformedExtendedKey("a private key is written with a leading zero byte")
        if not is_secret(payload[46:]):
            raise MalformedExtendedKey("the private key is not in 1 to n-1")
        return cls(payload[46:], payload[13:45], Lineage.parse(payload[4:13]))

    def __repr__(self) -> str:
        return f"ExtendedPrivateKey(depth={self._lineage.depth}, redacted)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not copied or pickled")


def checked_seed(seed: bytes | bytearray) -> bytes | bytearray:
    """The same seed, of 16 to 64 bytes (BIP-32 and SLIP-10 alike). Raises InvalidSeed."""
    if not SEED_BYTES_MIN <= len(seed) <= SEED_BYTES_MAX:
        raise InvalidSeed("a seed has 16 to 64 bytes")
    return seed


def is_secret(number: bytes) -> bool:
    """Whether parse256(number) is in 1 to n-1: whether secp256k1 has this private key."""
    return 0 < int.from_bytes(number, "big") < ORDER


def added(secret: bytes, tweak: bytes) -> bytes:
    """(tweak + secret) mod n, 32 bytes. Raises InvalidChildKey when the tweak is not below n or
    the sum is zero.
    """
    number = int.from_bytes(tweak, "big")
    total = (number + int.from_bytes(secret, "big")) % ORDER
    if number >= ORDER or total == 0:
        raise InvalidChildKey("this index has no key under this parent")
    return total.to_bytes(32, "big")
