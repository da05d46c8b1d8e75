"""What a difference opens, what stops, who lifts it; and runs that are broken off and repeated."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pymysql
import pytest

from infra.local.mariadb import MariaDb
from infra.local.postgres import Postgres
from orion.adapters.mysql.asset_freeze import MySqlFreezes
from orion.adapters.mysql.incidents import MySqlIncidents
from orion.ledger.freezes import UnknownFreeze, lifting
from orion.log.reconciliation import planning, service
from orion.log.reconciliation.errors import RootsMissing, UnknownIncident, UnknownRun
from orion.log.reconciliation.incidents import closing
from orion.log.reconciliation.model import Book, Difference, DifferenceKind, Step, Wrong, run_id
from orion.log.reconciliation.planning import Range, Scope, ShardPlan, Span
from orion.records import canonical_json, parse_object
from tests.engine.reconciliation_scene import ASSET, Deposit, Scene, merchant
from tests.engine.reconciliation_tamper import NUMBER, mysql

pytestmark = pytest.mark.engine
WHERE = f"shard_no = 0 AND number = {NUMBER}"
CHANGE = "UPDATE {table} SET units = units + 1 WHERE {where}"
NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)


@pytest.fixture
def scene(mysql_admin: MariaDb, postgres_server: Postgres, aws_engine: Any) -> Iterator[Scene]:
    opened = Scene(mysql_admin, postgres_server, aws_engine)
    yield opened
    opened.close()


def ask(scene: Scene, query: str) -> list[tuple[Any, ...]]:
    scene.cursor.execute(query)
    return list(scene.cursor.fetchall())


def payout(identity: str) -> dict[str, object]:
    return {
        "id": identity * 32, "kind": "pending", "code": "payout", "asset": ASSET, "units": "10",
        "debit": {"owner": merchant(1), "purpose": "available"},
        "credit": {"owner": "system:bitcoin", "purpose": "custody"},
        "cause": {"type": "payout", "payout_id": "aa" * 16}, "linked": False,
    }  # fmt: skip


def test_a_difference_freezes_its_asset_once_until_a_person_lifts_it(scene: Scene) -> None:
    scene.story()
    with mysql(scene, "transfer", WHERE, CHANGE):
        scene.read("run")
    report = scene.report()
    assert (report.outcome, [each.asset for each in report.incidents]) == ("different", [ASSET])
    assert scene.report().incidents == report.incidents
    [incident] = report.incidents
    assert ask(scene, "SELECT asset, incident_id, lifted_at FROM orion_ledger.asset_freeze") == [
        (ASSET, incident.id, None)
    ]
    with pytest.raises(AssertionError, match="refused=1"):
        scene.post(payout("a"))
    reason = ask(scene, "SELECT reason FROM orion_ledger.refusal")
    assert reason == [("asset_frozen",)]
    freezes = MySqlFreezes(scene.database("ledger", "orion_ledger"))
    assert [(each.asset, each.incident) for each in freezes.open()] == [(ASSET, incident.id)]
    lifted = lifting(
        {"asset": ASSET, "incident_id": incident.id.hex(), "by": "ann", "reason": "row restored"}
    )
    freezes.lift(lifted, "ab" * 16, NOW)
    freezes.lift(lifted, "ab" * 16, NOW)
    assert freezes.open() == []
    scene.post(payout("b"))
    audited = ask(
        scene,
        "SELECT payload FROM orion_ledger.outbox WHERE destination = 'kafka:audit.events'",
    )
    [event] = [parse_object(payload) for (payload,) in audited]
    assert (event["action"], event["actor"]) == ("asset_freeze.lifted", "ann")
    assert event["details"] == {"incident": incident.id.hex(), "reason": "row restored"}
    other = lifting(
        {"asset": ASSET, "incident_id": incident.id.hex(), "by": "bob", "reason": "again"}
    )
    with pytest.raises(UnknownFreeze):
        freezes.lift(other, "ab" * 16, NOW)


def test_an_incident_is_closed_with_a_reason_and_the_freeze_stays(scene: Scene) -> None:
    scene.story()
    with mysql(scene, "transfer", WHERE, CHANGE):
        scene.read("run")
    [opened] = scene.report().incidents
    incidents = MySqlIncidents(scene.database("log", "orion_log"))
    [listed] = incidents.open()
    assert (listed.incident, listed.report) == (opened, scene.report().key)
    word = closing({"incident_id": opened.id.hex(), "by": "ann", "reason": "explained"})
    assert incidents.close(word, "ab" * 16, NOW) == opened
    assert incidents.close(word, "ab" * 16, NOW) == opened
    assert incidents.open() == []
    actions = [
        parse_object(payload)["action"]
        for (payload,) in ask(scene, "SELECT payload FROM orion_log.outbox ORDER BY seq")
    ]
    assert actions == ["incident.opened", "incident.closed"]
    assert ask(scene, "SELECT COUNT(*) FROM orion_ledger.asset_freeze WHERE lifted_at IS NULL") == [
        (1,)
    ]
    with pytest.raises(UnknownIncident):
        incidents.close(
            closing({"incident_id": opened.id.hex(), "by": "bob", "reason": "no"}), "ab" * 16, NOW
        )


def test_a_chain_that_was_not_heard_opens_an_incident_and_freezes_nothing(scene: Scene) -> None:
    scene.story()
    scene.read("run")
    unheard = Difference(DifferenceKind.BALANCE_UNKNOWN, Wrong.CHAIN, asset=ASSET)
    scene.runs.record(run_id("run"), Step.BALANCES, "", [unheard])
    report = scene.report()
    assert [(each.asset, each.freezes) for each in report.incidents] == [(ASSET, False)]
    assert ask(scene, "SELECT COUNT(*) FROM orion_ledger.asset_freeze") == [(0,)]


def test_reconciliation_may_open_a_freeze_and_nothing_else(scene: Scene) -> None:
    log = scene.database("log", "orion_log")
    for statement in (
        "UPDATE orion_ledger.asset_freeze SET lifted_at = NOW()",
        "DELETE FROM orion_ledger.asset_freeze",
        "UPDATE orion_ledger.transfer SET units = 1",
        "INSERT INTO orion_ledger.account (id) VALUES ('')",
        "UPDATE orion_moneyin.deposit SET units = 1",
    ):
        with pytest.raises(pymysql.err.OperationalError, match="denied"):
            log.run(lambda cursor, statement=statement: cursor.execute(statement))  # type: ignore[misc]


def test_the_report_stands_in_the_bucket_for_people_and_programs(scene: Scene) -> None:
    scene.story()
    with mysql(scene, "transfer", WHERE, CHANGE):
        scene.read("run")
    report = scene.report()
    page = scene.s3.get_object(Bucket=scene.bucket, Key=report.key)
    assert page["ContentType"].startswith("text/html")
    text = page["Body"].read().decode()
    assert "An entry was changed" in text
    assert merchant(2) in text
    rows = scene.s3.get_object(Bucket=scene.bucket, Key=report.key.replace("html", "csv"))
    table = list(csv.reader(io.StringIO(rows["Body"].read().decode())))
    [changed] = [row for row in table if row[:2] == ["An entry was changed", "entry_differs"]]
    assert changed[2:4] == ["ledger (MySQL)", ASSET]
    assert changed[9:] == ["units 501", "units 500"]
    assert report.key.startswith(f"reports/{datetime.now(UTC):%Y-%m-%d}/")


def test_a_run_of_which_a_step_failed_is_reported_and_not_called_equal(scene: Scene) -> None:
    scene.story()
    scene.read("run")
    part = scene.runs.ranges(run_id("run"))[0]
    for step in ("sums", "balances", "causes"):
        scene.cursor.execute("DELETE FROM orion_log.checked WHERE step = %s", (step,))
        assert scene.report().outcome == "not_checked"
    report = scene.report()
    assert report.incidents == ()
    text = scene.s3.get_object(Bucket=scene.bucket, Key=report.key)["Body"].read().decode()
    assert f"The causes of shard {part.shard}" in text
    assert "Counters and sums were not checked." in text
    assert "Balances were not compared with the chains." in text


def test_a_report_is_written_though_no_plan_was_made(scene: Scene) -> None:
    report = scene.report("never-planned")
    assert report.outcome == "not_checked"
    text = scene.s3.get_object(Bucket=scene.bucket, Key=report.key)["Body"].read().decode()
    assert "The plan was not made" in text


def test_every_step_may_be_repeated_and_the_run_is_the_same(scene: Scene) -> None:
    """A step that was killed after its effect is called again by the machine."""
    scene.story()
    with mysql(scene, "transfer", WHERE, CHANGE):
        once = scene.read("run")
        ranges = scene.runs.ranges(run_id("run"))
        twice = scene.read("run")
        assert twice == once
        assert scene.runs.ranges(run_id("run")) == ranges
    first, second = scene.report(), scene.report()
    assert (first.outcome, first.differences) == (second.outcome, second.differences)
    assert ask(scene, "SELECT COUNT(*) FROM orion_log.incident") == [(1,)]
    assert ask(scene, "SELECT COUNT(*) FROM orion_log.outbox") == [(1,)]


def test_a_run_broken_off_behind_any_step_and_repeated_comes_to_the_same(scene: Scene) -> None:
    scene.story(shards=1)
    with mysql(scene, "transfer", WHERE, CHANGE):
        whole = scene.read("whole")
        assert whole.differences != ()
        for step in range(9):
            name = f"broken-{step}"
            assert scene.read(name, stop_after=step) != whole
            assert scene.read(name) == whole


def test_a_run_waits_for_a_book_that_follows_and_then_names_what_it_lacks(scene: Scene) -> None:
    scene.story()
    late = Deposit(60, 1, 9)
    late.becomes("included")
    scene.know([late])
    scene.post(late.transfer("deposit_credit"))
    begun = datetime.now(UTC)
    args = (scene.runs, scene.books, "run", Scope.ALL, bytes(16))
    assert service.plan(*args, begun).ranges is None
    almost = begun + service.MAX_WAIT - timedelta(seconds=1)
    assert service.plan(*args, almost).ranges is None
    found = scene.read("run").differences
    missing = [each for each in found if each.kind == "entry_missing"]
    # Two books lack it, so the third one stands alone: its entry is the one that was added.
    assert missing == []
    assert {(str(each.kind), str(each.wrong)) for each in found} >= {("entry_added", "mysql")}
    scene.deliver_legs(1)
    scene.follow()
    assert scene.differences("later") == ()


def test_what_was_posted_after_the_start_is_not_compared(scene: Scene) -> None:
    scene.story()
    now = datetime.now(UTC)
    service.plan(scene.runs, scene.books, "run", Scope.ALL, bytes(16), now)
    later = Deposit(61, 1, 9)
    later.becomes("included")
    scene.know([later])
    scene.post(later.transfer("deposit_credit"))
    assert scene.differences("run") == ()


def test_of_two_plans_at_once_the_first_stands(scene: Scene) -> None:
    run = scene.runs.begin("run", Scope.ALL, bytes(16), NOW).id
    first = [ShardPlan(0, 7, (Span(-1, 0), Span(8, 9)))]
    assert scene.runs.keep_shards(run, first) == first
    assert scene.runs.keep_shards(run, [ShardPlan(0, 9, ())]) == first
    assert scene.runs.shards(run) == first


def test_a_range_is_not_compared_before_all_books_were_read(scene: Scene) -> None:
    scene.story()
    now = datetime.now(UTC)
    service.plan(scene.runs, scene.books, "run", Scope.ALL, bytes(16), now)
    service.read_book(scene.runs, scene.books.ledger, Book.MYSQL, "run", 0)
    with pytest.raises(RootsMissing):
        service.compare(scene.runs, scene.books, "run", 0)
    with pytest.raises(UnknownRun):
        service.compare(scene.runs, scene.books, "run", 999)


def test_a_thousand_differences_are_stored_and_all_are_counted(scene: Scene) -> None:
    scene.runs.begin("run", Scope.ALL, bytes(16), NOW)
    many = [
        Difference(DifferenceKind.CAUSE_DIFFERS, Wrong.CAUSE, number=number, asset=ASSET)
        for number in range(700)
    ]
    for item in ("0", "1", "1"):
        scene.runs.record(run_id("run"), Step.CAUSES, item, many)
    findings = scene.runs.findings(run_id("run"))
    assert len(findings.differences) == 1_000
    assert sum(each.differences for each in findings.counted) == 1_400
    assert ask(scene, "SELECT COUNT(*) FROM orion_log.difference") == [(1_000,)]


def test_the_recent_run_reads_the_last_days_and_each_old_piece_once_a_cycle(scene: Scene) -> None:
    scene.story(shards=1)
    old = datetime.now(UTC) - timedelta(days=9)
    scene.cursor.execute("UPDATE orion_ledger.transfer SET posted_at = %s", (old,))
    scene.cursor.execute(
        "UPDATE orion_ledger.transfer SET posted_at = %s WHERE number >= 4", (datetime.now(UTC),)
    )
    assert scene.books.ledger.recent_from(0, 11, datetime.now(UTC) - timedelta(days=3)) == 4
    assert scene.books.ledger.recent_from(0, 11, datetime.now(UTC) + timedelta(days=3)) == 12
    assert scene.books.ledger.recent_from(0, 11, old - timedelta(days=3)) == 1
    scene.external.ask("ALTER TABLE external_book.entry DISABLE TRIGGER USER")
    scene.external.ask("UPDATE external_book.entry SET posted_at = %s WHERE number < 6", old)
    recent = datetime.now(UTC) - timedelta(days=3)
    assert scene.books.external.recent_from(0, 11, recent) == 6
    assert scene.books.external.recent_from(0, 11, datetime.now(UTC)) == 12
    # By S3's clock all was written now.
    assert scene.books.segments.recent_from(0, 11, recent) == 1
    assert scene.books.segments.recent_from(0, 11, datetime.now(UTC) + timedelta(days=1)) == 8


def test_times_that_the_ledger_has_moved_back_hide_nothing_recent(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each number a piece of its own, and the one that was changed is not due.
    monkeypatch.setattr(planning, "PIECE_RECORDS", 1)
    scene.story(shards=1)
    with mysql(
        scene, "transfer", WHERE,
        "UPDATE {table} SET posted_at = posted_at - INTERVAL 400 DAY",
        CHANGE,
    ):  # fmt: skip
        read = datetime.now(UTC)
        for piece in range(11):
            scene.runs.keep_pieces([(0, piece)], read - timedelta(hours=piece))
        found = scene.read("run", scope=Scope.RECENT).differences
    assert NUMBER in {each.number for each in found if each.kind == "entry_differs"}


def test_what_a_run_has_read_whole_is_remembered_and_what_failed_is_not(scene: Scene) -> None:
    read = datetime(2026, 11, 23, 1, tzinfo=UTC)
    scene.runs.keep_pieces([(0, 3), (1, 4)], read)
    scene.runs.keep_pieces([(0, 3), (0, 5)], read - timedelta(days=1))
    assert scene.runs.pieces_read(0) == {3: read, 5: read - timedelta(days=1)}
    run = scene.runs.begin("run", Scope.ALL, bytes(16), NOW)
    size = planning.PIECE_RECORDS
    parts = [Range(at, 7, Span(at * size + 1, at * size + size), strays=False) for at in range(2)]
    scene.runs.keep_ranges(run.id, parts, NOW)
    for number, items in ((0, 5), (1, 4)):
        steps = [(Step.ROOTS, f"{number}.{book}") for book in Book]
        steps += [(Step.COMPARE, str(number)), (Step.CAUSES, str(number))]
        for step, item in steps[:items]:
            scene.runs.record(run.id, step, item, [])
    scene.report()
    assert scene.runs.pieces_read(7) == {0: run.started_at}


def test_an_event_of_an_incident_is_an_audit_event(scene: Scene) -> None:
    from orion.log.model import AuditEvent

    scene.story()
    with mysql(scene, "transfer", WHERE, CHANGE):
        scene.read("run")
    scene.report()
    [(payload,)] = ask(scene, "SELECT payload FROM orion_log.outbox")
    event = AuditEvent.parse(parse_object(payload))
    assert (event.action, event.details["asset"]) == ("incident.opened", ASSET)
    assert canonical_json(parse_object(payload)) == payload
