"""Transfers between shards: clearing accounts, summed legs, and shards that never refuse one."""

import json

import pytest

from orion.ids import fact_id
from orion.ledger.legs import MAX_ANSWERED, sum_legs
from orion.ledger.model import (
    MAX_COUNTER,
    AccountKey,
    Code,
    Counters,
    Entry,
    Kind,
    Leg,
    PendingState,
    Purpose,
    Reason,
    Side,
    Transfer,
    clearing,
)
from orion.ledger.posting import LegNotApplied, decider, touched
from tests.unit.ledger_scene import (
    AVAILABLE,
    BTC,
    CUSTODY,
    MERCHANT,
    OTHER,
    RECEIVABLE,
    SETTLING,
    Books,
    key,
    move,
    reasons,
    then,
)


def merchants_only(owner: str) -> bool:
    return owner.startswith("merchant:")


def systems_only(owner: str) -> bool:
    return owner.startswith("system:")


CLEARING_0, CLEARING_1 = clearing(0, BTC), clearing(1, BTC)


def test_the_worked_100_satoshi_between_two_shards_have_the_documented_counters() -> None:
    here, there = Books(0, merchants_only), Books(1, systems_only)
    credit = move(Code.DEPOSIT_CREDIT, 100)
    outcome = here.post(credit)
    assert here.counters == {CLEARING_0: Counters(100, 0, 0, 0), SETTLING: Counters(0, 0, 100, 0)}
    (entry,) = outcome.accepted
    assert (entry.transfer, entry.digest) == (credit._replace(debit=CLEARING_0), credit.digest)
    assert entry.counterpart == CUSTODY
    (leg,) = outcome.legs
    assert (leg.account, leg.side, leg.units) == (CUSTODY, Side.DEBIT, 100)
    (applied,) = there.post(leg.as_transfer()).accepted
    assert there.counters == {CUSTODY: Counters(100, 0, 0, 0), CLEARING_1: Counters(0, 0, 100, 0)}
    assert (applied.transfer.debit, applied.transfer.credit) == (CUSTODY, CLEARING_1)
    assert (applied.counterpart, applied.digest) == (None, leg.as_transfer().digest)


def test_a_leg_asks_for_the_account_meant_against_the_senders_clearing_account() -> None:
    books = Books(7, merchants_only)
    books.next_leg = 12
    books.next_posted = 17
    credit = move(Code.DEPOSIT_CREDIT, 5)._replace(trace_id=b"t" * 16)
    (leg,) = books.post(credit).legs
    identity = fact_id("leg", 7, 12)
    cause = b'{"first":[17,0],"last":[17,0],"leg":12,"shard":7,"type":"leg"}'
    assert leg == Leg(identity, 12, CUSTODY, Side.DEBIT, 5, cause, 7, b"t" * 16)
    assert leg.as_transfer() == Transfer(
        identity, Kind.DIRECT, Code.LEG, 5, CUSTODY, clearing(7, BTC), cause, b"t" * 16
    )
    other = Leg(identity, 12, CUSTODY, Side.CREDIT, 5, cause, 7, b"t" * 16).as_transfer()
    assert (other.debit, other.credit) == (clearing(7, BTC), CUSTODY)


def test_the_legs_of_a_commit_are_summed_by_account_and_side() -> None:
    books = Books(0, merchants_only)
    outcome = books.post_records(
        [
            [
                move(Code.DEPOSIT_CREDIT, 5, fact=1),
                move(Code.DEPOSIT_FINAL, 5, fact=1),
                move(Code.DEPOSIT_CREDIT, 7, fact=2, merchant=OTHER),
            ],
            [
                move(Code.DEPOSIT_REVERSAL, 3, fact=3, merchant=OTHER),
                move(Code.DEPOSIT_CREDIT, 11, fact=4, asset="ETH.ethereum"),
                move(Code.DEPOSIT_CREDIT, 13, fact=5),
            ],
        ]
    )
    assert [
        (leg.number, leg.account.owner, leg.side, leg.units, json.loads(leg.cause))
        for leg in outcome.legs
    ] == [
        (number, owner, side, units,
         {"type": "leg", "shard": 0, "leg": number, "first": [1, first], "last": [1, last]})
        for number, owner, side, units, first, last in (
            (1, "system:bitcoin", Side.DEBIT, 25, 0, 5),
            (2, "system:bitcoin", Side.CREDIT, 3, 3, 3),
            (3, "system:ethereum", Side.DEBIT, 11, 4, 4),
        )
    ]  # fmt: skip


