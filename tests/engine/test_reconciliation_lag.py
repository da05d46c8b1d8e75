"""A follower that has not come so far yet: told, and no asset frozen for it."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.mariadb import MariaDb
from infra.local.postgres import Postgres
from orion.log.external_book.model import Told
from tests.engine.reconciliation_scene import Deposit, Scene

pytestmark = pytest.mark.engine


@pytest.fixture
def scene(mysql_admin: MariaDb, postgres_server: Postgres, aws_engine: Any) -> Iterator[Scene]:
    opened = Scene(mysql_admin, postgres_server, aws_engine)
    opened.story(shards=1)
    late = Deposit(80, 2, 21)
    late.becomes("included")
    opened.know([late])
    opened.post(late.transfer("deposit_credit"))
    yield opened
    opened.close()


def frozen(scene: Scene) -> int:
    scene.cursor.execute("SELECT COUNT(*) FROM orion_ledger.asset_freeze")
    [(rows,)] = scene.cursor.fetchall()
    return int(rows)


def test_an_external_book_that_is_behind_freezes_nothing(scene: Scene) -> None:
    newest = scene.posted()[-1]
    scene.segment_writer.write(0, [newest])
    [found] = scene.differences()
    assert (str(found.kind), str(found.wrong)) == ("book_behind", "external")
    assert found.number == newest.number
    assert frozen(scene) == 0


def test_a_log_book_that_is_behind_freezes_nothing(scene: Scene) -> None:
    newest = scene.posted()[-1]
    scene.external_writer.append("ledger.posted", 0, [Told(newest.number - 1, newest)])
    [found] = scene.differences()
    assert (str(found.kind), str(found.wrong)) == ("book_behind", "segments")
    assert frozen(scene) == 0


def test_an_external_book_that_lost_what_it_entered_freezes(scene: Scene) -> None:
    scene.follow()
    scene.external.ask("ALTER TABLE external_book.entry DISABLE TRIGGER USER")
    number = scene.posted()[-1].number
    scene.external.ask(f"DELETE FROM external_book.entry WHERE number = {number}")
    kinds = {str(found.kind) for found in scene.differences()}
    assert kinds == {"entry_missing", "counter_differs"}
    assert frozen(scene) == 1


def test_what_only_the_ledger_has_freezes(scene: Scene) -> None:
    kinds = {str(found.kind) for found in scene.differences()}
    assert kinds == {"entry_added"}
    assert frozen(scene) == 1
