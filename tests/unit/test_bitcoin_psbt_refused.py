"""What no custodian signs on Bitcoin, each with its reason."""

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orion.chains.bitcoin import custody, psbt_review
from orion.chains.bitcoin.encode import (
    output_bytes,
    transaction_bytes,
    with_witnesses,
)
from orion.chains.bitcoin.psbt import (
    PSBT_BYTES_MAX,
    Field,
    GlobalField,
    InputField,
    Psbt,
    parse_psbt,
    psbt_bytes,
    unsigned_field,
)
from orion.chains.bitcoin.psbt_build import (
    Coin,
    Recipient,
    everything_psbt,
    payment_psbt,
)
from orion.chains.bitcoin.wire import (
    Transaction,
    TxInput,
    TxOutput,
    parse_transaction,
)
from orion.chains.spend import Spend, SpendRefused
from tests.engine.custody_bitcoin_scene import custody_set, previous, recipient, script_of

SET = custody_set("unit")
SHOP = recipient("shop")
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


def remade(psbt: Psbt, **changes: object) -> bytes:
    """The PSBT with parts of its transaction replaced."""
    tx = psbt.transaction
    parts = {
        "version": tx.version,
        "inputs": tx.inputs,
        "outputs": tx.outputs,
        "lock_time": tx.lock_time,
    } | changes
    made = parse_transaction(transaction_bytes(**parts))  # type: ignore[arg-type]
    return psbt_bytes((unsigned_field(made),), psbt.inputs, psbt.outputs)


def with_input_fields(edit: Callable[[Field], Field | None], *more: Field) -> bytes:
    """The payment with the first input's fields edited (None drops one) and `more` added."""
    psbt = parse_psbt(PAYMENT)
    kept = tuple(made for field in psbt.inputs[0] if (made := edit(field)) is not None)
    return psbt_bytes(psbt.globals_, ((*kept, *more), *psbt.inputs[1:]), psbt.outputs)


def valued(kind: InputField, value: bytes) -> bytes:
    """The payment with another value of one field of its first input."""
    return with_input_fields(lambda each: replace(each, value=value) if each.kind == kind else each)


def without(kind: InputField) -> bytes:
    return with_input_fields(lambda each: None if each.kind == kind else each)


def added(kind: int, key: bytes = b"", value: bytes = b"") -> bytes:
    return with_input_fields(lambda each: each, Field(kind, key, value))


def with_outputs(*outputs: TxOutput) -> bytes:
    """The payment with other outputs and empty maps for them."""
    psbt = parse_psbt(PAYMENT)
    return remade(replace(psbt, outputs=((),) * len(outputs)), outputs=outputs)


def test_an_absurd_fee_is_reported_and_not_hidden() -> None:
    assert decoded(with_outputs(TxOutput(1_000, script_of(SHOP)))).fee_max_units == 149_000


WITH_WITNESS = with_witnesses(parse_transaction(COINS[0].previous), [[b"\x01"]])
FIRST = parse_psbt(PAYMENT).transaction.inputs[0]
SHOP_OUTPUT = TxOutput(100_000, script_of(SHOP))
CHANGE = TxOutput(20_000, SET.script)


def transaction_with(edit: Callable[[Transaction], dict[str, object]]) -> bytes:
    psbt = parse_psbt(PAYMENT)
    return remade(psbt, **edit(psbt.transaction))


def first_sequence(sequence: int) -> bytes:
    return transaction_with(
        lambda tx: {"inputs": (replace(tx.inputs[0], sequence=sequence), *tx.inputs[1:])}
    )


def global_field(kind: int, key: bytes, value: bytes) -> bytes:
    psbt = parse_psbt(PAYMENT)
    return psbt_bytes((*psbt.globals_, Field(kind, key, value)), psbt.inputs, psbt.outputs)


def output_field(index: int, kind: int, key: bytes, value: bytes) -> bytes:
    psbt = parse_psbt(PAYMENT)
    maps = list(psbt.outputs)
    maps[index] = (Field(kind, key, value),)
    return psbt_bytes(psbt.globals_, psbt.inputs, maps)


def twice() -> bytes:
    psbt = parse_psbt(PAYMENT)
    doubled = replace(psbt, inputs=(psbt.inputs[0],) * 2)
    return remade(doubled, inputs=(FIRST,) * 2)


