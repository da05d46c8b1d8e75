"""One thing changed in one of three books: found, and named with entry, account and book."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import pytest

from infra.local.mariadb import MariaDb
from infra.local.postgres import Postgres
from orion.adapters.mysql import ledger_lines
from orion.log.reconciliation.model import Difference
from tests.engine.reconciliation_scene import Scene, merchant
from tests.engine.reconciliation_tamper import (
    NUMBER,
    edited,
    external,
    line_at,
    mysql,
    segment_keys,
    segments,
)

pytestmark = pytest.mark.engine
_runs = count()

WHERE = f"shard_no = 0 AND number = {NUMBER} AND position = 0"
ACCOUNT = f"{merchant(2)}/settling/BTC.bitcoin"
# Where one of the accounts is what was changed, it is the one to name.
ACCOUNTS = {"debit_account": "system:bitcoin/custody/BTC.bitcoin"}
OTHER_ID = "ab" * 16
COLUMNS = {
    "number": ("900", "900"),
    "position": ("5", "5"),
    "id": (f"x'{OTHER_ID}'", f"'\\x{OTHER_ID}'"),
    "digest": (f"x'{OTHER_ID}'", f"'\\x{OTHER_ID}'"),
    "kind": ("'pending'", "'pending'"),
    "code": ("'deposit_final'", "'deposit_final'"),
    "linked": ("1", "true"),
    "pending_id": (f"x'{OTHER_ID}'", f"'\\x{OTHER_ID}'"),
    "debit_account": ("credit_account", "credit_account"),
    "credit_account": ("debit_account", "debit_account"),
    "counterpart": ("debit_account", "debit_account"),
    "units": ("units + 1", "units + 1"),
    "cause": (
        "CAST(REPLACE(cause, 'credit_epoch\":0', 'credit_epoch\":1') AS BINARY)",
        "convert_to(replace(convert_from(cause, 'UTF8'), 'epoch\":0', 'epoch\":1'), 'UTF8')",
    ),
    "trace_id": (f"x'{OTHER_ID}'", f"'\\x{OTHER_ID}'"),
    "posted_at": (
        "posted_at + INTERVAL 1 MICROSECOND",
        "posted_at + interval '1 microsecond'",
    ),
}


@pytest.fixture(scope="module")
def scene(mysql_admin: MariaDb, postgres_server: Postgres, aws_engine: Any) -> Iterator[Scene]:
    opened = Scene(mysql_admin, postgres_server, aws_engine)
    opened.story(shards=1)
    yield opened
    # Each test has put back what it took: none has seen what another one did.
    assert run(opened) == []
    opened.close()


def run(scene: Scene) -> Sequence[Difference]:
    return list(scene.differences(f"run-{next(_runs)}"))


def named(found: Sequence[Difference], wrong: str) -> list[Difference]:
    """Differences of entries, all of which must blame this book."""
    entries = [each for each in found if str(each.kind).startswith("entry_")]
    assert entries, found
    assert {str(each.wrong) for each in entries} == {wrong}, entries
    return entries


@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_column_of_the_ledger_is_named(scene: Scene, column: str) -> None:
    value = COLUMNS[column][0]
    with mysql(
        scene, "transfer", WHERE, f"UPDATE {{table}} SET {column} = {value} WHERE {{where}}"
    ):
        found = named(run(scene), "mysql")
    account = ACCOUNTS.get(column, ACCOUNT)
    assert any(each.number == NUMBER and each.account == account for each in found), found
    assert {each.asset for each in found} == {"BTC.bitcoin"}


@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_column_of_the_external_book_is_named(scene: Scene, column: str) -> None:
    value = COLUMNS[column][1]
    statement = f"UPDATE {{table}} SET {column} = {value} WHERE {{where}}"
    with external(scene, "entry", WHERE, statement):
        found = named(run(scene), "external")
    account = ACCOUNTS.get(column, ACCOUNT)
    assert any(each.number == NUMBER and each.account == account for each in found), found
    assert {each.asset for each in found} == {"BTC.bitcoin"}


LINE_PARTS = {
    "number": (b'"number":2,', b'"number":3,'),
    "position": (b'"position":0,', b'"position":1,'),
    "units": (b'"units":"500"', b'"units":"501"'),
    "kind": (b'"kind":"direct"', b'"kind":"pendin"'),
    "code": (b'"code":"deposit_credit"', b'"code":"deposit_credits"'),
    "linked": (b'"linked":false', b'"linked":true'),
    "cause": (b'"credit_epoch":0', b'"credit_epoch":1'),
    "shard": (b'"shard":0', b'"shard":1'),
    "id": (b',"id":"', b',"id":"0'),
    "digest": (b'"digest":"', b'"digest":"z'),
    "pending_id": (b'"pending_id":null', b'"pending_id":"' + b"ab" * 16 + b'"'),
    "counterpart": (b'"counterpart":null', b'"counterpart":"' + b"ab" * 16 + b'"'),
    "posted_at": (b'Z",', b'X",'),
    "trace_id": (b'"trace_id":"', b'"trace_id":"1'),
    "debit": (b'"debit":"', b'"debit":"g'),
    "credit": (b'"credit":"', b'"credit":"g'),
    "name": (b',"number":', b',"numbre":'),
    "spaces": (b'"v":1}', b'"v": 1}'),
}


@pytest.mark.parametrize("part", LINE_PARTS)
def test_a_changed_part_of_a_line_in_the_log_book_is_named(scene: Scene, part: str) -> None:
    old, new = LINE_PARTS[part]

    def edit(lines: list[bytes]) -> None:
        at = line_at(lines)
        assert old in lines[at]
        lines[at] = lines[at].replace(old, new, 1)

    with segments(scene, edited(edit)):
        everything = run(scene)
    found = named(everything, "segments")
    assert any(each.number == NUMBER and each.account == ACCOUNT for each in found), found
    assert "root_differs" in {str(each.kind) for each in everything}


def test_a_deleted_row_is_named_with_the_book_that_lost_it(scene: Scene) -> None:
    with mysql(scene, "transfer", WHERE, "DELETE FROM {table} WHERE {where}"):
        [found] = named(run(scene), "mysql")
        assert (found.kind, found.number, found.position) == ("entry_missing", NUMBER, 0)
        assert found.account == ACCOUNT
        assert found.transfer_id is not None
    with external(scene, "entry", WHERE, "DELETE FROM {table} WHERE {where}"):
        [found] = named(run(scene), "external")
        assert (found.kind, found.number, found.account) == ("entry_missing", NUMBER, ACCOUNT)

    def lose(lines: list[bytes]) -> None:
        del lines[line_at(lines)]

    with segments(scene, edited(lose)):
        [found] = named(run(scene), "segments")
        assert (found.kind, found.number, found.account) == ("entry_missing", NUMBER, ACCOUNT)


_COPY = (
    "INSERT INTO {{table}} SELECT shard_no, {number}, {position}, {identity}, digest, kind, code,"
    " linked, pending_id, debit_account, credit_account, counterpart, units, cause, trace_id,"
    " posted_at FROM {source} WHERE {{where}}"
)


@pytest.mark.parametrize("number, position", [(NUMBER, 1), (900, 0), (NUMBER, 9)])
def test_an_inserted_row_is_named_with_the_book_that_has_it(
    scene: Scene, number: int, position: int
) -> None:
    ours = _COPY.format(
        number=number, position=position, identity=f"x'{OTHER_ID}'", source="orion_ledger.kept"
    )
    with mysql(scene, "transfer", WHERE, ours):
        [found] = named(run(scene), "mysql")
        assert (found.kind, found.number, found.position) == ("entry_added", number, position)
        assert (found.account, found.transfer_id) == (ACCOUNT, bytes.fromhex(OTHER_ID))
    theirs = _COPY.format(
        number=number, position=position, identity=f"'\\x{OTHER_ID}'", source="external_book.kept"
    )
    with external(scene, "entry", WHERE, theirs):
        [found] = named(run(scene), "external")
        assert (found.kind, found.number, found.position) == ("entry_added", number, position)
        assert (found.account, found.transfer_id) == (ACCOUNT, bytes.fromhex(OTHER_ID))


def test_an_inserted_line_in_the_log_book_is_named(scene: Scene) -> None:
    def add(lines: list[bytes]) -> None:
        at = line_at(lines)
        lines.insert(at + 1, lines[at].replace(b'"position":0', b'"position":1'))

    with segments(scene, edited(add)):
        [found] = named(run(scene), "segments")
    assert (found.kind, found.number, found.position) == ("entry_added", NUMBER, 1)


def test_swapped_segments_are_named(scene: Scene) -> None:
    def swap(bodies: dict[str, bytes]) -> None:
        first, second = sorted(bodies)[:2]
        bodies[first], bodies[second] = bodies[second], bodies[first]

    with segments(scene, swap):
        found = run(scene)
    assert {str(each.wrong) for each in found} == {"segments"}
    assert {"segment_misplaced", "chain_broken"} <= {str(each.kind) for each in found}


def test_a_lost_segment_is_named_and_so_are_its_entries(scene: Scene) -> None:
    def lose(bodies: dict[str, bytes]) -> None:
        del bodies[min(bodies)]

    with segments(scene, lose):
        found = run(scene)
    assert {str(each.wrong) for each in found} == {"segments"}
    missing = [each for each in found if each.kind == "entry_missing"]
    assert any(each.number == NUMBER and each.account == ACCOUNT for each in missing)
    assert "chain_broken" in {str(each.kind) for each in found}


def test_a_deleted_or_rewritten_segment_is_told_though_its_first_version_stands(
    scene: Scene,
) -> None:
    key = segment_keys(scene)[0]
    deleted = scene.s3.delete_object(Bucket=scene.bucket, Key=key)["VersionId"]
    found = run(scene)
    scene.s3.delete_object(Bucket=scene.bucket, Key=key, VersionId=deleted)
    assert [str(each.kind) for each in found] == ["segment_deleted"]
    body = scene.s3.get_object(Bucket=scene.bucket, Key=key)["Body"].read()
    put = scene.s3.put_object(Bucket=scene.bucket, Key=key, Body=body)
    found = run(scene)
    scene.s3.delete_object(Bucket=scene.bucket, Key=key, VersionId=put["VersionId"])
    assert [str(each.kind) for each in found] == ["segment_rewritten"]


def test_a_segment_that_is_no_segment_or_not_signed_is_told(scene: Scene) -> None:
    def spoil(bodies: dict[str, bytes]) -> None:
        bodies[min(bodies)] = b"nothing"

    with segments(scene, spoil):
        assert "segment_unreadable" in {str(each.kind) for each in run(scene)}

    def unsign(lines: list[bytes]) -> None:
        lines[0] = lines[0].replace(b'"stage":"test"', b'"stage":"best"')

    with segments(scene, edited(unsign)):
        assert "signature_invalid" in {str(each.kind) for each in run(scene)}


def test_two_books_wrong_in_different_places_are_each_named(scene: Scene) -> None:
    with (
        mysql(scene, "transfer", WHERE, "UPDATE {table} SET units = 1 WHERE {where}"),
        external(
            scene, "entry", WHERE.replace(f"= {NUMBER}", "= 1"),
            "UPDATE {table} SET units = 1 WHERE {where}",
        ),
    ):  # fmt: skip
        found = [each for each in run(scene) if each.kind == "entry_differs"]
    assert [(each.number, str(each.wrong)) for each in found] == [(1, "external"), (2, "mysql")]
    assert (found[1].found, found[1].expected) == ("units 1", "units 500")


def test_where_all_three_differ_nobody_is_blamed_and_all_three_are_shown(scene: Scene) -> None:
    def change(lines: list[bytes]) -> None:
        at = line_at(lines)
        lines[at] = lines[at].replace(b'"units":"500"', b'"units":"503"')

    with (
        mysql(scene, "transfer", WHERE, "UPDATE {table} SET units = 501 WHERE {where}"),
        external(scene, "entry", WHERE, "UPDATE {table} SET units = 502 WHERE {where}"),
        segments(scene, edited(change)),
    ):
        [found] = [each for each in run(scene) if each.kind == "entry_differs"]
    assert found.wrong == "unknown"
    assert found.expected is None
    assert found.found == "mysql: units 501; segments: units 503; external: units 502"


def test_the_servers_lines_are_those_of_the_specification(scene: Scene) -> None:
    assert "%%Y" in ledger_lines.ENTRY_LINE_SQL
    numbers = list(range(1, 20))
    ours = scene.books.ledger.lines(0, numbers)
    assert ours == scene.books.segments.lines(0, numbers)
    assert len(ours) >= 10
