"""The log book's writer on real S3 and KMS: each number once, none left out, whatever comes."""

import json
import os
import secrets
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orion.adapters.aws.ledger_book import S3LedgerBook
from orion.adapters.aws.p256_signer import KmsP256Signer
from orion.errors import OrionError
from orion.ledger.transfer_record import PostedRecord
from orion.log.errors import (
    ForeignShard,
    GapInBook,
    LogSignerRefused,
    SegmentStoreUnavailable,
    SegmentUnreadable,
)
from orion.log.ledger_book.model import kept, opened, segment_key
from orion.log.ledger_book.service import LedgerBook, NewestSegmentFaulty
from tests.engine.ledger_book_scene import Scene, holding, kafka_records, scene
from tests.engine.test_audit_segments import kafka_rows
from tests.unit.ledger_book_records import posted, value

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[2]


@pytest.fixture
def book(aws_engine: Any) -> Scene:
    return scene(aws_engine)


def records(first: int, end: int, entries: int = 2, shard: int = 0) -> list[PostedRecord]:
    return [posted(number, entries, shard) for number in range(first, end)]


def expected(*kept_records: PostedRecord) -> list[bytes]:
    return [line for record in kept_records for line in kept(record).lines]


def test_batches_become_a_chain_of_segments_that_holds_every_entry(book: Scene) -> None:
    writer = book.book()
    first = writer.record(kafka_records(records(1, 4)))
    second = writer.record(kafka_records(records(4, 6)))
    third = book.book().record(kafka_records(records(6, 7)))

    (written,) = first
    assert (written.new, written.entries, written.segments) == (3, 6, 1)
    assert [row.segments for row in (*second, *third)] == [1, 1]
    assert book.keys() == [segment_key(0, 1), segment_key(0, 4), segment_key(0, 6)]
    assert book.lines() == expected(*records(1, 7))
    assert book.reader().last_number(0) == 6


def test_a_large_batch_is_cut_into_segments_of_whole_records(book: Scene) -> None:
    batch = records(1, 18, entries=650)
    written = book.write(batch)

    assert (written.entries, written.segments) == (11_050, 2)
    assert [row.first_number for row in book.read()] == [1, 16]
    assert book.lines() == expected(*batch)


def test_a_repeated_batch_has_no_second_effect(book: Scene) -> None:
    book.write(records(1, 5))
    before = book.versions(1)

    again = book.write(records(1, 5))
    assert (again.received, again.new, again.segments) == (4, 0, 0)
    assert (book.keys(), book.versions(1)) == ([segment_key(0, 1)], before)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 9)), min_size=1, max_size=7))
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_batches_cut_anywhere_and_repeated_from_anywhere_keep_each_number_once(
    aws_engine: Any, batches: list[tuple[int, int]]
) -> None:
    book, end = scene(aws_engine), 1
    remembering = book.book()
    for at, (back, length) in enumerate(batches):
        first = max(1, end - back)
        writer = remembering if at % 2 else book.book()
        writer.write(0, records(first, first + length))
        end = max(end, first + length)

    assert book.lines() == expected(*records(1, end))


def test_a_record_that_comes_late_or_twice_within_a_batch_takes_its_place_once(book: Scene) -> None:
    one, two, three, four = records(1, 5)
    book.write([one, three, two, one, four, two])

    assert book.lines() == expected(one, two, three, four)


def test_a_missing_number_stops_the_book_behind_what_comes_before_it(book: Scene) -> None:
    one, two, three, four, five = records(1, 6)
    with pytest.raises(GapInBook) as gap:
        book.write([one, two, four, five])
    assert gap.value.fields == {"shard": 0, "number": 3, "came": 4}
    assert book.lines() == expected(one, two)

    with pytest.raises(GapInBook):
        book.write([four, five])
    assert book.lines() == expected(one, two)

    book.write([four, five, three])
    assert book.lines() == expected(one, two, three, four, five)


def test_a_book_begins_with_the_first_number(book: Scene) -> None:
    with pytest.raises(GapInBook):
        book.write(records(2, 4))
    assert book.keys() == []


