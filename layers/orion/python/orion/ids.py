"""Identities: made from the fact that caused a thing, or random where no fact exists yet."""

import hashlib
import os
import time
from datetime import UTC, datetime, timedelta

from orion.errors import OrionError

ID_BYTES = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_ENCODING_VERSION = b"orion-fact-1"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CROCKFORD_VALUES = {letter: value for value, letter in enumerate(_CROCKFORD)}
_PUBLIC_LETTERS = 26  # 26 letters of 5 bits carry 130 bits: the two highest are zero.


class MalformedId(OrionError):
    """Text that no identity of the wanted kind was ever written as."""

    code = "not_found"


def fact_id(kind: str, *parts: str | int | bytes) -> bytes:
    """First 16 bytes of SHA-256 over a versioned canonical encoding of `kind` and `parts`.

    Each part is written as a type letter, its length and its bytes, so no two different lists of
    parts share an encoding: ("ab", "c") and ("a", "bc") differ, and so do the text "1" and the
    number 1.
    """
    digest = hashlib.sha256(_ENCODING_VERSION)
    for part in (kind, *parts):
        letter, body = _encode(part)
        digest.update(letter + len(body).to_bytes(4, "big") + body)
    return digest.digest()[:ID_BYTES]


def _encode(part: str | int | bytes) -> tuple[bytes, bytes]:
    if isinstance(part, bool):
        raise TypeError("a truth value is not part of a fact")
    if isinstance(part, str):
        return b"s", part.encode()
    if isinstance(part, int):
        return b"i", str(part).encode()
    return b"b", part


def random_id(at: datetime | None = None) -> bytes:
    """16 bytes in the layout of UUIDv7 (RFC 9562 section 5.7): 48 bits of milliseconds, of `at` or
    of now, then 74 random bits.

    Ordered by time, so that an index grows at its end; unguessable, so that an invoice's id may be
    its page's secret.
    """
    moment = int(time.time() * 1000).to_bytes(6, "big") if at is None else moment_prefix(at)
    value = bytearray(moment + os.urandom(10))
    value[6] = (value[6] & 0x0F) | 0x70
    value[8] = (value[8] & 0x3F) | 0x80
    return bytes(value)


def moment_prefix(at: datetime) -> bytes:
    """How an identity begins that `random_id` makes at `at`, an aware time from 1970 on: its whole
    milliseconds.
    """
    return ((at - _EPOCH) // _MILLISECOND).to_bytes(6, "big")


def public_id(prefix: str, value: bytes) -> str:
    """`prefix_` and 26 letters of Crockford's base 32, for people and programs outside."""
    if len(value) != ID_BYTES:
        raise ValueError(f"an identity has {ID_BYTES} bytes, not {len(value)}")
    number = int.from_bytes(value, "big")
    letters = [_CROCKFORD[(number >> (5 * place)) & 31] for place in range(_PUBLIC_LETTERS)]
    return f"{prefix}_" + "".join(reversed(letters))


def parse_public_id(prefix: str, text: str) -> bytes:
    """The identity written as `text`, or MalformedId. Only the upper-case form is read."""
    head, separator, letters = text.partition("_")
    if not separator or head != prefix or len(letters) != _PUBLIC_LETTERS:
        raise MalformedId(f"not an identity of the form {prefix}_…")
    number = 0
    for letter in letters:
        value = _CROCKFORD_VALUES.get(letter)
        if value is None:
            raise MalformedId(f"not an identity of the form {prefix}_…")
        number = number << 5 | value
    if number >> 128:
        raise MalformedId(f"not an identity of the form {prefix}_…")
    return number.to_bytes(ID_BYTES, "big")
