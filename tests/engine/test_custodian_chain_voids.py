"""What a payout can no longer use is freed by a void, on the chains that have one."""

from typing import Any

import pytest

from orion.chains.bitcoin.psbt_build import Coin, Recipient, payment_psbt, void_psbt
from orion.chains.ethereum.safe_proposals import propose_payments, propose_void
from orion.chains.spend import Payment, custody
from orion.kms.custody.errors import CustodianRefusal
from tests.engine.custodian_chain_scene import BITCOIN_SHOP, ETHEREUM_SHOP, account_of, coin
from tests.engine.custodian_scene import (
    Aws,
    Body,
    Custodians,
    Issuers,
    payout,
    sign_request,
    void,
)

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def custodians(aws_engine: Any) -> Custodians:
    aws = Aws(aws_engine)
    return Custodians(aws, Issuers(kms=aws.kms)).enrolled()


def at_nonce(custodians: Custodians, nonce: int, units: int) -> Body:
    account = account_of(custodians, "ethereum")
    unsigned = propose_payments(account, nonce, [Payment("ETH.ethereum", ETHEREUM_SHOP, units)], {})
    paid = payout("ethereum", "ETH.ethereum", ETHEREUM_SHOP, units, account=account.address)
    return sign_request(unsigned, [custodians.issuers.asked(paid)])


def void_of_nonce(custodians: Custodians, nonce: int) -> Body:
    account = account_of(custodians, "ethereum")
    wanted = void("ethereum", "ETH.ethereum", account=account.address)
    return sign_request(propose_void(account, nonce), [custodians.issuers.asked(wanted)])


def test_a_nonce_that_is_divided_between_payouts_is_freed_by_a_void_alone(
    custodians: Custodians,
) -> None:
    rivals = [at_nonce(custodians, 60, units) for units in (1, 2, 3)]
    for rival, numbers in zip(rivals, ((1, 2), (3, 4), (5,)), strict=True):
        custodians.sign(rival, numbers)
    for rival, number in zip(rivals, (3, 5, 1), strict=True):
        with pytest.raises(CustodianRefusal) as stuck:
            custodians.sign(rival, (number,))
        assert stuck.value.reason == "claim_of_other_effect"

    request = void_of_nonce(custodians, 60)
    signed = custodians.sign(request, custodians.numbers)
    signatures = {number: answer.signatures for number, answer in signed.items()}
    account = account_of(custodians, "ethereum")

    assert custody("ethereum").assemble(propose_void(account, 60), account, signatures)
    assert custodians.sign(request)[1].signatures == signatures[1]
    # What was signed for the nonce stays signed, and nobody signs another payment for it.
    assert custodians.sign(rivals[0], (1, 2))[1].step.value == "repeat"
    for number in custodians.numbers:
        with pytest.raises(CustodianRefusal) as taken:
            custodians.sign(at_nonce(custodians, 60, 4), (number,))
        assert taken.value.reason == "claim_of_other_effect"


def test_two_voids_that_meet_leave_neither_stuck(custodians: Custodians) -> None:
    first, second = (void_of_nonce(custodians, 70) for _ in range(2))
    custodians.sign(first, (1, 2))
    custodians.sign(second, (3, 4))

    signed = custodians.sign(first, custodians.numbers)

    kept = {number: answer.signatures for number, answer in signed.items()}
    assert custodians.sign(second, (3,))[3].signatures == kept[3]
    assert [answer.step.value for answer in signed.values()] == ["repeat"] * 2 + ["first"] * 3
    again = custodians.sign(first, (3,))[3]
    assert (again.step.value, again.signatures) == ("repeat", kept[3])
    # The claim is the first void's at custodian 5, and no payment's.
    with pytest.raises(CustodianRefusal) as taken:
        custodians.sign(at_nonce(custodians, 70, 1), (5,))
    assert taken.value.reason == "claim_of_other_effect"


def test_a_void_of_coins_takes_the_free_ones_and_leaves_a_payout_its_own(
    custodians: Custodians,
) -> None:
    account = account_of(custodians, "bitcoin")
    held, free = coin(account, 500_000, mark=30), coin(account, 500_000, mark=31)
    paid = [Recipient(BITCOIN_SHOP, 9_000)]
    fees = {"fee_max_units": "5000", "account": account.address}

    def payment(coins: list[Coin], fee_sat: int, asked: Body) -> Body:
        return sign_request(payment_psbt(account, coins, paid, fee_sat), [asked])

    issuers = custodians.issuers
    first, other = (
        issuers.asked(payout("bitcoin", "BTC.bitcoin", BITCOIN_SHOP, 9_000, **fees))
        for _ in range(2)
    )
    custodians.sign(payment([held], 300, first))
    wanted = issuers.asked(void("bitcoin", "BTC.bitcoin", **fees))
    unsigned = void_psbt(account, [held, free], 900)

    signed = custodians.sign(sign_request(unsigned, [wanted]), (2, 3, 4))
    dearer = custodians.sign(
        sign_request(void_psbt(account, [held, free], 1_900), [wanted]), (2, 3, 4)
    )
    with pytest.raises(CustodianRefusal) as taken:
        custodians.sign(payment([free], 300, other), (2,))

    signatures = {number: answer.signatures for number, answer in signed.items()}
    assert custody("bitcoin").assemble(unsigned, account, signatures)
    assert dearer[2].step.value == "next"
    assert taken.value.reason == "claim_of_other_effect"
    assert custodians.sign(payment([held], 800, first), (2,))[2].step.value == "next"
