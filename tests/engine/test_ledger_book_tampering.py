"""The log book's reader on a real S3 API: whatever is done to a book is found and named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.local.mariadb import MariaDb
from orion.adapters.mysql.ledger_places import MySqlTransferPlaces
from orion.adapters.mysql.session import Database, MySqlConfig
from orion.ledger.proof import read_proof, verify
from orion.log.gzip_lines import packed, unpacked
from orion.log.ledger_book.model import MAX_SEGMENT_BYTES, segment_key
from orion.log.ledger_book.proving import (
    NotInLogBook,
    SegmentFaulty,
    TransferNotPosted,
    prove,
)
from orion.runtime.ledger_book import prove_transfer
from tests.engine.ledger_book_scene import Scene, scene
from tests.unit.ledger_book_records import posted, transfer_id

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[2]
FIRSTS = [1, 4, 7, 10]  # Four segments of three records of two entries each.
Lines = list[bytes]


def written(engine: Any) -> Scene:
    book = scene(engine)
    writer = book.book()
    for first in FIRSTS:
        writer.write(0, [posted(number) for number in range(first, first + 3)])
    return book


@pytest.fixture
def book(aws_engine: Any) -> Scene:
    return written(aws_engine)


@pytest.fixture(scope="module")
def untouched(aws_engine: Any) -> Scene:
    return written(aws_engine)


def named(book: Scene, **where: int) -> set[tuple[str, int]]:
    """Each fault's kind, and the segment that it is told of."""
    return {(fault.kind.value, fault.first_number) for fault in book.faults(**where)}


def altered(body: bytes, change: Callable[[Lines], object]) -> bytes:
    lines = unpacked(body, limit_bytes=MAX_SEGMENT_BYTES)
    change(lines)
    return packed(lines)


def flip(lines: Lines, place: int, at: int) -> None:
    line = bytearray(lines[place])
    line[at] ^= 1
    lines[place] = bytes(line)


def other_digit(lines: Lines, place: int, at: int) -> None:
    """Another hexadecimal digit: one flipped bit makes some digits no digit at all."""
    line = bytearray(lines[place])
    line[at] = ord("1") if line[at] == ord("0") else ord("0")
    lines[place] = bytes(line)


@pytest.mark.parametrize(
    "change, kinds",
    [
        (lambda x: flip(x, 2, -9), {"root_differs"}),
        (lambda x: flip(x, 0, -3), {"segment_unreadable", "signature_invalid"}),
        (lambda x: other_digit(x, 7, -9), {"signature_invalid"}),
        (lambda x: x.pop(3), {"root_differs", "entry_missing"}),
        (lambda x: x.insert(3, x[2]), {"root_differs", "entry_added"}),
        (lambda x: x.insert(2, x.pop(5)),
         {"root_differs", "number_missing", "entry_added", "entry_missing"}),
    ],
    ids=["an entry's byte", "a header's byte", "a trailer's byte", "a line removed",
         "a line inserted", "a line moved"],
)  # fmt: skip
def test_a_segment_that_somebody_changed_past_the_lock_is_named(
    book: Scene, change: Callable[[Lines], object], kinds: set[str]
) -> None:
    book.replace(4, altered(book.body(4), change))

    assert {kind for kind, first in named(book) if first == 4} == kinds
    assert {first for _, first in named(book)} <= {4, 7}


def test_a_changed_header_breaks_the_chain_of_the_next_one_too(book: Scene) -> None:
    old, new = b'"previous":"', b'"previous":"f'

    def change(lines: Lines) -> None:
        at = lines[0].index(old)
        end = at + len(old) + 64
        lines[0] = lines[0][:at] + new + lines[0][at + len(old) : end - 1] + lines[0][end:]

    book.replace(4, altered(book.body(4), change))

    assert named(book) == {
        ("signature_invalid", 4),
        ("chain_broken", 4),
        ("chain_broken", 7),
    }


