"""Strict reading of a `ledger.transfers` record, and the form of what the ledger answers.

Forms: docs/contracts.md, "Transfer record" and "Posted record". Nothing is guessed: an unknown
name, a missing one or a word outside its closed set stops the partition, because skipping a record
would let later ones act on a state that never was.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import ClassVar, TypeVar, cast

from orion.errors import OrionError, Retry
from orion.ledger.model import AccountKey, Code, Entry, Kind, Purpose, Refusal, Transfer
from orion.money import ASSETS, MAX_UNITS
from orion.records import canonical_json, parse_json, parse_object

_Word = TypeVar("_Word", bound=StrEnum)

VERSION = 1
MAX_TRANSFERS = 1_000
MAX_CAUSE_BYTES = 512
# The largest transfer with its cause takes under 1,280 bytes, so that a record of so many stays
# below the 900,000 bytes of one message.
MAX_ANSWERED = 700

_HEX_ID = re.compile(r"[0-9a-f]{32}")
_OWNER = re.compile(r"merchant:[0-9a-f]{32}|system:[a-z][a-z0-9-]{0,31}")
_UNITS = re.compile(r"[1-9][0-9]{0,38}")
_RECORD = frozenset({"v", "trace_id", "transfers"})
_TRANSFER = frozenset(
    {"id", "kind", "code", "asset", "units", "debit", "credit", "cause", "linked"}
)


class MalformedTransfer(OrionError):
    """A record of transfers that this ledger cannot decide; `field` names the part."""

    code: ClassVar[str] = "malformed_transfer"
    retry: ClassVar[Retry] = Retry.NEVER


def read_transfers(value: bytes) -> tuple[Transfer, ...]:
    """The transfers of one record, in order. Raises MalformedRecord or MalformedTransfer."""
    body = parse_json(value)
    _names(body, _RECORD, "record")
    if type(body["v"]) is not int or body["v"] != VERSION:
        raise MalformedTransfer("the record has another version", field="v")
    trace_id = _hex(body["trace_id"], "trace_id")
    rows = body["transfers"]
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_TRANSFERS:
        raise MalformedTransfer(f"a record has 1 to {MAX_TRANSFERS} transfers", field="transfers")
    return tuple(_transfer(_object(row, "transfers"), trace_id) for row in rows)


def _transfer(row: Mapping[str, object], trace_id: bytes) -> Transfer:
    _names(row, _TRANSFER, "transfer")
    asset = row["asset"]
    if not isinstance(asset, str) or asset not in ASSETS:
        raise MalformedTransfer("no such asset", field="asset")
    if row["linked"] is not False:
        raise MalformedTransfer("chains of transfers are not decided yet", field="linked")
    cause = canonical_json(_object(row["cause"], "cause"))
    if len(cause) > MAX_CAUSE_BYTES:
        raise MalformedTransfer(f"a cause has at most {MAX_CAUSE_BYTES} bytes", field="cause")
    return Transfer(
        id=_hex(row["id"], "id"),
        kind=_word(Kind, row["kind"], "kind"),
        code=_word(Code, row["code"], "code"),
        units=_units(row["units"]),
        debit=_account(row["debit"], asset, "debit"),
        credit=_account(row["credit"], asset, "credit"),
        cause=cause,
        trace_id=trace_id,
    )


def _account(value: object, asset: str, field: str) -> AccountKey:
    row = _object(value, field)
    _names(row, frozenset({"owner", "purpose"}), field)
    owner = row["owner"]
    if not isinstance(owner, str) or not _OWNER.fullmatch(owner):
        raise MalformedTransfer(
            "an owner is merchant:<32 hex> or system:<chain>", field=f"{field}.owner"
        )
    return AccountKey(owner, _word(Purpose, row["purpose"], f"{field}.purpose"), asset)


def _units(value: object) -> int:
    if not isinstance(value, str) or not _UNITS.fullmatch(value) or int(value) > MAX_UNITS:
        raise MalformedTransfer("units are text, from 1 to 2^128-1", field="units")
    return int(value)


def _hex(value: object, field: str) -> bytes:
    if not isinstance(value, str) or not _HEX_ID.fullmatch(value):
        raise MalformedTransfer("an id is 32 hexadecimal digits, lower case", field=field)
    return bytes.fromhex(value)


def _word(words: type[_Word], value: object, field: str) -> _Word:
    try:
        return words(cast(str, value))
    except ValueError as exc:
        raise MalformedTransfer("a word that this ledger does not know", field=field) from exc


def _object(value: object, field: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise MalformedTransfer("not a JSON object", field=field)
    return cast(Mapping[str, object], value)


def _names(row: Mapping[str, object], names: frozenset[str], field: str) -> None:
    if row.keys() != names:
        wrong = min(row.keys() ^ names)
        raise MalformedTransfer("a name is missing or unknown", field=f"{field}.{wrong[:40]}")


def entry_body(entry: Entry, posted_at: datetime) -> dict[str, object]:
    """One transfer of a posted record."""
    return _body(entry.transfer) | {"posted_at": rfc3339(posted_at)}


def refusal_body(refusal: Refusal) -> dict[str, object]:
    """One transfer of a refused record."""
    return _body(refusal.transfer) | {"reason": str(refusal.reason)}


def _body(transfer: Transfer) -> dict[str, object]:
    body = transfer.content() | {"trace_id": transfer.trace_id.hex()}
    body["cause"] = parse_object(transfer.cause)
    return body


def packed(bodies: Sequence[Mapping[str, object]]) -> Iterator[Sequence[Mapping[str, object]]]:
    """`bodies` in order, cut into records that the outbox can carry whatever they hold."""
    for start in range(0, len(bodies), MAX_ANSWERED):
        yield bodies[start : start + MAX_ANSWERED]


def rfc3339(moment: datetime) -> str:
    """UTC with microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
