"""A Kafka record as the consumers see it, and the strict reading of its JSON."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn, cast

from orion.errors import OrionError

MAX_DEPTH = 32
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")


class MalformedRecord(OrionError):
    """A record that no producer of this system writes."""

    code = "malformed_record"


class MalformedJson(OrionError):
    """Text that is not one JSON object in the strict form of `parse_object`."""

    code = "malformed_json"


@dataclass(frozen=True, slots=True)
class Record:
    """One Kafka record. `value` is the bytes of one JSON object; `headers` keep the last of equal
    names.
    """

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: Mapping[str, bytes] = field(default_factory=dict)
    timestamp_ms: int = 0


def _refuse(word: str) -> NoReturn:
    raise MalformedJson(f"numbers are whole; {word[:40]} is not")


def _integer(digits: str) -> int:
    # int() of a very long literal is quadratic; no number of ours has more digits than a uint256.
    if len(digits) > 80:
        raise MalformedJson("a number has more than 80 digits")
    return int(digits)


def check_depth(text: str) -> None:
    """Before any JSON of strangers is parsed: the C parser recurses on the machine's stack, which a
    raised recursion limit lets it overflow. Raises MalformedJson.
    """
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise MalformedJson(f"the text is nested more than {MAX_DEPTH} deep")


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    body = dict(pairs)
    if len(body) != len(pairs):
        raise MalformedJson("a name stands twice in one object")
    return body


def parse_object(text: bytes) -> dict[str, object]:
    """One JSON object (RFC 8259), strictly: UTF-8, no repeated names, whole numbers only, bounded
    depth.

    Amounts travel as text, so a fraction or an exponent in a number is always a mistake. Raises
    MalformedJson.
    """
    try:
        decoded = text.decode("utf-8")
        check_depth(decoded)
        body = json.loads(
            decoded,
            parse_float=_refuse,
            parse_int=_integer,
            parse_constant=_refuse,
            object_pairs_hook=_without_repeats,
        )
    except (UnicodeDecodeError, json.JSONDecodeError) as exc:
        raise MalformedJson("the text is not JSON in UTF-8") from exc
    if not isinstance(body, dict):
        raise MalformedJson("the text is not a JSON object")
    return cast(dict[str, object], body)


def parse_json(value: bytes) -> dict[str, object]:
    """`parse_object` for a record's value. Raises MalformedRecord."""
    try:
        return parse_object(value)
    except MalformedJson as exc:
        raise MalformedRecord(exc.detail) from exc


def canonical_json(body: Mapping[str, object]) -> bytes:
    """The one way this system writes JSON: sorted names, no spaces, UTF-8."""
    return json.dumps(
        body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()
