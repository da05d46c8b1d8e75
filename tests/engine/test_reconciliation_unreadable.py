"""What somebody puts into a book so that it cannot be read is a difference of that book: it stops
payouts and hides nothing of the other two.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

from infra.local.mariadb import MariaDb
from infra.local.postgres import Postgres
from orion.log.reconciliation import service
from orion.log.reconciliation.errors import BookUnreadable, RootsMissing
from orion.log.reconciliation.model import Book, Difference, run_id
from orion.log.reconciliation.planning import MAX_NUMBER, Span
from tests.engine.reconciliation_scene import Scene
from tests.engine.reconciliation_tamper import NUMBER, external, mysql, segment_keys

pytestmark = pytest.mark.engine
_runs = count()
WHERE = f"shard_no = 0 AND number = {NUMBER}"
CHANGE = "UPDATE {table} SET units = units + 1 WHERE {where}"


@pytest.fixture(scope="module")
def scene(mysql_admin: MariaDb, postgres_server: Postgres, aws_engine: Any) -> Iterator[Scene]:
    opened = Scene(mysql_admin, postgres_server, aws_engine)
    opened.story(shards=1)
    yield opened
    # Each test has put back what it took: none has seen what another one did.
    assert run(opened) == []
    opened.close()


@pytest.fixture
def changed(scene: Scene) -> Iterator[Scene]:
    """With an entry that somebody has changed in the ledger."""
    with mysql(scene, "transfer", WHERE, CHANGE):
        yield scene


def run(scene: Scene) -> Sequence[Difference]:
    return list(scene.differences(f"unreadable-{next(_runs)}"))


def told(found: Sequence[Difference]) -> set[tuple[str, str, int | None]]:
    return {(str(each.kind), str(each.wrong), each.number) for each in found}


@contextmanager
def next_posted(scene: Scene, number: int) -> Iterator[None]:
    """The shard's row says another next number."""
    scene.cursor.execute("SELECT next_posted FROM orion_ledger.shard WHERE shard_no = 0")
    [before] = scene.cursor.fetchone() or (0,)
    change = "UPDATE orion_ledger.shard SET next_posted = %s WHERE shard_no = 0"
    scene.cursor.execute(change, (number,))
    try:
        yield
    finally:
        scene.cursor.execute(change, (before,))


def deleted(scene: Scene, *keys: str) -> None:
    for row in scene.s3.list_object_versions(Bucket=scene.bucket).get("Versions", []):
        if row["Key"] in keys:
            scene.s3.delete_object(
                Bucket=scene.bucket, Key=row["Key"], VersionId=row["VersionId"]
            )  # fmt: skip


@pytest.mark.parametrize(
    "key, metadata",
    [
        ("segments/00000/zzz", {}),
        ("segments/00000/!first", {}),
        ("segments/00000/00000000000000000001.jsonl", {}),
        ("segments/readme/zzz", {}),
        ("segments/readme", {}),
        ("segments/00000/99999999999999999999.jsonl.gz", {}),
        ("segments/00000/09000000000000000000.jsonl.gz", {"last-number": "9" * 19}),
        ("segments/00000/09000000000000000000.jsonl.gz", {}),
    ],
)
def test_an_object_that_is_no_segment_is_told_and_the_run_goes_on(
    changed: Scene, key: str, metadata: dict[str, str]
) -> None:
    changed.s3.put_object(Bucket=changed.bucket, Key=key, Body=b"x", Metadata=metadata)
    found = run(changed)
    deleted(changed, key)
    assert ("segment_unreadable", "segments") in {each[:2] for each in told(found)}
    assert ("entry_differs", "mysql", NUMBER) in told(found)


def test_a_number_above_all_numbers_is_told_and_the_run_goes_on(scene: Scene) -> None:
    high = 2**63 + 92
    with (
        mysql(
            scene, "transfer", WHERE,
            CHANGE,
            "CREATE TEMPORARY TABLE orion_ledger.high AS SELECT * FROM {table} WHERE {where}",
            f"UPDATE orion_ledger.high SET number = {high}, id = x'{secrets.token_hex(16)}'",
            "INSERT INTO {table} SELECT * FROM orion_ledger.high",
            "DROP TABLE orion_ledger.high",
        ),
        next_posted(scene, high + 1),
    ):  # fmt: skip
        found = run(scene)
    assert ("entry_added", "mysql", MAX_NUMBER) in told(found)
    assert ("entry_differs", "mysql", NUMBER) in told(found)


def test_a_time_that_is_none_is_a_difference_of_the_ledger(scene: Scene) -> None:
    scene.cursor.execute("SET SESSION sql_mode = ''")
    try:
        with mysql(
            scene, "transfer", WHERE,
            "UPDATE {table} SET posted_at = '0000-00-00 00:00:00' WHERE {where}",
        ):  # fmt: skip
            found = run(scene)
    finally:
        scene.cursor.execute("SET SESSION sql_mode = DEFAULT")
    assert ("entry_differs", "mysql", NUMBER) in told(found)


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "20000-01-01", "0044-03-15 BC"])
def test_a_time_that_is_none_is_a_difference_of_the_external_book(
    scene: Scene, moment: str
) -> None:
    scene.external.ask(
        "ALTER TABLE external_book.entry DROP CONSTRAINT IF EXISTS entry_posted_at_check"
    )
    with external(
        scene, "entry", WHERE, f"UPDATE {{table}} SET posted_at = '{moment}' WHERE {{where}}"
    ):
        found = run(scene)
    assert ("entry_differs", "external", NUMBER) in told(found)


class _Spoiled:
    """A book of which nothing can be read."""

    def records(self, shard: int, span: Span) -> Iterator[Any]:
        raise BookUnreadable("rows that cannot be read")


def test_where_one_book_cannot_be_read_the_two_others_are_compared(changed: Scene) -> None:
    name = f"two-{next(_runs)}"
    spoiled: Any = _Spoiled()
    steps = changed.steps(name)
    next(steps)()
    service.read_book(changed.runs, spoiled, Book.EXTERNAL, name, 0)
    service.read_book(changed.runs, changed.books.ledger, Book.MYSQL, name, 0)
    with pytest.raises(RootsMissing):
        service.compare(changed.runs, changed.books, name, 0)
    service.read_segments(changed.runs, changed.books.segments, name, 0)
    service.compare(changed.runs, changed.books, name, 0)
    findings = changed.runs.findings(run_id(name))
    assert told(findings.differences) == {
        ("book_unreadable", "external", 1),
        ("entry_differs", "unknown", NUMBER),
    }
    [entry] = [each for each in findings.differences if each.kind == "entry_differs"]
    assert entry.found == "mysql: units 501; segments: units 500"
    assert all(incident.freezes for incident in findings.opened)


def test_the_newest_records_cut_off_two_books_and_hidden_in_the_third_are_told(
    scene: Scene,
) -> None:
    last = segment_keys(scene)[-1]
    first = int(last[-29:-9])
    cut = f"DELETE FROM {{table}} WHERE number >= {first}"
    marker = scene.s3.delete_object(Bucket=scene.bucket, Key=last)["VersionId"]
    try:
        with (
            mysql(scene, "transfer", WHERE, cut),
            next_posted(scene, first),
            external(scene, "entry", WHERE, cut),
        ):  # fmt: skip
            found = run(scene)
    finally:
        scene.s3.delete_object(Bucket=scene.bucket, Key=last, VersionId=marker)
    assert ("segment_deleted", "segments", first) in told(found)
    assert ("entry_added", "segments", first) in told(found)
