"""What a PSBT does, or why nobody signs it. The same rules for custody accounts and for sweeps.

A signer answers for every byte that it was given, so the form is narrow: nothing that could mean
something else to another reader, nothing that no rule here compares. Reasons are stable words
(docs/chains/bitcoin-custody.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from orion.chains.bitcoin.address import address_of
from orion.chains.bitcoin.encode import output_bytes
from orion.chains.bitcoin.hashing import display_hash
from orion.chains.bitcoin.network import Network
from orion.chains.bitcoin.psbt import FieldMap, GlobalField, InputField, OutputField, Psbt, single
from orion.chains.bitcoin.sighash import SIGHASH_ALL, SegwitDigests
from orion.chains.bitcoin.wire import Transaction, TxInput, TxOutput, parse_transaction
from orion.chains.errors import MalformedBlock
from orion.chains.spend import Curve, Operation, Payment, Spend, SpendRefused

ASSET = "BTC.bitcoin"
TRANSACTION_VERSION = 2
LOCK_TIME = 0
# The highest sequence that signals replaceability (BIP-125); its bit 31 keeps it from being a
# relative lock (BIP-68). No other value says more.
SEQUENCE = 0xFFFFFFFD
# 50 instructions and one output of change.
OUTPUTS_MAX = 51

_GLOBAL_ALLOWED = frozenset((GlobalField.UNSIGNED_TX, GlobalField.VERSION))
_INPUT_ALLOWED = frozenset(
    (InputField.NON_WITNESS_UTXO, InputField.WITNESS_UTXO, InputField.SIGHASH_TYPE)
)
_SIGNED = frozenset(
    (InputField.PARTIAL_SIG, InputField.FINAL_SCRIPTSIG, InputField.FINAL_SCRIPTWITNESS)
)


@dataclass(frozen=True, slots=True)
class Lock:
    """What an input must spend: an output with `output_script`. Its signatures cover `script_code`
    (BIP-143, item 5). `witness_script` is P2WSH's, None for P2WPKH.
    """

    output_script: bytes
    script_code: bytes
    witness_script: bytes | None


def review(
    psbt: Psbt,
    locks: Sequence[Lock],
    network: Network,
    *,
    change: Lock | None,
    inputs_max: int,
) -> Spend:
    """The effect of a PSBT whose inputs spend `locks`, in order. One output to `change` returns to
    the account; if it is the only one, the transaction voids whatever else spends these inputs.
    None: every output pays somebody. Raises SpendRefused.
    """
    transaction = psbt.transaction
    _check_limits(transaction, inputs_max)
    _check_frame(psbt)
    claims = _claims(transaction)
    digests = SegwitDigests(transaction)
    messages = []
    total_sat = 0
    for index, (spent, fields, lock) in enumerate(
        zip(transaction.inputs, psbt.inputs, locks, strict=True)
    ):
        value_sat = _spent_value(index, spent, fields, lock)
        messages.append(digests.of(index, lock.script_code, value_sat))
        total_sat += value_sat
    fee_sat = total_sat - sum(output.value_sat for output in transaction.outputs)
    if fee_sat < 0:
        raise SpendRefused("the outputs exceed the inputs", reason="overspent", fee_sat=fee_sat)
    payments = _payments(psbt, network, change)
    return Spend(
        operation=Operation.PAY if payments else Operation.VOID,
        payments=payments,
        fee_max_units=fee_sat,
        claims=claims,
        version=transaction.display_id,
        curve=Curve.SECP256K1,
        messages=tuple(messages),
    )


def _check_limits(transaction: Transaction, inputs_max: int) -> None:
    if len(transaction.inputs) > inputs_max:
        raise SpendRefused(
            "more inputs than are signed", reason="too_large", inputs=len(transaction.inputs)
        )
    if len(transaction.outputs) > OUTPUTS_MAX:
        raise SpendRefused(
            "more outputs than are read", reason="too_large", outputs=len(transaction.outputs)
        )


def _check_frame(psbt: Psbt) -> None:
    """All that is neither value nor owner: versions, locks, fields of the first map."""
    transaction = psbt.transaction
    for field in psbt.globals_:
        if field.kind not in _GLOBAL_ALLOWED:
            raise _unexpected("the first map", field.kind)
    if transaction.version != TRANSACTION_VERSION:
        raise SpendRefused(
            "transactions are of version 2",
            reason="transaction_version",
            version=transaction.version,
        )
    if transaction.lock_time != LOCK_TIME:
        # Signed now and valid later, when nobody expects it any more.
        raise SpendRefused(
            "a lock time delays the payment", reason="lock_time", lock_time=transaction.lock_time
        )
    for index, spent in enumerate(transaction.inputs):
        if spent.sequence != SEQUENCE:
            raise SpendRefused(
                "an input is not replaceable, or locked, or says so in other words",
                reason="sequence",
                input=index,
                sequence=spent.sequence,
            )


def _claims(transaction: Transaction) -> tuple[str, ...]:
    """The outputs spent, `txid:vout`, in the order of the inputs."""
    claims = tuple(f"{display_hash(spent.txid)}:{spent.index}" for spent in transaction.inputs)
    if len(set(claims)) != len(claims):
        raise SpendRefused("an output is spent twice", reason="duplicate_input")
    return claims


def _spent_value(index: int, spent: TxInput, fields: FieldMap, lock: Lock) -> int:
    """The value of the output that an input spends, in satoshi, as its own transaction says."""
    _check_input_fields(index, fields, lock)
    output = _previous_output(index, spent, fields)
    if output.script != lock.output_script:
        raise SpendRefused(
            "an input spends what is not the account's", reason="foreign_input", input=index
        )
    witness_utxo = single(fields, InputField.WITNESS_UTXO)
    if witness_utxo is not None and witness_utxo != output_bytes(output):
        raise _previous(index, "the witness UTXO is not the output of the previous transaction")
    return output.value_sat


def _check_input_fields(index: int, fields: FieldMap, lock: Lock) -> None:
    for field in fields:
        if field.kind in _SIGNED:
            raise SpendRefused(
                "a custodian signs first and last, not on top of others",
                reason="already_signed",
                input=index,
                field=field.kind,
            )
        if field.kind not in _INPUT_ALLOWED and field.kind != InputField.WITNESS_SCRIPT:
            raise _unexpected(f"input {index}", field.kind)
    if single(fields, InputField.WITNESS_SCRIPT) != lock.witness_script:
        raise SpendRefused(
            "the witness script is missing or another one", reason="witness_script", input=index
        )
    sighash_type = single(fields, InputField.SIGHASH_TYPE)
    if sighash_type is not None and sighash_type != SIGHASH_ALL.to_bytes(4, "little"):
        raise SpendRefused(
            "signatures cover all inputs and outputs", reason="sighash_type", input=index
        )


def _previous_output(index: int, spent: TxInput, fields: FieldMap) -> TxOutput:
    """The output spent, out of the whole previous transaction.

    A witness UTXO alone would be somebody's word: BIP-143 covers the value of the input signed, not
    of the others, so two lies about two values could be put together to a fee that nobody saw
    (CVE-2020-14199). The previous transaction's id is in the outpoint, so it cannot lie.
    """
    raw = single(fields, InputField.NON_WITNESS_UTXO)
    if raw is None:
        raise _previous(index, "the previous transaction is missing")
    try:
        previous = parse_transaction(raw)
    except MalformedBlock as exc:
        raise _previous(index, f"not a transaction: {exc.detail}") from exc
    if previous.witnesses:
        raise _previous(index, "with witnesses, which the id does not cover")
    if previous.txid != spent.txid:
        raise _previous(index, "the transaction has another id")
    if spent.index >= len(previous.outputs):
        raise _previous(index, "the transaction has no such output")
    return previous.outputs[spent.index]


def _payments(psbt: Psbt, network: Network, change: Lock | None) -> tuple[Payment, ...]:
    payments = []
    returned = 0
    for index, (output, fields) in enumerate(
        zip(psbt.transaction.outputs, psbt.outputs, strict=True)
    ):
        is_change = change is not None and output.script == change.output_script
        _check_output_fields(index, fields, change if is_change else None)
        if output.value_sat == 0:
            raise SpendRefused("an output without value", reason="empty_output", output=index)
        if is_change:
            returned += 1
            continue
        recipient = address_of(output.script, network)
        if recipient is None:
            raise SpendRefused(
                "an output whose script has no address", reason="unknown_script", output=index
            )
        payments.append(Payment(ASSET, recipient, output.value_sat))
    if returned > 1:
        raise SpendRefused("change in several outputs", reason="change", outputs=returned)
    return tuple(payments)


def _check_output_fields(index: int, fields: FieldMap, change: Lock | None) -> None:
    """An output's map is empty, or names the witness script of the account's own change."""
    for field in fields:
        if change is None or field.kind != OutputField.WITNESS_SCRIPT:
            raise _unexpected(f"output {index}", field.kind)
        if field.value != change.witness_script:
            raise SpendRefused(
                "change with another witness script", reason="witness_script", output=index
            )


def _unexpected(where: str, kind: int) -> SpendRefused:
    return SpendRefused(
        f"a field in {where} that says nothing to this account",
        reason="unexpected_field",
        field=kind,
    )


def _previous(index: int, detail: str) -> SpendRefused:
    return SpendRefused(detail, reason="previous_transaction", input=index)
