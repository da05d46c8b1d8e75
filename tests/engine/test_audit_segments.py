"""The audit book on a real S3 API: each record in one segment, however batches come."""

import base64
import gzip
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orion.adapters.aws.segments import S3SegmentStore
from orion.log.errors import SegmentStoreUnavailable, SegmentUnreadable
from orion.log.model import Segment, Span, segment_key
from orion.log.service import AuditBook
from orion.records import Record, canonical_json

pytestmark = pytest.mark.engine
TOPIC = "audit.events"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def s3(aws_engine: Any) -> Any:
    environment = aws_engine.environment()
    return boto3.client(
        "s3",
        endpoint_url=aws_engine.url,
        region_name=aws_engine.region,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.fixture
def new_bucket(aws_engine: Any, s3: Any) -> Callable[[], str]:
    def create() -> str:
        name = f"audit-{secrets.token_hex(6)}"
        where = {"LocationConstraint": aws_engine.region}
        elsewhere = aws_engine.region != "us-east-1"  # The one region that must not be named.
        s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": where} if elsewhere else {}))
        return name

    return create


@pytest.fixture
def bucket(new_bucket: Callable[[], str]) -> str:
    return new_bucket()


def record(offset: int, partition: int = 0, value: bytes | None = None) -> Record:
    body = {"v": 1, "trace_id": "0f" * 16, "module": "user", "action": "api_key.created",
            "at": "2026-01-02T03:04:05+00:00", "actor": "mer_0", "subject": f"key_{offset}",
            "details": {}}  # fmt: skip
    event_id = f"{offset:032x}".encode()
    text = canonical_json(body) if value is None else value
    return Record(TOPIC, partition, offset, b"user", text, {"event-id": event_id})


def batch(first: int, end: int, partition: int = 0) -> list[Record]:
    return [record(offset, partition) for offset in range(first, end)]


def stored(s3: Any, bucket: str) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {
        row["Key"]: [
            json.loads(line)
            for line in gzip.decompress(
                s3.get_object(Bucket=bucket, Key=row["Key"])["Body"].read()
            ).splitlines()
        ]
        for page in pages
        for row in page.get("Contents", [])
    }


def offsets(s3: Any, bucket: str) -> list[int]:
    return [line["offset"] for lines in stored(s3, bucket).values() for line in lines]


def book(s3: Any, bucket: str) -> AuditBook:
    return AuditBook(S3SegmentStore(s3, bucket))


def test_a_batch_is_one_segment_named_by_its_first_offset(s3: Any, bucket: str) -> None:
    written = book(s3, bucket).record(batch(41, 44, partition=2))

    assert (written.new, written.refused, written.segments) == (3, 0, 1)
    ((key, lines),) = stored(s3, bucket).items()
    assert key == "audit/audit.events/2/00000000000000000041.jsonl.gz"
    assert [line["event"]["subject"] for line in lines] == ["key_41", "key_42", "key_43"]


def test_a_repeated_batch_has_no_second_effect(s3: Any, bucket: str) -> None:
    book(s3, bucket).record(batch(0, 5))
    before = stored(s3, bucket)

    assert book(s3, bucket).record(batch(0, 5)).new == 0
    assert stored(s3, bucket) == before


def test_a_retry_with_a_larger_batch_continues_after_the_written_segment(
    s3: Any, bucket: str
) -> None:
    book(s3, bucket).record(batch(10, 15))
    written = book(s3, bucket).record(batch(10, 30))

    assert (written.received, written.new) == (20, 15)
    assert list(stored(s3, bucket)) == [segment_key(TOPIC, 0, 10), segment_key(TOPIC, 0, 15)]
    assert offsets(s3, bucket) == list(range(10, 30))


def test_a_batch_that_begins_inside_a_segment_adds_only_what_follows(s3: Any, bucket: str) -> None:
    book(s3, bucket).record(batch(10, 20))
    book(s3, bucket).record(batch(15, 30))

    assert offsets(s3, bucket) == list(range(10, 30))


def test_a_batch_around_a_segment_leaves_it_and_fills_both_sides(s3: Any, bucket: str) -> None:
    book(s3, bucket).record(batch(20, 25))
    written = book(s3, bucket).record(batch(10, 40))

    assert (written.new, written.segments) == (25, 2)
    assert offsets(s3, bucket) == list(range(10, 40))


def test_partitions_do_not_mix(s3: Any, bucket: str) -> None:
    book(s3, bucket).record(batch(0, 5, partition=1))
    book(s3, bucket).record(batch(0, 5, partition=10))
    book(s3, bucket).record(batch(0, 7, partition=1))

    keys = list(stored(s3, bucket))
    assert keys == [segment_key(TOPIC, 1, 0), segment_key(TOPIC, 1, 5), segment_key(TOPIC, 10, 0)]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 25)), min_size=1, max_size=8))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_overlapping_batches_give_each_record_once(
    s3: Any, new_bucket: Callable[[], str], batches: list[tuple[int, int]]
) -> None:
    bucket = new_bucket()
    for first, length in batches:
        book(s3, bucket).record(batch(first, first + length))

    wanted = {offset for first, length in batches for offset in range(first, first + length)}
    assert offsets(s3, bucket) == sorted(wanted)


