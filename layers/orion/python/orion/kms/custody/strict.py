"""Reading one value of a request or statement: of one type, in one form, within limits.

`part` names the value in refusals, such as `instructions[0].units`.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast

from orion.ids import MalformedId, parse_public_id
from orion.kms.custody.errors import RequestRefused

MAX_NUMBER = 2**31 - 1
MAX_UNITS = 2**256 - 1
MAX_NAME = 64
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,77})\Z", re.ASCII)
_HEX = re.compile(r"(?:[0-9a-f]{2})*\Z", re.ASCII)
_NAME = re.compile(r"[!-~]{1,64}\Z", re.ASCII)
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|\+00:00)\Z",
    re.ASCII,
)


def refused(part: str, reason: str, detail: str) -> RequestRefused:
    """The refusal of one value."""
    return RequestRefused(detail, reason=reason, part=part)


def fields(value: object, names: frozenset[str], part: str) -> Mapping[str, object]:
    """An object with exactly these fields. Raises RequestRefused naming the first other one."""
    if not isinstance(value, Mapping):
        raise refused(part, "not_an_object", "an object is wanted")
    for name in sorted(names - set(value)):
        raise refused(f"{part}.{name}", "missing", "a field is missing")
    for name in sorted(str(name)[:MAX_NAME] for name in set(value) - names):
        raise refused(f"{part}.{name}", "unknown", "a field is unknown")
    return cast(Mapping[str, object], value)


def rows(value: object, least: int, most: int, part: str) -> Sequence[object]:
    """A list of `least` to `most` entries."""
    if not isinstance(value, list):
        raise refused(part, "not_a_list", "a list is wanted")
    if not least <= len(value) <= most:
        raise refused(part, "wrong_count", f"{least} to {most} entries are wanted")
    return value


def version_1(value: object, part: str) -> None:
    """The number 1, neither true nor "1"."""
    if type(value) is not int or value != 1:
        raise refused(part, "unknown_version", "only version 1 is known")


def number(value: object, part: str, most: int = MAX_NUMBER, least: int = 0) -> int:
    """A whole number from `least` to `most`."""
    if type(value) is not int or not least <= value <= most:
        raise refused(part, "not_a_number", f"a whole number from {least} to {most} is wanted")
    return value


def set_number(value: object, part: str) -> int:
    """A custody set's number; they begin at 1."""
    return number(value, part, least=1)


def word(value: object, allowed: frozenset[str], part: str) -> str:
    """One of a few words."""
    if not isinstance(value, str) or value not in allowed:
        raise refused(part, "unknown_word", "not one of the known words")
    return value


def name(value: object, part: str) -> str:
    """1 to 64 printable ASCII characters without spaces."""
    if not isinstance(value, str) or not _NAME.match(value):
        raise refused(part, "not_a_name", "1 to 64 printable ASCII characters are wanted")
    return value


def text(value: object, most: int, part: str) -> str:
    """Printable ASCII of at most `most` characters, also none."""
    if not isinstance(value, str) or len(value) > most or not value.isascii():
        raise refused(part, "not_text", f"at most {most} ASCII characters are wanted")
    return value


def units(value: object, part: str) -> int:
    """Decimal text of a whole number, at most 2^256 - 1, without leading zeros."""
    if not isinstance(value, str) or not _DECIMAL.match(value) or int(value) > MAX_UNITS:
        raise refused(part, "not_units", "decimal text of a whole number is wanted")
    return int(value)


def public_id(prefix: str, value: object, part: str) -> str:
    """An identity with this prefix."""
    try:
        if isinstance(value, str):
            parse_public_id(prefix, value)
            return value
    except MalformedId:
        pass
    raise refused(part, "not_an_identity", f"an identity {prefix}_… is wanted")


def moment(value: object, part: str) -> datetime:
    """ISO 8601 with date, time and UTC."""
    if isinstance(value, str) and _MOMENT.match(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass  # A month 13 has the form too.
    raise refused(part, "not_a_time", "a time in ISO 8601, UTC, is wanted")


def hexadecimal(value: object, size: int, part: str) -> bytes:
    """Exactly `size` bytes in lower-case hexadecimal digits."""
    if not isinstance(value, str) or len(value) != 2 * size or not _HEX.match(value):
        raise refused(part, "not_hex", f"{2 * size} lower-case hexadecimal digits are wanted")
    return bytes.fromhex(value)


def hex_text(value: object, most: int, part: str) -> str:
    """1 to `most` bytes in lower-case hexadecimal digits, as text."""
    if not isinstance(value, str) or not 2 <= len(value) <= 2 * most or not _HEX.match(value):
        raise refused(part, "not_hex", "lower-case hexadecimal digits are wanted")
    return value


def base64_bytes(value: object, most: int, part: str) -> bytes:
    """1 to `most` bytes in base 64 (RFC 4648, section 4), as an encoder writes them."""
    if isinstance(value, str) and 0 < len(value) <= (most + 2) // 3 * 4:
        try:
            data = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            data = b""
        if 0 < len(data) <= most and base64.b64encode(data).decode() == value:
            return data
    raise refused(part, "not_base64", f"1 to {most} bytes in base 64 are wanted")
