"""Reading Bitcoin's wire format: headers, transactions, blocks (Bitcoin developer reference.

BIP-144 for segwit).

Every length is checked against what is left before anything is read, so any input ends in a value
or in MalformedBlock. Transactions keep slices of the original bytes: their ids hash what was
received, not what a serializer would write again.
"""

import struct
from dataclasses import dataclass

from orion.chains.bitcoin.hashing import display_hash, sha256d
from orion.chains.errors import MalformedBlock

HEADER_BYTES = 80
BLOCK_BYTES_MAX = 4_000_000  # BIP-141: weight 4,000,000, so never more bytes.
TRANSACTION_BYTES_MIN = 60  # Core's lower bound of a valid one: one input, one output.
_INPUT_BYTES_MIN = 41
_OUTPUT_BYTES_MIN = 9
UNITS_MAX = 21_000_000 * 100_000_000
_HEADER = struct.Struct("<i32s32sIII")
_OUTPOINT = struct.Struct("<32sI")


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """Hashes in internal byte order, `time` in seconds since 1970."""

    hash: bytes
    version: int
    parent: bytes
    merkle_root: bytes
    time: int
    bits: int
    nonce: int


@dataclass(frozen=True, slots=True)
class TxInput:
    """The output spent (id in internal byte order) and what unlocks it, witness apart."""

    txid: bytes
    index: int
    script: bytes
    sequence: int


@dataclass(frozen=True, slots=True)
class TxOutput:
    """`value_sat` satoshi locked by `script`."""

    value_sat: int
    script: bytes


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction; `txid` and `wtxid` in internal byte order."""

    txid: bytes
    wtxid: bytes
    version: int
    inputs: tuple[TxInput, ...]
    outputs: tuple[TxOutput, ...]
    witnesses: tuple[tuple[bytes, ...], ...]
    lock_time: int

    @property
    def display_id(self) -> str:
        """The transaction id as people and nodes write it."""
        return display_hash(self.txid)


class Reader:
    """A cursor that refuses to pass the end."""

    __slots__ = ("data", "end", "place")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0
        self.end = len(data)

    def take(self, count: int) -> bytes:
        place = self.place
        after = place + count
        if after > self.end:
            raise MalformedBlock("the bytes end inside a field", at=place)
        self.place = after
        return self.data[place:after]

    def uint32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def size(self) -> int:
        """A compact size, in its shortest form only.

        Two encodings of one number would be two ids of one thing.
        """
        first = self.take(1)[0]
        if first < 0xFD:
            return first
        width = 2 if first == 0xFD else 4 if first == 0xFE else 8
        value = int.from_bytes(self.take(width), "little")
        if value < (0xFD, 0x10000, 0x100000000)[width.bit_length() - 2]:
            raise MalformedBlock("a length is not in its shortest form", at=self.place)
        return value

    def count(self, bytes_each_min: int) -> int:
        """A number of items, refused when what is left cannot hold them."""
        value = self.size()
        if value * bytes_each_min > self.end - self.place:
            raise MalformedBlock("more items than the bytes can hold", at=self.place)
        return value

    def finish(self) -> None:
        if self.place != self.end:
            raise MalformedBlock("bytes are left over at the end", at=self.place)


def _read_inputs(reader: Reader, count: int) -> tuple[TxInput, ...]:
    inputs = []
    for _ in range(count):
        txid, index = _OUTPOINT.unpack(reader.take(36))
        inputs.append(TxInput(txid, index, reader.take(reader.size()), reader.uint32()))
    return tuple(inputs)


def _read_outputs(reader: Reader) -> tuple[TxOutput, ...]:
    outputs = []
    for _ in range(reader.count(_OUTPUT_BYTES_MIN)):
        value_sat = int.from_bytes(reader.take(8), "little")
        if value_sat > UNITS_MAX:
            raise MalformedBlock("an output above all coins there are", at=reader.place)
        outputs.append(TxOutput(value_sat, reader.take(reader.size())))
    return tuple(outputs)


def _read_transaction(reader: Reader) -> Transaction:
    start = reader.place
    version = int.from_bytes(reader.take(4), "little", signed=True)
    count = reader.count(_INPUT_BYTES_MIN)
    segwit = count == 0
    if segwit:
        # BIP-144: a zero where the number of inputs stands, then the flag 1.
        if reader.take(1) != b"\x01":
            raise MalformedBlock("a transaction without inputs", at=reader.place)
        count = reader.count(_INPUT_BYTES_MIN)
    if count == 0:
        raise MalformedBlock("a transaction without inputs", at=reader.place)
    body = start + (6 if segwit else 4)
    inputs = _read_inputs(reader, count)
    outputs = _read_outputs(reader)
    if not outputs:
        raise MalformedBlock("a transaction without outputs", at=reader.place)
    body_end = reader.place
    witnesses: tuple[tuple[bytes, ...], ...] = ()
    if segwit:
        witnesses = tuple(
            tuple(reader.take(reader.size()) for _ in range(reader.count(1))) for _ in inputs
        )
        if not any(witnesses):
            raise MalformedBlock("a witness flag without a witness", at=reader.place)
    lock_time = reader.uint32()
    data = reader.data
    whole = data[start : reader.place]
    wtxid = sha256d(whole)
    if segwit:
        txid = sha256d(whole[:4] + data[body:body_end] + whole[-4:])
    else:
        txid = wtxid
    return Transaction(txid, wtxid, version, inputs, outputs, witnesses, lock_time)


def parse_transaction(raw: bytes) -> Transaction:
    """One transaction and nothing after it. Raises MalformedBlock."""
    if len(raw) > BLOCK_BYTES_MAX:
        raise MalformedBlock("larger than any block", size_bytes=len(raw))
    reader = Reader(raw)
    transaction = _read_transaction(reader)
    reader.finish()
    return transaction


def parse_header(raw: bytes) -> BlockHeader:
    """The 80 bytes of a header. Raises MalformedBlock."""
    if len(raw) != HEADER_BYTES:
        raise MalformedBlock("a header has 80 bytes", size_bytes=len(raw))
    version, parent, root, time, bits, nonce = _HEADER.unpack(raw)
    return BlockHeader(sha256d(raw), version, parent, root, time, bits, nonce)


def parse_block(raw: bytes) -> tuple[BlockHeader, tuple[Transaction, ...]]:
    """A header and its transactions, at least one, nothing after them. Raises MalformedBlock."""
    if len(raw) > BLOCK_BYTES_MAX:
        raise MalformedBlock("larger than any block", size_bytes=len(raw))
    header = parse_header(raw[:HEADER_BYTES])
    reader = Reader(raw)
    reader.place = HEADER_BYTES
    count = reader.count(TRANSACTION_BYTES_MIN)
    if count == 0:
        raise MalformedBlock("a block without transactions")
    transactions = tuple(_read_transaction(reader) for _ in range(count))
    reader.finish()
    return header, transactions
