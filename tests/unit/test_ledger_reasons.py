"""Each reason of docs/ledger.md by an example, and which is named where several hold."""

from collections.abc import Callable

import pytest

from orion.ids import fact_id
from orion.ledger.codes import CODES, OF_THE_CHAIN, RULES
from orion.ledger.limits import broken_rule, overflows
from orion.ledger.model import (
    MAX_COUNTER,
    AccountKey,
    Code,
    Counters,
    Kind,
    Outcome,
    Purpose,
    Reason,
    Rule,
    Transfer,
)
from orion.ledger.posting import LegNotApplied
from orion.ledger.working import Held
from orion.money import ASSETS
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

CHAIN_FINAL = b'{"type":"chain_final"}'


def with_payout(units: int = 500) -> tuple[Books, Transfer]:
    books = Books()
    books.available(1_000)
    payout = move(Code.PAYOUT, units)
    assert not books.post(payout).refused
    return books, payout


def id_conflict() -> Outcome:
    books = Books()
    books.post(move(Code.DEPOSIT_CREDIT, 5))
    return books.post(move(Code.DEPOSIT_CREDIT, 6))


def linked_open() -> Outcome:
    return Books().post(move(Code.DEPOSIT_CREDIT, 5, linked=True))


def same_account() -> Outcome:
    return Books().post(move(Code.DEPOSIT_CREDIT, 5)._replace(credit=CUSTODY))


def code_mismatch() -> Outcome:
    return Books().post(move(Code.DEPOSIT_CREDIT, 5)._replace(credit=AVAILABLE))


def two_limits() -> Outcome:
    return Books().post(
        move(Code.DEPOSIT_CREDIT, 5, linked=True), move(Code.DEPOSIT_CREDIT, 5, merchant=OTHER)
    )


def pending_not_found() -> Outcome:
    return Books().post(then(Kind.POST, move(Code.PAYOUT, 5)))


def pending_differs() -> Outcome:
    books, payout = with_payout()
    return books.post(then(Kind.VOID, payout, 499))


def pending_already_posted() -> Outcome:
    books, payout = with_payout()
    return books.post(then(Kind.POST, payout), then(Kind.VOID, payout))


def pending_already_voided() -> Outcome:
    books, payout = with_payout()
    return books.post(then(Kind.TIMEOUT, payout), then(Kind.POST, payout))


def pending_signed() -> Outcome:
    books, payout = with_payout()
    return books.post(then(Kind.SIGNED, payout), then(Kind.TIMEOUT, payout))


def pending_exceeded() -> Outcome:
    books, payout = with_payout()
    return books.post(then(Kind.POST, payout, 501))


def asset_frozen() -> Outcome:
    books = Books()
    books.available(1_000)
    books.frozen = frozenset({BTC})
    return books.post(move(Code.PAYOUT, 5))


def receivable_open() -> Outcome:
    books = Books()
    books.available(1_000)
    books.counters[RECEIVABLE] = Counters(1, 0, 0, 0)
    return books.post(move(Code.PAYOUT, 5))


def exceeds_credits() -> Outcome:
    return Books().post(move(Code.DEPOSIT_FINAL, 1))


def overflow() -> Outcome:
    books = Books()
    books.post(move(Code.DEPOSIT_CREDIT, MAX_COUNTER))
    return books.post(move(Code.DEPOSIT_CREDIT, 1, fact=1))


def linked_failed() -> Outcome:
    outcome = Books().post(move(Code.DEPOSIT_FINAL, 5, linked=True), move(Code.DEPOSIT_CREDIT, 5))
    assert reasons(outcome)[0] is Reason.EXCEEDS_CREDITS
    return outcome


EXAMPLES: list[Callable[[], Outcome]] = [
    id_conflict, linked_open, same_account, code_mismatch, two_limits, pending_not_found,
    pending_differs, pending_already_posted, pending_already_voided, pending_signed,
    pending_exceeded, asset_frozen, receivable_open, exceeds_credits, overflow, linked_failed,
]  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.__name__)
def test_each_reason_has_an_example_that_is_refused_for_it(
    example: Callable[[], Outcome],
) -> None:
    assert Reason(example.__name__) in reasons(example())


