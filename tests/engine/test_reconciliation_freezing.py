"""When an asset freezes: in the commit that stores a difference, whatever happens to the run."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pymysql
import pytest

from infra.local.mariadb import MariaDb
from infra.local.postgres import Postgres
from orion.adapters.mysql.asset_freeze import MySqlFreezes
from orion.adapters.mysql.incidents import MySqlIncidents
from orion.ledger.freezes import lifting
from orion.log.reconciliation import service
from orion.log.reconciliation.incidents import closing
from orion.log.reconciliation.model import Difference, DifferenceKind, Step, Wrong, run_id
from orion.log.reconciliation.planning import Scope
from orion.log.reconciliation.report import COINS
from orion.records import parse_object
from orion.runtime.settings import MissingSetting
from tests.engine.reconciliation_scene import ASSET, Scene
from tests.engine.reconciliation_tamper import NUMBER, mysql

pytestmark = pytest.mark.engine
NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
RUN = run_id("run")
CHANGED = Difference(DifferenceKind.ENTRY_DIFFERS, Wrong.MYSQL, shard=0, number=2, asset=ASSET)
UNHEARD = Difference(DifferenceKind.BALANCE_UNKNOWN, Wrong.CHAIN, asset=ASSET)


@pytest.fixture
def scene(mysql_admin: MariaDb, postgres_server: Postgres, aws_engine: Any) -> Iterator[Scene]:
    opened = Scene(mysql_admin, postgres_server, aws_engine)
    yield opened
    opened.close()


@pytest.fixture
def begun(scene: Scene) -> Scene:
    scene.runs.begin("run", Scope.ALL, bytes(16), NOW)
    return scene


def frozen(scene: Scene) -> list[str]:
    scene.cursor.execute(
        "SELECT asset FROM orion_ledger.asset_freeze WHERE lifted_at IS NULL ORDER BY asset"
    )
    return [asset for (asset,) in scene.cursor.fetchall()]


def audited(scene: Scene) -> list[object]:
    scene.cursor.execute("SELECT payload FROM orion_log.outbox ORDER BY seq")
    return [parse_object(payload)["action"] for (payload,) in scene.cursor.fetchall()]


def test_a_run_that_is_broken_off_behind_the_step_that_found_has_frozen(scene: Scene) -> None:
    scene.story(shards=1)
    where = f"shard_no = 0 AND number = {NUMBER}"
    with mysql(scene, "transfer", where, "UPDATE {table} SET units = units + 1 WHERE {where}"):
        steps = scene.steps("run")
        for _ in range(6):
            assert frozen(scene) == []
            next(steps)()
    assert frozen(scene) == [ASSET]
    assert audited(scene) == ["incident.opened"]


def test_a_late_run_begins_no_range_and_says_so(
    begun: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orion.runtime import reconciliation

    monkeypatch.setattr(reconciliation, "_runs", lambda: begun.runs)
    begun.runs.begin("late", Scope.ALL, bytes(16), datetime.now(UTC) - service.MAX_RANGES_TIME)
    late = {"run": "late", "range": 0}
    assert reconciliation.book_roots({**late, "book": "mysql"}) == {"outcome": "late"}
    assert reconciliation.compare(late) == {"outcome": "late"}
    begun.runs.begin("early", Scope.ALL, bytes(16), datetime.now(UTC))
    # One in time goes on to its books, of which this process has no settings.
    with pytest.raises(MissingSetting):
        reconciliation.compare({"run": "early", "range": 0})


def test_of_one_run_and_asset_many_items_open_one_incident(begun: Scene) -> None:
    for item in ("0", "1", "1"):
        begun.runs.record(RUN, Step.CAUSES, item, [CHANGED])
    report = begun.report()
    assert [(each.asset, each.differences) for each in report.incidents] == [(ASSET, 2)]
    assert frozen(begun) == [ASSET]
    assert audited(begun) == ["incident.opened"]
    [listed] = MySqlIncidents(begun.database("log", "orion_log")).open()
    assert listed.incident == report.incidents[0]


def test_a_step_that_finds_nothing_when_repeated_leaves_the_run_different(begun: Scene) -> None:
    begun.runs.record(RUN, Step.CAUSES, "0", [CHANGED])
    begun.runs.record(RUN, Step.CAUSES, "0", [])
    report = begun.report()
    assert (report.outcome, len(report.incidents)) == ("different", 1)
    assert frozen(begun) == [ASSET]


def test_an_incident_without_a_freeze_is_raised_to_one_also_after_it_was_closed(
    begun: Scene,
) -> None:
    begun.runs.record(RUN, Step.BALANCES, "", [UNHEARD])
    incidents = MySqlIncidents(begun.database("log", "orion_log"))
    [listed] = incidents.open()
    assert (frozen(begun), listed.incident.freezes) == ([], False)
    incidents.close(
        closing({"incident_id": listed.incident.id.hex(), "by": "ann", "reason": "agent off"}),
        "ab" * 16,
        NOW,
    )
    for _ in range(2):
        begun.runs.record(RUN, Step.COMPARE, "0", [CHANGED])
    assert frozen(begun) == [ASSET]
    [raised] = incidents.open()
    assert (raised.incident.id, raised.incident.freezes) == (listed.incident.id, True)
    assert audited(begun) == ["incident.opened", "incident.closed", "incident.raised"]
    assert [each.freezes for each in begun.report().incidents] == [True]


def test_a_lifted_freeze_is_not_put_back_by_the_same_run(begun: Scene) -> None:
    begun.runs.record(RUN, Step.CAUSES, "0", [CHANGED])
    [incident] = begun.report().incidents
    freezes = MySqlFreezes(begun.database("ledger", "orion_ledger"))
    word = {"asset": ASSET, "incident_id": incident.id.hex(), "by": "ann", "reason": "explained"}
    freezes.lift(lifting(word), "ab" * 16, NOW)
    begun.runs.record(RUN, Step.COMPARE, "0", [CHANGED])
    begun.report()
    assert frozen(begun) == []


@pytest.mark.parametrize("asset", ["\u00e9", "ZZ", "ZZ ", "EUR", "BTC.bitcoin ", "\U0001f4a9", ""])
def test_an_asset_that_no_coin_has_freezes_them_all(begun: Scene, asset: str) -> None:
    odd = Difference(DifferenceKind.ENTRY_ADDED, Wrong.EXTERNAL, number=900, asset=asset)
    begun.runs.record(RUN, Step.COMPARE, "0", [odd, CHANGED])
    assert frozen(begun) == sorted(COINS)
    report = begun.report()
    assert (report.outcome, report.differences) == ("different", 2)


def test_two_words_that_a_collation_takes_for_one_are_both_stored(begun: Scene) -> None:
    from orion.log.reconciliation.sums import Sums

    named = [
        Difference(DifferenceKind.COUNTER_DIFFERS, Wrong.EXTERNAL, asset=asset, account=asset)
        for asset in ("ZZ", "ZZ ", "zz")
    ]
    begun.runs.record(RUN, Step.SUMS, "", named)
    totals = {(asset, "settling"): (1, Sums(1, 0, 2, 0)) for asset in ("ZZ", "ZZ ", "zz", "\u00e9")}
    begun.runs.keep_totals(RUN, totals)
    findings = begun.runs.findings(RUN)
    assert [each.account for each in findings.differences] == ["ZZ", "ZZ ", "zz"]
    assert findings.totals == totals


def test_a_number_above_all_numbers_is_told_at_their_end(begun: Scene) -> None:
    high = Difference(DifferenceKind.ENTRY_ADDED, Wrong.SEGMENTS, number=10**20, position=10**10)
    begun.runs.record(RUN, Step.ROOTS, "0.segments", [high])
    [stored] = begun.runs.findings(RUN).differences
    assert (stored.number, stored.position) == (2**63 - 1, 2**31 - 1)


def test_what_cannot_be_stored_freezes_all_the_same(begun: Scene) -> None:
    unstorable = Difference(
        DifferenceKind.ENTRY_DIFFERS, Wrong.MYSQL, asset=ASSET, account="a" * 257
    )
    with pytest.raises(pymysql.err.DataError):
        begun.runs.record(RUN, Step.COMPARE, "0", [unstorable])
    assert frozen(begun) == [ASSET]
    assert begun.report().outcome == "different"
