"""Whether a custodian's public key is one that a signature can be checked against."""

from collections.abc import Iterable

from coincurve import PublicKey

from orion.chains.solana.curve import is_on_curve
from orion.kms.groups import CustodySet
from orion.kms.signing.errors import KeyInTwoPlaces, MalformedPublicKey

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_COFACTOR_DOUBLINGS = 3


def check_set(found: CustodySet) -> None:
    """Ten usable keys, all different. Raises MalformedPublicKey, KeyInTwoPlaces (field `place`)."""
    for number, key in enumerate(found.keys.secp256k1, start=1):
        if not is_secp256k1_point(key):
            raise MalformedPublicKey("no point of secp256k1", place=_place(found, number))
    for number, key in enumerate(found.keys.ed25519, start=1):
        if not is_ed25519_key(key):
            raise MalformedPublicKey("no point of Ed25519", place=_place(found, number))


def check_different(sets: Iterable[CustodySet]) -> None:
    """No key stands twice in these sets. Raises KeyInTwoPlaces."""
    seen: set[bytes] = set()
    for found in sets:
        for keys in (found.keys.secp256k1, found.keys.ed25519):
            for number, key in enumerate(keys, start=1):
                if key in seen:
                    raise KeyInTwoPlaces(
                        "this key stands somewhere else", place=_place(found, number)
                    )
                seen.add(key)


def is_secp256k1_point(key: bytes) -> bool:
    """Whether 33 bytes are a compressed point (SEC 1, section 2.3.4): of that length libsecp256k1
    reads no other form.
    """
    if len(key) != 33:
        return False
    try:
        PublicKey(key)
    except ValueError:
        return False
    return True


def is_ed25519_key(key: bytes) -> bool:
    """Whether 32 bytes are a point in the one encoding of RFC 8032, section 5.1.3, and not of small
    order: under a key of order 1, 2, 4 or 8 anybody can make a signature that holds.

    Three doublings take exactly those to the neutral element. The y of a doubled point follows from
    y alone: (y^2 + x^2) / (1 - d x^2 y^2), with x^2 = (y^2 - 1) / (d y^2 + 1).
    """
    if len(key) != 32:
        return False
    y = int.from_bytes(key, "little") & (2**255 - 1)
    if y >= _P or not is_on_curve(key):
        return False
    for _ in range(_COFACTOR_DOUBLINGS):
        y2 = y * y % _P
        x2 = (y2 - 1) * pow(_D * y2 + 1, -1, _P) % _P
        y = (y2 + x2) * pow(1 - _D * x2 * y2, -1, _P) % _P
    return y != 1


def _place(found: CustodySet, custodian: int) -> str:
    return f"set {found.set_no}, custodian {custodian}"
