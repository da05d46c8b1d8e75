"""Partially signed transactions, version 0 (BIP-174): the bytes as maps of fields.

Reading is about form alone: every map is there, every key stands once, keys of known types have
their length, and the unsigned transaction is unsigned. Fields of other types are kept as they are;
what a custodian makes of them is decided in `psbt_review`. Version 2 (BIP-370) is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from orion.chains.bitcoin.encode import compact_size, sized, without_witnesses
from orion.chains.bitcoin.wire import Reader, Transaction, parse_transaction
from orion.chains.errors import MalformedBlock
from orion.chains.spend import SpendRefused

MAGIC = b"psbt\xff"
# A request of Lambda holds 6 MB and base 64 adds a third: evidence needs room beside it.
PSBT_BYTES_MAX = 2_000_000
_END_OF_MAP = b"\x00"
_PUBLIC_KEY_BYTES = (33, 65)


class GlobalField(IntEnum):
    """Types of the first map (BIP-174, "Specification")."""

    UNSIGNED_TX = 0x00
    XPUB = 0x01
    VERSION = 0xFB


class InputField(IntEnum):
    """Types of an input's map."""

    NON_WITNESS_UTXO = 0x00
    WITNESS_UTXO = 0x01
    PARTIAL_SIG = 0x02
    SIGHASH_TYPE = 0x03
    REDEEM_SCRIPT = 0x04
    WITNESS_SCRIPT = 0x05
    BIP32_DERIVATION = 0x06
    FINAL_SCRIPTSIG = 0x07
    FINAL_SCRIPTWITNESS = 0x08


class OutputField(IntEnum):
    """Types of an output's map."""

    REDEEM_SCRIPT = 0x00
    WITNESS_SCRIPT = 0x01
    BIP32_DERIVATION = 0x02


_NO_KEY_DATA = (0,)
# Lengths that the key data of a type may have; types that are not here may have any.
_GLOBAL_KEYS: Mapping[int, tuple[int, ...]] = {
    GlobalField.UNSIGNED_TX: _NO_KEY_DATA,
    GlobalField.XPUB: (78,),
    GlobalField.VERSION: _NO_KEY_DATA,
}
_INPUT_KEYS: Mapping[int, tuple[int, ...]] = {
    InputField.NON_WITNESS_UTXO: _NO_KEY_DATA,
    InputField.WITNESS_UTXO: _NO_KEY_DATA,
    InputField.PARTIAL_SIG: _PUBLIC_KEY_BYTES,
    InputField.SIGHASH_TYPE: _NO_KEY_DATA,
    InputField.REDEEM_SCRIPT: _NO_KEY_DATA,
    InputField.WITNESS_SCRIPT: _NO_KEY_DATA,
    InputField.BIP32_DERIVATION: _PUBLIC_KEY_BYTES,
    InputField.FINAL_SCRIPTSIG: _NO_KEY_DATA,
    InputField.FINAL_SCRIPTWITNESS: _NO_KEY_DATA,
}
_OUTPUT_KEYS: Mapping[int, tuple[int, ...]] = {
    OutputField.REDEEM_SCRIPT: _NO_KEY_DATA,
    OutputField.WITNESS_SCRIPT: _NO_KEY_DATA,
    OutputField.BIP32_DERIVATION: _PUBLIC_KEY_BYTES,
}


@dataclass(frozen=True, slots=True)
class Field:
    """One record of a map: its type, the rest of its key, its value."""

    kind: int
    key: bytes
    value: bytes


FieldMap = tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Psbt:
    """`globals_` are all fields of the first map, the unsigned transaction among them; `inputs` and
    `outputs` have one map for each of the transaction's.
    """

    transaction: Transaction
    globals_: FieldMap
    inputs: tuple[FieldMap, ...]
    outputs: tuple[FieldMap, ...]


def single(fields: FieldMap, kind: int) -> bytes | None:
    """The value of the field of a type that stands at most once, None where it is absent."""
    for field in fields:
        if field.kind == kind:
            return field.value
    return None


def parse_psbt(raw: bytes) -> Psbt:
    """Read a PSBT to its last byte. Raises SpendRefused (`too_large`, `psbt_version`,
    `malformed`).
    """
    if len(raw) > PSBT_BYTES_MAX:
        raise SpendRefused("a larger PSBT than is read", reason="too_large", size_bytes=len(raw))
    if not raw.startswith(MAGIC):
        raise _malformed("no PSBT begins like this")
    reader = Reader(raw)
    reader.take(len(MAGIC))
    try:
        first = _read_map(reader, _GLOBAL_KEYS)
        _check_version(first)
        transaction = _unsigned(first)
        inputs = tuple(_read_map(reader, _INPUT_KEYS) for _ in transaction.inputs)
        outputs = tuple(_read_map(reader, _OUTPUT_KEYS) for _ in transaction.outputs)
        reader.finish()
    except MalformedBlock as exc:
        raise _malformed(exc.detail) from exc
    return Psbt(transaction, first, inputs, outputs)


def psbt_bytes(first: FieldMap, inputs: Sequence[FieldMap], outputs: Sequence[FieldMap]) -> bytes:
    """The maps as a PSBT, fields in the order given."""
    parts = [MAGIC]
    for fields in (first, *inputs, *outputs):
        for field in fields:
            parts += (sized(compact_size(field.kind) + field.key), sized(field.value))
        parts.append(_END_OF_MAP)
    return b"".join(parts)


def unsigned_field(transaction: Transaction) -> Field:
    """The field of the first map that holds the transaction, without its witnesses."""
    return Field(GlobalField.UNSIGNED_TX, b"", without_witnesses(transaction))


def _read_map(reader: Reader, key_sizes: Mapping[int, tuple[int, ...]]) -> FieldMap:
    fields = []
    seen = set()
    while size := reader.size():
        raw_key = reader.take(size)
        key = Reader(raw_key)
        kind = key.size()
        field = Field(kind, key.take(size - key.place), reader.take(reader.size()))
        if raw_key in seen:
            raise _malformed("a key stands twice in a map")
        seen.add(raw_key)
        if len(field.key) not in key_sizes.get(kind, (len(field.key),)):
            raise _malformed("a key of a known type has another length")
        fields.append(field)
    return tuple(fields)


def _check_version(fields: FieldMap) -> None:
    version = single(fields, GlobalField.VERSION)
    if version is not None and version != bytes(4):
        raise SpendRefused("only version 0 of PSBT is read (BIP-174)", reason="psbt_version")


def _unsigned(fields: FieldMap) -> Transaction:
    raw = single(fields, GlobalField.UNSIGNED_TX)
    if raw is None:
        raise _malformed("no unsigned transaction")
    transaction = parse_transaction(raw)
    if transaction.witnesses or any(spent.script for spent in transaction.inputs):
        raise _malformed("the unsigned transaction holds scripts or witnesses")
    return transaction


def _malformed(detail: str) -> SpendRefused:
    return SpendRefused(detail, reason="malformed")
