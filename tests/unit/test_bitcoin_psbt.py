"""PSBTs: BIP-174's vectors, what we build read by rust-bitcoin, and what no custodian signs.

`bdkpython` (rust-bitcoin, rust-miniscript) is the independent reader: it parses what we build and
finalizes it with the same signatures to the same transaction.
"""

import base64
import json
from pathlib import Path

import bdkpython as bdk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.chains.bitcoin import bech32, custody
from orion.chains.bitcoin.encode import (
    compact_size,
    with_witnesses,
)
from orion.chains.bitcoin.hashing import display_hash
from orion.chains.bitcoin.psbt import (
    Field,
    InputField,
    OutputField,
    parse_psbt,
    psbt_bytes,
)
from orion.chains.bitcoin.psbt_build import (
    Coin,
    Recipient,
    UnbuildablePayment,
    everything_psbt,
    payment_psbt,
    void_psbt,
)
from orion.chains.bitcoin.wire import (
    Reader,
    TxOutput,
    parse_transaction,
)
from orion.chains.spend import Operation, Payment, Spend, SpendRefused
from tests.engine.custody_bitcoin_scene import custody_set, previous, recipient

VECTORS = json.loads((Path(__file__).parents[1] / "data/vectors/bip174.json").read_text())
SET = custody_set("unit")
SHOP = recipient("shop")
LATER_VERSION = bech32.encode("bcrt", 16, b"ab", bech32.Encoding.BECH32M)
FEE_SAT = 1_500
COINS = (
    Coin(previous(TxOutput(90_000, SET.script), TxOutput(1, b"\x51"), salt=1), 0),
    Coin(previous(TxOutput(7, b"\x51"), TxOutput(60_000, SET.script), salt=2), 1),
)
PAYMENT = payment_psbt(SET.account, COINS, [Recipient(SHOP, 100_000)], FEE_SAT)


def decoded(unsigned: bytes) -> Spend:
    return custody.decode(unsigned, SET.account, {})


def refusal(unsigned: bytes) -> str:
    with pytest.raises(SpendRefused) as caught:
        decoded(unsigned)
    return str(caught.value.fields["reason"])


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: vector["name"][:40])
def test_valid_vectors_are_read_and_written_as_they_are(vector: dict[str, str]) -> None:
    raw = bytes.fromhex(vector["hex"])
    if vector["name"] == "PSBT with no inputs":
        assert refusal(raw) == "malformed"  # Nothing to sign, so nobody needs to read it.
        return
    psbt = parse_psbt(raw)
    assert psbt_bytes(psbt.globals_, psbt.inputs, psbt.outputs) == raw
    judged = bdk.Psbt(base64.b64encode(raw).decode())
    # Its id may differ: what it extracts has the scripts of inputs that are finished.
    extracted = judged.extract_tx_unchecked_fee_rate()
    assert [(output.value_sat, output.script) for output in psbt.transaction.outputs] == [
        (output.value.to_sat(), bytes(output.script_pubkey.to_bytes()))
        for output in extracted.output()
    ]
    assert [f"{display_hash(spent.txid)}:{spent.index}" for spent in psbt.transaction.inputs] == [
        f"{spent.previous_output.txid}:{spent.previous_output.vout}" for spent in extracted.input()
    ]


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: vector["name"][:40])
def test_no_vector_spends_this_account(vector: dict[str, str]) -> None:
    assert refusal(bytes.fromhex(vector["hex"]))


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda vector: vector["name"][:40])
def test_invalid_vectors_are_refused(vector: dict[str, str]) -> None:
    assert refusal(bytes.fromhex(vector["hex"])) == "malformed"


def test_a_payment_is_read_with_its_exact_fee_and_change() -> None:
    spend = decoded(PAYMENT)
    assert spend.operation is Operation.PAY
    assert spend.payments == (Payment("BTC.bitcoin", SHOP, 100_000),)
    assert spend.fee_max_units == FEE_SAT
    ids = sorted(parse_transaction(coin.previous).display_id for coin in COINS)
    assert sorted(claim.partition(":")[0] for claim in spend.claims) == ids
    assert sorted(claim.partition(":")[2] for claim in spend.claims) == ["0", "1"]
    assert spend.version == parse_psbt(PAYMENT).transaction.display_id
    assert len(spend.messages) == len(set(spend.messages)) == 2


