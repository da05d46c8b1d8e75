"""What chain, deposits and custody account say of an asset, by worked examples."""

from collections.abc import Mapping
from typing import Any

import pytest

from orion.log.balances.model import (
    AssetBooks,
    DepositUnreadable,
    Heard,
    Page,
    Place,
    agrees,
    asset_differences,
    heard_places,
    output_of,
    wallet_differences,
)
from orion.log.reconciliation.model import Difference, DifferenceKind, Wrong

BTC, ETH, USDT = "BTC.bitcoin", "ETH.ethereum", "USDT.ethereum"


def place(index: int, units: int, held: int = 0, **changed: Any) -> Place:
    fields: dict[str, Any] = {
        "group": 0,
        "index": index,
        "asset": BTC,
        "address": f"bcrt1q{index}",
        "contract": None,
        "output": (f"{index:064x}", 1),
        "units": units,
        "held": held,
    }
    return Place(**(fields | changed))


def page(*places: Place, units: list[Any] | None = None, **changed: Any) -> Page:
    told = [str(each.units) for each in places] if units is None else units
    fields: dict[str, Any] = {
        "height": 7,
        "block_hash": "aa",
        "by_output": True,
        "expected": [each.expected() for each in places],
        "outcome": "done",
        "reason": None,
        "result": {"height": 7, "hash": "aa", "units": told},
    }
    return Page(**(fields | changed))


def heard(index: int, expected: int, units: int | None, **changed: Any) -> Heard:
    fields: dict[str, Any] = {
        "group": 0,
        "index": index,
        "asset": BTC,
        "name": f"tx{index}:1",
        "expected": expected,
        "held": 0,
        "units": units,
        "unheard": None if units is not None else "no_answer",
    }
    return Heard(**(fields | changed))


def told(differences: list[Difference]) -> list[tuple[DifferenceKind, Wrong, str | None]]:
    return [(each.kind, each.wrong, each.asset) for each in differences]


def books(custody: int, deposits: int, asset: str = BTC, chain: str = "bitcoin") -> AssetBooks:
    return AssetBooks(chain, asset, deposits, custody)


def test_places_are_asked_for_by_output_and_by_address() -> None:
    assert place(3, 5).item == {"txid": f"{3:064x}", "index": 1, "address": "bcrt1q3"}
    account = place(3, 5, asset=USDT, address="0xab", contract="0xcd", output=None)
    assert account.item == {"address": "0xab", "contract": "0xcd"}


def test_what_the_chain_holds_is_heard_place_by_place() -> None:
    found = heard_places(page(place(1, 41_234), place(2, 10**45, 10**45)))
    assert [(each.index, each.units, each.expected, each.held) for each in found] == [
        (1, 41_234, 41_234, 0),
        (2, 10**45, 10**45, 10**45),
    ]


def test_an_output_that_is_gone_holds_nothing_and_an_unknown_balance_stays_unknown() -> None:
    (gone,) = heard_places(page(place(1, 5), units=[None]))
    assert (gone.units, gone.unheard) == (0, None)
    (unknown,) = heard_places(page(place(1, 5), units=[None], by_output=False))
    assert (unknown.units, unknown.unheard) == (None, "no_balance")


@pytest.mark.parametrize(
    "changed, reason",
    [
        ({"outcome": None, "result": None}, "no_answer"),
        ({"outcome": "failed", "reason": "chain_moved", "result": None}, "chain_moved"),
        ({"outcome": "refused", "reason": "not_permitted", "result": None}, "not_permitted"),
        ({"outcome": "done", "result": None}, "no_answer"),
        ({"result": {"height": 8, "hash": "aa", "units": ["5"]}}, "answer_malformed"),
        ({"result": {"height": 7, "hash": "bb", "units": ["5"]}}, "other_block"),
        ({"result": {"height": 7, "hash": "aa", "units": ["5", "5"]}}, "answer_malformed"),
        ({"result": {"height": 7, "hash": "aa", "units": []}}, "answer_malformed"),
        ({"result": {"height": 7, "hash": "aa", "units": [5]}}, "answer_malformed"),
        ({"result": {"height": 7, "hash": "aa", "units": ["-5"]}}, "answer_malformed"),
        ({"result": {"height": 7, "hash": "aa", "units": ["05"]}}, "answer_malformed"),
        ({"result": {"height": 7, "hash": "aa", "units": "5"}}, "answer_malformed"),
        ({"result": {"height": 7, "hash": "aa"}}, "answer_malformed"),
        (
            {"result": {"height": 7, "hash": "aa", "units": ["5"], "more": 1}},
            "answer_malformed",
        ),
    ],
)
def test_unknown_is_never_zero(changed: Mapping[str, Any], reason: str) -> None:
    (found,) = heard_places(page(place(1, 5), **changed))
    assert (found.units, found.unheard) == (None, reason)


