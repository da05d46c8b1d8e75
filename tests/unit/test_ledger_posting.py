"""Direct transfers, reversals, identities: the worked numbers of docs/ledger.md, and its rules."""

from hypothesis import given, settings
from hypothesis import strategies as st

from orion.ids import fact_id
from orion.ledger.model import Code, Counters, Purpose, Reason, Transfer
from orion.ledger.posting import ids, touched
from orion.records import canonical_json
from tests.unit.ledger_scene import (
    AVAILABLE,
    BTC,
    CUSTODY,
    MERCHANT,
    RECEIVABLE,
    SETTLING,
    Books,
    key,
    move,
    reasons,
)


def test_the_worked_payment_of_41_234_satoshi_has_the_documented_counters() -> None:
    books = Books()

    def standing() -> list[tuple[int, int]]:
        held = [
            books.counters.get(k, Counters()) for k in (CUSTODY, SETTLING, AVAILABLE, RECEIVABLE)
        ]
        return [(counters.debits_posted, counters.credits_posted) for counters in held]

    books.post(move(Code.DEPOSIT_CREDIT, 41_234))
    assert standing() == [(41234, 0), (0, 41234), (0, 0), (0, 0)]
    books.post(move(Code.DEPOSIT_FINAL, 41_234))
    assert standing() == [(41234, 0), (41234, 41234), (0, 41234), (0, 0)]
    books.counters[AVAILABLE] = Counters(30_000, 0, 41_234, 0)
    books.counters[CUSTODY] = Counters(41_234, 0, 30_000, 0)
    outcome = books.post(move(Code.DEPOSIT_REVERSAL_FINAL, 41_234))
    assert standing() == [(41234, 71234), (41234, 41234), (41234, 41234), (30000, 0)]
    assert [(e.transfer.code, e.transfer.debit, e.transfer.units) for e in outcome.accepted] == [
        (Code.DEPOSIT_REVERSAL_FINAL, AVAILABLE, 11_234),
        (Code.REVERSAL_SHORTFALL, RECEIVABLE, 30_000),
    ]


def test_a_shortfall_is_named_after_its_reversal_and_has_a_digest_of_its_own() -> None:
    books = Books()
    books.post(move(Code.DEPOSIT_CREDIT, 5))
    asked = move(Code.DEPOSIT_REVERSAL, 8)
    part, rest = books.post(asked).accepted
    assert (part.transfer, part.digest) == (asked._replace(units=5), asked.digest)
    assert rest.transfer == asked._replace(
        id=fact_id("shortfall", asked.id),
        code=Code.REVERSAL_SHORTFALL,
        units=3,
        debit=RECEIVABLE,
        cause=canonical_json({"type": "shortfall", "transfer_id": asked.id.hex()}),
    )
    assert rest.digest == rest.transfer.digest


def test_a_reversal_that_is_covered_is_one_entry_as_it_was_asked_for() -> None:
    books = Books()
    books.post(move(Code.DEPOSIT_CREDIT, 5))
    asked = move(Code.DEPOSIT_REVERSAL, 5)
    outcome = books.post(asked)
    assert [entry.transfer for entry in outcome.accepted] == [asked]
    assert books.counters == {CUSTODY: Counters(5, 0, 5, 0), SETTLING: Counters(5, 0, 5, 0)}


def test_a_reversal_with_nothing_left_debits_the_receivable_under_its_own_id() -> None:
    asked = move(Code.DEPOSIT_REVERSAL, 7)
    books = Books()
    (entry,) = books.post(asked).accepted
    assert entry.transfer == asked._replace(debit=RECEIVABLE)
    assert entry.digest == asked.digest
    assert books.counters == {RECEIVABLE: Counters(7, 0, 0, 0), CUSTODY: Counters(0, 0, 7, 0)}


def test_what_is_pending_covers_no_reversal() -> None:
    books = Books()
    books.available(10)
    books.post(move(Code.PAYOUT, 6))
    books.post(move(Code.DEPOSIT_REVERSAL_FINAL, 10, fact="before"))
    assert books.counters[AVAILABLE] == Counters(4, 6, 10, 0)
    assert books.counters[RECEIVABLE].debits_posted == 6


def test_a_reversal_whose_shortfall_id_is_taken_is_owed_as_a_whole() -> None:
    books = Books()
    asked = move(Code.DEPOSIT_REVERSAL, 8)
    books.post(move(Code.DEPOSIT_CREDIT, 5)._replace(id=fact_id("shortfall", asked.id)))
    outcome = books.post(asked)
    assert outcome.refused == ()
    assert [(e.transfer, e.digest) for e in outcome.accepted] == [
        (asked._replace(debit=RECEIVABLE), asked.digest)
    ]
    assert books.counters == {
        CUSTODY: Counters(5, 0, 8, 0),
        SETTLING: Counters(0, 0, 5, 0),
        RECEIVABLE: Counters(8, 0, 0, 0),
    }


def test_a_covered_reversal_does_not_mind_what_its_shortfall_would_be_called() -> None:
    books = Books()
    asked = move(Code.DEPOSIT_REVERSAL, 5)
    books.post(move(Code.DEPOSIT_CREDIT, 5)._replace(id=fact_id("shortfall", asked.id)))
    assert [entry.transfer for entry in books.post(asked).accepted] == [asked]


