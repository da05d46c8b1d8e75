"""The checksum of output descriptors (BIP-380): eight letters behind a "#".

It is the remainder of a division of polynomials over GF(32), as in Bech32 with a longer generator.
A letter of the descriptor gives its place in a group of 32 as one symbol; the groups of three
letters are joined to one symbol more, so that a slip within a group costs one symbol only.
"""

from orion.chains.errors import MalformedAddress

# BIP-380, "Character Set": the three groups stand one after another.
_INPUT = (
    "0123456789()[],'/*abcdefgh@:$%{}"
    "IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~"
    'ijklmnopqrstuvwxyzABCDEFGH`#"\\ '
)
_PLACES = {letter: place for place, letter in enumerate(_INPUT)}
_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0xF5DEE51989, 0xA9FDCA3312, 0x1BAB10E32D, 0x3706B1677A, 0x644D626FFD)
_CHECKSUM_SYMBOLS = 8


def with_checksum(descriptor: str) -> str:
    """`descriptor` (without a checksum), "#" and its checksum. Raises MalformedAddress for a letter
    that no descriptor has.
    """
    remainder = 1
    groups: list[int] = []
    for letter in descriptor:
        place = _PLACES.get(letter)
        if place is None:
            raise MalformedAddress("a letter that no descriptor has", reason="character")
        remainder = _step(remainder, place & 31)
        groups.append(place >> 5)
        if len(groups) == 3:
            remainder = _step(remainder, _joined(groups))
            groups = []
    if groups:
        remainder = _step(remainder, _joined(groups))
    for _ in range(_CHECKSUM_SYMBOLS):
        remainder = _step(remainder, 0)
    remainder ^= 1
    shifts = range(5 * (_CHECKSUM_SYMBOLS - 1), -1, -5)
    return f"{descriptor}#{''.join(_LETTERS[remainder >> shift & 31] for shift in shifts)}"


def _joined(groups: list[int]) -> int:
    symbol = 0
    for group in groups:
        symbol = symbol * 3 + group
    return symbol


def _step(remainder: int, symbol: int) -> int:
    top = remainder >> 35
    remainder = (remainder & 0x7FFFFFFFF) << 5 ^ symbol
    for bit, generator in enumerate(_GENERATOR):
        if top >> bit & 1:
            remainder ^= generator
    return remainder