def foreign(script: bytes) -> bytes:
    """A payment whose one coin belongs to `script`, with everything else as the account has it."""
    psbt = parse_psbt(PAYMENT)
    made = parse_transaction(previous(TxOutput(200_000, script)))
    fields = tuple(
        replace(field, value=previous(TxOutput(200_000, script)))
        if field.kind == InputField.NON_WITNESS_UTXO
        else replace(field, value=output_bytes(made.outputs[0]))
        if field.kind == InputField.WITNESS_UTXO
        else field
        for field in psbt.inputs[0]
    )
    only = replace(psbt, inputs=(fields,), outputs=((),))
    spent = TxInput(made.txid, 0, b"", psbt_review.SEQUENCE)
    return remade(only, inputs=(spent,), outputs=(SHOP_OUTPUT,))


OTHER = custody_set("other")
REFUSED: list[tuple[str, str, Callable[[], bytes]]] = [
    ("malformed", "a byte too many", lambda: PAYMENT + b"\x00"),
    ("malformed", "base 64", lambda: base64.b64encode(PAYMENT)),
    ("too_large", "bytes", lambda: PAYMENT + bytes(PSBT_BYTES_MAX)),
    ("too_large", "outputs", lambda: with_outputs(*(TxOutput(600, script_of(SHOP)),) * 52)),
    ("psbt_version", "BIP-370", lambda: global_field(0xFB, b"", (2).to_bytes(4, "little"))),
    ("unexpected_field", "xpub", lambda: global_field(0x01, bytes(78), bytes(4))),
    ("unexpected_field", "proprietary", lambda: global_field(0xFC, b"\x01a\x00", b"")),
    ("unexpected_field", "derivation", lambda: added(0x06, b"\x02" * 33, bytes(4))),
    ("unexpected_field", "redeem script", lambda: added(0x04, b"", b"\x51")),
    ("unexpected_field", "taproot signature", lambda: added(0x13, b"", bytes(64))),
    ("unexpected_field", "unknown", lambda: added(0xEE, b"x", b"y")),
    ("unexpected_field", "payment's script", lambda: output_field(1, 1, b"", b"\x51")),
    ("unexpected_field", "payment's path", lambda: output_field(1, 2, b"\x02" * 33, bytes(4))),
    ("unexpected_field", "change's path", lambda: output_field(0, 2, b"\x02" * 33, bytes(4))),
    ("already_signed", "partly", lambda: added(0x02, b"\x02" * 33, b"\x30")),
    ("already_signed", "script", lambda: added(0x07, b"", b"")),
    ("already_signed", "witness", lambda: added(0x08, b"", b"\x00")),
    ("transaction_version", "1", lambda: transaction_with(lambda tx: {"version": 1})),
    ("transaction_version", "-1", lambda: transaction_with(lambda tx: {"version": -1})),
    ("lock_time", "height", lambda: transaction_with(lambda tx: {"lock_time": 1})),
    ("sequence", "final", lambda: first_sequence(0xFFFFFFFF)),
    ("sequence", "not replaceable", lambda: first_sequence(0xFFFFFFFE)),
    ("sequence", "relative lock", lambda: first_sequence(0x0000FFFF)),
    ("sequence", "no meaning", lambda: first_sequence(0x80000001)),
    ("sighash_type", "none", lambda: valued(InputField.SIGHASH_TYPE, b"\x02\x00\x00\x00")),
    ("sighash_type", "single", lambda: valued(InputField.SIGHASH_TYPE, b"\x03\x00\x00\x00")),
    ("sighash_type", "anyone", lambda: valued(InputField.SIGHASH_TYPE, b"\x81\x00\x00\x00")),
    ("sighash_type", "short", lambda: valued(InputField.SIGHASH_TYPE, b"\x01")),
    ("duplicate_input", "one coin twice", twice),
    ("previous_transaction", "missing", lambda: without(InputField.NON_WITNESS_UTXO)),
    ("previous_transaction", "empty", lambda: valued(InputField.NON_WITNESS_UTXO, b"")),
    (
        "previous_transaction",
        "another",
        lambda: valued(InputField.NON_WITNESS_UTXO, previous(TxOutput(1, SET.script))),
    ),
    ("previous_transaction", "output", lambda: valued(InputField.WITNESS_UTXO, b"")),
    (
        "previous_transaction",
        "witness UTXO richer",
        lambda: valued(InputField.WITNESS_UTXO, output_bytes(TxOutput(90_001, SET.script))),
    ),
    (
        "previous_transaction",
        "no such output",
        lambda: transaction_with(
            lambda tx: {"inputs": (replace(tx.inputs[0], index=2), *tx.inputs[1:])}
        ),
    ),
    ("foreign_input", "another set's", lambda: foreign(OTHER.script)),
    ("foreign_input", "P2WPKH", lambda: foreign(script_of(SHOP))),
    ("witness_script", "missing", lambda: without(InputField.WITNESS_SCRIPT)),
    ("witness_script", "another", lambda: valued(InputField.WITNESS_SCRIPT, b"\x51")),
    ("witness_script", "change's", lambda: output_field(0, 1, b"", b"\x51")),
    ("unknown_script", "data", lambda: with_outputs(TxOutput(5, b"\x6a\x01a"), SHOP_OUTPUT)),
    ("unknown_script", "bare key", lambda: with_outputs(TxOutput(5_000, b"\x21" + b"\x02" * 33))),
    ("unknown_script", "witness 16", lambda: with_outputs(TxOutput(9, b"\x60\x02ab"), SHOP_OUTPUT)),
    ("empty_output", "payment", lambda: with_outputs(TxOutput(0, script_of(SHOP)))),
    ("empty_output", "change", lambda: with_outputs(SHOP_OUTPUT, TxOutput(0, SET.script))),
    ("change", "in two outputs", lambda: with_outputs(SHOP_OUTPUT, CHANGE, CHANGE)),
    ("change", "in two outputs, nobody paid", lambda: with_outputs(CHANGE, CHANGE)),
    ("overspent", "by one", lambda: with_outputs(TxOutput(150_001, script_of(SHOP)))),
]


