"""The records that moneyin consumes, read strictly into values (docs/contracts.md)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from orion.chains.blocks import Transfer
from orion.moneyin.errors import MalformedEvent

MAX_PARTS = 4_096
MAX_TRANSFERS = 8_192  # More cannot fit in 512 KB.
MAX_WALLETS = 500
_MAX_HEIGHT = 2**53
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z", re.ASCII)
_CHAIN = re.compile(r"[a-z][a-z0-9_]{0,15}\Z", re.ASCII)
_ID = re.compile(r"[!-~]{1,128}\Z", re.ASCII)
# Every chain's addresses are letters and digits; no text with a quote may come so far.
_ADDRESS = re.compile(r"[0-9A-Za-z_-]{1,128}\Z", re.ASCII)
# A call path names each level of an internal call, so it may be long where a contract nests deeply.
_POSITION = re.compile(r"(out|log|call):[0-9.]{0,8000}\Z", re.ASCII)
# A uint256 has 78 digits at most.
_UNITS = re.compile(r"(0|[1-9][0-9]{0,77})\Z", re.ASCII)
_TRACE = re.compile(r"[0-9a-f]{32}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class BlockRef:
    """A block by its place. `parent` is the empty text where it is unknown (a reference)."""

    height: int
    hash: str
    parent: str


@dataclass(frozen=True, slots=True)
class Connected:
    """One part of a connected block; the block counts at part `parts - 1`. `time` in seconds since
    1970 UTC.
    """

    trace_id: str
    chain: str
    network: str
    node: str
    block: BlockRef
    time: int
    part: int
    parts: int
    transfers: tuple[Transfer, ...]

    @property
    def last(self) -> bool:
        return self.part == self.parts - 1


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A block that left the node's best chain."""

    trace_id: str
    chain: str
    network: str
    node: str
    block: BlockRef


BlockEvent = Connected | Disconnected


@dataclass(frozen=True, slots=True)
class ResumeRequest:
    """An agent asks where to go on."""

    trace_id: str
    chain: str
    node: str
    request_id: str


@dataclass(frozen=True, slots=True)
class WalletAddresses:
    """One wallet of a group with its address on each chain."""

    index: int
    addresses: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PoolExtension:
    """Wallets that kms derived, at most 500."""

    trace_id: str
    group: int
    wallets: tuple[WalletAddresses, ...]


def read_block_event(body: Mapping[str, object]) -> BlockEvent:
    """A record of `chain.blocks.<chain>`. Raises MalformedEvent."""
    kind = _versioned(body).get("kind")
    # Only of a disconnected block may an agent have forgotten the parent: we named the block to it.
    parent = _optional(body, "parent") if kind == "disconnected" else _text(body, "parent", _ID)
    block = BlockRef(
        height=_number(body, "height", _MAX_HEIGHT),
        hash=_text(body, "hash", _ID),
        parent=parent or "",
    )
    if block.hash == block.parent:
        raise MalformedEvent("a block is its own parent", hash=block.hash)
    trace_id, chain = _text(body, "trace_id", _TRACE), _text(body, "chain", _CHAIN)
    network, node = _text(body, "network", _NAME), _text(body, "node", _NAME)
    if kind == "disconnected":
        return Disconnected(trace_id, chain, network, node, block)
    if kind != "connected":
        raise MalformedEvent("a block event is connected or disconnected", kind=str(kind)[:40])
    parts = _number(body, "parts", MAX_PARTS)
    part = _number(body, "part", MAX_PARTS)
    if part >= parts:
        raise MalformedEvent("a part lies beyond the number of parts", part=part, parts=parts)
    rows = _rows(body, "transfers", MAX_TRANSFERS)
    return Connected(
        trace_id=trace_id,
        chain=chain,
        network=network,
        node=node,
        block=block,
        time=_number(body, "time", _MAX_HEIGHT),
        part=part,
        parts=parts,
        transfers=tuple(read_transfer(row) for row in rows),
    )


def read_transfer(row: Mapping[str, object]) -> Transfer:
    """One entry of `transfers`. Raises MalformedEvent."""
    return Transfer(
        txid=_text(row, "txid", _ID),
        position=_text(row, "position", _POSITION),
        contract=_optional(row, "contract"),
        sender=_optional(row, "from"),
        recipient=_text(row, "to", _ID),
        units=int(_text(row, "units", _UNITS)),
    )


def transfer_body(transfer: Transfer) -> dict[str, object]:
    """`transfer` as `read_transfer` reads it."""
    return {
        "txid": transfer.txid,
        "position": transfer.position,
        "contract": transfer.contract,
        "from": transfer.sender,
        "to": transfer.recipient,
        "units": str(transfer.units),
    }


def read_node_answer(body: Mapping[str, object]) -> ResumeRequest | None:
    """A record of `node.answers`; None for an answer to a command. Raises MalformedEvent."""
    kind = _versioned(body).get("kind")
    if kind == "answer":
        return None
    if kind != "resume_request":
        raise MalformedEvent("an unknown answer of a node", kind=str(kind)[:40])
    return ResumeRequest(
        trace_id=_text(body, "trace_id", _TRACE),
        chain=_text(body, "chain", _CHAIN),
        node=_text(body, "node", _NAME),
        request_id=_text(body, "request_id", _ID),
    )


def read_addresses(body: Mapping[str, object]) -> PoolExtension:
    """A record of `wallet.addresses`. Raises MalformedEvent."""
    kind = _versioned(body).get("kind")
    if kind != "addresses":
        raise MalformedEvent("an unknown answer about wallets", kind=str(kind)[:40])
    wallets = tuple(
        WalletAddresses(_number(row, "index", 2**31 - 1), _addresses(row))
        for row in _rows(body, "wallets", MAX_WALLETS)
    )
    if len({wallet.index for wallet in wallets}) != len(wallets):
        raise MalformedEvent("a wallet stands twice in one answer")
    return PoolExtension(
        _text(body, "trace_id", _TRACE), _number(body, "group", 2**31 - 1), wallets
    )


def _addresses(row: Mapping[str, object]) -> Mapping[str, str]:
    named = row.get("addresses")
    if not isinstance(named, dict) or not named or not all(_CHAIN.match(str(c)) for c in named):
        raise MalformedEvent("a wallet has no addresses by chain")
    return {str(chain): _text(named, str(chain), _ADDRESS) for chain in named}


def _versioned(body: Mapping[str, object]) -> Mapping[str, object]:
    if body.get("v") != 1:
        raise MalformedEvent("only version 1 is known", v=str(body.get("v"))[:40])
    return body


def _text(body: Mapping[str, object], name: str, form: re.Pattern[str]) -> str:
    value = body.get(name)
    if not isinstance(value, str) or form.match(value) is None:
        raise MalformedEvent("a text field is missing or not of its form", field=name)
    return value


def _optional(body: Mapping[str, object], name: str) -> str | None:
    return None if body.get(name) is None else _text(body, name, _ID)


def _number(body: Mapping[str, object], name: str, limit: int) -> int:
    value = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
        raise MalformedEvent("a number is missing or out of range", field=name)
    return value


def _rows(body: Mapping[str, object], name: str, limit: int) -> list[Mapping[str, object]]:
    rows = body.get(name)
    if (
        not isinstance(rows, list)
        or len(rows) > limit
        or not all(isinstance(r, dict) for r in rows)
    ):
        raise MalformedEvent("a list is missing, too long or not of objects", field=name)
    return cast(list[Mapping[str, object]], rows)
