"""The three books compared on real engines: equal books, and every kind of tampering, named."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.mariadb import MariaDb
from infra.local.postgres import Postgres
from tests.engine.reconciliation_scene import Scene

pytestmark = pytest.mark.engine


@pytest.fixture
def scene(mysql_admin: MariaDb, postgres_server: Postgres, aws_engine: Any) -> Iterator[Scene]:
    opened = Scene(mysql_admin, postgres_server, aws_engine)
    yield opened
    opened.close()


def test_equal_books_have_no_difference_and_everything_is_checked(scene: Scene) -> None:
    scene.story()
    findings = scene.read("run")
    assert findings.differences == ()
    report = scene.report()
    assert (report.outcome, report.differences, report.opened) == ("equal", 0, [])
