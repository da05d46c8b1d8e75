"""What a writer remembers of its shard is no more than what the shard's row vouches for."""

from collections.abc import Iterable, Iterator

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql import ledger_store_posting
from orion.adapters.mysql.ledger_store_lane import Lane
from orion.adapters.mysql.ledger_store_reading import stored_counters
from orion.adapters.mysql.session import Cursor
from orion.ledger.model import AccountKey, Counters, Purpose
from orion.ledger.service import post_partition
from tests.engine.ledger_store_scene import (
    NOW,
    Content,
    counters,
    credit,
    empty_ledger,
    final,
    payout,
    reasons,
    record,
    writer,
)

pytestmark = pytest.mark.engine


@pytest.fixture
def admin(mysql_admin: MariaDb) -> Iterator[Cursor]:
    with empty_ledger(mysql_admin) as cursor:
        yield cursor


def reversal(units: int) -> Content:
    """The chain takes back what was final."""
    back = final(units)
    return back | {"code": "deposit_reversal_final", "debit": back["credit"],
                   "credit": {"owner": "system:bitcoin", "purpose": "custody"}}  # fmt: skip


def test_a_debt_that_another_writer_made_is_seen_by_one_that_knew_of_none(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    one, other = writer(mysql_admin), writer(mysql_admin)
    spent = payout("pending", 40)
    post_partition(one, [record(0, credit(90), final(90), spent)], NOW)
    post_partition(other, [record(1, reversal(90))], NOW)
    assert counters(admin, "reversal_receivable")[0] == 40
    refused = post_partition(one, [record(2, payout("pending", 1))], NOW)
    assert refused.refused == 1
    assert reasons(admin) == ["receivable_open"]


def test_a_debt_of_a_writers_own_is_seen_by_its_next_batch(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    one = writer(mysql_admin)
    post_partition(one, [record(0, credit(90), final(90), payout("pending", 40))], NOW)
    post_partition(one, [record(1, reversal(90))], NOW)
    post_partition(one, [record(2, payout("pending", 1))], NOW)
    assert reasons(admin) == ["receivable_open"]
    post_partition(one, [record(3, reversal(5))], NOW)
    assert counters(admin, "reversal_receivable")[0] == 45


def test_what_is_known_is_not_read_again_nor_is_what_does_not_exist(
    mysql_admin: MariaDb, admin: Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Purpose] = []

    def told(lane: Lane, keys: Iterable[AccountKey]) -> dict[AccountKey, Counters]:
        wanted = list(keys)
        asked.extend(key.purpose for key in wanted)
        return stored_counters(lane, wanted)

    monkeypatch.setattr(ledger_store_posting, "stored_counters", told)
    one = writer(mysql_admin)
    post_partition(one, [record(0, credit(90), final(90), payout("pending", 1))], NOW)
    assert Purpose.REVERSAL_RECEIVABLE in asked
    asked.clear()
    post_partition(one, [record(1, credit(9), final(9), payout("pending", 1))], NOW)
    assert asked == []
