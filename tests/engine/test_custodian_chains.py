"""Five custodians, one payout on each chain: three sign, and what they sign assembles."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from solders.pubkey import Pubkey

from orion.adapters.aws.custodian_store import DynamoCustodianStore
from orion.chains.bitcoin.psbt_build import Coin, Recipient, payment_psbt
from orion.chains.ethereum.safe_proposals import propose_payments, propose_rotation
from orion.chains.solana.budget import Budget
from orion.chains.solana.order import Order, write_order
from orion.chains.spend import Payment, WalletKind, custody
from orion.chains.tron import building
from orion.chains.tron.raw_data import Frame
from orion.kms.custody.errors import CustodianRefusal
from tests.engine.custodian_chain_scene import (
    ANCHORS,
    BITCOIN_SHOP,
    CASES,
    ETHEREUM_SHOP,
    SOLANA_PAYER,
    TRON_ANCHOR,
    TRON_SHOP,
    account_of,
    coin,
    ethereum_case,
    other_shop,
    tron_case,
)
from tests.engine.custodian_scene import (
    FLOATS,
    NETWORKS,
    NOW,
    PAYERS,
    Aws,
    Body,
    Custodians,
    Issuers,
    payout,
    rotation,
    sign_request,
)

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def custodians(aws_engine: Any) -> Custodians:
    aws = Aws(aws_engine)
    return Custodians(aws, Issuers(kms=aws.kms)).enrolled()


@pytest.mark.parametrize("chain", CASES)
def test_three_custodians_sign_a_payout_that_assembles(custodians: Custodians, chain: str) -> None:
    account = account_of(custodians, chain)
    unsigned, instruction = CASES[chain](account)
    request = sign_request(unsigned, [custodians.issuers.asked(instruction)], ANCHORS[chain])

    signed = custodians.sign(request)

    signatures = {number: answer.signatures for number, answer in signed.items()}
    assert custody(chain).assemble(unsigned, account, signatures)
    assert custodians.sign(request) == {
        number: type(answer)(answer.version, answer.signatures, type(answer.step)("repeat"), chain)
        for number, answer in signed.items()
    }


@pytest.mark.parametrize("chain", CASES)
def test_nobody_signs_a_changed_amount_or_recipient(custodians: Custodians, chain: str) -> None:
    unsigned, instruction = CASES[chain](account_of(custodians, chain))
    others = {"units": str(int(instruction["units"]) + 1)}, {"recipient": other_shop(chain)}

    for changed in others:
        asked = custodians.issuers.asked(instruction | changed)
        for number in custodians.numbers:
            with pytest.raises(CustodianRefusal) as refused:
                custodians.services[number].sign(sign_request(unsigned, [asked], ANCHORS[chain]))
            expected = "not_a_signer" if chain == "solana" and number > 3 else "payment_missing"
            assert refused.value.reason == expected


def test_keys_are_replaced_in_place_by_a_rotation_alone(custodians: Custodians) -> None:
    account = account_of(custodians, "ethereum")
    unsigned = propose_rotation(account, 5, custodians.sets[3].keys)
    wanted = rotation("ethereum", "ETH.ethereum", None, 0, account=account.address)

    signed = custodians.sign(sign_request(unsigned, [custodians.issuers.asked(wanted)]), (3, 4, 5))
    _, instruction = ethereum_case(account)
    with pytest.raises(CustodianRefusal) as as_payout:
        custodians.sign(sign_request(unsigned, [custodians.issuers.asked(instruction)]))

    signatures = {number: answer.signatures for number, answer in signed.items()}
    assert custody("ethereum").assemble(unsigned, account, signatures)
    assert as_payout.value.reason == "other_operation"


def test_a_rotation_by_payment_pays_the_target_sets_account_only(custodians: Custodians) -> None:
    account, target = account_of(custodians, "bitcoin"), account_of(custodians, "bitcoin", 3)
    coins = [coin(account, 500_000, mark=9)]

    def request(address: str) -> Body:
        unsigned = payment_psbt(account, coins, [Recipient(address, 499_000)], 1_000)
        more = {"fee_max_units": "1000", "account": account.address}
        wanted = rotation("bitcoin", "BTC.bitcoin", address, 499_000, **more)
        return sign_request(unsigned, [custodians.issuers.asked(wanted)])

    with pytest.raises(CustodianRefusal) as refused:
        custodians.sign(request(BITCOIN_SHOP))

    assert refused.value.reason == "not_the_target"
    assert len(custodians.sign(request(target.address))) == 3


def test_a_higher_fee_is_a_next_version_and_another_coin_is_not(custodians: Custodians) -> None:
    account = account_of(custodians, "bitcoin")
    first, other = coin(account, 500_000, mark=20), coin(account, 500_000, mark=21)
    paid = [Recipient(BITCOIN_SHOP, 9_000)]
    more_said = {"fee_max_units": "900", "account": account.address}
    asked = custodians.issuers.asked(
        payout("bitcoin", "BTC.bitcoin", BITCOIN_SHOP, 9_000, **more_said)
    )

    def request(coins: list[Coin], fee_sat: int) -> Body:
        return sign_request(payment_psbt(account, coins, paid, fee_sat), [asked])

    once = custodians.sign(request([first], 300))
    more = custodians.sign(request([first, other], 900))
    with pytest.raises(CustodianRefusal) as refused:
        custodians.sign(request([other], 300))

    assert {answer.step.value for answer in once.values()} == {"first"}
    assert {answer.step.value for answer in more.values()} == {"next"}
    assert refused.value.reason == "claims_not_kept"


def test_a_next_version_on_tron_waits_for_the_first_ones_death(
    custodians: Custodians, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = account_of(custodians, "tron")
    said = {"fee_max_units": "10000000", "account": account.address}
    instruction = payout("tron", "TRX.tron", TRON_SHOP, 4_000_000, **said)

    def request(expires_ms: int, *more: Body) -> Body:
        frame = Frame(b"\1\2", b"\3" * 8, 1_767_349_200_000, expires_ms)
        unsigned = building.transfer(account.address, TRON_SHOP, 4_000_000, frame, 2)
        return sign_request(
            unsigned, [custodians.issuers.asked(instruction, *more)], ANCHORS["tron"]
        )

    def counted() -> int:
        store = DynamoCustodianStore(custodians.aws.dynamodb, custodians.tables[1])
        nothing = ("tron", NETWORKS["tron"], "00")
        known = store.remembered("00", nothing, WalletKind.HOT, ["TRX.tron"]).windows or {}
        return known["TRX.tron"].spent(NOW) if "TRX.tron" in known else 0

    before = counted()
    first = custodians.sign(request(1_767_349_260_000))
    with pytest.raises(CustodianRefusal) as refused:
        custodians.sign(request(1_767_349_320_000))
    version = first[1].version
    # Its issuer believes in an earlier end than the bytes say.
    early = custodians.issuers.absent(
        "tron", version, valid_until=1_767_349_200_000, final_at=1_767_349_260_000
    )
    with pytest.raises(CustodianRefusal) as too_early:
        custodians.sign(request(1_767_349_320_000, early))
    # Its issuer's clock is ahead of the custodians'.
    ahead = custodians.issuers.absent("tron", version, final_at=1_767_349_260_001)
    with pytest.raises(CustodianRefusal) as too_soon:
        custodians.sign(request(1_767_349_320_000, ahead))
    monkeypatch.setattr(custodians.issuers, "now", lambda: NOW + timedelta(seconds=61))
    later = {number: custodians.service(number) for number in custodians.numbers}
    monkeypatch.setattr(custodians, "services", later)
    dead = custodians.issuers.absent("tron", version, final_at=1_767_349_260_001)
    second = custodians.sign(request(1_767_349_320_000, dead))
    failed = custodians.issuers.failed("tron", second[1].version)
    third = custodians.sign(request(1_767_349_380_000, dead, failed))

    assert counted() - before == 3 * (4_000_000 + 10_000_000)
    for each in (refused, too_early, too_soon):
        assert each.value.reason == "earlier_version_alive"
    assert len({version, second[1].version, third[1].version}) == 3


def test_a_transaction_on_tron_that_lives_long_is_signed_by_nobody(custodians: Custodians) -> None:
    account = account_of(custodians, "tron")
    _, instruction = tron_case(account)
    request = [custodians.issuers.asked(instruction)]

    for expires_ms, why in (
        (1_767_349_200_000, "expired"),
        (1_767_349_200_000 + 660_001, "expires_too_late"),
    ):
        frame = Frame(b"\1\2", b"\3" * 8, expires_ms - 60_000, expires_ms)
        unsigned = building.transfer(account.address, TRON_SHOP, 5_000_000, frame, 2)
        with pytest.raises(CustodianRefusal) as refused:
            custodians.sign(sign_request(unsigned, request, TRON_ANCHOR))
        assert refused.value.reason == why


def test_a_rotation_on_solana_wants_the_chains_word_about_the_very_set_enrolled(
    custodians: Custodians,
) -> None:
    account, target = account_of(custodians, "solana"), account_of(custodians, "solana", 3)
    payer = bytes(Pubkey.from_string(SOLANA_PAYER))
    payment = Payment("SOL.solana", target.address, 2_000_000)
    block = hashlib.sha256(b"another block").digest()
    order = Order(payer, (1, 2, 3), block, Budget(200_000, 7), (payment,))
    wanted = rotation("solana", "SOL.solana", target.address, 2_000_000, account=account.address)

    def request(*more: Body) -> Body:
        asked = custodians.issuers.asked(wanted, *more)
        return sign_request(write_order(order, account, {}), [asked], SOLANA_PAYER)

    # Whoever enrolled the attacker's keys under this number would hold another digest.
    other_set = custodians.issuers.held("solana", target.address, custodians.sets[1].digest())
    for more, why in (((), "held_missing"), ((other_set,), "about_another")):
        with pytest.raises(CustodianRefusal) as refused:
            custodians.sign(request(*more))
        assert refused.value.reason == why
    held = custodians.issuers.held("solana", target.address, custodians.sets[3].digest())

    assert len(custodians.sign(request(held))) == 3


@pytest.mark.parametrize("chain", CASES)
def test_an_anchor_that_leads_to_another_account_than_was_meant_is_refused(
    custodians: Custodians, chain: str
) -> None:
    unsigned, instruction = CASES[chain](account_of(custodians, chain))
    asked = custodians.issuers.asked(instruction | {"account": PAYERS[chain]})

    with pytest.raises(CustodianRefusal) as refused:
        custodians.sign(sign_request(unsigned, [asked], ANCHORS[chain]))

    assert refused.value.reason == "other_account"


def test_a_refill_pays_the_float_of_the_deployment_and_nobody_else(
    custodians: Custodians,
) -> None:
    account = account_of(custodians, "ethereum")

    def request(recipient: str) -> Body:
        payment = Payment("ETH.ethereum", recipient, 5)
        more = {"purpose": "refill", "merchant": None, "account": account.address}
        asked = custodians.issuers.asked(payout("ethereum", "ETH.ethereum", recipient, 5, **more))
        return sign_request(propose_payments(account, 40, [payment], {}), [asked])

    with pytest.raises(CustodianRefusal) as refused:
        custodians.sign(request(ETHEREUM_SHOP))

    assert refused.value.reason == "not_the_float"
    assert len(custodians.sign(request(FLOATS["ethereum"]))) == 3