@pytest.mark.parametrize(
    "reason, case, made", REFUSED, ids=[f"{each[0]}: {each[1]}" for each in REFUSED]
)
def test_what_is_no_plain_payment_is_refused_with_its_reason(
    reason: str, case: str, made: Callable[[], bytes]
) -> None:
    assert refusal(made()) == reason


def test_the_reasons_are_those_that_the_documentation_lists() -> None:
    page = (Path(__file__).parents[2] / "docs/chains/bitcoin-custody.md").read_text()
    listed = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert listed == {reason for reason, _, _ in REFUSED} | {"account", "owners"}


def test_a_witness_in_a_previous_transaction_is_refused() -> None:
    """Its id does not cover it: bytes that nothing checks."""
    raw = WITH_WITNESS
    psbt = parse_psbt(PAYMENT)
    ids = [spent.txid for spent in psbt.transaction.inputs]
    place = ids.index(parse_transaction(raw).txid)
    maps = list(psbt.inputs)
    maps[place] = tuple(
        replace(field, value=raw) if field.kind == InputField.NON_WITNESS_UTXO else field
        for field in maps[place]
    )
    assert refusal(psbt_bytes(psbt.globals_, maps, psbt.outputs)) == "previous_transaction"


def test_more_inputs_than_a_custodian_can_record_are_refused() -> None:
    coins = [Coin(previous(TxOutput(9_000, SET.script), salt=n), 0) for n in range(97)]
    everything = everything_psbt(coins[:96], SHOP, "regtest", 9_000, account=SET.account)
    assert len(decoded(everything).claims) == 96
    assert refusal(everything_psbt(coins, SHOP, "regtest", 9_000, account=SET.account)) == (
        "too_large"
    )


def test_an_address_that_is_not_the_keys_is_no_account() -> None:
    wrong = replace(SET.account, address=OTHER.account.address)
    with pytest.raises(SpendRefused) as caught:
        custody.decode(PAYMENT, wrong, {})
    assert caught.value.fields == {"reason": "account"}


def test_the_first_map_may_say_version_0_and_optional_fields_may_be_absent() -> None:
    assert decoded(global_field(GlobalField.VERSION, b"", bytes(4))) == decoded(PAYMENT)
    assert decoded(without(InputField.SIGHASH_TYPE)) == decoded(PAYMENT)
    assert decoded(without(InputField.WITNESS_UTXO)) == decoded(PAYMENT)
