"""Legacy messages: what Ed25519 keys sign on Solana, and transactions around them.

Source: Solana documentation, "Transactions"; crates solana-message (`compiled_keys.rs`, the order
of accounts) and solana-short-vec. Every length is checked against what is left before anything is
read, so any input ends in a value or in SpendRefused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from orion.chains.spend import SpendRefused

TRANSACTION_BYTES_MAX = 1_232  # One IPv6 packet: 1,280 bytes less its headers.
SIGNATURE_BYTES = 64
_KEY_BYTES = 32
_VERSIONED = 0x80


@dataclass(frozen=True, slots=True)
class Meta:
    """An account of an instruction, with what the instruction may do to it."""

    key: bytes
    signs: bool = False
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Instruction:
    """An instruction to be written."""

    program: bytes
    accounts: tuple[Meta, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """An instruction as read: which account may do what stands in the message alone."""

    program: bytes
    accounts: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A message as read. `keys` are its accounts, those that sign first; `keys[0]` pays."""

    signers: int
    keys: tuple[bytes, ...]
    blockhash: bytes
    calls: tuple[Call, ...]


def compile_message(payer: bytes, instructions: Sequence[Instruction], blockhash: bytes) -> bytes:
    """The one legacy message that Solana's own libraries write for `instructions`: accounts by
    what they may do (sign and write, sign, write, neither), then by their bytes; the payer first.

    Raises SpendRefused (reason `too_large`).
    """
    signs, writable = {payer}, {payer}
    known = {payer}
    for instruction in instructions:
        known.add(instruction.program)
        for meta in instruction.accounts:
            known.add(meta.key)
            if meta.signs:
                signs.add(meta.key)
            if meta.writable:
                writable.add(meta.key)
    keys = sorted(known, key=lambda key: (key != payer, key not in signs, key not in writable, key))
    at = {key: index for index, key in enumerate(keys)}
    if len(keys) > 255:
        raise SpendRefused("more accounts than a message holds", reason="too_large")
    header = (len(signs), len(signs - writable), len(known - signs - writable))
    parts = [bytes(header), _count(len(keys)), *keys, blockhash, _count(len(instructions))]
    for instruction in instructions:
        accounts = bytes(at[meta.key] for meta in instruction.accounts)
        parts += [bytes([at[instruction.program]]), _count(len(accounts)), accounts]
        parts += [_count(len(instruction.data)), instruction.data]
    message = b"".join(parts)
    check_size(message, len(signs))
    return message


def check_size(message: bytes, signers: int) -> None:
    """Raise SpendRefused when no packet holds the transaction."""
    size = len(_count(signers)) + signers * SIGNATURE_BYTES + len(message)
    if size > TRANSACTION_BYTES_MAX:
        raise SpendRefused(
            "larger than a packet", reason="too_large", size_bytes=size, max=TRANSACTION_BYTES_MAX
        )


def parse_message(data: bytes) -> Message:
    """Read a legacy message to its last byte. Raises SpendRefused.

    Versioned messages are refused: what a lookup table holds is not in the bytes that are signed.
    """
    if not data:
        raise SpendRefused("no message", reason="malformed")
    if data[0] & _VERSIONED:
        raise SpendRefused("only legacy messages are signed", reason="versioned_message")
    reader = _Reader(data)
    signers, readonly_signers, readonly_others = reader.take(3)
    keys = tuple(reader.take(_KEY_BYTES) for _ in range(reader.count()))
    if len(set(keys)) != len(keys):
        raise SpendRefused("an account stands twice", reason="malformed")
    if not readonly_signers < signers <= len(keys) or readonly_others > len(keys) - signers:
        raise SpendRefused("the header does not fit the accounts", reason="malformed")
    blockhash = reader.take(_KEY_BYTES)
    calls = tuple(_call(reader, keys) for _ in range(reader.count()))
    reader.end()
    check_size(data, signers)
    return Message(signers=signers, keys=keys, blockhash=blockhash, calls=calls)


def _call(reader: "_Reader", keys: tuple[bytes, ...]) -> Call:
    program = reader.take(1)[0]
    accounts = reader.take(reader.count())
    body = reader.take(reader.count())
    # The payer's account is never a program.
    if not 0 < program < len(keys) or any(index >= len(keys) for index in accounts):
        raise SpendRefused("an index without an account", reason="malformed")
    return Call(keys[program], tuple(keys[index] for index in accounts), body)


def transaction(message: bytes, signatures: Sequence[bytes]) -> bytes:
    """A transaction: the signatures in the order of the message's accounts, then the message."""
    return _count(len(signatures)) + b"".join(signatures) + message


def parse_transaction(data: bytes) -> tuple[tuple[bytes, ...], bytes, Message]:
    """Signatures, message bytes and message of a transaction. Raises SpendRefused."""
    reader = _Reader(data)
    signatures = tuple(reader.take(SIGNATURE_BYTES) for _ in range(reader.count()))
    body = reader.rest()
    message = parse_message(body)
    if len(signatures) != message.signers:
        raise SpendRefused("another number of signatures than of signers", reason="malformed")
    return signatures, body, message


def _count(number: int) -> bytes:
    """A short-vec length: seven bits a byte, lowest first."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


class _Reader:
    """Bytes that are taken from the front."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise SpendRefused("the bytes end early", reason="malformed")
        found = self._data[self._at : end]
        self._at = end
        return found

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def count(self) -> int:
        """A short-vec length, at most two bytes (a packet is smaller), in its shortest form."""
        first = self.take(1)[0]
        if first < 0x80:
            return first
        second = self.take(1)[0]
        if not 0 < second < 0x80:
            raise SpendRefused("a length in another form than the shortest", reason="malformed")
        return first & 0x7F | second << 7

    def end(self) -> None:
        if self._at != len(self._data):
            raise SpendRefused("bytes after the message", reason="malformed")
