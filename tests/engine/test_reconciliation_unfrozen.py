"""A freeze that somebody took away without lifting it is a difference of its own."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from infra.local.mariadb import MariaDb
from infra.local.postgres import Postgres
from orion.log.reconciliation import service
from orion.log.reconciliation.model import run_id
from tests.engine.reconciliation_scene import Scene
from tests.engine.reconciliation_tamper import mysql

pytestmark = pytest.mark.engine
ASSETS = ("BTC.bitcoin", "ETH.ethereum", "TRX.tron")
_runs = count()


@pytest.fixture(scope="module")
def scene(mysql_admin: MariaDb, postgres_server: Postgres, aws_engine: Any) -> Iterator[Scene]:
    """Incidents of an earlier run: one that freezes, one that was closed, one that freezes not."""
    opened = Scene(mysql_admin, postgres_server, aws_engine)
    for number, asset in enumerate(ASSETS):
        freezes = asset != "TRX.tron"
        incident = bytes([number]) * 16
        opened.cursor.execute(
            "INSERT INTO orion_log.incident (incident_id, run_id, asset, freezes, differences,"
            " opened_at, closed_at, closed_by, closed_reason)"
            " VALUES (%s, %s, %s, %s, 1, NOW(6), %s, 'an operator', 'looked at')",
            (incident, bytes(16), asset, freezes, "2026-11-01" if number == 1 else None),
        )
        if freezes:
            opened.cursor.execute(
                "INSERT INTO orion_ledger.asset_freeze (asset, incident_id, opened_at)"
                " VALUES (%s, %s, NOW(6))",
                (asset, incident),
            )
    yield opened
    opened.close()


def missing(scene: Scene) -> list[tuple[str | None, str | None]]:
    """(asset, what was found) of the differences of a run."""
    name = f"unfrozen-{next(_runs)}"
    plan, *_ = scene.steps(name)
    plan()
    service.check_sums(scene.runs, scene.sums, scene.external_reader, name)
    found = scene.runs.findings(run_id(name)).differences
    assert {str(each.kind) for each in found} <= {"freeze_missing"}
    return [(each.asset, each.found) for each in found]


def test_freezes_that_stand_or_were_lifted_with_a_reason_are_no_difference(scene: Scene) -> None:
    assert missing(scene) == []
    lift = "UPDATE {table} SET lifted_at = NOW(6), lifted_reason = 'looked at' WHERE {where}"
    with mysql(scene, "asset_freeze", "TRUE", lift):
        assert missing(scene) == []


@pytest.mark.parametrize("asset", ASSETS[:2])
def test_a_freeze_that_is_gone_is_told_also_of_a_closed_incident(scene: Scene, asset: str) -> None:
    with mysql(scene, "asset_freeze", f"asset = '{asset}'", "DELETE FROM {table} WHERE {where}"):
        assert missing(scene) == [(asset, "no freeze")]
    scene.cursor.execute("DELETE FROM orion_log.incident WHERE run_id <> %s", (bytes(16),))


@pytest.mark.parametrize("reason", ["NULL", "''"])
def test_a_freeze_that_was_lifted_without_a_reason_is_told(scene: Scene, reason: str) -> None:
    lift = f"UPDATE {{table}} SET lifted_at = NOW(6), lifted_reason = {reason} WHERE {{where}}"
    with mysql(scene, "asset_freeze", "asset = 'BTC.bitcoin'", lift):
        assert missing(scene) == [("BTC.bitcoin", "lifted without a reason")]
    scene.cursor.execute("DELETE FROM orion_log.incident WHERE run_id <> %s", (bytes(16),))
