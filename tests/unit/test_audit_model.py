"""Audit events, their lines, and which lines a batch still has to write."""

import base64
import json
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.log.errors import MalformedAuditEvent
from orion.log.model import (
    MAX_SEGMENT_SPAN,
    AuditEvent,
    Line,
    Span,
    line_of,
    segment_key,
    uncovered,
)
from orion.log.service import AuditBook
from orion.records import Record

EVENT: Mapping[str, object] = {
    "v": 1, "trace_id": "0f" * 16, "module": "user", "action": "api_key.created",
    "at": "2026-01-02T03:04:05.000006Z", "actor": "mer_0", "subject": "key_0",
    "details": {"scopes": ["invoices:write"]},
}  # fmt: skip
ID = b"ab" * 16


def record(
    offset: int, value: bytes | None = None, headers: Mapping[str, bytes] | None = None
) -> Record:
    body = json.dumps(EVENT).encode() if value is None else value
    return Record(
        "audit.events", 3, offset, b"user", body, {"event-id": ID} if headers is None else headers
    )


def test_an_event_of_the_contract_is_read() -> None:
    event = AuditEvent.parse(EVENT)

    assert (event.module, event.action, event.actor) == ("user", "api_key.created", "mer_0")
    assert event.at.utcoffset() is not None


@pytest.mark.parametrize(
    "changed",
    [{"v": 2}, {"v": True}, {"trace_id": "x"}, {"module": "User"}, {"module": ""},
     {"action": "created"}, {"at": "yesterday"}, {"at": "2026-01-02T03:04:05"}, {"at": 5},
     {"actor": ""}, {"actor": None}, {"subject": "s" * 257}, {"details": []}, {"more": 1}],
)  # fmt: skip
def test_an_event_of_another_form_is_refused_by_field(changed: Mapping[str, object]) -> None:
    with pytest.raises(MalformedAuditEvent) as refused:
        AuditEvent.parse({**EVENT, **changed})
    assert refused.value.fields["field"] in {*changed, "fields"}


def test_a_line_keeps_event_identity_and_place() -> None:
    line = line_of(record(17))
    body = json.loads(line.body)

    assert line.refusal is None
    assert (body["offset"], body["event_id"], body["event"]) == (17, ID.decode(), dict(EVENT))


@pytest.mark.parametrize(
    "bad,code",
    [
        (record(1, b"not json"), "malformed_record"),
        (record(1, b"\xff\xfe"), "malformed_record"),
        (record(1, b'{"v":1.5}'), "malformed_record"),
        (record(1, b'{"v":1}'), "malformed_audit_event"),
        (record(1, headers={}), "malformed_audit_event"),
        (record(1, headers={"event-id": b"\xff"}), "malformed_audit_event"),
    ],
)
def test_a_record_that_is_no_event_is_kept_with_its_bytes_and_the_reason(
    bad: Record, code: str
) -> None:
    line = line_of(bad)
    body = json.loads(line.body)

    assert line.refusal == body["refused"]["code"] == code
    assert base64.b64decode(body["value_base64"]) == bad.value


def test_names_of_segments_sort_as_offsets_do() -> None:
    offsets = [0, 9, 10, 99_999, 2**63 - 1]

    assert sorted(segment_key("audit.events", 0, offset) for offset in offsets) == [
        segment_key("audit.events", 0, offset) for offset in offsets
    ]
    assert (
        segment_key("audit.events", 2, 41) == "audit/audit.events/2/00000000000000000041.jsonl.gz"
    )


def lines(offsets: Sequence[int]) -> list[Line]:
    return [Line(offset, b"", None) for offset in offsets]


@given(
    st.sets(st.integers(0, 30_000), min_size=1, max_size=60),
    st.lists(st.tuples(st.integers(0, 30_000), st.integers(0, 500)), max_size=5),
)
def test_runs_hold_every_missing_line_once_and_cover_no_written_span(
    offsets: set[int], starts: list[tuple[int, int]]
) -> None:
    written: list[Span] = []
    for first, length in sorted(starts):
        if not written or first > written[-1].last:
            written.append(Span(first, first + length))
    runs = uncovered(lines(sorted(offsets)), written)
    covered = {offset for span in written for offset in range(span.first, span.last + 1)}

    assert [line.offset for run in runs for line in run] == sorted(offsets - covered)
    for run in runs:
        span = set(range(run[0].offset, run[-1].offset + 1))
        assert not span & covered
        assert len(span) <= MAX_SEGMENT_SPAN


@pytest.mark.parametrize("offsets", [[2, 1], [1, 1]])
def test_a_batch_out_of_order_is_a_programming_error(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="rising"):
        AuditBook(None).record([record(offset) for offset in offsets])  # type: ignore[arg-type]
