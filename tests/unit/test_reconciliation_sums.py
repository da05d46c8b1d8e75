"""Counters beside sums, and what follows from them by asset."""

from dataclasses import replace

from orion.log.reconciliation import sums
from orion.log.reconciliation.model import AccountName, Wrong
from orion.log.reconciliation.sums import AccountSums, Flight, Reading, Sums

A, B, C = (AccountName(f"merchant:{n:032x}", "settling", "BTC.bitcoin") for n in range(3))
CLEARING = AccountName("shard:0", "clearing", "BTC.bitcoin")


def account(name: AccountName, debits: int, credited: int) -> AccountSums:
    return AccountSums(name.id, name, Sums(debits, 0, credited, 0))


def stream(*accounts: AccountSums) -> list[AccountSums]:
    return sorted(accounts, key=lambda each: each.id)


def test_counters_equal_to_sums_are_no_difference_whatever_was_posted_later() -> None:
    later = {B.id: Sums(0, 0, 5, 0)}
    reading = sums.read(
        stream(account(A, 5, 0), account(B, 0, 10)), later,
        stream(account(A, 5, 0), account(B, 0, 5)),
    )  # fmt: skip
    assert (reading.differences, reading.suspects) == ([], {})


def test_the_wrong_one_of_counter_and_sums_stands_alone() -> None:
    for held, summed, own, wrong in (
        (6, 5, 5, "mysql"),
        (5, 6, 5, "external"),
        (5, 6, 7, "unknown"),
    ):
        reading = sums.read([account(A, held, 0)], {}, [account(A, summed, 0)])
        [found] = sums.counter_differences(reading, {A.id: Sums(own, 0, 0, 0)})
        assert (str(found.wrong), found.account, found.asset) == (wrong, A.text, "BTC.bitcoin")
        # Not added up is not zero.
        [found] = sums.counter_differences(reading, None)
        assert (str(found.wrong), found.account) == ("unknown", A.text)
    [found] = sums.counter_differences(sums.read([account(A, 5, 0)], {}, []), None)
    assert str(found.wrong) == "unknown"
    for field in ("debits_posted", "debits_pending", "credits_posted", "credits_pending"):
        moved = [AccountSums(A.id, A, replace(Sums(), **{field: 1}))]
        assert list(sums.read(moved, {}, [account(A, 0, 0)]).suspects) == [A.id], field
    for mysql, external in (([], [account(A, 1, 0)]), ([account(A, 1, 0)], [])):
        reading = sums.read(mysql, {}, external)
        assert list(reading.suspects) == [A.id]


def test_an_account_whose_name_does_not_give_its_id_is_told_with_its_book() -> None:
    renamed = AccountSums(A.id, B, Sums())
    [found] = sums.read([renamed], {}, [account(A, 0, 0)]).differences
    assert (found.wrong, found.account, found.found) == (Wrong.MYSQL, A.text, B.text)
    [found] = sums.read([account(A, 0, 0)], {}, [renamed]).differences
    assert (found.wrong, found.account) == (Wrong.EXTERNAL, A.text)
    [found] = sums.read([], {}, [AccountSums(A.id, None, Sums())]).differences
    assert (found.account, found.found) == (A.id.hex(), "no account of this id")


def test_what_is_too_much_to_name_is_counted() -> None:
    names = [AccountName(f"merchant:{n:032x}", "settling", "BTC.bitcoin") for n in range(1_005)]
    reading = sums.read(stream(*(account(name, 1, 0) for name in names)), {}, [])
    found = sums.counter_differences(reading, {})
    assert len(found) == sums.MAX_NAMED + 1
    assert found[-1].found == "5 more accounts differ"
    pairs = ((account(name, 1, 0), Sums()) for name in names)
    statements = sums.statement_differences(pairs)
    assert len(statements) == sums.MAX_NAMED + 1
    assert statements[-1].found == "5 more accounts differ"


def read(*accounts: AccountSums) -> Reading:
    return sums.read(stream(*accounts), {}, stream(*accounts))


def test_debits_equal_credits_by_asset_posted_and_pending() -> None:
    assert sums.balance_differences(read(account(A, 5, 0), account(B, 0, 5))) == []
    [found] = sums.balance_differences(read(account(A, 5, 0), account(B, 0, 4)))
    assert (found.kind, found.asset) == ("not_balanced", "BTC.bitcoin")
    pending = AccountSums(A.id, A, Sums(0, 1, 0, 0))
    assert len(sums.balance_differences(read(pending))) == 1
    assert sums.unbalanced_shards({(0, "BTC.bitcoin"): (5, 5)}, Wrong.EXTERNAL) == []
    [found] = sums.unbalanced_shards({(1, "BTC.bitcoin"): (5, 4)}, Wrong.EXTERNAL)
    assert (found.shard, found.asset) == (1, "BTC.bitcoin")


def test_clearing_is_what_is_in_flight_and_no_leg_is_missing() -> None:
    reading = read(account(CLEARING, 100, 30))
    flight = Flight({("BTC.bitcoin", "debit"): 80, ("BTC.bitcoin", "credit"): 10}, {0: (3, 3, 4)})
    assert sums.flight_differences(reading, flight) == []
    for units, legs in (
        ({("BTC.bitcoin", "debit"): 80}, {}),
        ({}, {}),
        (flight.units, {0: (2, 3, 4)}),
        (flight.units, {0: (3, 3, 5)}),
        (flight.units, {0: (3, 4, 4)}),
    ):
        [found] = sums.flight_differences(reading, Flight(units, legs))
        assert found.kind == "flight_differs"
    lost = sums.flight_differences(Reading(), Flight({("ETH.ethereum", "debit"): 1}, {}))
    assert [each.asset for each in lost] == ["ETH.ethereum"]


def test_a_statement_ends_in_its_accounts_counters() -> None:
    later = {A.id: Sums(2, 0, 0, 0)}
    pairs = list(
        sums.followed([account(A, 7, 0)], later, [AccountSums(A.id, None, Sums(5, 0, 0, 0))])
    )
    assert sums.statement_differences(pairs) == []
    [found] = sums.statement_differences(sums.followed([account(A, 7, 0)], {}, []))
    assert (found.kind, found.account) == ("statement_differs", A.text)
    [found] = sums.statement_differences(
        sums.followed([], {}, [AccountSums(C.id, None, Sums(5, 0, 0, 0))])
    )
    assert found.account == C.id.hex()
