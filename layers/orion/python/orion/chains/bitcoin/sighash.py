"""What a signature of a version 0 witness program covers (BIP-143), for SIGHASH_ALL.

The other types leave inputs or outputs open to change after signing; nothing here makes them.
"""

from collections.abc import Iterable

from orion.chains.bitcoin.encode import outpoint_bytes, output_bytes, sized
from orion.chains.bitcoin.hashing import sha256d
from orion.chains.bitcoin.wire import Transaction

SIGHASH_ALL = 1


class SegwitDigests:
    """The digests of one transaction. Hashes over all inputs and all outputs are made once, so the
    work grows with the number of inputs and not with its square (BIP-143, "Motivation").
    """

    __slots__ = ("_outputs", "_prevouts", "_sequences", "_transaction")

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._prevouts = _hash(outpoint_bytes(spent) for spent in transaction.inputs)
        self._sequences = _hash(
            spent.sequence.to_bytes(4, "little") for spent in transaction.inputs
        )
        self._outputs = _hash(output_bytes(output) for output in transaction.outputs)

    def of(self, index: int, script_code: bytes, value_sat: int) -> bytes:
        """The 32 bytes that input `index` signs.

        `script_code` is the witness script of P2WSH, or `public_key_hash_code` of P2WPKH;
        `value_sat` is the value of the output spent.
        """
        transaction = self._transaction
        spent = transaction.inputs[index]
        return sha256d(
            b"".join(
                (
                    transaction.version.to_bytes(4, "little", signed=True),
                    self._prevouts,
                    self._sequences,
                    outpoint_bytes(spent),
                    sized(script_code),
                    value_sat.to_bytes(8, "little"),
                    spent.sequence.to_bytes(4, "little"),
                    self._outputs,
                    transaction.lock_time.to_bytes(4, "little"),
                    SIGHASH_ALL.to_bytes(4, "little"),
                )
            )
        )


def public_key_hash_code(key_hash: bytes) -> bytes:
    """The script code of P2WPKH: the P2PKH script of the same 20 bytes (BIP-143, item 5)."""
    return b"\x76\xa9\x14" + key_hash + b"\x88\xac"


def _hash(parts: Iterable[bytes]) -> bytes:
    return sha256d(b"".join(parts))
