"""Extended public keys and their normal children (BIP-32, "Public parent key -> public child key").

An extended public key together with one private child key gives the parent's private key, so
these objects stay inside the kms module although they hold nothing private: other modules see
addresses.
"""

import hashlib
import hmac
from dataclasses import dataclass

from coincurve import PublicKey

from orion.wallet.errors import (
    DepthExceeded,
    HardenedFromPublic,
    InvalidChildKey,
    MalformedExtendedKey,
)
from orion.wallet.paths import HARDENED, MAX_DEPTH, Path, child_number_bytes

PAYLOAD_BYTES = 78
VERSION_PUBLIC = bytes.fromhex("0488b21e")
_ROOT_FINGERPRINT = bytes(4)


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a key stands in its tree: depth, fingerprint of its parent, child number."""

    depth: int = 0
    parent_fingerprint: bytes = _ROOT_FINGERPRINT
    child_number: int = 0

    def below(self, parent_public_key: bytes, child_number: int) -> "Lineage":
        """The place of a child. Raises DepthExceeded."""
        if self.depth >= MAX_DEPTH:
            raise DepthExceeded("a key at depth 255 has no children")
        return Lineage(self.depth + 1, hash160(parent_public_key)[:4], child_number)

    def payload(self) -> bytes:
        """The nine bytes between version and chain code."""
        depth = self.depth.to_bytes(1, "big")
        return depth + self.parent_fingerprint + child_number_bytes(self.child_number)

    @classmethod
    def parse(cls, payload: bytes) -> "Lineage":
        """Read those nine bytes; a root has neither parent nor number. Raises
        MalformedExtendedKey.
        """
        lineage = cls(payload[0], payload[1:5], int.from_bytes(payload[5:9], "big"))
        if lineage.depth == 0 and lineage != cls():
            raise MalformedExtendedKey("a root has no parent fingerprint and no child number")
        return lineage


@dataclass(frozen=True, slots=True, repr=False)
class ExtendedPublicKey:
    """`public_key` compressed (33 bytes) and `chain_code` (32 bytes)."""

    public_key: bytes
    chain_code: bytes
    lineage: Lineage = Lineage()

    def __repr__(self) -> str:
        return f"ExtendedPublicKey(depth={self.lineage.depth}, redacted)"

    def fingerprint(self) -> bytes:
        """First four bytes of the key's HASH160."""
        return hash160(self.public_key)[:4]

    def child(self, number: int) -> "ExtendedPublicKey":
        """CKDpub. Raises HardenedFromPublic, InvalidChildKey, IndexOutOfRange, DepthExceeded."""
        lineage = self.lineage.below(self.public_key, number)
        tweak, chain_code = child_tweak(self.chain_code, self.public_key, number)
        point = tweaked(PublicKey(self.public_key), tweak)
        return ExtendedPublicKey(point.format(), chain_code, lineage)

    def derive(self, path: Path) -> "ExtendedPublicKey":
        """`child` for each step of `path`, which starts at this key."""
        key = self
        for number in path.numbers:
            key = key.child(number)
        return key

    def payload(self) -> bytes:
        """The 78 bytes of BIP-32's serialization, before base 58."""
        return VERSION_PUBLIC + self.lineage.payload() + self.chain_code + self.public_key

    @classmethod
    def parse(cls, payload: bytes) -> "ExtendedPublicKey":
        """Read `payload()`. Raises MalformedExtendedKey, as BIP-32's test vector 5 wants."""
        if len(payload) != PAYLOAD_BYTES:
            raise MalformedExtendedKey("an extended key has 78 bytes")
        if payload[:4] != VERSION_PUBLIC:
            raise MalformedExtendedKey("not the version of an extended public key")
        public_key = payload[45:]
        # libsecp256k1 would read other forms too, but of 33 bytes only the compressed one.
        if public_key[0] not in (2, 3):
            raise MalformedExtendedKey("not a compressed public key")
        try:
            PublicKey(public_key)
        except ValueError:
            raise MalformedExtendedKey("the public key is no point of the curve") from None
        return cls(public_key, payload[13:45], Lineage.parse(payload[4:13]))


def hash160(data: bytes) -> bytes:
    """RIPEMD-160 of SHA-256: 20 bytes."""
    return hashlib.new("ripemd160", hashlib.sha256(data).digest()).digest()


def child_tweak(chain_code: bytes, public_key: bytes, number: int) -> tuple[bytes, bytes]:
    """I_L and the chain code of the normal child `number`. Raises HardenedFromPublic,
    IndexOutOfRange.
    """
    if number >= HARDENED:
        raise HardenedFromPublic("a hardened child needs the parent's private key")
    mixed = hmac.digest(chain_code, public_key + child_number_bytes(number), "sha512")
    return mixed[:32], mixed[32:]


def tweaked(parent: PublicKey, tweak: bytes) -> PublicKey:
    """parse256(tweak)·G + parent. Raises InvalidChildKey when the tweak is not below n or the sum
    is infinity.
    """
    try:
        return parent.add(tweak)
    except ValueError:
        raise InvalidChildKey("this index has no key under this parent") from None
