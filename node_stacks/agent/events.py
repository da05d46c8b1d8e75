"""Block events and resume messages as bytes (docs/contracts.md, block event and resume)."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from node_stacks.agent.node import Point
from orion.chains import Block, Transfer
from orion.records import MalformedRecord, parse_json

PART_BYTES_MAX = 500_000  # The contract says 512 KB, whichever kilobyte is meant.
RECENT_MAX = 256
_REQUEST_ID_LENGTH_MAX = 64


@dataclass(frozen=True, slots=True)
class Source:
    """Whose events these are."""

    chain: str
    network: str
    node: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Where moneyin stands, newest first. `request_id` None: nobody asked."""

    request_id: str | None
    recent: tuple[Point, ...]


def new_trace_id() -> str:
    """32 random hex digits: the id that follows a block through every module."""
    return secrets.token_hex(16)


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def _transfer(transfer: Transfer) -> bytes:
    row: dict[str, object] = {
        "txid": transfer.txid,
        "position": transfer.position,
        "contract": transfer.contract,
        "to": transfer.recipient,
        "units": str(transfer.units),
    }
    if transfer.sender is not None:
        row["from"] = transfer.sender
    return _json(row)


def _block_event(
    kind: str, source: Source, point: Point, parent: str | None, trace_id: str
) -> dict[str, object]:
    return {
        "v": 1,
        "trace_id": trace_id,
        "kind": kind,
        "chain": source.chain,
        "network": source.network,
        "node": source.node,
        "height": point.height,
        "hash": point.hash,
        "parent": parent,
    }


def connected(source: Source, block: Block, trace_id: str) -> list[bytes]:
    """The records of a connected block, each of at most PART_BYTES_MAX.

    One even when it has no transfers.
    """
    head = _block_event(
        "connected", source, Point(block.height, block.hash), block.parent, trace_id
    )
    head["time"] = block.time
    # Room for the head, the counts of parts and the brackets around the transfers.
    room = PART_BYTES_MAX - len(_json(head)) - 64
    parts: list[list[bytes]] = [[]]
    size = 0
    for row in map(_transfer, block.transfers):
        if size + len(row) + 1 > room:
            parts.append([])
            size = 0
        parts[-1].append(row)
        size += len(row) + 1
    records = []
    for number, rows in enumerate(parts):
        opening = _json({**head, "part": number, "parts": len(parts)})[:-1]
        records.append(opening + b',"transfers":[' + b",".join(rows) + b"]}")
    return records


def disconnected(source: Source, point: Point, parent: str | None, trace_id: str) -> bytes:
    """The record of a disconnected block."""
    return _json(_block_event("disconnected", source, point, parent, trace_id))


def resume_request(source: Source, request_id: str, trace_id: str) -> bytes:
    """The question where to resume, for `node.answers`."""
    return _json(
        {
            "v": 1,
            "trace_id": trace_id,
            "kind": "resume_request",
            "chain": source.chain,
            "node": source.node,
            "request_id": request_id,
        }
    )


def parse_resume(value: bytes, source: Source) -> Resume | None:
    """A `resume` for this node, None for a command of another node or kind.

    Raises MalformedRecord.
    """
    body = parse_json(value)
    if (body.get("node"), body.get("chain"), body.get("kind")) != (
        source.node,
        source.chain,
        "resume",
    ):
        return None
    request_id = body.get("request_id")
    if request_id is not None and not (
        isinstance(request_id, str) and len(request_id) <= _REQUEST_ID_LENGTH_MAX
    ):
        raise MalformedRecord("request_id is neither text nor null")
    rows = body.get("recent")
    if body.get("v") != 1 or not isinstance(rows, list) or len(rows) > RECENT_MAX:
        raise MalformedRecord("not a resume of version 1 with a bounded list of recent blocks")
    return Resume(request_id, _points(rows))


def _points(rows: Sequence[object]) -> tuple[Point, ...]:
    points: list[Point] = []
    for row in rows:
        height = row.get("height") if isinstance(row, dict) else None
        block_hash = row.get("hash") if isinstance(row, dict) else None
        if type(height) is not int or height < 0 or not isinstance(block_hash, str):
            raise MalformedRecord("a recent block without height and hash")
        if points and height != points[-1].height - 1:
            raise MalformedRecord("recent blocks are not in order, newest first, without a gap")
        points.append(Point(height, block_hash))
    return tuple(points)
