"""A run over books in which the end of a payout paid back what its merchant owed."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from infra.local.mariadb import MariaDb
from infra.local.postgres import Postgres
from orion.adapters.mysql.ledger_statements import MySqlStatementFollower
from orion.ledger.following import follow_shard
from orion.log.reconciliation.model import Difference
from tests.engine.reconciliation_scene import Deposit, Scene, merchant
from tests.engine.statement_scene import database

pytestmark = pytest.mark.engine
_runs = count()
IDS = [f"{number:032x}" for number in range(1, 4)]
PAYOUT = {
    "kind": "pending", "code": "payout", "asset": "BTC.bitcoin", "units": "45000", "linked": False,
    "debit": {"owner": merchant(1), "purpose": "available"},
    "credit": {"owner": "system:bitcoin", "purpose": "custody"},
    "cause": {"type": "payout", "payout_id": "aa" * 16},
}  # fmt: skip


@pytest.fixture
def scene(mysql_admin: MariaDb, postgres_server: Postgres, aws_engine: Any) -> Iterator[Scene]:
    opened = Scene(mysql_admin, postgres_server, aws_engine)
    yield opened
    opened.close()


def run(scene: Scene) -> list[Difference]:
    """What is found beside payouts, whose own cause has no rule yet."""
    found = scene.differences(f"given-back-{next(_runs)}")
    return [each for each in found if each.found != "cause of type payout"]


def owing(scene: Scene) -> None:
    """50,000 are final, 45,000 reserved, 20,000 reversed: 15,000 are owed. Custody lives in
    another shard.
    """
    scene.move_custody_to(1)
    kept, lost = Deposit(1, 1, 30_000), Deposit(2, 1, 20_000)
    for each in (kept, lost):
        for state, code in (("included", "deposit_credit"), ("final", "deposit_final")):
            each.becomes(state)
            scene.post(each.transfer(code))
    scene.post(PAYOUT | {"id": IDS[0]})
    gone = lost.transfer("deposit_reversal_final")
    lost.becomes("reversed")
    scene.post(gone)
    scene.know([kept, lost])


@pytest.mark.parametrize(
    "kind, units, repaid", [("post", 35_000, 10_000), ("void", 45_000, 15_000)]
)
def test_what_an_end_gave_back_is_in_all_books_and_borne_by_it(
    scene: Scene, kind: str, units: int, repaid: int
) -> None:
    owing(scene)
    end = PAYOUT | {"id": IDS[1], "kind": kind, "units": str(units), "pending_id": IDS[0]}
    scene.post(end)
    scene.deliver_legs(1)
    scene.follow()
    for shard in (0, 1):
        follow_shard(MySqlStatementFollower(database(scene.mysql)), shard)
    scene.cursor.execute("SELECT units FROM orion_ledger.transfer WHERE code = 'reversal_repaid'")
    assert [int(each) for (each,) in scene.cursor.fetchall()] == [repaid]
    assert run(scene) == []


def test_a_repayment_that_names_what_gave_nothing_back_is_found(
    scene: Scene,
) -> None:
    owing(scene)
    scene.post(PAYOUT | {"id": IDS[1], "kind": "signed", "pending_id": IDS[0]})
    scene.post(
        PAYOUT
        | {
            "id": IDS[2], "kind": "void", "pending_id": IDS[0], "cause": {"type": "chain_final"},
        }
    )  # fmt: skip
    # Somebody lets it name the signature.
    scene.cursor.execute(
        "UPDATE orion_ledger.transfer SET cause = REPLACE(cause, %s, %s)"
        " WHERE code = 'reversal_repaid'",
        (IDS[2], IDS[1]),
    )
    scene.deliver_legs(1)
    scene.follow()
    found = [each for each in run(scene) if each.kind == "cause_not_found"]
    assert [each.expected for each in found] == [f"credit or end of a payout {IDS[1]} that repays"]