def test_a_sum_beyond_the_largest_amount_starts_another_leg() -> None:
    entries = [
        Entry(move(Code.DEPOSIT_CREDIT, units)._replace(debit=CLEARING_0), b"d" * 16, CUSTODY)
        for units in (MAX_COUNTER - 1, 1, 1, 2)
    ]
    first, second = sum_legs(entries, 0, next_posted=5, next_leg=3)
    assert [(leg.number, leg.units) for leg in (first, second)] == [(3, MAX_COUNTER), (4, 3)]
    assert (json.loads(first.cause)["last"], json.loads(second.cause)["first"]) == ([5, 1], [5, 2])


def test_what_a_clearing_account_cannot_count_is_refused() -> None:
    books = Books(0, merchants_only)
    outcome = books.post(
        move(Code.DEPOSIT_CREDIT, MAX_COUNTER - 1, fact=0), move(Code.DEPOSIT_CREDIT, 1, fact=1)
    )
    assert [leg.units for leg in outcome.legs] == [MAX_COUNTER]
    refused = books.post(move(Code.DEPOSIT_CREDIT, 1, fact=2, merchant=OTHER))
    assert reasons(refused) == [Reason.OVERFLOW]


def test_a_leg_names_records_and_places_of_long_commits() -> None:
    books = Books(0, merchants_only)
    books.next_posted = 17
    outcome = books.post(
        *(move(Code.DEPOSIT_CREDIT, 1, fact=n) for n in range(2 * MAX_ANSWERED + 1))
    )
    (leg,) = outcome.legs
    assert json.loads(leg.cause)["first"] == [17, 0]
    assert json.loads(leg.cause)["last"] == [19, 0]


def test_a_reversal_with_remote_custody_goes_through_clearing_and_is_never_refused() -> None:
    books = Books(0, merchants_only)
    books.post(move(Code.DEPOSIT_CREDIT, 10))
    asked = move(Code.DEPOSIT_REVERSAL, 15)
    outcome = books.post(asked)
    assert [(e.transfer.debit, e.transfer.credit, e.counterpart) for e in outcome.accepted] == [
        (SETTLING, CLEARING_0, CUSTODY), (RECEIVABLE, CLEARING_0, CUSTODY),
    ]  # fmt: skip
    local = Books(0)
    local.post(move(Code.DEPOSIT_CREDIT, 10))
    assert [e.digest for e in local.post(asked).accepted] == [e.digest for e in outcome.accepted]
    (leg,) = outcome.legs
    assert (leg.side, leg.units) == (Side.CREDIT, 15)


def test_only_a_post_of_the_two_phases_sends_a_leg() -> None:
    books = Books(0, merchants_only)
    books.available(100)
    payout = move(Code.PAYOUT, 50)
    for asked in (payout, then(Kind.SIGNED, payout)):
        outcome = books.post(asked)
        assert (outcome.legs, outcome.accepted[0].counterpart) == ((), CUSTODY)
        assert books.counters[CLEARING_0] == Counters(100, 0, 0, 50)
    (leg,) = books.post(then(Kind.POST, payout, 40)).legs
    assert (leg.account, leg.side, leg.units) == (CUSTODY, Side.CREDIT, 40)
    assert books.counters[CLEARING_0] == Counters(100, 0, 40, 0)
    ended = move(Code.PAYOUT, 5, fact=1)
    outcome = books.post(ended, then(Kind.VOID, ended))
    assert (outcome.legs, outcome.refused) == ((), ())
    assert books.counters[CLEARING_0] == Counters(100, 0, 40, 0)