def test_a_void_pays_nobody_and_claims_its_coins() -> None:
    void = void_psbt(SET.account, COINS, FEE_SAT)
    spend = decoded(void)
    assert spend.operation is Operation.VOID
    assert spend.payments == ()
    assert spend.fee_max_units == FEE_SAT
    assert spend.claims == decoded(PAYMENT).claims
    (output,) = parse_psbt(void).transaction.outputs
    assert output == TxOutput(150_000 - FEE_SAT, SET.script)
    assert len(spend.messages) == 2


def test_what_moves_to_another_sets_account_is_no_void() -> None:
    """A rotation has the same form: one output that takes everything."""
    other = custody_set("next", set_no=2).account
    moved = decoded(all_to(other.address))
    assert moved.operation is Operation.PAY
    assert moved.payments == (Payment("BTC.bitcoin", other.address, 150_000 - FEE_SAT),)
    assert decoded(all_to(SET.account.address)).operation is Operation.VOID


def all_to(address: str) -> bytes:
    return everything_psbt(COINS, address, "regtest", FEE_SAT, account=SET.account)


@pytest.mark.parametrize("left, reason", [(329, "dust"), (-1, "short")])
def test_a_void_that_nobody_would_relay_is_not_built(left: int, reason: str) -> None:
    with pytest.raises(UnbuildablePayment) as caught:
        void_psbt(SET.account, COINS, 150_000 - left)
    assert caught.value.fields["reason"] == reason


def test_another_reader_finds_the_same_transaction_and_fee() -> None:
    judged = bdk.Psbt(base64.b64encode(PAYMENT).decode())
    assert judged.fee() == FEE_SAT
    assert str(judged.extract_tx_unchecked_fee_rate().compute_txid()) == decoded(PAYMENT).version
    assert base64.b64decode(judged.serialize()) == PAYMENT


def test_another_finalizer_makes_the_same_signed_transaction() -> None:
    signed = SET.signed(PAYMENT, (5, 2, 4))
    psbt = parse_psbt(PAYMENT)
    stacks = parse_transaction(signed).witnesses
    signers = sorted(SET.account.keys.secp256k1[number - 1] for number in (2, 4, 5))
    maps = []
    for fields, stack in zip(psbt.inputs, stacks, strict=True):
        partly = zip(signers, stack[1:4], strict=True)
        maps.append((*fields, *(Field(InputField.PARTIAL_SIG, key, sig) for key, sig in partly)))
    partial = psbt_bytes(psbt.globals_, maps, psbt.outputs)
    finished = bdk.Psbt(base64.b64encode(partial).decode()).finalize()
    assert finished.could_finalize, finished.errors
    assert bytes(finished.psbt.extract_tx_unchecked_fee_rate().serialize()) == signed
    assert refusal(partial) == "already_signed"


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.integers(1_000, 2_000_000), min_size=1, max_size=6),
    payments=st.lists(st.integers(600, 5_000), min_size=1, max_size=8),
    fee_sat=st.integers(0, 400),
    witnessed=st.booleans(),
)
def test_what_is_built_is_what_is_read(
    values: list[int], payments: list[int], fee_sat: int, witnessed: bool
) -> None:
    made = [previous(TxOutput(value, SET.script), salt=n) for n, value in enumerate(values)]
    if witnessed:
        made = [with_witnesses(parse_transaction(each), [[b"\x01"]]) for each in made]
    coins = [Coin(each, 0) for each in made]
    recipients = [Recipient(recipient(str(n)), sats) for n, sats in enumerate(payments)]
    left = sum(values) - sum(payments) - fee_sat
    if left < 0:
        with pytest.raises(UnbuildablePayment) as caught:
            payment_psbt(SET.account, coins, recipients, fee_sat)
        assert caught.value.fields == {"reason": "short", "missing_sat": -left}
        return
    unsigned = payment_psbt(SET.account, coins, recipients, fee_sat)
    assert unsigned == payment_psbt(SET.account, coins[::-1], recipients[::-1], fee_sat)
    spend = decoded(unsigned)
    assert sorted(spend.payments, key=str) == sorted(
        (Payment("BTC.bitcoin", each.address, each.sats) for each in recipients), key=str
    )
    assert spend.fee_max_units == fee_sat + (left if left < 330 else 0)
    assert {claim[:64] for claim in spend.claims} == {
        parse_transaction(coin.previous).display_id for coin in coins
    }
    psbt = parse_psbt(unsigned)
    assert psbt_bytes(psbt.globals_, psbt.inputs, psbt.outputs) == unsigned
    outputs = [(output.value_sat, output.script) for output in psbt.transaction.outputs]
    assert outputs == sorted(outputs)
    assert list(spend.claims) == sorted(spend.claims)


