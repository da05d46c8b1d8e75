"""What a writer reads before it decides: what a merchant owes too, and only once."""

import pytest

from orion.adapters.mysql.ledger_store_memory import KnownCounters
from orion.ledger.codes import CODES, SECOND_PHASE, Code
from orion.ledger.model import SIDES, AccountKey, Counters, Transfer
from orion.ledger.posting import touched
from tests.unit.ledger_scene import RECEIVABLE, move, then

PAYOUT = move(Code.PAYOUT, 5)
ASKED = [move(code, 5) for code in sorted(SIDES)]
ASKED += [then(kind, PAYOUT) for kind in sorted(SECOND_PHASE)]


def accounts(asked: Transfer) -> frozenset[AccountKey]:
    return touched([[asked]], 0, lambda owner: True)


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: f"{asked.code}, {asked.kind}")
def test_nothing_is_read_for_a_transfer_of_which_everything_is_known(asked: Transfer) -> None:
    remembered = {key.id: Counters() for key in accounts(asked)}
    assert KnownCounters(remembered).unknown([[asked]]) == []
    for key in accounts(asked):
        some = {identity: held for identity, held in remembered.items() if identity != key.id}
        assert KnownCounters(some).unknown([[asked]]) == [asked]


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: f"{asked.code}, {asked.kind}")
def test_that_a_merchant_owed_nothing_is_known_once_it_was_looked_for(asked: Transfer) -> None:
    looks = RECEIVABLE in accounts(asked)
    assert looks is CODES[asked.code].owing
    moved = {asked.debit.id: Counters(), asked.credit.id: Counters()}
    assert KnownCounters(moved, {RECEIVABLE.id}).unknown([[asked]]) == []
    known = KnownCounters(moved)
    assert known.unknown([[asked]]) == [asked] * looks
    known.learn([RECEIVABLE], {})
    known.looked.add(RECEIVABLE.id)
    assert known.unknown([[asked]]) == []
