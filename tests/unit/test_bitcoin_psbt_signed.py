"""Signed transactions of custody accounts and sweeps: whose signatures, in which order."""

from dataclasses import replace
from itertools import combinations

import pytest
from coincurve import PrivateKey

from infra.local.btcd import witness_script
from orion.chains.bitcoin import custody, sweep
from orion.chains.bitcoin.psbt import Field, InputField, parse_psbt, psbt_bytes
from orion.chains.bitcoin.psbt_build import Coin, Recipient, everything_psbt, payment_psbt
from orion.chains.bitcoin.wire import TxOutput, parse_transaction
from orion.chains.errors import UnknownNetwork
from orion.chains.secp256k1 import ORDER, parse_der, verify
from orion.chains.spend import Payment, SignatureRefused, SpendRefused
from tests.engine.custody_bitcoin_scene import (
    custody_set,
    kernel_accepts,
    key,
    previous,
    public,
    recipient,
    spent_outputs,
)

SET = custody_set("unit")
HOT = recipient("hot wallet")
COINS = [Coin(previous(TxOutput(50_000, SET.script), salt=n), 0) for n in range(2)]
PAYMENT = payment_psbt(SET.account, COINS, [Recipient(HOT, 70_000)], 900)
SIGNED = SET.signatures(PAYMENT, range(1, 6))

WALLETS = (key("wallet 1"), key("wallet 2"))
SWEPT = [
    Coin(previous(TxOutput(20_000 + n, witness_script(each)), salt=n), 0)
    for n, each in enumerate((*WALLETS, WALLETS[0]))
]
SWEEP = everything_psbt(SWEPT, HOT, "regtest", 700)


def owners(unsigned: bytes) -> tuple[bytes, ...]:
    """The keys that own the sweep's inputs, in order."""
    scripts = {witness_script(each): public(each) for each in WALLETS}
    return tuple(scripts[output.script] for output in spent_outputs(unsigned, SWEPT))


OWNERS = owners(SWEEP)


def sweep_signatures() -> tuple[bytes, ...]:
    privates = {public(each): each for each in WALLETS}
    messages = sweep.decode_sweep(SWEEP, OWNERS, "regtest", {}).messages
    return tuple(
        privates[owner].sign_recoverable(message, hasher=None)
        for owner, message in zip(OWNERS, messages, strict=True)
    )


@pytest.mark.parametrize("three", list(combinations(range(1, 6), 3)))
def test_any_three_sign_and_their_signatures_stand_in_the_order_of_the_keys(
    three: tuple[int, ...],
) -> None:
    raw = custody.assemble(PAYMENT, SET.account, {n: SIGNED[n] for n in three})
    signed = parse_transaction(raw)
    keys = sorted(SET.account.keys.secp256k1[n - 1] for n in three)
    spend = custody.decode(PAYMENT, SET.account, {})
    assert signed.display_id == spend.version
    for digest, stack in zip(spend.messages, signed.witnesses, strict=True):
        empty, *signatures, script = stack
        assert empty == b""
        assert script.hex() == custody.describe(SET.account)["witness_script"]
        assert all(
            each[-1] == 1 and verify(one, digest, parse_der(each[:-1]))
            for one, each in zip(keys, signatures, strict=True)
        )
    assert kernel_accepts(raw, spent_outputs(PAYMENT, COINS))


def test_of_more_than_three_the_lowest_custodians_sign() -> None:
    lowest = custody.assemble(PAYMENT, SET.account, {n: SIGNED[n] for n in (2, 3, 4)})
    assert custody.assemble(PAYMENT, SET.account, {n: SIGNED[n] for n in (5, 4, 3, 2)}) == lowest


def altered(signature: bytes, place: int) -> bytes:
    return bytes(value ^ (n == place) for n, value in enumerate(signature))


def high_s(signature: bytes) -> bytes:
    s = ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes((signature[64] ^ 1,))


FIRST = SIGNED[4][0]


@pytest.mark.parametrize(
    "given",
    [
        (),
        (FIRST,),
        (*SIGNED[4], FIRST),
        SIGNED[4][::-1],
        SIGNED[5],
        (altered(FIRST, 0), SIGNED[4][1]),
        (altered(FIRST, 40), SIGNED[4][1]),
        (altered(FIRST, 64), SIGNED[4][1]),
        (FIRST[:64], SIGNED[4][1]),
        (FIRST + b"\x00", SIGNED[4][1]),
        (high_s(FIRST), SIGNED[4][1]),
        (b"", SIGNED[4][1]),
    ],
    ids=["none", "one of two", "three of two", "other inputs", "another custodian's", "r", "s",
         "recovery id", "64 bytes", "66 bytes", "high s", "empty"],
)  # fmt: skip
def test_every_signature_is_verified_even_the_fourth(given: tuple[bytes, ...]) -> None:
    with pytest.raises(SignatureRefused) as caught:
        custody.assemble(PAYMENT, SET.account, {**{n: SIGNED[n] for n in (1, 2, 3)}, 4: given})
    assert caught.value.fields == {"custodian": 4}