def test_an_entry_with_a_clearing_account_is_else_what_was_asked_for() -> None:
    books = Books(0, merchants_only)
    books.available(100)
    payout = move(Code.PAYOUT, 50, linked=True)._replace(trace_id=b"t" * 16)
    asked = (payout, then(Kind.POST, payout, 40, cause=b'{"type":"another"}'))
    outcome = books.post(*asked)
    assert [entry.transfer for entry in outcome.accepted] == [
        transfer._replace(credit=CLEARING_0) for transfer in asked
    ]


def test_a_pending_transfer_keeps_the_accounts_that_were_asked_for() -> None:
    books = Books(0, merchants_only)
    books.available(100)
    payout = move(Code.PAYOUT, 50)
    pending = books.post(payout).pendings[payout.id]
    assert (pending.debit, pending.credit) == (AVAILABLE, CUSTODY)


def test_a_payout_that_moved_with_its_bucket_is_ended_where_it_lives_now() -> None:
    first = Books(0)
    first.available(100)
    payout = move(Code.PAYOUT, 50)
    first.post(payout)
    second = Books(1, merchants_only)
    second.counters = {AVAILABLE: first.counters[AVAILABLE]}
    second.pendings, second.known = first.pendings, first.known
    outcome = second.post(then(Kind.POST, payout, 20))
    assert outcome.pendings[payout.id].state is PendingState.POSTED
    assert second.counters[AVAILABLE] == Counters(20, 0, 100, 0)
    assert second.counters[CLEARING_1] == Counters(0, 0, 20, -50)
    assert first.counters[CUSTODY].credits_pending == 50
    assert [leg.units for leg in outcome.legs] == [20]


def test_what_was_taken_back_elsewhere_makes_no_room_here() -> None:
    books = Books(1, merchants_only)
    books.counters[CLEARING_1] = Counters(MAX_COUNTER, -50, 0, 0)
    assert reasons(books.post(move(Code.DEPOSIT_CREDIT, 1))) == [Reason.OVERFLOW]


def test_a_moved_payout_that_would_overflow_the_new_clearing_account_is_refused() -> None:
    books = Books(0)
    books.available(100)
    payout = move(Code.PAYOUT, 50)
    books.post(payout)
    books.local = merchants_only
    books.counters[CLEARING_0] = Counters(0, 0, MAX_COUNTER - 19, 0)
    assert reasons(books.post(then(Kind.POST, payout, 20))) == [Reason.OVERFLOW]
    assert books.pendings[payout.id].state is PendingState.OPEN
    assert reasons(books.post(then(Kind.POST, payout, 19, fact=1))) == []


def test_a_leg_is_applied_once() -> None:
    (leg,) = Books(0, merchants_only).post(move(Code.DEPOSIT_CREDIT, 100)).legs
    there = Books(1, systems_only)
    there.post(leg.as_transfer())
    before = dict(there.counters)
    outcome = there.post(leg.as_transfer(), leg.as_transfer())
    assert (outcome.accepted, there.counters) == ((), before)


def test_a_shard_applies_its_own_leg_after_the_bucket_came_back() -> None:
    books = Books(0, merchants_only)
    (leg,) = books.post(move(Code.DEPOSIT_CREDIT, 100)).legs
    books.local = lambda owner: True
    books.post(leg.as_transfer())
    assert books.counters[CLEARING_0] == Counters(100, 0, 100, 0)
    assert books.counters[CUSTODY] == Counters(100, 0, 0, 0)


