"""The `aws:kafka` event, as AWS builds it (Lambda Developer Guide, "Using Lambda with Amazon
MSK").
"""

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# AWS: a synchronous payload has at most 6 MB; the map keeps events under 4 MB.
EVENT_BYTES_MAX = 4_000_000
# JSON around a record's key, value and headers: names, offset, timestamp.
_RECORD_OVERHEAD_BYTES = 220
_HEADER_BYTE_TEXT = 5


@dataclass(frozen=True, slots=True)
class Fetched:
    """One record as the broker delivered it. `timestamp_type` is CREATE_TIME or LOG_APPEND_TIME."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    timestamp_type: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @property
    def event_bytes(self) -> int:
        """What the record adds to an event, at most."""
        encoded = sum(4 * (len(part) + 2) // 3 for part in (self.key or b"", self.value or b""))
        headers = sum(len(name) + 8 + _HEADER_BYTE_TEXT * len(body) for name, body in self.headers)
        return encoded + headers + len(self.topic) + _RECORD_OVERHEAD_BYTES


def event(records: Iterable[Fetched], *, cluster_arn: str, bootstrap_servers: str) -> bytes:
    """The event's JSON with the records of any number of partitions, each in the order given."""
    by_partition: dict[str, list[dict[str, object]]] = {}
    for record in records:
        by_partition.setdefault(f"{record.topic}-{record.partition}", []).append(_row(record))
    body = {
        "eventSource": "aws:kafka",
        "eventSourceArn": cluster_arn,
        "bootstrapServers": bootstrap_servers,
        "records": by_partition,
    }
    return json.dumps(body, separators=(",", ":")).encode()


def _row(record: Fetched) -> dict[str, object]:
    row: dict[str, object] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp_ms,
        "timestampType": record.timestamp_type,
    }
    if record.key is not None:
        row["key"] = base64.b64encode(record.key).decode()
    if record.value is not None:
        row["value"] = base64.b64encode(record.value).decode()
    row["headers"] = [{name: _signed(body)} for name, body in record.headers]
    return row


def _signed(body: bytes) -> Sequence[int]:
    """Lambda writes a header's bytes as Java does: above 127 they are negative."""
    return [byte - 256 if byte > 127 else byte for byte in body]