def test_every_reason_has_an_example_or_no_code_that_could_meet_it() -> None:
    met = {example.__name__ for example in EXAMPLES}
    assert {reason.value for reason in Reason} - met == {"exceeds_debits"}
    assert Rule.DEBITS_COVER_CREDITS not in RULES.values()


def test_the_mirrored_rule_refuses_credits_beyond_debits() -> None:
    credited = Held(CUSTODY, Counters(10, 7, 3, 2))
    for units, reason in ((5, None), (6, Reason.EXCEEDS_DEBITS)):
        assert broken_rule(
            Rule.NONE, Rule.DEBITS_COVER_CREDITS, Held(SETTLING, Counters()), credited, units
        ) is reason  # fmt: skip


def test_a_rule_looks_only_at_the_side_that_could_break_it() -> None:
    empty = Held(SETTLING, Counters())
    assert (
        broken_rule(Rule.DEBITS_COVER_CREDITS, Rule.CREDITS_COVER_DEBITS, empty, empty, 1) is None
    )


def test_no_code_joins_two_owners_who_could_both_refuse() -> None:
    for rule in CODES.values():
        refuses = RULES[rule.debit] is Rule.CREDITS_COVER_DEBITS
        assert not (refuses and RULES[rule.credit] is Rule.DEBITS_COVER_CREDITS)


