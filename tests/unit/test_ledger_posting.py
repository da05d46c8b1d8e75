"""Rules of the pure core: docs/ledger.md, on random histories."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.ids import fact_id
from orion.ledger.model import (
    MAX_COUNTER,
    REVERSALS,
    SIDES,
    AccountKey,
    Code,
    Counters,
    Entry,
    Kind,
    Purpose,
    Reason,
    Refusal,
    Rule,
    State,
    Transfer,
)
from orion.ledger.posting import Outcome, ids, post_batch, touched

MERCHANTS = [f"merchant:{number:032x}" for number in range(3)]
ASSETS = {"BTC.bitcoin": "system:bitcoin", "ETH.ethereum": "system:ethereum"}
Book = dict[AccountKey, Counters]
Known = dict[bytes, frozenset[bytes]]


def transfer(
    code: Code,
    units: int,
    *,
    fact: object = 0,
    merchant: str = MERCHANTS[0],
    asset: str = "BTC.bitcoin",
) -> Transfer:
    def key(purpose: Purpose) -> AccountKey:
        owner = ASSETS[asset] if purpose is Purpose.CUSTODY else merchant
        return AccountKey(owner, purpose, asset)

    debit, credit = SIDES[code]
    return Transfer(
        id=fact_id("test", str(code), repr(fact)),
        kind=Kind.DIRECT,
        code=code,
        units=units,
        debit=key(debit),
        credit=key(credit),
        cause=b'{"type":"test"}',
        trace_id=bytes(16),
    )


def everyone(owner: str) -> bool:
    return True


def decide(batch: Sequence[Transfer], book: Book, known: Known) -> Outcome:
    """One record, in a shard that has all accounts."""
    return post_batch([batch], State(0, everyone, book, known, {}, frozenset(), 1, 1))


def post(batch: Sequence[Transfer], book: Book, known: Known) -> Outcome:
    """What the store does: load what is touched, decide, write back."""
    outcome = decide(
        batch,
        {key: book[key] for key in touched([batch], 0, everyone) if key in book},
        {identity: known[identity] for identity in ids([batch]) if identity in known},
    )
    book.update(outcome.counters)
    for entry in outcome.accepted:
        identity = entry.transfer.id
        known[identity] = known.get(identity, frozenset()) | {entry.digest}
    for refusal in outcome.refused:
        identity = refusal.transfer.id
        known[identity] = known.get(identity, frozenset()) | {refusal.digest}
    return outcome


def sums(book: Mapping[AccountKey, Counters]) -> dict[str, int]:
    total: dict[str, int] = {}
    for key, held in book.items():
        total[key.asset] = total.get(key.asset, 0) + held.debits_posted - held.credits_posted
    return total


UNITS = st.one_of(
    st.integers(1, 100), st.integers(1, MAX_COUNTER), st.just(MAX_COUNTER), st.just(2**127)
)
TRANSFERS = st.builds(
    transfer,
    st.sampled_from(sorted(SIDES)),
    UNITS,
    fact=st.integers(0, 12),
    merchant=st.sampled_from(MERCHANTS),
    asset=st.sampled_from(sorted(ASSETS)),
)
HISTORIES = st.lists(TRANSFERS, max_size=40)


@given(HISTORIES)
def test_debits_and_credits_of_every_asset_are_equal(history: list[Transfer]) -> None:
    book: Book = {}
    post(history, book, {})
    assert all(total == 0 for total in sums(book).values())


@given(HISTORIES)
def test_no_account_breaks_its_rule_and_no_counter_its_limit(history: list[Transfer]) -> None:
    book: Book = {}
    post(history, book, {})
    for key, held in book.items():
        if key.rule is Rule.CREDITS_COVER_DEBITS:
            assert held.movable >= 0
        assert max(held.debits_posted, held.credits_posted) <= MAX_COUNTER


@given(HISTORIES)
def test_a_replay_changes_nothing(history: list[Transfer]) -> None:
    book: Book = {}
    known: Known = {}
    post(history, book, known)
    before = dict(book)
    again = post(history, book, known)
    assert (again.accepted, again.refused, book) == ((), (), before)


@given(HISTORIES, st.lists(st.integers(0, 40), max_size=6))
def test_how_a_history_is_cut_into_batches_does_not_matter(
    history: list[Transfer], cuts: list[int]
) -> None:
    whole: Book = {}
    outcome = post(history, whole, {})
    pieces: Book = {}
    known: Known = {}
    accepted: list[Entry] = []
    refused: list[Refusal] = []
    edges = [0, *sorted(min(cut, len(history)) for cut in cuts), len(history)]
    for start, end in pairwise(edges):
        part = post(history[start:end], pieces, known)
        accepted += part.accepted
        refused += part.refused
    assert pieces == whole
    assert (tuple(accepted), tuple(refused)) == (outcome.accepted, outcome.refused)


@given(HISTORIES, st.lists(st.integers(0, 39), max_size=20))
def test_redelivered_transfers_give_the_state_of_one_delivery(
    history: list[Transfer], repeats: list[int]
) -> None:
    once: Book = {}
    post(history, once, {})
    redelivered = list(history)
    for place in sorted((place for place in repeats if place < len(history)), reverse=True):
        redelivered[place + 1 : place + 1] = history[: place + 1]
    twice: Book = {}
    post(redelivered, twice, {})
    assert twice == once


@given(
    st.lists(st.tuples(st.integers(1, 2**100), st.sampled_from(MERCHANTS)), min_size=1), st.data()
)
@settings(max_examples=60)
def test_a_reversal_of_posted_money_is_never_refused(
    deposits: list[tuple[int, str]], data: st.DataObject
) -> None:
    book: Book = {}
    known: Known = {}
    for number, (units, merchant) in enumerate(deposits):
        post(
            [
                transfer(code, units, fact=number, merchant=merchant)
                for code in (Code.DEPOSIT_CREDIT, Code.DEPOSIT_FINAL)
            ],
            book,
            known,
        )
        # What a payout would do to the account: debits that leave less than the deposits.
        available = AccountKey(merchant, Purpose.AVAILABLE, "BTC.bitcoin")
        spent = data.draw(st.integers(0, book[available].movable))
        debits = book[available].debits_posted + spent
        book[available] = Counters(debits, 0, book[available].credits_posted, 0)
    for number, (units, merchant) in enumerate(deposits):
        reversal = transfer(Code.DEPOSIT_REVERSAL_FINAL, units, fact=number, merchant=merchant)
        outcome = post([reversal], book, known)
        assert not outcome.refused
        assert sum(entry.transfer.units for entry in outcome.accepted) == units


def test_a_reversal_takes_what_is_left_and_the_rest_from_the_receivable() -> None:
    reversal = transfer(Code.DEPOSIT_REVERSAL_FINAL, 41_234)
    outcome = decide([reversal], {reversal.debit: Counters(30_000, 0, 41_234, 0)}, {})
    assert [
        (e.transfer.code, e.transfer.debit.purpose, e.transfer.units) for e in outcome.accepted
    ] == [
        (Code.DEPOSIT_REVERSAL_FINAL, Purpose.AVAILABLE, 11_234),
        (Code.REVERSAL_SHORTFALL, Purpose.REVERSAL_RECEIVABLE, 30_000),
    ]
    assert outcome.accepted[0].transfer.id == reversal.id
    assert outcome.accepted[1].transfer.id == fact_id("shortfall", reversal.id)


def test_a_reversal_with_nothing_left_debits_the_receivable_under_its_own_id() -> None:
    reversal = transfer(Code.DEPOSIT_REVERSAL, 7)
    (entry,) = decide([reversal], {}, {}).accepted
    assert (entry.transfer.id, entry.transfer.debit.purpose, entry.transfer.units) == (
        reversal.id, Purpose.REVERSAL_RECEIVABLE, 7,
    )  # fmt: skip


def test_a_mined_again_payment_is_credited_again_under_its_new_epoch() -> None:
    book: Book = {}
    first = transfer(Code.DEPOSIT_CREDIT, 50, fact="epoch 0")
    back = transfer(Code.DEPOSIT_REVERSAL, 50, fact="epoch 0")
    second = transfer(Code.DEPOSIT_CREDIT, 50, fact="epoch 1")
    post([first, back, second, first], book, {})
    assert book[first.credit] == Counters(50, 0, 100, 0)


def test_an_id_seen_with_other_content_is_refused_by_name_once_for_each_content() -> None:
    book: Book = {}
    known: Known = {}
    post([transfer(Code.DEPOSIT_CREDIT, 5)], book, known)
    other = transfer(Code.DEPOSIT_CREDIT, 6)
    assert [r.reason for r in post([other, other], book, known).refused] == [Reason.ID_CONFLICT]
    assert post([other], book, known).refused == ()
    assert book[other.credit].credits_posted == 5


def test_the_trace_id_is_no_part_of_what_an_id_stands_for() -> None:
    first = transfer(Code.DEPOSIT_CREDIT, 5)
    again = Transfer(
        first.id, first.kind, first.code, 5, first.debit, first.credit, first.cause, b"t" * 16
    )
    assert len(decide([first, again], {}, {}).accepted) == 1


def test_a_refused_transfer_stays_refused_when_it_would_pass_later() -> None:
    book: Book = {}
    known: Known = {}
    early = transfer(Code.DEPOSIT_FINAL, 5)
    assert post([early], book, known).refused[0].reason is Reason.EXCEEDS_CREDITS
    outcome = post([transfer(Code.DEPOSIT_CREDIT, 5), early], book, known)
    assert [e.transfer.code for e in outcome.accepted] == [Code.DEPOSIT_CREDIT]
    assert outcome.refused == ()


def test_the_largest_amount_is_posted_and_one_more_unit_overflows_by_name() -> None:
    book: Book = {}
    known: Known = {}
    largest = transfer(Code.DEPOSIT_CREDIT, MAX_COUNTER, fact=0)
    assert post([largest], book, known).refused == ()
    more = transfer(Code.DEPOSIT_CREDIT, 1, fact=1)
    assert post([more], book, known).refused[0].reason is Reason.OVERFLOW
    assert book[largest.credit].credits_posted == MAX_COUNTER


@pytest.mark.parametrize(
    "full",
    [(Counters(MAX_COUNTER, 0, 0, 0), Counters()), (Counters(), Counters(0, 0, MAX_COUNTER, 0))],
)
def test_each_side_overflows_by_itself(full: tuple[Counters, Counters]) -> None:
    asked = transfer(Code.DEPOSIT_CREDIT, 1)
    outcome = decide([asked], {asked.debit: full[0], asked.credit: full[1]}, {})
    assert [refusal.reason for refusal in outcome.refused] == [Reason.OVERFLOW]


@pytest.mark.parametrize("code", sorted(set(SIDES) - REVERSALS))
def test_money_does_not_move_between_merchants(code: Code) -> None:
    asked = transfer(code, 5)
    moved = AccountKey(MERCHANTS[1], asked.credit.purpose, asked.credit.asset)
    if asked.debit.is_merchant:
        foreign = Transfer(
            asked.id, asked.kind, code, 5, asked.debit, moved, asked.cause, asked.trace_id
        )
        book: Book = {asked.debit: Counters(0, 0, 9, 0)}
        assert post([foreign], book, {}).refused[0].reason is Reason.CODE_MISMATCH


@pytest.mark.parametrize("code", sorted(set(Code) - {Code.LEG}))
def test_a_code_joins_only_its_own_purposes(code: Code) -> None:
    for debit in Purpose:
        for credit in Purpose:
            if SIDES.get(code) == (debit, credit):
                continue
            asked = Transfer(
                bytes(16), Kind.DIRECT, code, 1,
                AccountKey(_owner(debit), debit, "BTC.bitcoin"),
                AccountKey(_owner(credit), credit, "BTC.bitcoin"), b"{}", bytes(16),
            )  # fmt: skip
            (refusal,) = decide([asked], {}, {}).refused
            expected = Reason.SAME_ACCOUNT if debit == credit else Reason.CODE_MISMATCH
            assert refusal.reason is expected


def _owner(purpose: Purpose) -> str:
    owners = {Purpose.CUSTODY: "system:bitcoin", Purpose.CLEARING: "shard:0"}
    return owners.get(purpose, MERCHANTS[0])