def test_two_are_too_few_and_there_is_no_sixth() -> None:
    with pytest.raises(SignatureRefused) as caught:
        custody.assemble(PAYMENT, SET.account, {n: SIGNED[n] for n in (1, 5)})
    assert caught.value.fields == {"given": 2}
    for number in (0, 6, -1):
        with pytest.raises(SignatureRefused) as caught:
            custody.assemble(PAYMENT, SET.account, {**SIGNED, number: SIGNED[5]})
        assert caught.value.fields == {"custodian": number}


def test_signatures_for_one_version_do_not_fit_another() -> None:
    bumped = payment_psbt(SET.account, COINS, [Recipient(HOT, 70_000)], 1_800)
    with pytest.raises(SignatureRefused):
        custody.assemble(bumped, SET.account, SIGNED)


def test_a_sweep_pays_everything_and_has_no_change() -> None:
    spend = sweep.decode_sweep(SWEEP, OWNERS, "regtest", {})
    assert spend.payments == (Payment("BTC.bitcoin", HOT, 60_003 - 700),)
    assert spend.fee_max_units == 700
    assert len(spend.claims) == len(spend.messages) == 3
    own = everything_psbt(SWEPT, recipient("wallet 1"), "regtest", 700)
    (payment,) = sweep.decode_sweep(own, owners(own), "regtest", {}).payments
    assert payment.recipient == recipient("wallet 1")


def test_a_signed_sweep_is_what_the_consensus_engine_accepts() -> None:
    raw = sweep.assemble_sweep(SWEEP, OWNERS, "regtest", sweep_signatures())
    assert kernel_accepts(raw, spent_outputs(SWEEP, SWEPT))
    assert parse_transaction(raw).display_id == (
        sweep.decode_sweep(SWEEP, OWNERS, "regtest", {}).version
    )


@pytest.mark.parametrize(
    "reason, wrong",
    [
        ("owners", OWNERS[:2]),
        ("owners", (*OWNERS, OWNERS[0])),
        ("owners", (*OWNERS[:2], OWNERS[2][1:])),
        ("owners", (*OWNERS[:2], OWNERS[2] + b"\x00")),
        ("owners", (*OWNERS[:2], b"\x04" + OWNERS[2][1:])),
        ("foreign_input", (*OWNERS[:2], public(key("somebody")))),
    ],
)
def test_a_sweep_takes_nothing_but_its_owners_coins(reason: str, wrong: tuple[bytes, ...]) -> None:
    with pytest.raises(SpendRefused) as caught:
        sweep.decode_sweep(SWEEP, wrong, "regtest", {})
    assert caught.value.fields["reason"] == reason


def test_a_sweep_has_no_witness_scripts_and_a_known_network() -> None:
    psbt = parse_psbt(SWEEP)
    added = (*psbt.inputs[0], Field(InputField.WITNESS_SCRIPT, b"", b"\x51"))
    scripted = psbt_bytes(psbt.globals_, (added, *psbt.inputs[1:]), psbt.outputs)
    with pytest.raises(SpendRefused) as caught:
        sweep.decode_sweep(scripted, OWNERS, "regtest", {})
    assert caught.value.fields["reason"] == "witness_script"
    with pytest.raises(UnknownNetwork):
        sweep.decode_sweep(SWEEP, OWNERS, "moon", {})


def test_a_sweep_of_a_custody_account_is_refused() -> None:
    with pytest.raises(SpendRefused) as caught:
        sweep.decode_sweep(PAYMENT, (SET.account.keys.secp256k1[0],) * 2, "regtest", {})
    assert caught.value.fields["reason"] == "witness_script"


def test_signatures_of_a_sweep_are_verified() -> None:
    good = sweep_signatures()
    for bad in (good[:2], (*good, good[0])):
        with pytest.raises(SignatureRefused) as caught:
            sweep.assemble_sweep(SWEEP, OWNERS, "regtest", bad)
        assert caught.value.fields == {"given": len(bad)}
    message = sweep.decode_sweep(SWEEP, OWNERS, "regtest", {}).messages[1]
    stranger: PrivateKey = key("somebody")
    for wrong in (stranger.sign_recoverable(message, hasher=None), high_s(good[1]), good[0]):
        with pytest.raises(SignatureRefused) as caught:
            sweep.assemble_sweep(SWEEP, OWNERS, "regtest", (good[0], wrong, good[2]))
        assert caught.value.fields == {"input": 1}


def test_another_networks_account_has_other_addresses_in_the_same_bytes() -> None:
    place = replace(SET.account.place, network="mainnet")
    account = custody.account(place, SET.account.keys, "")
    (payment,) = custody.decode(PAYMENT, account, {}).payments
    assert payment.recipient.startswith("bc1q")