PAYOUT = move(Code.PAYOUT, 500)
# Each breaks the rules of two reasons; the first one is stored.
BOTH: list[tuple[Reason, Reason, Callable[[Books, Transfer], Outcome]]] = [
    (
        Reason.ID_CONFLICT, Reason.LINKED_OPEN,
        lambda books, payout: books.post(payout._replace(linked=True)),
    ),
    (
        Reason.ID_CONFLICT, Reason.SAME_ACCOUNT,
        lambda books, payout: books.post(payout._replace(credit=payout.debit)),
    ),
    (
        Reason.LINKED_OPEN, Reason.SAME_ACCOUNT,
        lambda books, payout: books.post(
            payout._replace(id=bytes(16), credit=payout.debit, linked=True)
        ),
    ),
    (
        Reason.SAME_ACCOUNT, Reason.CODE_MISMATCH,
        lambda books, payout: books.post(payout._replace(id=bytes(16), debit=payout.credit)),
    ),
    (
        Reason.CODE_MISMATCH, Reason.PENDING_NOT_FOUND,
        lambda books, payout: books.post(
            then(Kind.POST, payout._replace(id=b"x" * 16, debit=SETTLING))
        ),
    ),
    (
        Reason.PENDING_NOT_FOUND, Reason.PENDING_DIFFERS,
        lambda books, payout: books.post(then(Kind.VOID, payout._replace(id=b"x" * 16), 1)),
    ),
    (
        Reason.PENDING_DIFFERS, Reason.PENDING_ALREADY_POSTED,
        lambda books, payout: books.post(then(Kind.POST, payout), then(Kind.VOID, payout, 1)),
    ),
    (
        Reason.PENDING_ALREADY_VOIDED, Reason.PENDING_SIGNED,
        lambda books, payout: books.post(
            then(Kind.SIGNED, payout), then(Kind.VOID, payout, cause=CHAIN_FINAL),
            then(Kind.TIMEOUT, payout),
        ),
    ),
    (
        Reason.PENDING_ALREADY_POSTED, Reason.PENDING_EXCEEDED,
        lambda books, payout: books.post(
            then(Kind.POST, payout), then(Kind.POST, payout, 501, fact=1)
        ),
    ),
    (
        Reason.EXCEEDS_CREDITS, Reason.OVERFLOW,
        lambda books, payout: books.post(move(Code.PAYOUT, MAX_COUNTER, fact=1)),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    "first, second, ask", BOTH, ids=[f"{first}-{second}" for first, second, _ in BOTH]
)
def test_the_first_reason_of_the_table_is_stored(
    first: Reason, second: Reason, ask: Callable[[Books, Transfer], Outcome]
) -> None:
    assert list(Reason).index(first) < list(Reason).index(second)
    books, payout = with_payout()
    assert reasons(ask(books, payout)) == [first]


def test_a_payout_is_refused_for_the_freeze_then_the_debt_then_the_cover() -> None:
    books = Books()
    books.counters[RECEIVABLE] = Counters(1, 0, 0, 0)
    books.frozen = frozenset({BTC})
    assert reasons(books.post(move(Code.PAYOUT, 5, fact=0))) == [Reason.ASSET_FROZEN]
    books.frozen = frozenset({"ETH.ethereum"})
    assert reasons(books.post(move(Code.PAYOUT, 5, fact=1))) == [Reason.RECEIVABLE_OPEN]
    books.counters[RECEIVABLE] = Counters(1, 0, 1, 0)
    assert reasons(books.post(move(Code.PAYOUT, 5, fact=2))) == [Reason.EXCEEDS_CREDITS]


def test_another_pair_of_accounts_is_refused_under_every_code() -> None:
    owners = dict.fromkeys(OF_THE_CHAIN, "system:bitcoin") | {Purpose.CLEARING: "shard:0"}
    for code in sorted(set(Code) - {Code.LEG}):
        rule = CODES[code]
        for debit in Purpose:
            for credit in Purpose:
                asked = Transfer(
                    bytes(16), min(rule.kinds), code, 1,
                    AccountKey(owners.get(debit, MERCHANT), debit, BTC),
                    AccountKey(owners.get(credit, MERCHANT), credit, BTC), b"{}", bytes(16),
                )  # fmt: skip
                expected = [Reason.SAME_ACCOUNT if debit is credit else Reason.CODE_MISMATCH]
                if (debit, credit) != (rule.debit, rule.credit) or rule.by_ledger:
                    assert reasons(Books().post(asked)) == expected


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("code", sorted(set(Code) - {Code.LEG}))
def test_a_code_is_used_only_by_its_kinds(code: Code, kind: Kind) -> None:
    rule = CODES[code]
    if kind in rule.kinds and not rule.by_ledger:
        return
    asked = Transfer(bytes(16), kind, code, 1, key(rule.debit), key(rule.credit), b"{}", bytes(16))
    assert reasons(Books().post(asked)) == [Reason.CODE_MISMATCH]


def test_custody_and_fee_income_of_an_asset_are_its_chains_and_fiat_has_none() -> None:
    systems = {f"system:{row.chain}" for row in ASSETS.values()}
    for code, row in ASSETS.items():
        for purpose in (Purpose.CUSTODY, Purpose.FEE_INCOME):
            fitting = {o for o in systems if AccountKey(o, purpose, code).fits}
            assert fitting == ({f"system:{row.chain}"} if row.chain else set())


def test_a_shortfall_is_never_asked_for() -> None:
    asked = move(Code.DEPOSIT_REVERSAL, 5)._replace(
        code=Code.REVERSAL_SHORTFALL, debit=RECEIVABLE, id=fact_id("shortfall", bytes(16))
    )
    assert reasons(Books().post(asked)) == [Reason.CODE_MISMATCH]


@pytest.mark.parametrize(
    "change",
    [
        {"credit": key(Purpose.SETTLING, OTHER), "code": Code.DEPOSIT_FINAL},
        {"credit": key(Purpose.AVAILABLE, OTHER), "debit": SETTLING, "code": Code.DEPOSIT_FINAL},
        {"credit": key(Purpose.SETTLING, MERCHANT, "ETH.ethereum")},
        {"credit": AccountKey("system:bitcoin", Purpose.SETTLING, BTC)},
        {"debit": AccountKey(MERCHANT, Purpose.CUSTODY, BTC)},
        {"debit": AccountKey("shard:0", Purpose.CUSTODY, BTC)},
        {"debit": AccountKey("system:ethereum", Purpose.CUSTODY, BTC)},
        {"debit": AccountKey("system:bitcoin-cash", Purpose.CUSTODY, BTC)},
    ],
    ids=[
        "code",
        "merchants",
        "asset",
        "system's settling",
        "merchant's custody",
        "shard's custody",
        "another chain's custody",
        "custody of a longer name",
    ],
)
def test_money_moves_only_between_the_right_owners(change: dict[str, object]) -> None:
    books = Books()
    books.counters[SETTLING] = Counters(0, 0, 9, 0)
    asked = Transfer(**(move(Code.DEPOSIT_CREDIT, 5)._asdict() | change))
    assert reasons(books.post(asked)) == [Reason.CODE_MISMATCH]


@pytest.mark.parametrize(
    "posted, pending, over",
    [
        (MAX_COUNTER, 0, False), (MAX_COUNTER + 1, 0, True), (0, MAX_COUNTER, False),
        (1, MAX_COUNTER, True), (MAX_COUNTER + 1, -5, True), (MAX_COUNTER, -5, False),
    ],
)  # fmt: skip
def test_a_counter_and_what_is_pending_hold_2_to_the_128_less_1(
    posted: int, pending: int, over: bool
) -> None:
    assert MAX_COUNTER == 340_282_366_920_938_463_463_374_607_431_768_211_455
    assert overflows(posted, pending) is over


FULL = Counters(MAX_COUNTER - 1, 1, MAX_COUNTER - 1, 1)
ROOM = Counters(MAX_COUNTER - 2, 1, MAX_COUNTER - 2, 1)


@pytest.mark.parametrize("side", ["debit", "credit"])
def test_the_last_unit_fits_and_one_more_overflows_on_each_side(side: str) -> None:
    asked = move(Code.DEPOSIT_CREDIT, 1)
    for counters, expected in ((ROOM, []), (FULL, [Reason.OVERFLOW])):
        books = Books()
        books.counters[getattr(asked, side)] = counters
        assert reasons(books.post(asked)) == expected


@pytest.mark.parametrize("side", ["debit", "credit"])
def test_a_pending_unit_fits_and_one_more_overflows_on_each_side(side: str) -> None:
    asked = move(Code.PAYOUT, 1)
    covered = Counters(MAX_COUNTER - 2, 1, MAX_COUNTER, 0)
    cases: list[tuple[Counters, list[Reason]]] = (
        [(covered, [])]
        if side == "debit"
        else [(Counters(0, 0, MAX_COUNTER - 2, 1), []), (FULL, [Reason.OVERFLOW])]
    )
    for counters, expected in cases:
        books = Books()
        books.counters[AVAILABLE] = covered
        books.counters[getattr(asked, side)] = counters
        assert reasons(books.post(asked)) == expected


@pytest.mark.parametrize("full", [CUSTODY, RECEIVABLE], ids=["custody", "receivable"])
def test_a_forged_reversal_that_would_overflow_is_refused_and_moves_nothing(
    full: AccountKey,
) -> None:
    books = Books()
    books.counters = {SETTLING: Counters(0, 0, 3, 0), full: FULL}
    outcome = books.post(move(Code.DEPOSIT_REVERSAL, 5))
    assert reasons(outcome) == [Reason.OVERFLOW]
    assert (outcome.accepted, dict(outcome.counters)) == ((), {})


def test_a_refusal_keeps_what_was_asked_and_its_digest() -> None:
    asked = move(Code.DEPOSIT_FINAL, 5)
    (refusal,) = Books().post(asked).refused
    assert (refusal.transfer, refusal.digest) == (asked, asked.digest)


def test_a_leg_is_never_refused() -> None:
    leg = move(Code.DEPOSIT_CREDIT, 5)._replace(
        code=Code.LEG, credit=AccountKey("shard:1", Purpose.CLEARING, BTC)
    )
    books = Books()
    books.counters[CUSTODY] = FULL
    with pytest.raises(LegNotApplied) as caught:
        books.post(leg)
    assert (caught.value.code, caught.value.fields["reason"]) == ("leg_not_applied", "overflow")