def test_shards_have_books_of_their_own(book: Scene) -> None:
    writer = book.book()
    written = [
        *writer.record(kafka_records(records(1, 3, shard=1))),
        *writer.record(kafka_records(records(1, 4, shard=10))),
    ]

    assert [(row.shard, row.new) for row in written] == [(1, 2), (10, 3)]
    assert book.lines(shard=1) == expected(*records(1, 3, shard=1))
    assert book.lines(shard=10) == expected(*records(1, 4, shard=10))
    assert book.store().shards() == [1, 10]


def test_a_record_that_cannot_be_read_keeps_out_nothing_that_stands_before_it(book: Scene) -> None:
    one, two, three = kafka_records(records(1, 4))
    for spoiled in (b"{}", b"\xff"):
        with pytest.raises(OrionError) as refused:
            book.book().record([one, two, replace(three, value=spoiled)])
        assert refused.value.fields["offset"] == three.offset
        assert book.lines() == expected(*records(1, 3))
    book.book().record([three])
    assert book.lines() == expected(*records(1, 4))


def test_a_record_of_another_shard_than_its_partitions_stops_behind_what_precedes(
    book: Scene,
) -> None:
    one, two = kafka_records(records(1, 3))
    foreign = replace(two, value=value(records(1, 2, shard=5)[0]))
    with pytest.raises(ForeignShard):
        book.book().record([one, foreign])
    assert book.lines() == expected(*records(1, 2))
    assert book.store().shards() == [0]
    with pytest.raises(ForeignShard):
        book.book().record([foreign])
    assert book.store().shards() == [0]


def test_a_second_writer_would_replace_a_segment_if_nothing_stood_in_its_way(book: Scene) -> None:
    # The hazard: two writers saw the same end of the book, and both put plainly.
    book.write(records(1, 3))
    other = scene(book.engine)
    other.stage, other.alias = book.stage, book.alias
    other.write(records(1, 5))
    book.put(1, other.body(1), 4)
    assert "segment_rewritten" in book.kinds()


def test_writers_beside_each_other_keep_each_number_once(book: Scene) -> None:
    ends = [9, 30, 17, 21, 30, 5]
    with ThreadPoolExecutor(len(ends)) as pool:
        list(pool.map(lambda end: book.write(records(1, end)), ends))

    assert book.lines() == expected(*records(1, 30))
    assert {len(book.versions(row.first_number)) for row in book.read()} == {1}


def test_a_writer_whose_memory_is_old_loses_the_race_and_looks_again(book: Scene) -> None:
    deposed = book.book()
    deposed.write(0, records(1, 3))
    book.write(records(3, 8))

    assert deposed.write(0, records(3, 12)).new == 4
    assert book.lines() == expected(*records(1, 12))


def test_a_writer_whose_memory_is_old_sees_no_gap_where_others_wrote(book: Scene) -> None:
    rested = book.book()
    rested.write(0, records(1, 3))
    book.write(records(3, 8))

    assert rested.write(0, records(8, 10)).new == 2
    with pytest.raises(GapInBook):
        rested.write(0, records(11, 12))
    assert book.lines() == expected(*records(1, 10))


def test_the_newest_segment_is_found_from_anywhere_in_few_calls(book: Scene) -> None:
    # 40 segments, far apart as after years, three names a call.
    firsts = [1 + at * at * 977 for at in range(40)]
    for first in firsts:
        book.store().put_new(0, first, first, b"")
    store = book.store(names_a_call=3)
    calls: list[int] = []
    book.s3.meta.events.register("before-call.s3.ListObjectsV2", lambda **_: calls.append(1))
    for near in (1, 2, firsts[20], firsts[-1], firsts[-1] + 1, firsts[-1] + 5_000, 10**9, 10**15):
        calls.clear()
        assert store.newest(0, near) == firsts[-1]
        assert len(calls) <= 60
    calls.clear()
    assert book.store().newest(0, firsts[-1] + 1) == firsts[-1]
    assert len(calls) == 1
    assert store.newest(7, 10**9) is None


def test_nothing_is_built_on_a_segment_that_is_not_as_it_was_signed(book: Scene) -> None:
    book.write(records(1, 3))
    body = bytearray(book.body(1))
    body[-1] ^= 1
    other = scene(book.engine)
    other.write(records(1, 3))
    for forged, raised in ((bytes(body), SegmentUnreadable), (other.body(1), NewestSegmentFaulty)):
        book.replace(1, forged)
        with pytest.raises(raised):
            book.write(records(3, 5))
    assert book.keys() == [segment_key(0, 1)]


