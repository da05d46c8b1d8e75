"""Five custodians, one payout on each chain: three sign, and what they sign assembles."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from coincurve import PrivateKey
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from orion.adapters.aws.custodian_store import DynamoCustodianStore
from orion.chains.bitcoin.address import parse_address
from orion.chains.bitcoin.encode import transaction_bytes
from orion.chains.bitcoin.psbt_build import Coin, Recipient, payment_psbt, void_psbt
from orion.chains.bitcoin.wire import TxInput, TxOutput
from orion.chains.ethereum.safe_proposals import propose_payments, propose_rotation, propose_void
from orion.chains.solana.budget import Budget
from orion.chains.solana.order import Order, write_order
from orion.chains.spend import CustodyAccount, CustodyPlace, Payment, WalletKind, custody
from orion.chains.tron import building
from orion.chains.tron.permissions import address_of_key
from orion.chains.tron.raw_data import Frame
from orion.kms.custody.errors import CustodianRefusal
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
    void,
)

pytestmark = pytest.mark.engine
TRON_ANCHOR = address_of_key(PrivateKey(bytes(31) + b"\x05").public_key.format())
TRON_SHOP = address_of_key(PrivateKey(bytes(31) + b"\x06").public_key.format())
SOLANA_PAYER = str(Keypair.from_seed(bytes(31) + b"\x07").pubkey())
SOLANA_SHOP = str(Keypair.from_seed(bytes(31) + b"\x08").pubkey())
BITCOIN_SHOP = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
ETHEREUM_SHOP = "0x" + "5a" * 20
ANCHORS = {"bitcoin": "", "ethereum": "", "tron": TRON_ANCHOR, "solana": SOLANA_PAYER}


@pytest.fixture(scope="module")
def custodians(aws_engine: Any) -> Custodians:
    aws = Aws(aws_engine)
    return Custodians(aws, Issuers(kms=aws.kms)).enrolled()


def account_of(custodians: Custodians, chain: str, set_no: int = 1) -> CustodyAccount:
    place = CustodyPlace(chain, NETWORKS[chain], 7, WalletKind.HOT, set_no)
    return custody(chain).account(place, custodians.sets[set_no].keys, ANCHORS[chain])


def coin(account: CustodyAccount, sats: int, mark: int = 1) -> Coin:
    """An output that pays the account, in a transaction of its own."""
    script = parse_address(account.address, "regtest").script
    inputs = [TxInput(bytes([mark]) * 32, 0, b"", 0xFFFFFFFD)]
    return Coin(transaction_bytes(2, inputs, [TxOutput(sats, script)], 0), 0)


def bitcoin_case(account: CustodyAccount) -> tuple[bytes, Body]:
    unsigned = payment_psbt(
        account, [coin(account, 500_000)], [Recipient(BITCOIN_SHOP, 9_000)], 500
    )
    more = {"fee_max_units": "500", "account": account.address}
    return unsigned, payout("bitcoin", "BTC.bitcoin", BITCOIN_SHOP, 9_000, **more)


def ethereum_case(account: CustodyAccount) -> tuple[bytes, Body]:
    payment = Payment("ETH.ethereum", ETHEREUM_SHOP, 7 * 10**17)
    unsigned = propose_payments(account, 0, [payment], {})
    more = {"account": account.address}
    return unsigned, payout("ethereum", "ETH.ethereum", ETHEREUM_SHOP, 7 * 10**17, **more)


def tron_case(account: CustodyAccount) -> tuple[bytes, Body]:
    frame = Frame(b"\1\2", b"\3" * 8, 1_767_349_200_000, 1_767_349_260_000)
    unsigned = building.transfer(account.address, TRON_SHOP, 5_000_000, frame, 2)
    more = {"fee_max_units": "10000000", "account": account.address}
    return unsigned, payout("tron", "TRX.tron", TRON_SHOP, 5_000_000, **more)


def solana_case(account: CustodyAccount) -> tuple[bytes, Body]:
    payer = bytes(Pubkey.from_string(SOLANA_PAYER))
    payment = Payment("SOL.solana", SOLANA_SHOP, 2_000_000)
    block = hashlib.sha256(b"block").digest()
    order = Order(payer, (1, 2, 3), block, Budget(200_000, 7), (payment,))
    more = {"account": account.address}
    instruction = payout("solana", "SOL.solana", SOLANA_SHOP, 2_000_000, **more)
    return write_order(order, account, {}), instruction


CASES = {
    "bitcoin": bitcoin_case,
    "ethereum": ethereum_case,
    "tron": tron_case,
    "solana": solana_case,
}


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


def other_shop(chain: str) -> str:
    return {
        "bitcoin": "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry",
        "ethereum": "0x" + "5b" * 20,
        "tron": TRON_ANCHOR,
        "solana": SOLANA_PAYER,
    }[chain]
