"""Counters, names, legs, statements and causes: what the entries themselves do not show."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from itertools import count
from typing import Any

import pytest

from infra.local.mariadb import MariaDb
from infra.local.postgres import Postgres
from orion.adapters.mysql.reconciled_sums import MySqlCounterSnapshot, MySqlLedgerSums
from orion.adapters.mysql.session import Database, DatabaseUnavailable, MySqlConfig
from orion.log.reconciliation import service
from orion.log.reconciliation.model import Difference, run_id
from orion.log.reconciliation.ports import LedgerSums
from tests.engine.reconciliation_scene import Deposit, Scene, merchant
from tests.engine.reconciliation_tamper import external, mysql

pytestmark = pytest.mark.engine
_runs = count()
SETTLING = f"{merchant(2)}/settling/BTC.bitcoin"
OF_SETTLING = f"owner = '{merchant(2)}' AND purpose = 'settling'"


@pytest.fixture(scope="module")
def scene(mysql_admin: MariaDb, postgres_server: Postgres, aws_engine: Any) -> Iterator[Scene]:
    opened = Scene(mysql_admin, postgres_server, aws_engine)
    opened.story()
    yield opened
    opened.close()


def run(scene: Scene) -> list[Difference]:
    return list(scene.differences(f"sums-{next(_runs)}"))


@pytest.mark.parametrize(
    "counter", ["debits_posted", "debits_pending", "credits_posted", "credits_pending"]
)
def test_a_changed_counter_is_named_with_its_account(scene: Scene, counter: str) -> None:
    change = f"UPDATE {{table}} SET {counter} = {counter} + 1 WHERE {{where}}"
    with mysql(scene, "account", OF_SETTLING, change):
        found = run(scene)
    [named] = [each for each in found if each.kind == "counter_differs"]
    assert (named.wrong, named.account, named.asset) == ("mysql", SETTLING, "BTC.bitcoin")
    # One account alone cannot change without debits and credits parting.
    assert {str(each.kind) for each in found} == {"counter_differs", "not_balanced"}


@pytest.mark.parametrize(
    "change", ["owner = 'merchant:x'", "purpose = 'available2'", "asset = 'ETH.ethereum'"]
)
def test_a_renamed_account_is_named_with_the_book_that_renamed_it(
    scene: Scene, change: str
) -> None:
    statement = f"UPDATE {{table}} SET {change} WHERE {{where}}"
    with mysql(scene, "account", OF_SETTLING, statement):
        found = [each for each in run(scene) if each.kind == "account_differs"]
        [named] = found
        assert (named.wrong, named.account) == ("mysql", SETTLING)
    for constraint in ("id_is_of_its_names", "names_have_their_form"):
        scene.external.ask(
            f"ALTER TABLE external_book.account DROP CONSTRAINT IF EXISTS {constraint}"
        )
    with external(scene, "account", OF_SETTLING, statement):
        [named] = [each for each in run(scene) if each.kind == "account_differs"]
        assert (named.wrong, named.account) == ("external", SETTLING)


def test_a_lost_account_is_found_by_the_entries_that_name_it(scene: Scene) -> None:
    with mysql(scene, "account", OF_SETTLING, "DELETE FROM {table} WHERE {where}"):
        found = [each for each in run(scene) if each.kind == "counter_differs"]
    assert [each.account for each in found] == [SETTLING]


def test_a_wrong_sum_of_the_external_book_is_not_blamed_on_the_counters(scene: Scene) -> None:
    where = "shard_no = 0 AND number = 2"
    with external(scene, "entry", where, "UPDATE {table} SET units = units + 1 WHERE {where}"):
        found = [each for each in run(scene) if each.kind == "counter_differs"]
    assert {str(each.wrong) for each in found} == {"external"}
    assert SETTLING in {each.account for each in found}


class LostOnTheWay:
    """Sums whose database is not there any more when they are asked a second time."""

    def __init__(self, scene: Scene) -> None:
        server, login = scene.mysql, scene.mysql.credentials("log")
        lost = MySqlConfig("127.0.0.1", 1, login.username, login.password, "orion_log", None)
        assert server.port != lost.port
        self.databases = [scene.database("log", "orion_log"), Database(lost)]

    def snapshot(self) -> AbstractContextManager[MySqlCounterSnapshot]:
        return MySqlLedgerSums(self.databases.pop(0)).snapshot()


def counter_told(scene: Scene, name: str, ledger: LedgerSums) -> Difference:
    *steps, _sums, _balances = scene.steps(name)
    for step in steps:
        step()
    with suppress(DatabaseUnavailable):
        service.check_sums(scene.runs, ledger, scene.external_reader, name)
    found = scene.runs.findings(run_id(name)).differences
    [named] = [each for each in found if each.kind == "counter_differs"]
    return named


def test_a_counter_is_told_before_all_entries_are_read_to_blame_a_book(scene: Scene) -> None:
    change = "UPDATE {table} SET credits_posted = credits_posted + 1 WHERE {where}"
    hurried = MySqlLedgerSums(scene.database("log", "orion_log"), summed_s=0)
    with mysql(scene, "account", OF_SETTLING, change):
        for name, ledger in (("hurried", hurried), ("lost", LostOnTheWay(scene))):
            named = counter_told(scene, f"sums-{name}", ledger)
            assert (named.wrong, named.account) == ("unknown", SETTLING)


def test_a_shard_that_says_another_number_is_told(scene: Scene) -> None:
    for change in ("next_posted + 5", "next_posted - 1"):
        with mysql(
            scene, "shard", "shard_no = 0",
            f"UPDATE {{table}} SET next_posted = {change} WHERE {{where}}",
        ):  # fmt: skip
            [found] = run(scene)
        assert (found.kind, found.wrong, found.shard) == ("counter_differs", "mysql", 0)


def test_a_lost_leg_is_told(scene: Scene) -> None:
    where = "from_shard = 0 AND leg_number = 2"
    with mysql(scene, "leg", where, "DELETE FROM {table} WHERE {where}"):
        [found] = run(scene)
    assert (found.kind, found.wrong, found.shard) == ("flight_differs", "mysql", 0)
    with mysql(scene, "leg", where, "UPDATE {table} SET applied_at = NULL WHERE {where}"):
        [found] = run(scene)
    assert (found.kind, found.asset) == ("flight_differs", "BTC.bitcoin")


def test_what_is_in_flight_is_no_difference_and_losing_it_is_one(scene: Scene) -> None:
    flying = Deposit(50, 2, 33)
    flying.becomes("included")
    scene.know([flying])
    scene.post(flying.transfer("deposit_credit"))
    scene.follow()
    assert run(scene) == []
    with mysql(scene, "leg", "applied_at IS NULL", "DELETE FROM {table} WHERE {where}"):
        found = run(scene)
    assert {str(each.kind) for each in found} == {"flight_differs"}
    assert "BTC.bitcoin" in {each.asset for each in found}
    scene.deliver_legs(1)
    scene.follow()


MONEYIN = {
    "nobody's deposit": ("deposit", "merchant_id = NULL", "cause_differs"),
    "another merchant's": ("deposit", f"merchant_id = x'{9:032x}'", "cause_differs"),
    "other units": ("deposit", "units = '499'", "cause_differs"),
    "other asset": ("deposit", "asset = 'ETH.ethereum'", "cause_differs"),
    "other transaction": ("deposit", "txid = 'ff'", "cause_differs"),
    "other place": ("deposit", "tx_position = 'out:1'", "cause_differs"),
    "wallet of nobody": ("wallet", "merchant_id = NULL", "cause_differs"),
    "wallet of another": ("wallet", f"merchant_id = x'{9:032x}'", "cause_differs"),
    "address of no wallet": ("address", "wallet_index = 999", "cause_differs"),
    "history of other units": ("deposit_history", "units = '1'", "cause_differs"),
    "history of another epoch": ("deposit_history", "credit_epoch = 7", "cause_not_found"),
}


@pytest.mark.parametrize("case", MONEYIN)
def test_a_credit_whose_deposit_does_not_bear_it_is_told(scene: Scene, case: str) -> None:
    table, change, kind = MONEYIN[case]
    waiting = Deposit(2, 2, 500)
    where = {
        "deposit": f"deposit_id = x'{waiting.id.hex()}'",
        "deposit_history": f"deposit_id = x'{waiting.id.hex()}'",
        "wallet": "wallet_index = 2",
        "address": "address = 'address2'",
    }[table]
    statement = f"UPDATE {{table}} SET {change} WHERE {{where}}"
    with mysql(scene, table, where, statement, schema="orion_moneyin"):
        [found] = run(scene)
    assert (str(found.kind), str(found.wrong), found.account) == (kind, "cause", SETTLING)
    assert (found.shard, found.number, found.position) == (0, 2, 0)


def test_a_credit_without_a_deposit_is_told(scene: Scene) -> None:
    waiting = Deposit(2, 2, 500)
    where = f"deposit_id = x'{waiting.id.hex()}'"
    delete = "DELETE FROM {table} WHERE {where}"
    with mysql(scene, "deposit", where, delete, schema="orion_moneyin"):
        [found] = run(scene)
    assert (found.kind, found.expected) == ("cause_not_found", f"deposit {waiting.id.hex()}")


def test_a_payout_has_no_rule_yet_and_what_it_holds_is_summed(scene: Scene) -> None:
    """Pending counters follow from entries too: a pending one, its post of less, a void and a
    timeout.
    """
    # What the tests before have frozen pays out nothing.
    for table in ("orion_log.incident", "orion_ledger.asset_freeze"):
        scene.cursor.execute(f"DELETE FROM {table}")
    custody = {"owner": "system:bitcoin", "purpose": "custody"}
    payout = {
        "kind": "pending", "code": "payout", "asset": "BTC.bitcoin", "units": "300",
        "debit": {"owner": merchant(1), "purpose": "available"}, "credit": custody,
        "cause": {"type": "payout", "payout_id": "aa" * 16}, "linked": False,
    }  # fmt: skip
    first, second, third = ("a" * 32, "b" * 32, "c" * 32)
    scene.post(payout | {"id": first}, payout | {"id": second}, payout | {"id": third})
    scene.post(
        payout | {"id": "d" * 32, "kind": "post", "units": "210", "pending_id": first},
        payout | {"id": "e" * 32, "kind": "void", "pending_id": second},
    )
    scene.post(
        payout | {"id": "f" * 32},
    )
    scene.post(payout | {"id": "0" * 31 + "1", "kind": "timeout", "pending_id": "f" * 32})
    scene.deliver_legs(1)
    scene.follow()
    found = run(scene)
    assert {str(each.kind) for each in found} == {"cause_without_rule"}
    assert len(found) == 7
    assert {each.found for each in found} == {"cause of type payout"}