def test_an_account_that_stands_below_zero_gives_nothing_to_a_reversal() -> None:
    books = Books()
    books.counters[SETTLING] = Counters(9, 0, 4, 0)
    (entry,) = books.post(move(Code.DEPOSIT_REVERSAL, 3)).accepted
    assert (entry.transfer.debit, entry.transfer.units) == (RECEIVABLE, 3)


@given(st.lists(st.tuples(st.integers(1, 2**100), st.integers(0, 2**100)), min_size=1, max_size=6))
@settings(max_examples=15, deadline=None)
def test_a_reversal_of_posted_money_is_never_refused(deposits: list[tuple[int, int]]) -> None:
    books = Books()
    for number, (units, spent) in enumerate(deposits):
        books.post(
            *(move(c, units, fact=number) for c in (Code.DEPOSIT_CREDIT, Code.DEPOSIT_FINAL))
        )
        # What payouts do to the account: debits that leave less than the deposits.
        held = books.counters[AVAILABLE]
        spendable = min(spent, held.movable)
        books.counters[AVAILABLE] = held._replace(debits_posted=held.debits_posted + spendable)
    for number, (units, _) in enumerate(deposits):
        outcome = books.post(move(Code.DEPOSIT_REVERSAL_FINAL, units, fact=number))
        assert not outcome.refused
        assert sum(entry.transfer.units for entry in outcome.accepted) == units


def test_a_mined_again_payment_is_credited_again_under_its_new_epoch() -> None:
    books = Books()
    first = move(Code.DEPOSIT_CREDIT, 50, fact="epoch 0")
    back = move(Code.DEPOSIT_REVERSAL, 50, fact="epoch 0")
    second = move(Code.DEPOSIT_CREDIT, 50, fact="epoch 1")
    books.post(first, back, second, first)
    assert books.counters[SETTLING] == Counters(50, 0, 100, 0)


def test_an_id_seen_with_other_content_is_refused_by_name_once_for_each_content() -> None:
    books = Books()
    books.post(move(Code.DEPOSIT_CREDIT, 5))
    other, third = move(Code.DEPOSIT_CREDIT, 6), move(Code.DEPOSIT_CREDIT, 7)
    assert reasons(books.post(other, other)) == [Reason.ID_CONFLICT]
    assert reasons(books.post(other, third, other)) == [Reason.ID_CONFLICT]
    assert books.post(other, third, move(Code.DEPOSIT_CREDIT, 5)).refused == ()
    assert books.counters[SETTLING].credits_posted == 5


def test_an_id_that_was_refused_is_refused_with_other_content_too() -> None:
    books = Books()
    assert reasons(books.post(move(Code.DEPOSIT_FINAL, 5))) == [Reason.EXCEEDS_CREDITS]
    books.post(move(Code.DEPOSIT_CREDIT, 9))
    assert reasons(books.post(move(Code.DEPOSIT_FINAL, 4))) == [Reason.ID_CONFLICT]


def test_the_trace_id_is_no_part_of_what_an_id_stands_for() -> None:
    first = move(Code.DEPOSIT_CREDIT, 5)
    outcome = Books().post(first, first._replace(trace_id=b"t" * 16))
    assert (len(outcome.accepted), len(outcome.refused)) == (1, 0)


def test_a_refused_transfer_stays_refused_when_it_would_pass_later() -> None:
    books = Books()
    early = move(Code.DEPOSIT_FINAL, 5)
    assert reasons(books.post(early)) == [Reason.EXCEEDS_CREDITS]
    outcome = books.post(move(Code.DEPOSIT_CREDIT, 5), early)
    assert [entry.transfer.code for entry in outcome.accepted] == [Code.DEPOSIT_CREDIT]
    assert outcome.refused == ()


def test_the_digest_of_a_direct_transfer_never_changes() -> None:
    # What earlier versions stored must stand for the same content.
    asked = Transfer(
        bytes(range(16)), move(Code.DEPOSIT_CREDIT, 1).kind, Code.DEPOSIT_CREDIT, 41_234,
        CUSTODY, SETTLING, b'{"type":"deposit"}', bytes(16),
    )  # fmt: skip
    assert asked.digest.hex() == "8f5a12a270e99c78900742000c4a2b27"


def test_the_core_asks_for_what_it_reads_and_no_more() -> None:
    credit = move(Code.DEPOSIT_CREDIT, 5)
    back = move(Code.DEPOSIT_REVERSAL, 5)
    payout = move(Code.PAYOUT, 5)
    everyone = Books().local
    assert touched([[credit]], 0, everyone) == {CUSTODY, SETTLING}
    assert touched([[credit], [back]], 0, everyone) == {CUSTODY, SETTLING, RECEIVABLE}
    assert touched([[payout]], 0, everyone) == {CUSTODY, AVAILABLE, RECEIVABLE}
    assert ids([[credit], [back]]) == {credit.id, back.id, fact_id("shortfall", back.id)}


def test_an_account_is_the_same_however_it_was_made() -> None:
    again = key(Purpose.SETTLING)
    assert (again, hash(again)) == (SETTLING, hash(SETTLING))
    assert again.id == fact_id("account", MERCHANT, "settling", BTC)
    assert again != AVAILABLE


def test_nothing_decided_is_nothing_moved() -> None:
    outcome = Books().post_records([])
    assert (outcome.accepted, outcome.refused, outcome.legs) == ((), (), ())
    assert (dict(outcome.counters), dict(outcome.pendings)) == ({}, {})
