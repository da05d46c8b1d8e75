"""Writing Bitcoin's wire format: sizes, inputs, outputs, transactions (BIP-144 for segwit)."""

from collections.abc import Sequence

from orion.chains.bitcoin.wire import Transaction, TxInput, TxOutput

SEGWIT_MARKER = b"\x00\x01"


def compact_size(value: int) -> bytes:
    """A length or a number of items, 0 to 2^64 - 1, in its shortest form."""
    if value < 0xFD:
        return value.to_bytes(1, "little")
    if value <= 0xFFFF:
        return b"\xfd" + value.to_bytes(2, "little")
    if value <= 0xFFFFFFFF:
        return b"\xfe" + value.to_bytes(4, "little")
    return b"\xff" + value.to_bytes(8, "little")


def sized(data: bytes) -> bytes:
    """`data` behind its length."""
    return compact_size(len(data)) + data


def outpoint_bytes(spent: TxInput) -> bytes:
    """Which output is spent: 32 bytes id, 4 bytes index."""
    return spent.txid + spent.index.to_bytes(4, "little")


def output_bytes(output: TxOutput) -> bytes:
    """One output; also the value of PSBT_IN_WITNESS_UTXO."""
    return output.value_sat.to_bytes(8, "little") + sized(output.script)


def transaction_bytes(
    version: int,
    inputs: Sequence[TxInput],
    outputs: Sequence[TxOutput],
    lock_time: int,
    witnesses: Sequence[Sequence[bytes]] = (),
) -> bytes:
    """A transaction, in the old serialization unless it has witnesses (one stack an input)."""
    body = [compact_size(len(inputs))]
    for spent in inputs:
        body += (outpoint_bytes(spent), sized(spent.script), spent.sequence.to_bytes(4, "little"))
    body.append(compact_size(len(outputs)))
    body += (output_bytes(output) for output in outputs)
    for stack in witnesses:
        body.append(compact_size(len(stack)))
        body += (sized(item) for item in stack)
    return b"".join(
        (
            version.to_bytes(4, "little", signed=True),
            SEGWIT_MARKER if witnesses else b"",
            *body,
            lock_time.to_bytes(4, "little"),
        )
    )


def without_witnesses(transaction: Transaction) -> bytes:
    """The bytes that the transaction's id is the hash of."""
    return transaction_bytes(
        transaction.version, transaction.inputs, transaction.outputs, transaction.lock_time
    )


def with_witnesses(transaction: Transaction, witnesses: Sequence[Sequence[bytes]]) -> bytes:
    """`transaction` with these witnesses, one stack an input, ready for broadcast."""
    return transaction_bytes(
        transaction.version,
        transaction.inputs,
        transaction.outputs,
        transaction.lock_time,
        witnesses,
    )
