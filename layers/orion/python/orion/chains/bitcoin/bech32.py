"""Bech32 (BIP-173) and Bech32m (BIP-350).

The checksum is the remainder of a division of polynomials over GF(32): `_step` appends one symbol.
Payments arrive thousands to a block, so `_checksum` appends two symbols at once through a table of
1,024 remainders, as CRC codes do; the table is made from `_step`, so that there is one definition.
"""

from enum import IntEnum
from functools import lru_cache

from orion.chains.errors import MalformedAddress

_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES = {letter: value for value, letter in enumerate(_LETTERS)}
_PAIRS = tuple(high + low for high in _LETTERS for low in _LETTERS)
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_SYMBOLS = 6
_LENGTH_MAX = 90


class Encoding(IntEnum):
    """The constant that the checksum must leave."""

    BECH32 = 1
    BECH32M = 0x2BC830A3


def _step(remainder: int, symbol: int) -> int:
    top = remainder >> 25
    remainder = (remainder & 0x1FFFFFF) << 5 ^ symbol
    for bit, generator in enumerate(_GENERATOR):
        if top >> bit & 1:
            remainder ^= generator
    return remainder


_TWO_STEPS = tuple(_step(_step(top << 20, 0), 0) for top in range(1024))


def _after_prefix(hrp: str) -> int:
    remainder = 1
    for symbol in (*(ord(c) >> 5 for c in hrp), 0, *(ord(c) & 31 for c in hrp)):
        remainder = _step(remainder, symbol)
    return remainder


@lru_cache(maxsize=64)
def _opening(hrp: str, first: int) -> int:
    """The remainder after prefix and witness version: few, for thousands of outputs of a block."""
    return _step(_after_prefix(hrp), first)


def encode(hrp: str, first: int, program: bytes, encoding: Encoding) -> str:
    """`hrp`, separator, `first`, `program` in groups of five bits (zero padded), checksum."""
    count = -(-len(program) * 8 // 5)
    bits = int.from_bytes(program, "big") << (5 * count - 8 * len(program))
    remainder = _opening(hrp, first)
    text = []
    odd = count & 1
    if odd:
        symbol = bits >> (5 * (count - 1)) & 31
        remainder = _step(remainder, symbol)
        text.append(_LETTERS[symbol])
    for shift in range(5 * (count - odd) - 10, -1, -10):
        pair = bits >> shift & 1023
        remainder = (remainder & 0xFFFFF) << 10 ^ _TWO_STEPS[remainder >> 20] ^ pair
        text.append(_PAIRS[pair])
    for _ in range(_CHECKSUM_SYMBOLS // 2):
        remainder = (remainder & 0xFFFFF) << 10 ^ _TWO_STEPS[remainder >> 20]
    remainder ^= encoding
    text.extend(_PAIRS[remainder >> shift & 1023] for shift in (20, 10, 0))
    return f"{hrp}1{_LETTERS[first]}{''.join(text)}"


def decode(text: str) -> tuple[str, tuple[int, ...], Encoding]:
    """Human-readable part, symbols without the checksum, and which of the two encodings.

    Raises MalformedAddress.
    """
    if len(text) > _LENGTH_MAX:
        raise MalformedAddress("longer than 90 characters", reason="length")
    if any(not 33 <= ord(c) <= 126 for c in text):
        raise MalformedAddress("a character outside printable ASCII", reason="character")
    lowered = text.lower()
    if text not in (lowered, text.upper()):
        raise MalformedAddress("upper and lower case are mixed", reason="mixed_case")
    hrp, separator, data = lowered.rpartition("1")
    if not separator or not hrp:
        raise MalformedAddress("no prefix before a separator", reason="prefix")
    if len(data) < _CHECKSUM_SYMBOLS:
        raise MalformedAddress("too short for a checksum", reason="length")
    symbols = tuple(_VALUES.get(letter, -1) for letter in data)
    if -1 in symbols:
        raise MalformedAddress("a character outside the alphabet", reason="character")
    remainder = _after_prefix(hrp)
    for symbol in symbols:
        remainder = _step(remainder, symbol)
    try:
        encoding = Encoding(remainder)
    except ValueError as exc:
        raise MalformedAddress("the checksum does not fit", reason="checksum") from exc
    return hrp, symbols[:-_CHECKSUM_SYMBOLS], encoding


def eight_bits(symbols: tuple[int, ...]) -> bytes:
    """Groups of five bits joined to bytes.

    Raises MalformedAddress when what is left over is not zero padding.
    """
    spare = len(symbols) * 5 % 8
    bits = 0
    for symbol in symbols:
        bits = bits << 5 | symbol
    if spare > 4 or bits & ((1 << spare) - 1):
        raise MalformedAddress("the padding is not zero bits", reason="padding")
    return (bits >> spare).to_bytes(len(symbols) * 5 // 8, "big")
