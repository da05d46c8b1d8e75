"""Base 58, the alphabet of Bitcoin, Tron and Solana, and Base58Check: a version byte, a payload and
four bytes of double SHA-256.
"""

import hashlib

from orion.chains.errors import MalformedAddress

_LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_LETTERS)}
_PAIRS = tuple(high + low for high in _LETTERS for low in _LETTERS)
# An extended key has at most 112 (BIP-32), an address 44; int() of unbounded text would be
# quadratic.
_TEXT_MAX = 112
_CHECKSUM_BYTES = 4


def encode(data: bytes) -> str:
    """`data` as one number in base 58; each leading zero byte is written as a letter "1"."""
    number = int.from_bytes(data, "big")
    pairs = []
    while number:
        number, pair = divmod(number, 58 * 58)
        pairs.append(_PAIRS[pair])
    # The number has lost its leading zero bytes; its own leading letter may be a padding "1".
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(pairs)).lstrip("1")


def decode(text: str) -> bytes:
    """The bytes of `text`, at most 112 letters. Raises MalformedAddress."""
    if not text or len(text) > _TEXT_MAX:
        raise MalformedAddress("not of the length of an address", reason="length")
    number = 0
    for letter in text:
        value = _VALUES.get(letter)
        if value is None:
            raise MalformedAddress("a character outside the alphabet", reason="character")
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes(-(-number.bit_length() // 8), "big")


def encode_check(payload: bytes) -> str:
    """`payload` (version byte first) with its checksum."""
    return encode(payload + _checksum(payload))


def decode_check(text: str) -> bytes:
    """The payload of `text`, version byte first, checksum verified and removed.

    Raises MalformedAddress.
    """
    body = decode(text)
    payload, checksum = body[:-_CHECKSUM_BYTES], body[-_CHECKSUM_BYTES:]
    if len(body) <= _CHECKSUM_BYTES or _checksum(payload) != checksum:
        raise MalformedAddress("the checksum does not fit", reason="checksum")
    return payload


def _checksum(payload: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:_CHECKSUM_BYTES]
