"""Base58Check: a version byte, a payload and four bytes of double SHA-256, in 58 letters."""

from orion.chains.bitcoin.hashing import sha256d
from orion.chains.errors import MalformedAddress

_LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_LETTERS)}
_PAIRS = tuple(high + low for high in _LETTERS for low in _LETTERS)
_TEXT_MAX = 64  # An address has at most 35; int() of unbounded text would be quadratic.
_CHECKSUM_BYTES = 4


def encode_check(payload: bytes) -> str:
    """`payload` (version byte first) with its checksum."""
    body = payload + sha256d(payload)[:_CHECKSUM_BYTES]
    number = int.from_bytes(body, "big")
    pairs = []
    while number:
        number, pair = divmod(number, 58 * 58)
        pairs.append(_PAIRS[pair])
    # A leading zero byte is written as the letter "1"; the number itself has lost it.
    zeros = len(body) - len(body.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(pairs)).lstrip("1")


def decode_check(text: str) -> bytes:
    """The payload of `text`, version byte first, checksum verified and removed.

    Raises MalformedAddress.
    """
    if not text or len(text) > _TEXT_MAX:
        raise MalformedAddress("not of the length of an address", reason="length")
    number = 0
    for letter in text:
        value = _VALUES.get(letter)
        if value is None:
            raise MalformedAddress("a character outside the alphabet", reason="character")
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip("1"))
    body = bytes(zeros) + number.to_bytes(-(-number.bit_length() // 8), "big")
    payload, checksum = body[:-_CHECKSUM_BYTES], body[-_CHECKSUM_BYTES:]
    if len(body) <= _CHECKSUM_BYTES or sha256d(payload)[:_CHECKSUM_BYTES] != checksum:
        raise MalformedAddress("the checksum does not fit", reason="checksum")
    return payload