@pytest.mark.parametrize("full", [CUSTODY, CLEARING_1], ids=["meant", "clearing"])
def test_a_leg_that_would_overflow_stops_the_partition(full: AccountKey) -> None:
    (leg,) = Books(0, merchants_only).post(move(Code.DEPOSIT_CREDIT, 2)).legs
    there = Books(1, systems_only)
    for room, over in ((2, False), (1, True)):
        units = MAX_COUNTER - room
        there.counters = {full: Counters(units, 0, units, 0)}
        if over:
            with pytest.raises(LegNotApplied):
                there.post(leg.as_transfer())
        else:
            there.post(leg.as_transfer())
            there.known.clear()


@pytest.mark.parametrize(
    "change",
    [
        {"kind": Kind.PENDING},
        {"debit": SETTLING},
        {"credit": CUSTODY},
        {"credit": AccountKey(MERCHANT, Purpose.CLEARING, BTC)},
        {"credit": clearing(0, "ETH.ethereum")},
        {"linked": True},
    ],
    ids=["kind", "merchant", "same account", "owner", "asset", "chain"],
)
def test_what_is_no_leg_stops_the_partition(change: dict[str, object]) -> None:
    (leg,) = Books(0, merchants_only).post(move(Code.DEPOSIT_CREDIT, 2)).legs
    asked = Transfer(**(leg.as_transfer()._asdict() | change))
    with pytest.raises(LegNotApplied):
        Books(1).post(asked, move(Code.DEPOSIT_CREDIT, 1))


def test_a_chain_of_legs_stops_the_partition() -> None:
    sender = Books(0, merchants_only)
    first, second = (
        leg.as_transfer()
        for fact in (1, 2)
        for leg in sender.post(move(Code.DEPOSIT_CREDIT, 2, fact=fact)).legs
    )
    with pytest.raises(LegNotApplied):
        Books(1, systems_only).post(first._replace(linked=True), second)


def test_an_id_of_a_leg_that_stands_for_other_content_stops_the_partition() -> None:
    (leg,) = Books(0, merchants_only).post(move(Code.DEPOSIT_CREDIT, 2)).legs
    there = Books(1, systems_only)
    there.post(leg.as_transfer())
    with pytest.raises(LegNotApplied):
        there.post(leg.as_transfer()._replace(units=3))


def test_a_shard_decides_nothing_for_another_one() -> None:
    for asked in (move(Code.DEPOSIT_CREDIT, 5), move(Code.DEPOSIT_REVERSAL, 5)):
        with pytest.raises(ValueError, match="another shard"):
            Books(1, systems_only).post(asked)
    for side in Side:
        leg = Leg(bytes(16), 1, CUSTODY, side, 5, b"{}", 0, bytes(16))
        with pytest.raises(ValueError, match="another shard"):
            Books(0, merchants_only).post(leg.as_transfer())


def test_the_decider_is_the_merchant_and_of_a_leg_the_account_meant() -> None:
    for code in (Code.DEPOSIT_CREDIT, Code.DEPOSIT_FINAL, Code.DEPOSIT_REVERSAL, Code.PAYOUT):
        assert decider(move(code, 1)) == MERCHANT
    shortfall = move(Code.DEPOSIT_REVERSAL, 1)._replace(debit=RECEIVABLE)
    assert decider(shortfall) == MERCHANT
    assert decider(shortfall._replace(debit=CUSTODY, credit=RECEIVABLE)) == MERCHANT
    for side in Side:
        leg = Leg(bytes(16), 1, CUSTODY, side, 5, b"{}", 0, bytes(16))
        assert decider(leg.as_transfer()) == "system:bitcoin"


def test_a_shard_touches_its_own_clearing_account_for_accounts_of_others() -> None:
    records = [[move(Code.DEPOSIT_CREDIT, 5), move(Code.DEPOSIT_CREDIT, 5, merchant=OTHER)]]
    settlings = {SETTLING, key(Purpose.SETTLING, OTHER)}
    assert touched(records, 3, merchants_only) == {clearing(3, BTC), *settlings}
    leg = Leg(bytes(16), 1, CUSTODY, Side.DEBIT, 5, b"{}", 0, bytes(16))
    assert touched([[leg.as_transfer()]], 1, systems_only) == {CUSTODY, CLEARING_1}
