"""Strict reading of the parts of a transfer, as records of two topics have them.

Nothing is guessed: an unknown name, a missing one or a word outside its closed set is an error that
names the part.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import ClassVar, TypeVar, cast

from orion.errors import OrionError, Retry
from orion.ledger.codes import SECOND_PHASE, Code, Kind, Purpose
from orion.ledger.model import AccountKey, Transfer, account_key, leg_cause, leg_id
from orion.money import ASSETS, MAX_UNITS
from orion.records import canonical_json, parse_json

_Word = TypeVar("_Word", bound=StrEnum)

VERSION = 1
MAX_CAUSE_BYTES = 512
MAX_NUMBER = 2**63 - 1
MAX_SHARD = 65_535
_HEX_ID = re.compile(r"[0-9a-f]{32}")
OWNER = re.compile(r"merchant:[0-9a-f]{32}|system:[a-z][a-z0-9-]{0,31}|shard:(?:0|[1-9][0-9]{0,4})")
_UNITS = re.compile(r"[1-9][0-9]{0,38}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z", re.ASCII)
_LEG_CAUSE = frozenset({"type", "shard", "leg", "first", "last"})


class MalformedTransfer(OrionError):
    """A record of transfers that this ledger cannot decide; `field` names the part."""

    code: ClassVar[str] = "malformed_transfer"
    retry: ClassVar[Retry] = Retry.NEVER


def read_body(value: bytes) -> dict[str, object]:
    """The body of a record of this version. Raises MalformedRecord or MalformedTransfer."""
    body = parse_json(value)
    version = body.get("v")
    if type(version) is not int or version != VERSION:
        raise MalformedTransfer("the record has another version", field="v")
    return body


def read_transfer(row: Mapping[str, object], trace_id: bytes) -> Transfer:
    """The transfer in `row`, which has no other names than a transfer's: the caller looked."""
    asset = row["asset"]
    if not isinstance(asset, str) or asset not in ASSETS:
        raise MalformedTransfer("no such asset", field="asset")
    linked = row["linked"]
    if not isinstance(linked, bool):
        raise MalformedTransfer("linked is true or false", field="linked")
    kind = word(Kind, row["kind"], "kind")
    pending_id = row.get("pending_id")
    if (pending_id is not None) != (kind in SECOND_PHASE):
        raise MalformedTransfer("only the second phase names a transfer", field="pending_id")
    transfer = Transfer(
        id=hex_id(row["id"], "id"),
        kind=kind,
        code=word(Code, row["code"], "code"),
        units=_units(row["units"]),
        debit=account(row["debit"], asset, "debit"),
        credit=account(row["credit"], asset, "credit"),
        cause=_cause(row["cause"]),
        trace_id=trace_id,
        linked=linked,
        pending_id=None if pending_id is None else hex_id(pending_id, "pending_id"),
    )
    if transfer.code is Code.LEG:
        _check_leg(transfer, as_object(row["cause"], "cause"))
    return transfer


def _check_leg(transfer: Transfer, cause: Mapping[str, object]) -> None:
    # Legs move accounts unconditionally: what the ledger would not write itself is none.
    names_only(cause, _LEG_CAUSE, "cause")
    shard = whole(cause["shard"], 0, MAX_SHARD, "cause.shard")
    number = whole(cause["leg"], 1, MAX_NUMBER, "cause.leg")
    first, last = _place(cause["first"], "cause.first"), _place(cause["last"], "cause.last")
    if transfer.cause != leg_cause(shard, number, first, last):
        raise MalformedTransfer("not the cause of a leg", field="cause")
    if transfer.id != leg_id(shard, number) or transfer.linked or first > last:
        raise MalformedTransfer("not a leg that a shard has sent", field="id")


def _place(value: object, field: str) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise MalformedTransfer("an entry has a record and a place", field=field)
    return whole(value[0], 1, MAX_NUMBER, field), whole(value[1], 0, MAX_SHARD, field)


def _cause(value: object) -> bytes:
    try:
        cause = canonical_json(as_object(value, "cause"))
    except UnicodeEncodeError as exc:
        raise MalformedTransfer("half of a character is no text", field="cause") from exc
    if len(cause) > MAX_CAUSE_BYTES:
        raise MalformedTransfer(f"a cause has at most {MAX_CAUSE_BYTES} bytes", field="cause")
    return cause


def account(value: object, asset: str, field: str) -> AccountKey:
    """The account of `asset` named by `{"owner", "purpose"}`."""
    row = as_object(value, field)
    names_only(row, _ACCOUNT, field)
    owner = row["owner"]
    if not isinstance(owner, str) or not OWNER.fullmatch(owner):
        raise MalformedTransfer(
            "an owner is merchant:<32 hex>, system:<chain> or shard:<number>",
            field=f"{field}.owner",
        )
    return account_key(owner, word(Purpose, row["purpose"], f"{field}.purpose"), asset)


_ACCOUNT = frozenset({"owner", "purpose"})


def _units(value: object) -> int:
    if not isinstance(value, str) or not _UNITS.fullmatch(value) or int(value) > MAX_UNITS:
        raise MalformedTransfer("units are text, from 1 to 2^128-1", field="units")
    return int(value)


def hex_id(value: object, field: str) -> bytes:
    """16 bytes from 32 digits."""
    if not isinstance(value, str) or not _HEX_ID.fullmatch(value):
        raise MalformedTransfer("an id is 32 hexadecimal digits, lower case", field=field)
    return bytes.fromhex(value)


def word(words: type[_Word], value: object, field: str) -> _Word:
    """A word of a closed set."""
    try:
        return words(cast(str, value))
    except ValueError as exc:
        raise MalformedTransfer("a word that this ledger does not know", field=field) from exc


def whole(value: object, least: int, most: int, field: str) -> int:
    """A whole number within bounds."""
    if type(value) is not int or not least <= value <= most:
        raise MalformedTransfer(f"a whole number from {least} to {most}", field=field)
    return value


def moment(value: object, field: str) -> datetime:
    """UTC with microseconds, as `rfc3339` writes it."""
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError as exc:
            raise MalformedTransfer("no such moment", field=field) from exc
    raise MalformedTransfer("a moment is RFC 3339 with microseconds and Z", field=field)


def rfc3339(at: datetime) -> str:
    """UTC with microseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def as_object(value: object, field: str) -> Mapping[str, object]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise MalformedTransfer("not a JSON object", field=field)
    return cast(Mapping[str, object], value)


def names_only(row: Mapping[str, object], names: frozenset[str], field: str) -> None:
    """Exactly these names."""
    if row.keys() != names:
        wrong = min(row.keys() ^ names)
        raise MalformedTransfer("a name is missing or unknown", field=f"{field}.{wrong[:40]}")
