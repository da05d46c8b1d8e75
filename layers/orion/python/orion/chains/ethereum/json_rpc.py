"""Reading the values of Ethereum's JSON-RPC strictly (execution-apis: quantities and data)."""

import re
from collections.abc import Mapping, Sequence
from typing import cast

from orion.chains.errors import MalformedBlock

_QUANTITY = re.compile(r"0x(0|[1-9a-f][0-9a-f]{0,63})\Z", re.ASCII)
_DATA = re.compile(r"0x(?:[0-9a-f]{2})*\Z", re.ASCII)
_MIXED_DATA = re.compile(r"0x(?:[0-9a-fA-F]{2})*\Z", re.ASCII)


def mapping(value: object, what: str) -> Mapping[str, object]:
    """An object. Raises MalformedBlock."""
    if not isinstance(value, dict):
        raise MalformedBlock(f"{what} is not an object")
    return cast(Mapping[str, object], value)


def sequence(value: object, what: str) -> Sequence[object]:
    """An array. Raises MalformedBlock."""
    if not isinstance(value, list):
        raise MalformedBlock(f"{what} is not an array")
    return cast(Sequence[object], value)


def quantity(row: Mapping[str, object], name: str) -> int:
    """A number in its shortest hex form, at most 256 bits. Raises MalformedBlock."""
    value = row.get(name)
    if not isinstance(value, str) or not _QUANTITY.match(value):
        raise MalformedBlock(f"{name} is not a quantity")
    return int(value, 16)


def data(row: Mapping[str, object], name: str, size_bytes: int) -> str:
    """`size_bytes` bytes as `0x` and lower-case hex. Raises MalformedBlock."""
    value = row.get(name)
    if not isinstance(value, str) or len(value) != 2 + 2 * size_bytes:
        raise MalformedBlock(f"{name} does not hold {size_bytes} bytes")
    if _DATA.match(value):
        return value
    # Some nodes answer addresses in their mixed-case form.
    if _MIXED_DATA.match(value):
        return value.lower()
    raise MalformedBlock(f"{name} is not hex")
