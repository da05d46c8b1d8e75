"""What a deployment may say about deposits, and what the pool asks for."""

from datetime import UTC, datetime, timedelta

import pytest

from orion.chains.errors import UnknownChain
from orion.moneyin.errors import ForeignStream, UnusablePolicy
from orion.moneyin.policy import decides, read_policy
from orion.moneyin.pool import GROUP_WALLETS, PoolRequest, next_request

NETWORKS = {"bitcoin": "regtest", "ethereum": "31337"}
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_a_policy_is_read_from_the_three_parameters() -> None:
    policy = read_policy(
        NETWORKS,
        {"bitcoin": {"settled": 2, "final": 6}},
        {"USDT.ethereum": "0xAbCd"},
    )
    bitcoin, ethereum = policy.of("bitcoin", "regtest"), policy.of("ethereum", "31337")
    assert (bitcoin.settled, bitcoin.final, bitcoin.nodes) == (2, 6, 1)
    assert {key: value.code for key, value in bitcoin.assets.items()} == {None: "BTC.bitcoin"}
    assert {key: value.code for key, value in ethereum.assets.items()} == {
        None: "ETH.ethereum",
        "0xabcd": "USDT.ethereum",
    }


def test_without_counts_of_its_own_a_deployment_has_those_of_the_network() -> None:
    assert read_policy(NETWORKS, {}, {}).of("bitcoin", "regtest").settled == 2


@pytest.mark.parametrize(
    "counts",
    [
        {"settled": 0, "final": 1},
        {"settled": 3, "final": 2},
        {"settled": 2},
        {"settled": "2", "final": 3},
        {"settled": 2, "final": 3, "nodes": 2},
        {"settled": 2, "final": 1_000_000},
        7,
    ],
)
def test_counts_that_cannot_be_followed_are_refused(counts: object) -> None:
    with pytest.raises(UnusablePolicy):
        read_policy(NETWORKS, {"bitcoin": counts}, {})


LADDER = [
    {"from_units": "10000000", "settled": 3},
    {"from_units": "100000000", "settled": 6},
]


def with_amounts(amounts: object) -> dict[str, object]:
    return {"bitcoin": {"settled": 2, "final": 6, "amounts": amounts}}


@pytest.mark.parametrize(
    "units,settled",
    [
        (1, 2),
        (9_999_999, 2),
        (10_000_000, 3),
        (99_999_999, 3),
        (100_000_000, 6),
        (10**30, 6),
    ],
)
def test_larger_amounts_ask_for_more_confirmations_from_each_step_on(
    units: int, settled: int
) -> None:
    policy = read_policy(NETWORKS, with_amounts({"BTC.bitcoin": LADDER}), {})
    bitcoin = policy.of("bitcoin", "regtest")
    assert bitcoin.settled_for("BTC.bitcoin", units) == settled
    assert bitcoin.settled_for("USDT.bitcoin", units) == 2


@pytest.mark.parametrize(
    "amounts",
    [
        7,
        {"ETH.ethereum": LADDER},
        {"BTC.bitcoin": {"from_units": "1", "settled": 3}},
        {"BTC.bitcoin": [7]},
        {"BTC.bitcoin": [{"from_units": 10, "settled": 3}]},
        {"BTC.bitcoin": [{"from_units": "0", "settled": 3}]},
        {"BTC.bitcoin": [{"from_units": "1.5", "settled": 3}]},
        {"BTC.bitcoin": [{"from_units": "10", "settled": True}]},
        {"BTC.bitcoin": [{"from_units": "10", "settled": 2}]},
        {"BTC.bitcoin": [{"from_units": "10", "settled": 7}]},
        {"BTC.bitcoin": [LADDER[1], LADDER[0]]},
        {"BTC.bitcoin": [LADDER[0], LADDER[0]]},
        {"BTC.bitcoin": [LADDER[0], {"from_units": "100000000", "settled": 3}]},
        {"BTC.bitcoin": [LADDER[0]] * 17},
    ],
)
def test_a_ladder_that_does_not_rise_up_to_final_is_refused(amounts: object) -> None:
    with pytest.raises(UnusablePolicy):
        read_policy(NETWORKS, with_amounts(amounts), {})


@pytest.mark.parametrize(
    "contracts",
    [
        {"USDT.ethereum": ""},
        {"USDT.ethereum": None},
        {"EUR": "0x1"},
        {"USDT.ethereum": "0x1", "USDC.ethereum": "0x1"},
    ],
)
def test_contracts_that_name_no_single_token_are_refused(contracts: dict[str, object]) -> None:
    with pytest.raises(UnusablePolicy):
        read_policy(NETWORKS, {}, contracts)


def test_a_chain_or_network_of_another_deployment_is_foreign() -> None:
    policy = read_policy(NETWORKS, {}, {})
    for chain, network in (("bitcoin", "mainnet"), ("tron", "31337")):
        with pytest.raises(ForeignStream):
            policy.of(chain, network)
    with pytest.raises(UnknownChain):
        read_policy({"dogecoin": "1"}, {}, {})


def test_the_first_node_of_a_chain_decides() -> None:
    assert decides("bitcoin-1", "bitcoin-1", 1)
    assert not decides("bitcoin-2", "bitcoin-1", 1)


def test_ranges_of_the_pool_follow_each_other_and_never_leave_a_group() -> None:
    asked: PoolRequest | None = None
    covered: list[tuple[int, int]] = []
    for _ in range(GROUP_WALLETS // 500 + 2):
        request = next_request(asked, 0, NOW)
        assert request is not None
        covered += [
            (request.group, n)
            for n in range(request.first_index, request.first_index + request.count)
        ]
        asked = PoolRequest(
            request.group, request.first_index, request.count, 1, NOW, request.count
        )
    assert len(set(covered)) == len(covered)
    assert max(index for _, index in covered) == GROUP_WALLETS - 1
    assert covered == sorted(covered)


def test_an_unanswered_request_is_repeated_after_five_minutes_even_by_a_full_pool() -> None:
    waiting = PoolRequest(0, 500, 500, 3, NOW, present=499)
    assert next_request(waiting, 500, NOW + timedelta(minutes=4, seconds=59)) is None
    again = next_request(waiting, 500, NOW + timedelta(minutes=5))
    assert again == PoolRequest(0, 500, 500, 4, NOW + timedelta(minutes=5))
