"""A block's payments.

Native value, value inside calls, and ERC-20 transfers of successful transactions.

Recognised by effect, never by sender or by the called function: an exchange pays from a contract,
in a batch.

- `call:` is the value of the transaction itself, `call:0.1` that of the second call of its first
  call. The path counts every frame of the call trace, those that carry no value too, and stays the
  same whatever else the block holds. DELEGATECALL and CALLCODE run foreign code in the caller's own
  account, STATICCALL carries no value: none of them pays anybody. What a reverted frame did, its
  inner calls included, was undone.
- `log:1` is the second log of its transaction. A log is a token payment when it has the topic of
  Transfer(address,address,uint256), exactly three topics and 32 bytes of data. ERC-721 emits the
  same event with the token's number as a fourth topic. What a transaction returned is not asked:
  some tokens return nothing.
"""

from collections.abc import Iterator, Mapping, Sequence

from orion.chains.blocks import Block, Transfer
from orion.chains.errors import MalformedBlock
from orion.chains.ethereum.json_rpc import data, mapping, quantity, sequence

TRANSFER_TOPIC = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
_ADDRESS_PADDING = "0x" + 24 * "0"
_PAYING_FRAMES = frozenset({"CALL", "CREATE", "CREATE2", "SELFDESTRUCT"})
_SILENT_FRAMES = frozenset({"DELEGATECALL", "CALLCODE", "STATICCALL"})
# The EVM ends calls at a depth of 1,024 (yellow paper, section 9.1).
_DEPTH_MAX = 1024
_FRAMES_MAX = 1_000_000


def decode_block(
    block: Mapping[str, object],
    receipts: Sequence[object],
    traces: Sequence[object] | None,
) -> Block:
    """Decode what a node answers.

    `block` is eth_getBlockByHash with whole transactions, `receipts` eth_getBlockReceipts, `traces`
    debug_traceBlockByHash with the callTracer, or None when the node has no traces: internal value
    is then not seen. All three in the order of the block. Raises MalformedBlock also when they do
    not belong together.
    """
    block_hash = data(block, "hash", 32)
    rows = sequence(block.get("transactions"), "transactions")
    if len(receipts) != len(rows):
        raise MalformedBlock("as many receipts as transactions were expected")
    if traces is not None and len(traces) != len(rows):
        raise MalformedBlock("as many traces as transactions were expected")
    transfers: list[Transfer] = []
    for index, row in enumerate(rows):
        transaction = mapping(row, "transaction")
        receipt = mapping(receipts[index], "receipt")
        txid = data(transaction, "hash", 32)
        if (
            data(receipt, "transactionHash", 32) != txid
            or data(receipt, "blockHash", 32) != block_hash
        ):
            raise MalformedBlock("a receipt belongs to another block or transaction", index=index)
        status = quantity(receipt, "status")
        if status not in (0, 1):
            raise MalformedBlock("a receipt's status is neither 0 nor 1", index=index)
        frames = None if traces is None else _frames_of(traces[index], txid)
        if status == 0:
            continue
        transfers.extend(_top_level(transaction, receipt, txid))
        if frames is not None:
            transfers.extend(_internal(frames, txid))
        transfers.extend(_token_transfers(receipt, txid))
    return Block(
        hash=block_hash,
        parent=data(block, "parentHash", 32),
        height=quantity(block, "number"),
        time=quantity(block, "timestamp"),
        transfers=tuple(transfers),
    )


def _top_level(
    transaction: Mapping[str, object], receipt: Mapping[str, object], txid: str
) -> Iterator[Transfer]:
    units = quantity(transaction, "value")
    if units == 0:
        return
    if transaction.get("to") is None:
        recipient = data(receipt, "contractAddress", 20)
    else:
        recipient = data(transaction, "to", 20)
    yield Transfer(txid, "call:", None, data(transaction, "from", 20), recipient, units)


def _frames_of(trace: object, txid: str) -> Mapping[str, object]:
    row = mapping(trace, "trace")
    if data(row, "txHash", 32) != txid:
        raise MalformedBlock("a trace belongs to another transaction")
    return mapping(row.get("result"), "trace result")


def _internal(top: Mapping[str, object], txid: str) -> Iterator[Transfer]:
    """Value moved by calls below the top one, in the order of execution, without recursion."""
    if "error" in top:
        raise MalformedBlock("the trace of a successful transaction failed")
    pending = list(_children(top, ""))
    pending.reverse()
    seen = 0
    while pending:
        path, frame = pending.pop()
        seen += 1
        if seen > _FRAMES_MAX or path.count(".") >= _DEPTH_MAX:
            raise MalformedBlock("a trace larger than any transaction can be")
        if "error" in frame:
            continue
        kind = str(frame.get("type"))
        if kind in _PAYING_FRAMES:
            units = quantity(frame, "value") if frame.get("value") is not None else 0
            if units:
                recipient = data(frame, "to", 20)
                sender = data(frame, "from", 20)
                yield Transfer(txid, f"call:{path}", None, sender, recipient, units)
        elif kind not in _SILENT_FRAMES:
            raise MalformedBlock("a call frame of an unknown type")
        pending.extend(reversed(list(_children(frame, f"{path}."))))


def _children(
    frame: Mapping[str, object], prefix: str
) -> Iterator[tuple[str, Mapping[str, object]]]:
    calls = frame.get("calls")
    if calls is None:
        return
    for index, call in enumerate(sequence(calls, "calls")):
        yield f"{prefix}{index}", mapping(call, "call frame")


def _token_transfers(receipt: Mapping[str, object], txid: str) -> Iterator[Transfer]:
    last = -1
    for ordinal, row in enumerate(sequence(receipt.get("logs"), "logs")):
        log = mapping(row, "log")
        index = quantity(log, "logIndex")
        if index <= last:
            raise MalformedBlock("the logs of a transaction are out of order")
        last = index
        topics = sequence(log.get("topics"), "topics")
        if len(topics) != 3 or topics[0] != TRANSFER_TOPIC:
            continue
        payload = log.get("data")
        if not isinstance(payload, str):
            raise MalformedBlock("a log's data is not text")
        if len(payload) != 66:
            continue
        units = int(data(log, "data", 32), 16)
        sender, recipient = _topic_address(topics[1]), _topic_address(topics[2])
        if units and sender is not None and recipient is not None:
            contract = data(log, "address", 20)
            yield Transfer(txid, f"log:{ordinal}", contract, sender, recipient, units)


def _topic_address(topic: object) -> str | None:
    """The address in a topic, None when the topic holds more than an address.

    Then no token wrote it.
    """
    if not isinstance(topic, str) or len(topic) != 66:
        raise MalformedBlock("a topic does not hold 32 bytes")
    lowered = data({"topic": topic}, "topic", 32)
    return "0x" + lowered[26:] if lowered.startswith(_ADDRESS_PADDING) else None
