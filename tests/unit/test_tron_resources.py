"""Bandwidth and energy of the Tron engine: recovery, order of payment, limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.tron.accounts import Account, Stake, Usage, write_account
from infra.local.tron.energy import Step, energy_of
from infra.local.tron.refusals import Code, Refused
from infra.local.tron.resources import (
    Receipt,
    Sharing,
    burn,
    caller_energy,
    charge_bandwidth,
    decay,
    energy_left,
    limit,
    origin_energy,
    pay_energy,
)
from infra.local.tron.state import Session

_TRX = 1_000_000
_DAY = 28_800
_ADDRESS = "41" + 20 * "11"


class _Empty:
    def get(self, key: str) -> str | None:
        return None


def _view() -> Session:
    return Session(_Empty())


def _account(balance: int = 0, *, energy_trx: int = 0, net_trx: int = 0) -> Account:
    return Account(
        _ADDRESS,
        balance=balance,
        for_energy=Stake(own=energy_trx * _TRX),
        for_net=Stake(own=net_trx * _TRX),
    )


def test_half_of_a_usage_is_left_after_half_a_day() -> None:
    assert decay(Usage(600, 1_000), 1_000) == 600
    assert decay(Usage(600, 1_000), 1_000 + _DAY // 2) == 300
    assert decay(Usage(600, 1_000), 1_000 + _DAY) == 0


@given(
    st.integers(min_value=0, max_value=10**11),
    st.integers(min_value=0, max_value=2 * _DAY),
    st.integers(min_value=0, max_value=2 * _DAY),
)
def test_a_usage_never_grows_by_waiting(used: int, first: int, more: int) -> None:
    earlier, later = decay(Usage(used, 0), first), decay(Usage(used, 0), first + more)
    assert 0 <= later <= earlier <= used + 1


def test_staked_bandwidth_goes_before_the_free_one() -> None:
    account, receipt = _account(net_trx=10_000), Receipt()
    assert limit(_view(), account, 0) > 300
    charge_bandwidth(_view(), account, 300, 5, receipt, activates=False)
    assert (account.net.used, account.free_net.used) == (300, 0)
    assert receipt.net_usage == 300


def test_free_bandwidth_goes_before_burning_and_is_not_split() -> None:
    account, receipt = _account(balance=_TRX), Receipt()
    charge_bandwidth(_view(), account, 350, 5, receipt, activates=False)
    assert (receipt.net_usage, receipt.net_fee, account.balance) == (350, 0, _TRX)
    second = Receipt()
    charge_bandwidth(_view(), account, 350, 5, second, activates=False)
    assert (second.net_usage, second.net_fee) == (0, 350_000)
    assert account.balance == _TRX - 350_000


def test_one_who_activates_an_account_never_pays_with_free_bandwidth() -> None:
    account, receipt = _account(balance=_TRX), Receipt()
    charge_bandwidth(_view(), account, 300, 5, receipt, activates=True)
    assert (receipt.net_fee, account.free_net.used) == (100_000, 0)


def test_who_has_neither_resources_nor_trx_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        burn(_account(balance=99_999), 100_000)
    assert refused.value.code is Code.BANDWITH_ERROR


def test_the_fee_limit_caps_staked_energy_too() -> None:
    rich = _account(balance=1_000_000 * _TRX, energy_trx=1_000_000)
    assert energy_left(_view(), rich, 0) > 100_000
    energy = caller_energy(_view(), rich, fee_limit=10 * _TRX, call_value=0, slot=0)
    assert energy == 100_000


def test_what_is_sent_along_cannot_be_burned_for_energy() -> None:
    account = _account(balance=10 * _TRX)
    assert caller_energy(_view(), account, fee_limit=100 * _TRX, call_value=0, slot=0) == 100_000
    assert (
        caller_energy(_view(), account, fee_limit=100 * _TRX, call_value=4 * _TRX, slot=0) == 60_000
    )


def test_energy_is_taken_from_the_stake_first_and_burned_for_the_rest() -> None:
    account, receipt = _account(balance=10 * _TRX, energy_trx=1_000), Receipt()
    staked = energy_left(_view(), account, 7)
    assert 0 < staked < 20_000
    pay_energy(_view(), account, None, Sharing(100, 0), 20_000, 7, receipt)
    assert receipt.energy_usage == staked
    assert receipt.energy_fee == (20_000 - staked) * 100
    assert account.balance == 10 * _TRX - receipt.energy_fee
    assert energy_left(_view(), account, 7) == 0
    assert 0 < energy_left(_view(), account, 7 + _DAY // 2) < staked


@pytest.mark.parametrize("percent, by_origin", [(100, 0), (40, 6_000), (0, 10_000)])
def test_a_creator_pays_its_percentage_within_stake_and_limit(percent: int, by_origin: int) -> None:
    origin, caller, receipt = _account(energy_trx=10_000), _account(balance=_TRX), Receipt()
    pay_energy(_view(), caller, origin, Sharing(percent, 50_000), 10_000, 0, receipt)
    assert receipt.origin_energy_usage == by_origin
    assert receipt.energy_fee == (10_000 - by_origin) * 100


def test_a_creators_limit_bounds_what_it_pays() -> None:
    origin, caller, receipt = _account(energy_trx=10_000), _account(balance=_TRX), Receipt()
    pay_energy(_view(), caller, origin, Sharing(0, 3_000), 10_000, 0, receipt)
    assert receipt.origin_energy_usage == 3_000
    assert origin_energy(_view(), origin, Sharing(0, 3_000), 10_000, _DAY) == 3_000
    assert origin_energy(_view(), origin, Sharing(50, 90_000), 10_000, _DAY) == 10_000
    assert origin_energy(_view(), origin, Sharing(100, 90_000), 10_000, _DAY) == 0


def test_stakes_made_here_dilute_those_of_others() -> None:
    view = _view()
    account = _account(energy_trx=1_000)
    alone = limit(view, account, 1)
    write_account(view, account)
    view.put("totals", '{"net":0,"energy":19500000000000000}')
    assert limit(view, account, 1) == pytest.approx(alone / 2, abs=1)


def _step(op: str, gas: int, cost: int, *stack: int, depth: int = 1) -> Step:
    return Step(op, gas, cost, depth, [hex(word) for word in stack])


def test_reading_storage_costs_fifty_whether_ethereum_calls_it_cold_or_warm() -> None:
    steps = [_step("SLOAD", 9_000, 2_100, 0), _step("SLOAD", 6_900, 100, 0)]
    assert energy_of(steps) == 100


@pytest.mark.parametrize(
    "cost, energy",
    [(22_100, 20_000), (20_000, 20_000), (5_000, 5_000), (2_900, 5_000), (2_200, 5_000)],
)
def test_a_word_set_first_costs_twenty_thousand_any_other_five(cost: int, energy: int) -> None:
    assert energy_of([_step("SSTORE", 99_000, cost, 1, 0)]) == energy


def test_a_call_costs_forty_and_the_callees_steps() -> None:
    steps = [
        _step("CALL", 90_000, 88_000, 0, 0, 0, 0, 0, 0x1234, 80_000),
        _step("ADD", 80_000, 3, 1, 1, depth=2),
        _step("STOP", 79_997, 0, depth=2),
        _step("POP", 87_397, 2, 1),
    ]
    assert energy_of(steps) == 40 + 3 + 2


def test_trx_sent_to_an_account_that_is_not_there_costs_its_creation() -> None:
    def call(after: int) -> int:
        steps = [
            _step("CALL", 90_000, 88_000, 0, 0, 0, 0, 7, 0x1234, 80_000),
            _step("POP", 90_000 - after, 2, 1),
        ]
        return energy_of(steps) - 2

    assert call(2_600 + 6_700) == 40 + 6_700
    assert call(2_600 + 6_700 + 25_000) == 40 + 6_700 + 25_000


def test_a_contract_that_creates_one_pays_two_hundred_a_byte() -> None:
    steps = [
        _step("CREATE", 90_000, 32_000, 3, 0, 0),
        _step("RETURN", 50_000, 0, 10, 0, depth=2),
        _step("POP", 40_000, 2, 1),
    ]
    assert energy_of(steps) == 32_000 + 10 * 200 + 2


def test_an_exponent_costs_ten_a_byte() -> None:
    assert energy_of([_step("EXP", 9_000, 10 + 2 * 50, 300, 2)]) == 30