def test_two_swapped_segments_are_misplaced(book: Scene) -> None:
    four, seven = book.body(4), book.body(7)
    book.replace(4, seven)
    book.replace(7, four)

    misplaced = {first for kind, first in named(book) if kind == "segment_misplaced"}
    broken = {first for kind, first in named(book) if kind == "chain_broken"}
    assert misplaced == {4, 7}
    assert broken == {4, 7, 10}


def test_a_segment_of_another_stages_book_is_misplaced_and_not_of_this_key(
    book: Scene, untouched: Scene
) -> None:
    book.replace(1, untouched.body(1))

    assert {kind for kind, first in named(book) if first == 1} == {
        "segment_misplaced",
        "signature_invalid",
    }


def test_a_version_put_on_top_is_named_and_the_first_one_is_read(book: Scene) -> None:
    lines = book.lines()
    book.put(7, altered(book.body(7), lambda x: flip(x, 2, -9)))

    assert named(book) == {("segment_rewritten", 7)}
    read = [line for row in book.read() if row.segment for line in row.segment.lines]
    assert read == lines


def test_a_deletion_put_on_top_is_named_and_the_segment_is_read(book: Scene) -> None:
    lines = book.lines()
    book.s3.delete_object(Bucket=book.bucket, Key=segment_key(0, 10))
    book.s3.delete_object(Bucket=book.bucket, Key=segment_key(0, 4))

    assert named(book) == {("segment_deleted", 10), ("segment_deleted", 4)}
    read = [line for row in book.read() if row.segment for line in row.segment.lines]
    assert read == lines


def test_a_segment_removed_with_all_its_versions_leaves_a_gap_that_is_named(book: Scene) -> None:
    book.remove(4)

    missing = [fault for fault in book.faults() if fault.kind.value == "number_missing"]
    assert named(book) == {("number_missing", 7), ("chain_broken", 7)}
    assert [fault.number for fault in missing] == [4]


def test_removed_first_segments_are_missed_from_the_first_number_on(book: Scene) -> None:
    book.remove(1)
    book.remove(4)

    assert named(book, first=8) == {("number_missing", 7), ("chain_broken", 7)}


def test_a_last_segment_removed_ends_the_book_early(book: Scene) -> None:
    # The book alone cannot know: whoever knows what was posted compares its end.
    assert book.reader().last_number(0) == 12
    book.remove(10)
    assert book.reader().last_number(0) == 9
    assert named(book) == set()


def test_a_deletion_alone_is_named_where_its_segment_stood(book: Scene) -> None:
    book.remove(10)
    book.s3.delete_object(Bucket=book.bucket, Key=segment_key(0, 10))

    assert named(book) == {("segment_deleted", 10)}


def test_a_segment_that_begins_within_another_is_an_addition(book: Scene) -> None:
    book.put(5, book.body(4), 6)

    assert ("entry_added", 5) in named(book)
    assert ("segment_misplaced", 5) in named(book)


def test_a_segment_put_with_another_end_than_its_own_is_named(book: Scene) -> None:
    body = book.body(7)
    book.remove(7)
    book.put(7, body, 8)

    assert named(book) == {("segment_misplaced", 7)}


def test_an_object_of_another_name_is_told(book: Scene) -> None:
    book.s3.put_object(Bucket=book.bucket, Key="segments/00000/5.jsonl.gz", Body=b"")

    assert [fault.kind.value for fault in book.faults()] == ["segment_unreadable"]


def test_the_lock_refuses_to_give_up_a_version(book: Scene) -> None:
    key, (version,) = segment_key(0, 4), book.versions(4)
    with pytest.raises(ClientError) as refused:
        book.s3.delete_object(Bucket=book.bucket, Key=key, VersionId=version)
    assert refused.value.response["Error"]["Code"] == "AccessDenied"

    head = book.s3.head_object(Bucket=book.bucket, Key=key)
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert (head["ObjectLockRetainUntilDate"] - head["LastModified"]).days >= 3_650
    book.put(4, b"")
    assert book.versions(4)[-1] == version
    assert named(book) == {("segment_rewritten", 4)}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(1, 14), st.integers(0, 14), st.integers(1, 5))
