"""ECDSA signatures on secp256k1 (SEC 2): DER and compact forms, low s, recovery ids.

Two numbers s and n - s make the same signature valid, so without a rule anybody could change a
transaction's bytes on its way. Everything here knows one of them only: the lower (BIP-62 rule 5,
BIP-146; EIP-2 for Ethereum). DER is read as BIP-66 writes it, one form for one signature.
"""

from coincurve import PublicKey

from orion.errors import OrionError

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
HALF_ORDER = ORDER // 2
COMPACT_BYTES = 64
RECOVERABLE_BYTES = 65
DIGEST_BYTES = 32

_SEQUENCE = 0x30
_INTEGER = 0x02
# Two integers of 33 bytes with their tags, behind the tag of the sequence: one byte of length.
_DER_BYTES_MAX = 72
_DER_BYTES_MIN = 8
_RECOVERY_IDS = 4
_POINT_FORMS = ((33, b"\x02"), (33, b"\x03"), (65, b"\x04"))


class MalformedSignature(OrionError):
    """Bytes that are no signature, or none of this key over this digest."""

    code = "malformed_signature"


def parse_der(der: bytes) -> bytes:
    """The 64 bytes r and s of a signature in strict DER (BIP-66), without a sighash byte.

    A high s is read too: `normalized` is for that. Raises MalformedSignature for any other form,
    and for an r or s that is zero or not below the group's order.
    """
    if not _DER_BYTES_MIN <= len(der) <= _DER_BYTES_MAX:
        raise MalformedSignature("a DER signature has 8 to 72 bytes", size_bytes=len(der))
    if der[0] != _SEQUENCE or der[1] != len(der) - 2:
        raise MalformedSignature("not one DER sequence")
    r, rest = _integer(der[2:])
    s, rest = _integer(rest)
    if rest:
        raise MalformedSignature("bytes follow the two integers")
    return r + s


def to_der(compact: bytes) -> bytes:
    """The DER form of 64 bytes r and s. Raises MalformedSignature."""
    body = b"".join(_der_integer(number) for number in _numbers(compact))
    return bytes([_SEQUENCE, len(body)]) + body


def normalized(compact: bytes) -> bytes:
    """The same signature with the lower of its two s. Raises MalformedSignature."""
    _, s = _numbers(compact)
    if s <= HALF_ORDER:
        return bytes(compact)
    return bytes(compact[:32]) + (ORDER - s).to_bytes(32, "big")


def verify(public_key: bytes, digest: bytes, compact: bytes) -> bool:
    """Whether 64 bytes r and s, s low, are the signature of `public_key` (SEC 1, 33 or 65 bytes)
    over a digest of 32 bytes. False for everything else, malformed input included.
    """
    if len(digest) != DIGEST_BYTES:
        return False
    try:
        _, s = _numbers(compact)
        key = _point(public_key)
    except (MalformedSignature, ValueError):
        return False
    if s > HALF_ORDER:
        return False
    return bool(key.verify(to_der(compact), bytes(digest), hasher=None))


def recoverable(public_key: bytes, digest: bytes, compact: bytes) -> bytes:
    """r, s and the recovery id (0 to 3) in 65 bytes: the form from which Ethereum, Tron and others
    find the key. Raises MalformedSignature unless `verify` accepts the signature.
    """
    if not verify(public_key, digest, compact):
        raise MalformedSignature("not a low-s signature of this key over this digest")
    wanted = PublicKey(bytes(public_key)).format()
    for recovery_id in range(_RECOVERY_IDS):
        signature = bytes(compact) + bytes([recovery_id])
        if _recovered(signature, bytes(digest)) == wanted:
            return signature
    raise MalformedSignature("no recovery id leads to this key")


def _integer(data: bytes) -> tuple[bytes, bytes]:
    """One positive DER integer in 32 bytes, and what follows it."""
    if len(data) < 3 or data[0] != _INTEGER:
        raise MalformedSignature("not a DER integer")
    size = data[1]
    content, rest = data[2 : 2 + size], data[2 + size :]
    if not 1 <= size <= 33 or len(content) != size:
        raise MalformedSignature("a DER integer of the wrong length")
    if content[0] & 0x80:
        raise MalformedSignature("a negative DER integer")
    if size > 1 and content[0] == 0 and not content[1] & 0x80:
        raise MalformedSignature("a DER integer with a needless zero")
    number = int.from_bytes(content, "big")
    if not 0 < number < ORDER:
        raise MalformedSignature("r and s lie between 0 and the order")
    return number.to_bytes(32, "big"), rest


def _der_integer(number: int) -> bytes:
    """A positive number of at most 32 bytes; a zero keeps its first bit from meaning minus."""
    content = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return bytes([_INTEGER, len(content)]) + content


def _numbers(compact: bytes) -> tuple[int, int]:
    if len(compact) != COMPACT_BYTES:
        raise MalformedSignature("a compact signature has 64 bytes", size_bytes=len(compact))
    r, s = int.from_bytes(compact[:32], "big"), int.from_bytes(compact[32:], "big")
    if not (0 < r < ORDER and 0 < s < ORDER):
        raise MalformedSignature("r and s lie between 0 and the order")
    return r, s


def _point(public_key: bytes) -> PublicKey:
    """Read a key in the two forms that chains use; the library also reads the hybrid third one.
    Raises ValueError.
    """
    if (len(public_key), public_key[:1]) not in _POINT_FORMS:
        raise ValueError("neither a compressed nor an uncompressed point")
    return PublicKey(bytes(public_key))


def _recovered(signature: bytes, digest: bytes) -> bytes | None:
    """The compressed key that a recoverable signature names, or None: not every recovery id has
    a point.
    """
    try:
        key = PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except ValueError:
        return None
    return bytes(key.format())