def what_is_signed(unsigned: bytes) -> tuple[str, tuple[bytes, ...]] | None:
    try:
        spend = decoded(unsigned)
    except SpendRefused:
        return None
    return spend.version, spend.messages


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, len(PAYMENT) - 1), flip=st.integers(1, 255))
def test_any_byte_changed_is_refused_or_is_another_transaction(place: int, flip: int) -> None:
    original = decoded(PAYMENT)
    altered = bytearray(PAYMENT)
    altered[place] ^= flip
    found = what_is_signed(bytes(altered))
    assert found is None or (found[0] != original.version and found[1] != original.messages)


@settings(max_examples=40, deadline=None)
@given(raw=st.binary(max_size=200), cut=st.integers(0, len(PAYMENT) - 1))
def test_any_other_bytes_are_refused_by_name(raw: bytes, cut: int) -> None:
    for bad in (raw, b"psbt\xff" + raw, PAYMENT[:cut], PAYMENT + raw[:1] + b"\x00"):
        assert refusal(bad)


def test_change_names_its_script() -> None:
    psbt = parse_psbt(PAYMENT)
    (change,) = [n for n, each in enumerate(psbt.transaction.outputs) if each.script == SET.script]
    (field,) = psbt.outputs[change]
    assert field.kind == OutputField.WITNESS_SCRIPT


@pytest.mark.parametrize(
    "left, outputs, fee_sat", [(329, 1, 1_329), (330, 2, 1_000), (0, 1, 1_000)]
)
def test_change_that_nobody_would_relay_goes_to_the_miners(
    left: int, outputs: int, fee_sat: int
) -> None:
    paid = [Recipient(SHOP, 150_000 - 1_000 - left)]
    unsigned = payment_psbt(SET.account, COINS, paid, 1_000)
    assert len(parse_psbt(unsigned).transaction.outputs) == outputs
    assert decoded(unsigned).fee_max_units == fee_sat


@pytest.mark.parametrize("value", [0, 0xFC, 0xFD, 0xFFFF, 0x10000, 0xFFFFFFFF, 0x100000000])
def test_sizes_are_written_as_they_are_read(value: int) -> None:
    reader = Reader(compact_size(value))
    assert reader.size() == value
    reader.finish()


@pytest.mark.parametrize(
    "reason, coins, recipients, fee_sat",
    [
        ("no_coins", [], [Recipient(SHOP, 1_000)], 1),
        ("coin", [Coin(COINS[0].previous, 2)], [Recipient(SHOP, 1_000)], 1),
        ("coin", [Coin(COINS[0].previous, -1)], [Recipient(SHOP, 1_000)], 1),
        ("coin", [COINS[0], COINS[0]], [Recipient(SHOP, 1_000)], 1),
        ("no_payments", list(COINS), [], 1),
        ("dust", list(COINS), [Recipient(SHOP, 293)], 1),
        ("short", list(COINS), [Recipient(SHOP, 150_000)], 1),
        ("short", list(COINS), [Recipient(SHOP, 1_000)], -1),
        ("recipient", list(COINS), [Recipient(LATER_VERSION, 1_000)], 1),
    ],
)
def test_coins_and_payments_that_make_no_transaction_are_named(
    reason: str, coins: list[Coin], recipients: list[Recipient], fee_sat: int
) -> None:
    with pytest.raises(UnbuildablePayment) as caught:
        payment_psbt(SET.account, coins, recipients, fee_sat)
    assert caught.value.fields["reason"] == reason