def test_any_range_of_a_sound_book_is_read_whole_and_without_a_fault(
    untouched: Scene, first: int, more: int, names_a_call: int
) -> None:
    read = list(untouched.reader(names_a_call).read(0, first, first + more))
    lines = [line for row in read if row.segment for line in row.segment.lines]
    held = {number for row in read if row.header for number in range(
        row.header.first_number, row.header.last_number + 1)}  # fmt: skip

    assert [fault for row in read for fault in row.faults] == []
    assert held >= set(range(first, min(first + more, 12) + 1))
    assert len(lines) == 2 * len(held)
    assert len(read) <= 5


@pytest.fixture
def places(mysql_admin: MariaDb) -> MySqlTransferPlaces:
    login = mysql_admin.credentials("log")
    config = MySqlConfig(
        mysql_admin.host,
        mysql_admin.port,
        login.username,
        login.password,
        "orion_log",
        mysql_admin.ca_pem,
    )
    with mysql_admin.connect() as admin, admin.cursor() as cursor:
        cursor.execute("DELETE FROM orion_ledger.transfer")
        for number in (5, 6, 13):
            cursor.execute(
                "INSERT INTO orion_ledger.transfer (shard_no, number, position, id, digest, kind,"
                " code, linked, debit_account, credit_account, units, cause, trace_id, posted_at)"
                " VALUES (0, %s, 1, %s, 'd', 'direct', 'leg', 0, 'd', 'c', 1, '{}', 't', NOW(6))",
                (number, transfer_id(0, number, 1)),
            )
        admin.commit()
    return MySqlTransferPlaces(Database(config))


def test_a_posted_transfer_is_proven_and_verifies_with_the_stages_key(
    book: Scene, places: MySqlTransferPlaces
) -> None:
    signer, identity = book.signer(), transfer_id(0, 5, 1)
    proof = prove(book.reader(), signer, places, identity)
    proven = verify(read_proof(proof.text()), signer.public_key())

    assert (proven.entry.id, proven.entry.number, proven.entry.position) == (identity, 5, 1)
    assert proven.header.stage == book.stage


def test_what_cannot_be_proven_is_refused_by_name(book: Scene, places: MySqlTransferPlaces) -> None:
    signer = book.signer()
    with pytest.raises(TransferNotPosted):
        prove(book.reader(), signer, places, bytes(16))
    with pytest.raises(NotInLogBook):
        prove(book.reader(), signer, places, transfer_id(0, 13, 1))
    book.put(4, book.body(4))
    with pytest.raises(SegmentFaulty) as refused:
        prove(book.reader(), signer, places, transfer_id(0, 5, 1))
    assert refused.value.fields["fault"] == "segment_rewritten"


def test_a_transfer_that_stands_elsewhere_in_the_log_book_is_not_proven(
    book: Scene, places: MySqlTransferPlaces, mysql_admin: MariaDb
) -> None:
    with mysql_admin.connect() as admin, admin.cursor() as cursor:
        cursor.execute("UPDATE orion_ledger.transfer SET position = 0 WHERE number = 6")
        admin.commit()
    with pytest.raises(SegmentFaulty) as refused:
        prove(book.reader(), book.signer(), places, transfer_id(0, 6, 1))
    assert refused.value.fields["fault"] == "entry_differs"


@pytest.mark.parametrize(
    "request_body, code",
    [
        ({}, "missing_field"),
        ({"transfer_id": 5}, "malformed_field"),
        ({"transfer_id": "0F" * 16}, "malformed_field"),
        ({"transfer_id": "0f" * 15}, "malformed_field"),
        ({"transfer_id": "0f" * 16, "shard": 0}, "unknown_field"),
    ],
)
def test_a_request_in_another_form_is_refused_before_anything_is_asked(
    request_body: dict[str, object], code: str
) -> None:
    answer = prove_transfer(request_body)

    assert (answer["outcome"], answer["code"]) == ("refused", code)