def test_an_object_of_another_name_among_the_segments_stops_its_shard(book: Scene) -> None:
    book.s3.put_object(Bucket=book.bucket, Key="segments/00000/readme", Body=b"")
    with pytest.raises(SegmentUnreadable):
        book.write(records(1, 3))


def test_a_missing_bucket_is_an_unknown_outcome_to_repeat(book: Scene) -> None:
    away = S3LedgerBook(book.s3, f"none-{secrets.token_hex(6)}")
    with pytest.raises(SegmentStoreUnavailable):
        LedgerBook(book.stage, away, book.signer()).write(0, records(1, 2))


def test_without_its_key_nothing_is_written(book: Scene) -> None:
    book.new_key("ECC_SECG_P256K1", f"alias/orion/{book.stage}/other")
    for alias in ("alias/orion/none/ledger-roots", f"alias/orion/{book.stage}/other"):
        signer = KmsP256Signer(book.kms, alias)
        with pytest.raises(LogSignerRefused):
            LedgerBook(book.stage, book.store(), signer).write(0, records(1, 2))
    with pytest.raises(LogSignerRefused):
        KmsP256Signer(book.kms, f"alias/orion/{book.stage}/other").public_key()
    assert book.keys() == []


PROGRAM = (
    "import json, sys; from functions.log.ledger_segments import handler;"
    "print(json.dumps(handler(json.load(sys.stdin), None)), flush=True)"
)


def started(book: Scene, url: str, batches: dict[str, list[PostedRecord]]) -> Any:
    """The function itself, in a process of its own, with a true event."""
    event = {
        "eventSource": "aws:kafka",
        "records": {name: kafka_rows(kafka_records(rows)) for name, rows in batches.items()},
    }
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={
            **book.engine.environment(),
            "AWS_ENDPOINT_URL": url,
            "ORION_STAGE": book.stage,
            "ORION_LEDGER_BOOK_BUCKET": book.bucket,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'layers/orion/python'}",
            "PATH": os.environ["PATH"],
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(event))
    process.stdin.close()
    return process


def test_the_function_writes_every_partition_and_a_stopped_one_stops_no_other(
    book: Scene,
) -> None:
    one, three = posted(1), posted(3)
    other = records(1, 4, shard=1)
    batches = {"ledger.posted-0": [one, three], "ledger.posted-1": other}
    process = started(book, book.engine.url, batches)
    lines = [json.loads(line) for line in process.stdout.read().splitlines()]
    assert process.wait(timeout=60) != 0

    assert "gap_in_book" in process.stderr.read()
    assert [row["message"] for row in lines] == ["partition failed"]
    assert book.lines() == expected(one)
    assert book.lines(shard=1) == expected(*other)


@pytest.mark.parametrize("after", [False, True], ids=["before the put", "before its answer"])
def test_a_writer_killed_between_its_signature_and_its_answer_leaves_the_book_whole(
    book: Scene, after: bool
) -> None:
    batch = {"ledger.posted-0": records(3, 6)}
    book.write(records(1, 3))
    with holding(book.engine.url, after=after) as proxy:
        process = started(book, proxy.url, batch)
        assert proxy.reached.wait(timeout=30)
        assert proxy.signed == 1
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    assert [len(book.versions(first)) for first in (1, 3)] == [1, 1 if after else 0]

    again = started(book, book.engine.url, batch)
    answer = json.loads(again.stdout.read().splitlines()[-1])
    assert again.wait(timeout=60) == 0
    assert answer["new"] == (0 if after else 3)
    assert book.lines() == expected(*records(1, 6))
    assert len(book.versions(3)) == 1


def test_the_signature_is_of_the_header_by_the_key_that_the_trailer_names(book: Scene) -> None:
    book.write(records(1, 3))
    trailer = json.loads(opened(book.body(1)).trailer_line)

    assert book.signer().known_key(trailer["key"]) is not None
    answer = book.kms.get_public_key(KeyId=book.alias)
    assert answer["KeySpec"] == "ECC_NIST_P256"