def test_wallets_that_hold_what_their_deposits_say_are_no_differences() -> None:
    assert wallet_differences("bitcoin", [heard(1, 5, 5), heard(1, 7, 7), heard(2, 0, 0)]) == []


def test_a_wallet_that_lost_coins_is_named_with_what_is_gone() -> None:
    (found,) = wallet_differences("bitcoin", [heard(1, 5, 5), heard(2, 7, 0), heard(2, 3, 3)])
    assert found == Difference(
        DifferenceKind.BALANCE_DIFFERS,
        Wrong.CHAIN,
        account="system:bitcoin/custody/BTC.bitcoin",
        asset=BTC,
        found="wallet 0/2 holds 3 on the chain: tx2:1 0 for 7",
        expected="10 by its deposits",
    )


def test_a_wallet_that_lost_one_coin_and_gained_another_as_large_still_differs() -> None:
    places = [heard(1, 7, 0, name="a:0"), heard(1, 0, 7, name="b:0")]
    assert len(wallet_differences("bitcoin", places)) == 1


@pytest.mark.parametrize(
    "units, kind",
    [((6, 7), "balance_surplus"), ((6, 6), "balance_differs"), ((5, 6), "balance_differs")],
)
def test_only_more_than_the_deposits_at_every_address_of_a_wallet_is_a_surplus(
    units: tuple[int, int], kind: str
) -> None:
    places = [heard(1, 5, units[0], asset=ETH), heard(1, 7, units[1], asset=ETH, name="b")]
    (found,) = wallet_differences("ethereum", places)
    assert (str(found.kind), found.wrong) == (kind, Wrong.CHAIN)
    assert found.kind.freezes is (kind == "balance_differs")


def test_an_output_that_holds_more_than_its_deposit_is_no_gift() -> None:
    (found,) = wallet_differences("bitcoin", [heard(1, 5, 6)])
    assert found.kind is DifferenceKind.BALANCE_DIFFERS
    (found,) = asset_differences([books(5, 5)], {"bitcoin": [heard(1, 5, 6)]}, {})
    assert found.kind is DifferenceKind.BALANCE_DIFFERS


@pytest.mark.parametrize(
    "chain, deposits, custody, kind",
    [
        (13, 12, 12, "balance_surplus"),
        (11, 12, 12, "balance_differs"),
        (13, 11, 12, "balance_differs"),
        (12, 11, 12, "balance_differs"),
        (12, 12, 11, "balance_differs"),
    ],
)
def test_what_lies_at_addresses_beyond_two_equal_books_freezes_nothing(
    chain: int, deposits: int, custody: int, kind: str
) -> None:
    row = books(custody, deposits, ETH, "ethereum")
    (found,) = asset_differences([row], {"ethereum": [heard(1, 12, chain, asset=ETH)]}, {})
    assert str(found.kind) == kind


def test_each_asset_of_a_wallet_is_compared_by_itself() -> None:
    places = [
        heard(1, 5, 5, asset=ETH),
        heard(1, 7, 6, asset=USDT),
        heard(2, 7, 8, asset=ETH),
    ]
    found = wallet_differences("ethereum", places)
    assert [(each.asset, each.found and each.found[:10]) for each in found] == [
        (USDT, "wallet 0/1"),
        (ETH, "wallet 0/2"),
    ]


