"""Strict reading of a `ledger.transfers` record, and the form of what the ledger answers.

Forms: docs/contracts.md, "Transfer record" and "Posted record". Nothing is guessed: an unknown
name, a missing one or a word outside its closed set stops the partition, because skipping a record
would let later ones act on a state that never was.
"""

from collections.abc import Iterator, Mapping, Sequence

from orion.ledger.canonical_record import read_canonical
from orion.ledger.codes import SECOND_PHASE
from orion.ledger.legs import MAX_ANSWERED
from orion.ledger.model import Entry, Handover, Refusal, Takeover, Transfer
from orion.ledger.posted_record import PostedRecord, read_posted
from orion.ledger.record_parts import (
    MAX_CAUSE_BYTES,
    VERSION,
    MalformedTransfer,
    as_object,
    hex_id,
    moment,
    names_only,
    read_body,
    read_transfer,
    rfc3339,
    whole,
)
from orion.records import parse_object

__all__ = [
    "MAX_ANSWERED",
    "MAX_CAUSE_BYTES",
    "MAX_CHAIN",
    "MAX_TRANSFERS",
    "VERSION",
    "MalformedTransfer",
    "PostedRecord",
    "entry_body",
    "handover_body",
    "packed",
    "posted_body",
    "read_posted",
    "read_record",
    "read_transfers",
    "refusal_body",
    "rfc3339",
    "takeover_body",
    "transfers_body",
]

MAX_TRANSFERS = 1_000
MAX_CHAIN = 100
_MAX_MAP_VERSION = 2**32 - 1
_TRANSFERS = frozenset({"v", "trace_id", "transfers"})
_HANDOVER = frozenset({"v", "trace_id", "handover"})
_TAKEOVER = frozenset({"v", "trace_id", "takeover"})
_TRANSFER = frozenset(
    {"id", "kind", "code", "asset", "units", "debit", "credit", "cause", "linked"}
)
_SECOND_PHASE = _TRANSFER | {"pending_id"}
_SECOND_KINDS = tuple(kind.value for kind in SECOND_PHASE)


def read_record(value: bytes) -> tuple[Transfer, ...] | Handover | Takeover:
    """The transfers of one record, in order, or what a control record asks for. Raises
    MalformedRecord or MalformedTransfer.
    """
    transfers = read_canonical(value, MAX_TRANSFERS) or _read_strictly(value)
    if isinstance(transfers, tuple):
        _check_chains(transfers)
    return transfers


def _read_strictly(value: bytes) -> tuple[Transfer, ...] | Handover | Takeover:
    body = read_body(value)
    if "handover" in body:
        names_only(body, _HANDOVER, "record")
        row = as_object(body["handover"], "handover")
        names_only(row, frozenset({"bucket", "map_version"}), "handover")
        return Handover(*_moved(row), hex_id(body["trace_id"], "trace_id"))
    if "takeover" in body:
        names_only(body, _TAKEOVER, "record")
        row = as_object(body["takeover"], "takeover")
        names_only(row, frozenset({"bucket", "map_version", "posted_at"}), "takeover")
        return Takeover(
            *_moved(row),
            moment(row["posted_at"], "posted_at"),
            hex_id(body["trace_id"], "trace_id"),
        )
    names_only(body, _TRANSFERS, "record")
    trace_id = hex_id(body["trace_id"], "trace_id")
    rows = body["transfers"]
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_TRANSFERS:
        raise MalformedTransfer(f"a record has 1 to {MAX_TRANSFERS} transfers", field="transfers")
    return tuple(_transfer(as_object(row, "transfers"), trace_id) for row in rows)


def read_transfers(value: bytes) -> tuple[Transfer, ...]:
    """The transfers of one record that is no control record."""
    read = read_record(value)
    if isinstance(read, (Handover, Takeover)):
        raise MalformedTransfer("a control record has no transfers", field="transfers")
    return read


def _transfer(row: Mapping[str, object], trace_id: bytes) -> Transfer:
    second = row.get("kind") in _SECOND_KINDS
    names_only(row, _SECOND_PHASE if second else _TRANSFER, "transfer")
    return read_transfer(row, trace_id)


def _check_chains(transfers: Sequence[Transfer]) -> None:
    length = 1
    for transfer in transfers:
        length = length + 1 if transfer.linked else 1
        if length > MAX_CHAIN:
            raise MalformedTransfer(f"a chain has at most {MAX_CHAIN} transfers", field="linked")


def _moved(row: Mapping[str, object]) -> tuple[int, int]:
    return (
        whole(row["bucket"], 0, 255, "bucket"),
        whole(row["map_version"], 1, _MAX_MAP_VERSION, "map_version"),
    )


def transfers_body(transfers: Sequence[Transfer], trace_id: bytes) -> dict[str, object]:
    """The record that asks for `transfers`, as they were asked for; one trace id for all."""
    return {
        "v": VERSION,
        "trace_id": trace_id.hex(),
        "transfers": [_asked(transfer) for transfer in transfers],
    }


def handover_body(handover: Handover) -> dict[str, object]:
    """The control record that `read_record` reads as `handover`."""
    return {
        "v": VERSION,
        "trace_id": handover.trace_id.hex(),
        "handover": {"bucket": handover.bucket, "map_version": handover.map_version},
    }


def takeover_body(takeover: Takeover) -> dict[str, object]:
    """The control record that `read_record` reads as `takeover`."""
    return {
        "v": VERSION,
        "trace_id": takeover.trace_id.hex(),
        "takeover": {
            "bucket": takeover.bucket,
            "map_version": takeover.map_version,
            "posted_at": rfc3339(takeover.posted_at),
        },
    }


def posted_body(record: PostedRecord) -> dict[str, object]:
    """The record that `read_posted` reads as `record`."""
    return {
        "v": VERSION,
        "trace_id": record.trace_id.hex(),
        "shard": record.shard,
        "number": record.number,
        "posted_at": rfc3339(record.posted_at),
        "transfers": [entry_body(entry, record.trace_id) for entry in record.entries],
    }


def entry_body(entry: Entry, trace_id: bytes) -> dict[str, object]:
    """One transfer of a posted record of this trace."""
    transfer, digest, counterpart = entry
    body = _asked(transfer) | {"digest": digest.hex()}
    if transfer.trace_id != trace_id:
        body["trace_id"] = transfer.trace_id.hex()
    if counterpart is not None:
        body["counterpart"] = {"owner": counterpart.owner, "purpose": counterpart.purpose.value}
    return body


def refusal_body(refusal: Refusal) -> dict[str, object]:
    """One transfer of a refused record."""
    transfer = refusal.transfer
    return _asked(transfer) | {
        "trace_id": transfer.trace_id.hex(),
        "reason": refusal.reason.value,
    }


def _asked(transfer: Transfer) -> dict[str, object]:
    return transfer.content() | {"cause": parse_object(transfer.cause)}


def packed(bodies: Sequence[Mapping[str, object]]) -> Iterator[Sequence[Mapping[str, object]]]:
    """`bodies` in order, cut into records that the outbox can carry whatever they hold."""
    for start in range(0, len(bodies), MAX_ANSWERED):
        yield bodies[start : start + MAX_ANSWERED]
