"""Mnemonics (BIP-39, English list): entropy as words with a checksum, and the seed of a mnemonic.

Groups have no mnemonic: their seed is 32 raw bytes that nobody writes down. This reads the words of
a wallet that comes from elsewhere, and checks derivation against vectors that start with words.
`bip39_english.txt` is bip-0039/english.txt of bitcoin/bips, byte for byte.
"""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from orion.kms.keys.errors import InvalidEntropy, MalformedMnemonic

ENTROPY_BYTES = (16, 20, 24, 28, 32)
ROUNDS = 2048
_LIST = Path(__file__).with_name("bip39_english.txt")
_WORD_BITS = 11
_MNEMONIC_LETTERS_MAX = 400  # 24 words of at most eight letters, with room for white space.
_PASSPHRASE_LETTERS_MAX = 1_000


@cache
def words() -> Sequence[str]:
    """The 2,048 words in order."""
    return tuple(_LIST.read_text(encoding="ascii").split())


@cache
def _numbers() -> Mapping[str, int]:
    return {word: number for number, word in enumerate(words())}


def mnemonic_of(entropy: bytes) -> str:
    """12 to 24 words for 16 to 32 bytes (a multiple of four). Raises InvalidEntropy."""
    if len(entropy) not in ENTROPY_BYTES:
        raise InvalidEntropy("entropy has 16, 20, 24, 28 or 32 bytes", size_bytes=len(entropy))
    checksum_bits = len(entropy) // 4
    number = int.from_bytes(entropy, "big") << checksum_bits | _checksum(entropy)
    count = (len(entropy) * 8 + checksum_bits) // _WORD_BITS
    shifts = range((count - 1) * _WORD_BITS, -1, -_WORD_BITS)
    return " ".join(words()[number >> shift & 0x7FF] for shift in shifts)


def entropy_of(mnemonic: str) -> bytes:
    """The bytes that the words stand for, checksum verified. Raises MalformedMnemonic.

    Words are in lower case, any white space is between them.
    """
    found = _words_of(mnemonic)
    size = len(found) * _WORD_BITS * 32 // 33 // 8
    if len(found) % 3 or size not in ENTROPY_BYTES:
        raise MalformedMnemonic("a mnemonic has 12, 15, 18, 21 or 24 words", reason="length")
    number = 0
    for position, word in enumerate(found, start=1):
        value = _numbers().get(word)
        if value is None:
            raise MalformedMnemonic("a word outside the list", reason="word", position=position)
        number = number << _WORD_BITS | value
    checksum_bits = size // 4
    entropy = (number >> checksum_bits).to_bytes(size, "big")
    if number & ((1 << checksum_bits) - 1) != _checksum(entropy):
        raise MalformedMnemonic("the checksum does not fit", reason="checksum")
    return entropy


def seed_of(mnemonic: str, passphrase: str = "") -> bytearray:
    """The 64 bytes of BIP-39's PBKDF2 (2,048 rounds of HMAC-SHA-512), for the caller to overwrite.

    The words are checked first; the passphrase has at most 1,000 letters and is normalized (NFKD).
    Raises MalformedMnemonic.
    """
    entropy_of(mnemonic)
    if len(passphrase) > _PASSPHRASE_LETTERS_MAX:
        raise MalformedMnemonic("a passphrase has at most 1000 letters", reason="length")
    salt = "mnemonic" + unicodedata.normalize("NFKD", passphrase)
    phrase = " ".join(_words_of(mnemonic))
    return bytearray(hashlib.pbkdf2_hmac("sha512", phrase.encode(), salt.encode(), ROUNDS))


def _words_of(mnemonic: str) -> Sequence[str]:
    if len(mnemonic) > _MNEMONIC_LETTERS_MAX:
        raise MalformedMnemonic("a mnemonic has at most 24 words", reason="length")
    return unicodedata.normalize("NFKD", mnemonic).split()


def _checksum(entropy: bytes) -> int:
    """The first bit of SHA-256 for every 32 bits of entropy, as a number."""
    return hashlib.sha256(entropy).digest()[0] >> 8 - len(entropy) // 4
