"""What the calls of a Safe transaction do: pay coins, pay tokens, replace owners, or use up a nonce
and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from orion.chains.ethereum.abi import (
    ZERO_ADDRESS,
    MalformedCall,
    address_bytes,
    address_text,
    uint_word,
)
from orion.chains.ethereum.safe_contracts import MULTI_SEND, SENTINEL, SWAP_OWNER, safe_contracts
from orion.chains.ethereum.safe_transaction import CALL, SafeTransaction
from orion.chains.ethereum.token import NATIVE_ASSET, check_recipient, read_transfer
from orion.chains.spend import Payment, SpendRefused

# As many payments as one request to a custodian has instructions (docs/custody.md).
BATCH_MAX = 50
_HEAD_BYTES = 85  # operation 1, to 20, value 32, length of data 32 (MultiSendCallOnly.sol)


@dataclass(frozen=True, slots=True)
class Call:
    """One call that the Safe makes: `to` in the form of records, `value` in wei."""

    to: str
    value: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Swap:
    """`new` takes the place of `old`, which `previous` points to in the Safe's list of owners."""

    previous: bytes
    old: bytes
    new: bytes

    def call(self, safe: str) -> Call:
        """The Safe's call of itself that does it."""
        return Call(safe, 0, SWAP_OWNER.call(self.previous, self.old, self.new))


def multi_send(calls: tuple[Call, ...]) -> bytes:
    """Call data of MultiSendCallOnly that makes `calls` in order, all or none."""
    packed = b"".join(
        bytes([CALL])
        + address_bytes(call.to)
        + uint_word(call.value)
        + uint_word(len(call.data))
        + call.data
        for call in calls
    )
    return MULTI_SEND.call(packed)


def calls_of(transaction: SafeTransaction) -> tuple[Call, ...]:
    """The calls that the Safe itself makes. Raises SpendRefused (delegate, batch, value)."""
    if transaction.operation == CALL:
        return (Call(transaction.to, transaction.value, transaction.data),)
    if transaction.to != safe_contracts().multi_send:
        raise SpendRefused("foreign code would run as the account", reason="delegate")
    if transaction.value != 0:
        raise SpendRefused("a delegated call moves no value of its own", reason="value")
    try:
        (packed,) = cast(tuple[bytes], MULTI_SEND.read(transaction.data))
    except MalformedCall as exc:
        raise SpendRefused("not a call of multiSend", reason="batch") from exc
    calls: list[Call] = []
    while packed:
        if len(calls) == BATCH_MAX:
            raise SpendRefused("a batch too long", reason="batch")
        call, packed = _unpacked(packed)
        calls.append(call)
    if not calls:
        raise SpendRefused("an empty batch", reason="batch")
    return tuple(calls)


def payments_of(
    calls: tuple[Call, ...], safe: str, tokens: Mapping[str, str]
) -> tuple[Payment, ...]:
    """What `calls` pay; `tokens` are asset codes by contract. Raises SpendRefused."""
    return tuple(_payment(call, safe, tokens) for call in calls)


def void_call(safe: str) -> Call:
    """The call that does nothing but use up the Safe's nonce: itself, no value, no data.

    The proxy hands it to Safe 1.4.1's `receive`, which logs SafeReceived of 0 wei
    (EtherPaymentFallback.sol) and cannot fail; with data it would be the fallback handler's.
    """
    return Call(safe, 0, b"")


def is_void(transaction: SafeTransaction) -> bool:
    """Whether a transaction is the void of its nonce, alone and not in a multi-send."""
    direct = Call(transaction.to, transaction.value, transaction.data)
    return transaction.operation == CALL and direct == void_call(transaction.safe)


def is_swap(call: Call, safe: str) -> bool:
    """Whether a call names the Safe's own `swapOwner`."""
    return call.to == safe and SWAP_OWNER.is_called_by(call.data)


def owners_after(
    calls: tuple[Call, ...], safe: str, owners: tuple[bytes, ...]
) -> tuple[bytes, ...]:
    """The list of owners after swaps, in its order: each new owner stands where the old one was.

    Raises SpendRefused (call, value, owners) for what the Safe would refuse, too.
    """
    current = list(owners)
    for call in calls:
        swap = _swap(call)
        if swap.old not in current:
            raise SpendRefused("replaces an owner that is none", reason="owners")
        position = current.index(swap.old)
        if swap.previous != (current[position - 1] if position else SENTINEL):
            raise SpendRefused("names the wrong previous owner", reason="owners")
        if swap.new in (*current, SENTINEL, address_bytes(ZERO_ADDRESS), address_bytes(safe)):
            raise SpendRefused("no such new owner can be", reason="owners")
        current[position] = swap.new
    return tuple(current)


def _unpacked(packed: bytes) -> tuple[Call, bytes]:
    if packed[0] != CALL:
        raise SpendRefused("a call of the batch is delegated", reason="batch")
    end = _HEAD_BYTES + int.from_bytes(packed[53:_HEAD_BYTES], "big")
    if len(packed) < end:
        raise SpendRefused("a call of the batch is cut short", reason="batch")
    value = int.from_bytes(packed[21:53], "big")
    return Call(address_text(packed[1:21]), value, packed[_HEAD_BYTES:end]), packed[end:]


def _payment(call: Call, safe: str, tokens: Mapping[str, str]) -> Payment:
    if call.data and call.to in tokens:
        if call.value != 0:
            raise SpendRefused("a token call carries coins", reason="value")
        return read_transfer(call.data, tokens[call.to], safe, tokens)
    if call.data:
        reason = "call" if call.to == safe else "contract"
        raise SpendRefused("calls what no custodian knows", reason=reason, to=call.to)
    check_recipient(call.to, safe, tokens)
    if call.value == 0:
        raise SpendRefused("pays nothing", reason="units")
    return Payment(NATIVE_ASSET, call.to, call.value)


def _swap(call: Call) -> Swap:
    if call.value != 0:
        raise SpendRefused("a change of owners carries coins", reason="value")
    try:
        return Swap(*cast(tuple[bytes, bytes, bytes], SWAP_OWNER.read(call.data)))
    except MalformedCall as exc:
        raise SpendRefused("not a call of swapOwner", reason="call") from exc