def test_a_wallet_of_which_something_was_not_heard_is_not_judged() -> None:
    assert wallet_differences("bitcoin", [heard(1, 5, 0), heard(1, 7, None)]) == []


def test_three_equal_sums_are_no_difference() -> None:
    assert (
        asset_differences([books(12, 12)], {"bitcoin": [heard(1, 5, 5), heard(2, 7, 7)]}, {}) == []
    )


def test_what_is_held_lies_on_the_chain_and_is_credited_to_nobody() -> None:
    places = [heard(1, 5, 5), heard(2, 7, 7, held=7), heard(3, 10**45, 10**45, held=10**45)]
    assert asset_differences([books(5, 5)], {"bitcoin": places}, {}) == []


@pytest.mark.parametrize(
    "chain, deposits, custody, wrong",
    [
        (11, 12, 12, Wrong.CHAIN),
        (12, 11, 12, Wrong.CAUSE),
        (12, 12, 11, Wrong.MYSQL),
        (10, 11, 12, Wrong.UNKNOWN),
    ],
)
def test_the_one_that_stands_alone_against_two_is_wrong(
    chain: int, deposits: int, custody: int, wrong: Wrong
) -> None:
    found = asset_differences([books(custody, deposits)], {"bitcoin": [heard(1, 12, chain)]}, {})
    assert told(found) == [(DifferenceKind.BALANCE_DIFFERS, wrong, BTC)]
    assert found[0].found == f"chain {chain}, deposits {deposits}, custody account {custody}"


def test_a_custody_account_without_any_deposit_is_a_difference() -> None:
    found = asset_differences([books(5, 0)], {"bitcoin": []}, {})
    assert told(found) == [(DifferenceKind.BALANCE_DIFFERS, Wrong.MYSQL, BTC)]


def test_a_place_that_was_not_heard_makes_its_asset_unknown_and_no_other() -> None:
    rows = [books(5, 5, ETH, "ethereum"), books(7, 7, USDT, "ethereum")]
    places = [heard(1, 5, 5, asset=ETH), heard(1, 7, None, asset=USDT, unheard="timeout")]
    (found,) = asset_differences(rows, {"ethereum": places}, {})
    assert told([found]) == [(DifferenceKind.BALANCE_UNKNOWN, Wrong.UNKNOWN, USDT)]
    assert (found.found, found.expected) == ("the chain was not heard: timeout", "7")


def test_a_chain_without_an_agent_is_unknown_only_where_the_ledger_holds_something() -> None:
    rows = [books(5, 0, "TRX.tron", "tron"), books(0, 0, "SOL.solana", "solana")]
    found = asset_differences(rows, {}, {"tron": "no_agent", "solana": "no_agent"})
    assert told(found) == [(DifferenceKind.BALANCE_UNKNOWN, Wrong.UNKNOWN, "TRX.tron")]


def test_deposits_and_custody_account_are_compared_even_where_the_chain_was_not_heard() -> None:
    found = asset_differences([books(5, 6)], {"bitcoin": []}, {"bitcoin": "not_asked"})
    assert told(found) == [
        (DifferenceKind.BALANCE_UNKNOWN, Wrong.UNKNOWN, BTC),
        (DifferenceKind.BALANCE_DIFFERS, Wrong.UNKNOWN, BTC),
    ]


def test_books_agree_when_every_asset_does() -> None:
    assert agrees([books(5, 5), books(7, 7, ETH)])
    assert not agrees([books(5, 5), books(7, 8, ETH)])


def test_a_deposit_that_is_no_output_cannot_be_asked_for() -> None:
    assert output_of("aa", "out:12") == ("aa", 12)
    for position in ("out:", "out:1.2", "out:01", "log:1", "out:99999999999"):
        with pytest.raises(DepositUnreadable):
            output_of("aa", position)


def test_a_long_list_of_lost_coins_fits_a_differences_value() -> None:
    places = [heard(1, 7, 0, name=f"{number:064x}:0") for number in range(100)]
    (found,) = wallet_differences("bitcoin", places)
    assert found.found is not None
    assert len(found.found) == 512
