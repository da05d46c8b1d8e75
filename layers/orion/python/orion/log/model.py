"""Audit events as they arrive, and the segments that they are kept in."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from orion.errors import OrionError
from orion.log.errors import MalformedAuditEvent
from orion.log.segment_names import segment_name
from orion.records import MalformedRecord, Record, canonical_json, parse_json

MAX_SEGMENT_SPAN = 10_000  # Offsets. Also Lambda's greatest Kafka batch, so a batch is a segment.
_FIELDS = frozenset({"v", "trace_id", "module", "action", "at", "actor", "subject", "details"})
_TRACE = re.compile(r"[0-9a-f]{32}\Z", re.ASCII)
_MODULE = re.compile(r"[a-z][a-z-]{0,31}\Z", re.ASCII)
_ACTION = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z_]*)+\Z", re.ASCII)
_EVENT_ID = re.compile(rb"[0-9a-f]{32}\Z")
_TEXT_MAX = 256


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Who did what to whom, when. `details` holds no secrets: that is its producer's promise."""

    trace_id: str
    module: str
    action: str
    at: datetime
    actor: str
    subject: str
    details: Mapping[str, object]

    @classmethod
    def parse(cls, body: Mapping[str, object]) -> "AuditEvent":
        """Read version 1 of docs/contracts.md, every field checked. Raises MalformedAuditEvent."""
        if set(body) != _FIELDS:
            raise MalformedAuditEvent("an audit event has other fields", field="fields")
        if body["v"] != 1 or isinstance(body["v"], bool):
            raise MalformedAuditEvent("not version 1", field="v")
        details = body["details"]
        if not isinstance(details, dict):
            raise MalformedAuditEvent("details are an object", field="details")
        return cls(
            trace_id=_matched(body, "trace_id", _TRACE),
            module=_matched(body, "module", _MODULE),
            action=_matched(body, "action", _ACTION),
            at=_moment(body, "at"),
            actor=_text(body, "actor"),
            subject=_text(body, "subject"),
            details=cast(Mapping[str, object], details),
        )


@dataclass(frozen=True, slots=True)
class Span:
    """The offsets `first` to `last` of one partition, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Segment:
    """Lines of one partition that are written together, or not at all."""

    topic: str
    partition: int
    span: Span
    lines: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Line:
    """One record as it is kept; `refusal` is the code of a record that was no audit event."""

    offset: int
    body: bytes
    refusal: str | None


def line_of(record: Record) -> Line:
    """A record's line: its event, or, when it is none, its bytes with the reason.

    A malformed record is kept rather than dropped or retried: the book must show that it came,
    and one bad producer must not stop everybody's audit.
    """
    kept: dict[str, object] = {
        "v": 1,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": record.key.decode("utf-8", "backslashreplace"),
    }
    try:
        event_id = _event_id(record)
        body = parse_json(record.value)
        AuditEvent.parse(body)
    except (MalformedAuditEvent, MalformedRecord) as refusal:
        kept["refused"] = _refusal(refusal)
        kept["value_base64"] = base64.b64encode(record.value).decode()
        return Line(record.offset, canonical_json(kept), refusal.code)
    kept["event_id"] = event_id
    kept["event"] = body
    return Line(record.offset, canonical_json(kept), None)


def uncovered(lines: Sequence[Line], written: Sequence[Span]) -> Sequence[Sequence[Line]]:
    """The lines that no written segment holds, cut into runs that become one segment each.

    `lines` by rising offset. A run ends where a written segment lies between two lines, so that a
    new segment's span never covers a written one, and before it would span over 10,000 offsets.
    """
    missing = [line for line in lines if not any(s.first <= line.offset <= s.last for s in written)]
    runs: list[list[Line]] = []
    for line in missing:
        if not runs or _must_cut(runs[-1], line.offset, written):
            runs.append([])
        runs[-1].append(line)
    return runs


def _must_cut(run: Sequence[Line], offset: int, written: Sequence[Span]) -> bool:
    return offset - run[0].offset >= MAX_SEGMENT_SPAN or any(
        run[-1].offset < span.first < offset for span in written
    )


def segment_prefix(topic: str, partition: int) -> str:
    """What the names of all segments of one partition begin with."""
    return f"audit/{topic}/{partition}/"


def segment_key(topic: str, partition: int, first: int) -> str:
    """The object's name: deterministic, so that writers of one place meet in it."""
    return segment_name(segment_prefix(topic, partition), first)


def _event_id(record: Record) -> str:
    event_id = record.headers.get("event-id", b"")
    if not _EVENT_ID.match(event_id):
        raise MalformedAuditEvent("the record has no event id", field="event-id")
    return event_id.decode()


def _refusal(refusal: OrionError) -> Mapping[str, object]:
    return {"code": refusal.code, "detail": refusal.detail, **refusal.fields}


def _matched(body: Mapping[str, object], field: str, form: re.Pattern[str]) -> str:
    text = _text(body, field)
    if not form.match(text):
        raise MalformedAuditEvent(f"{field} is not of its form", field=field)
    return text


def _text(body: Mapping[str, object], field: str) -> str:
    text = body[field]
    if not isinstance(text, str) or not 1 <= len(text) <= _TEXT_MAX:
        raise MalformedAuditEvent(f"{field} is text of 1 to {_TEXT_MAX} characters", field=field)
    return text


def _moment(body: Mapping[str, object], field: str) -> datetime:
    try:
        moment = datetime.fromisoformat(_text(body, field))
    except ValueError:
        raise MalformedAuditEvent(f"{field} is a moment of RFC 3339", field=field) from None
    if moment.tzinfo is None:
        raise MalformedAuditEvent(f"{field} names its offset from UTC", field=field)
    return moment