def test_writers_beside_each_other_from_one_committed_offset_write_each_record_once(
    s3: Any, bucket: str
) -> None:
    ends = [110, 140, 120, 150, 130, 115]
    with ThreadPoolExecutor(len(ends)) as pool:
        list(pool.map(lambda end: book(s3, bucket).record(batch(100, end)), ends))

    assert offsets(s3, bucket) == list(range(100, 150))


def test_without_the_condition_a_second_writer_would_replace_a_segment(
    s3: Any, bucket: str
) -> None:
    # The hazard, then the guard: a plain put of the same name wins, a conditional one does not.
    store = S3SegmentStore(s3, bucket)
    assert store.put_new(Segment(TOPIC, 0, Span(0, 1), [b'{"offset":0}', b'{"offset":1}']))
    assert not store.put_new(Segment(TOPIC, 0, Span(0, 0), [b'{"offset":0}']))
    assert offsets(s3, bucket) == [0, 1]
    shorter = gzip.compress(b'{"offset":0}\n')
    s3.put_object(Bucket=bucket, Key=segment_key(TOPIC, 0, 0), Body=shorter)
    assert offsets(s3, bucket) == [0]


def test_a_malformed_record_is_kept_with_its_reason_beside_the_others(s3: Any, bucket: str) -> None:
    written = book(s3, bucket).record([record(0), record(1, value=b"{"), record(2)])

    assert (written.new, written.refused) == (3, 1)
    (lines,) = stored(s3, bucket).values()
    assert [line.get("refused", {}).get("code") for line in lines] == [
        None,
        "malformed_record",
        None,
    ]


def test_a_segment_of_unknown_extent_stops_the_partition(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key=segment_key(TOPIC, 0, 3), Body=b"")

    with pytest.raises(SegmentUnreadable):
        book(s3, bucket).record(batch(0, 5))


def test_a_missing_bucket_is_an_unknown_outcome_to_repeat(s3: Any) -> None:
    with pytest.raises(SegmentStoreUnavailable):
        book(s3, "no-such-bucket-anywhere").record(batch(0, 1))


def kafka_rows(records: Sequence[Record]) -> list[Mapping[str, object]]:
    return [
        {
            "topic": row.topic,
            "partition": row.partition,
            "offset": row.offset,
            "timestamp": 1_767_323_045_000,
            "timestampType": "CREATE_TIME",
            "key": base64.b64encode(row.key).decode(),
            "value": base64.b64encode(row.value).decode(),
            "headers": [{name: list(body)} for name, body in row.headers.items()],
        }
        for row in records
    ]


def test_the_function_keeps_every_partition_of_an_event_and_logs_each_batch(
    aws_engine: Any, s3: Any, bucket: str
) -> None:
    first, second = [*batch(0, 3, 1), record(3, 1, value=b"[]")], batch(7, 9, 2)
    event = {
        "eventSource": "aws:kafka",
        "records": {"audit.events-1": kafka_rows(first), "audit.events-2": kafka_rows(second)},
    }
    program = (
        "import importlib.util, json, sys;"
        "spec = importlib.util.spec_from_file_location('w', 'functions/log/audit_writer.py');"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module);"
        "event = json.load(sys.stdin);"
        "print(json.dumps([module.handler(event, None), module.handler(event, None)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={
            **aws_engine.environment(),
            "ORION_AUDIT_BUCKET": bucket,
            "PYTHONPATH": str(ROOT / "layers/orion/python"),
            "PATH": os.environ["PATH"],
        },
        input=json.dumps(event),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        timeout=60,
    )
    *logged, answers = [json.loads(line) for line in done.stdout.splitlines()]

    assert answers == [{"new": 6, "refused": 1}, {"new": 0, "refused": 0}]
    assert [(row["level"], row["partition"], row["new"]) for row in logged] == [
        ("ERROR", 1, 4),
        ("INFO", 2, 2),
        ("INFO", 1, 0),
        ("INFO", 2, 0),
    ]
    assert sorted(offsets(s3, bucket)) == [0, 1, 2, 3, 7, 8]
