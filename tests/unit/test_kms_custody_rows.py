"""Which custody sets hold which groups, and what a group has to have."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.chains.spend import CustodyKeys, WalletKind
from orion.kms.errors import CustodySetsMissing, GroupWithoutCustody, UnusableCustodyGroups
from orion.kms.groups import (
    CustodyPlan,
    CustodySet,
    Holdings,
    checked_sets,
    read_custody_groups,
)
from orion.kms.keys.chain_keys import chain_keys, tron_custody_address
from orion.kms.keys.extended_private_key import ExtendedPrivateKey
from orion.kms.model import chain_key_alias, chain_key_names, chain_key_purpose
from orion.wallet.errors import MalformedExtendedKey

SEED = bytes(range(32))
FOUR = {"bitcoin": "mainnet", "ethereum": "1", "tron": "mainnet", "solana": "mainnet-beta"}
KEYS = CustodyKeys((b"\2" * 33,) * 5, (b"\3" * 32,) * 5)


def row(first: int, last: int, hot: int = 0, warm: int = 1) -> dict[str, Any]:
    return {"first_group": first, "last_group": last, "hot": hot, "warm": warm}


def test_a_group_has_the_sets_of_the_row_that_it_lies_in() -> None:
    plan = CustodyPlan(read_custody_groups(json.dumps([row(10, 19, 2, 3), row(0, 9)])))
    assert plan.sets_of(9) == {WalletKind.HOT: 0, WalletKind.WARM: 1}
    assert plan.sets_of(10) == plan.sets_of(19) == {WalletKind.HOT: 2, WalletKind.WARM: 3}
    with pytest.raises(GroupWithoutCustody):
        plan.sets_of(20)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        {},
        "none",
        [row(0, 9, 1, 1)],
        [row(0, 9, 0, 1), row(10, 19, 1, 2)],
        [row(0, 9), row(9, 19)],
        [row(9, 0)],
        [row(-1, 0)],
        [row(0, 2**31)],
        [{**row(0, 9), "cold": 2}],
        [{"first_group": 0, "last_group": 9, "hot": 0}],
        [row(0, True)],
        [row(0, 9, "0")],  # type: ignore[arg-type]  # What a hand might write.
        [row(0, 9)] * 1_001,
    ],
)
def test_rows_that_contradict_themselves_are_refused(rows: object) -> None:
    with pytest.raises(UnusableCustodyGroups):
        read_custody_groups(json.dumps(rows))


def test_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(UnusableCustodyGroups):
        read_custody_groups("{")


@given(st.lists(st.integers(0, 5), min_size=2, max_size=8))
def test_no_set_is_ever_read_as_hot_and_as_warm(numbers: list[int]) -> None:
    rows = [
        row(place, place, hot, warm)
        for place, (hot, warm) in enumerate(zip(numbers[::2], numbers[1::2], strict=False))
    ]
    hot, warm = {r["hot"] for r in rows}, {r["warm"] for r in rows}
    if hot & warm:
        with pytest.raises(UnusableCustodyGroups):
            read_custody_groups(json.dumps(rows))
    else:
        assert len(read_custody_groups(json.dumps(rows))) == len(rows)


def test_a_set_of_the_other_purpose_or_an_unknown_one_holds_no_wallet() -> None:
    hot, warm = (CustodySet(n, kind, KEYS) for n, kind in enumerate(WalletKind))
    numbers = {WalletKind.HOT: 0, WalletKind.WARM: 1}
    assert checked_sets(numbers, {0: hot, 1: warm}) == {WalletKind.HOT: hot, WalletKind.WARM: warm}
    for found in ({0: hot}, {1: warm}, {0: warm, 1: warm}, {0: hot, 1: hot}, {}):
        with pytest.raises(CustodySetsMissing):
            checked_sets(numbers, found)


def test_a_group_is_complete_with_a_key_and_two_accounts_a_chain() -> None:
    names, chains = chain_key_names(FOUR), list(FOUR)
    accounts = frozenset((kind, chain) for kind in WalletKind for chain in FOUR)
    sets = {WalletKind.HOT: 0, WalletKind.WARM: 1}
    whole = Holdings(frozenset(names), accounts, sets)
    assert whole.complete(names, chains)
    assert not Holdings(frozenset(names[1:]), accounts, sets).complete(names, chains)
    less = accounts - {(WalletKind.WARM, "solana")}
    assert not Holdings(frozenset(names), less, sets).complete(names, chains)
    assert not Holdings(frozenset(names), accounts, {WalletKind.HOT: 0}).complete(names, chains)


def test_each_chain_key_has_a_purpose_of_its_own_and_the_key_of_its_chains_signer() -> None:
    names = chain_key_names(FOUR)
    assert set(chain_keys(SEED, FOUR)) == set(names)
    assert {chain_key_purpose(name) for name in names} == {
        "sweep-bitcoin",
        "sweep-ethereum",
        "sweep-tron",
        "sweep-solana",
        "tron-custody",
    }
    assert chain_key_alias("tron-custody") == chain_key_alias("tron") == "sweep-tron"
    assert set(chain_keys(SEED, {"bitcoin": "mainnet", "ethereum": "1"})) == {
        "bitcoin",
        "ethereum",
    }


def test_the_chain_keys_are_different_nodes_and_name_two_tron_accounts() -> None:
    keys = chain_keys(SEED, FOUR)
    assert len({bytes(key) for key in keys.values()}) == 5
    nodes = [keys[name] for name in ("bitcoin", "ethereum", "tron", "tron-custody")]
    assert all(ExtendedPrivateKey.parse(bytes(node)).public() for node in nodes)
    named = {tron_custody_address(keys["tron-custody"], place) for place in (0, 1)}
    assert len(named) == 2
    assert not named & {tron_custody_address(keys["tron"], place) for place in (0, 1)}
    with pytest.raises(MalformedExtendedKey):
        tron_custody_address(keys["solana"], 0)
