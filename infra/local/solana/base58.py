"""Base58 as Solana writes keys, hashes, signatures and instruction data (Bitcoin's alphabet)."""

_LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_LETTERS)}
# 1,232 bytes of a whole packet take 1,683 letters; int() of unbounded text would be quadratic.
TEXT_MAX = 1_683


def encode(raw: bytes) -> str:
    """`raw` as text; each leading zero byte is one "1"."""
    number = int.from_bytes(raw, "big")
    letters = []
    while number:
        number, value = divmod(number, 58)
        letters.append(_LETTERS[value])
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + "".join(reversed(letters))


def decode(text: str) -> bytes:
    """The bytes of `text`. Raises ValueError for a foreign letter or a text over TEXT_MAX."""
    if len(text) > TEXT_MAX:
        raise ValueError(f"over {TEXT_MAX} letters")
    number = 0
    for letter in text:
        value = _VALUES.get(letter)
        if value is None:
            raise ValueError("a letter outside of base58")
        number = number * 58 + value
    body = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return b"\0" * (len(text) - len(text.lstrip("1"))) + body
