"""What moneyin tells other rooms: topics, keys, bodies and identities (docs/contracts.md). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from orion.ids import fact_id, public_id
from orion.ledger.model import bucket
from orion.moneyin.events import BlockRef, ResumeRequest
from orion.moneyin.model import Change, Code, Deposit, Posting, State

MAX_TRANSFERS_A_RECORD = 1_000

_ACCOUNTS: Mapping[Code, tuple[str, str]] = {
    Code.CREDIT: ("custody", "settling"),
    Code.FINAL: ("settling", "available"),
    Code.REVERSAL: ("settling", "custody"),
    Code.REVERSAL_FINAL: ("available", "custody"),
}


@dataclass(frozen=True, slots=True)
class Message:
    """A record for a topic; `key` chooses the partition, `event_id` is its identity."""

    topic: str
    key: str
    body: Mapping[str, object]
    event_id: bytes


def change_messages(
    changes: Sequence[Change], *, trace_id: str, now: datetime
) -> Sequence[Message]:
    """Everything that one block event's changes say: transfers first, then deposit events, then
    audit events.
    """
    postings = [posting for change in changes for posting in change.postings]
    told = [change for change in changes if change.deposit.held_for is None]
    return [
        *_transfer_records(postings, trace_id),
        *(_deposit_event(change, trace_id) for change in told),
        *(_audit(change, trace_id, now) for change in changes if _is_audited(change)),
    ]


def _transfer_records(postings: Sequence[Posting], trace_id: str) -> Sequence[Message]:
    """Records by the bucket that decides: the merchant's, so all of a deposit's in their order."""
    by_bucket: dict[int, list[Posting]] = {}
    for posting in postings:
        by_bucket.setdefault(bucket(_owner(posting.deposit)), []).append(posting)
    return [
        Message(
            topic="ledger.transfers",
            key=f"bucket:{number}",
            body={"v": 1, "trace_id": trace_id, "transfers": [_transfer(p) for p in chunk]},
            event_id=fact_id("ledger_transfers", b"".join(p.id for p in chunk)),
        )
        for number, group in by_bucket.items()
        for start in range(0, len(group), MAX_TRANSFERS_A_RECORD)
        if (chunk := group[start : start + MAX_TRANSFERS_A_RECORD])
    ]


def _transfer(posting: Posting) -> Mapping[str, object]:
    deposit = posting.deposit
    debit, credit = (_account(deposit, purpose) for purpose in _ACCOUNTS[posting.code])
    return {
        "id": posting.id.hex(),
        "kind": "direct",
        "code": str(posting.code),
        "asset": deposit.asset,
        "units": str(deposit.payment.units),
        "debit": debit,
        "credit": credit,
        "cause": {
            "type": "deposit",
            "deposit_id": deposit.id.hex(),
            "credit_epoch": posting.epoch,
        },
        "linked": False,
    }


def _account(deposit: Deposit, purpose: str) -> Mapping[str, str]:
    if purpose == "custody":
        return {"owner": f"system:{deposit.chain}", "purpose": purpose}
    return {"owner": _owner(deposit), "purpose": purpose}


def _owner(deposit: Deposit) -> str:
    return f"merchant:{_hex(deposit.watched.merchant_id)}"


def _hex(value: bytes | None) -> str:
    if value is None:
        raise ValueError("only a deposit of an assigned wallet is told to others")
    return value.hex()


def _deposit_event(change: Change, trace_id: str) -> Message:
    deposit = change.deposit
    return Message(
        topic="moneyin.deposits",
        key=deposit.id.hex(),
        body={
            "v": 1,
            "trace_id": trace_id,
            "kind": "deposit",
            "deposit_id": deposit.id.hex(),
            "version": deposit.version,
            "chain": deposit.chain,
            "asset": deposit.asset,
            "units": str(deposit.payment.units),
            "txid": deposit.payment.txid,
            "position": deposit.payment.position,
            "address": deposit.payment.recipient,
            "merchant_id": _hex(deposit.watched.merchant_id),
            "invoice_id": _hex(deposit.watched.invoice_id),
            "state": str(deposit.state),
            "height": deposit.included.height,
            "block_hash": deposit.included.hash,
            "confirmations": deposit.confirmations(change.tip_height),
            "confirmations_settled": deposit.settled,
            "confirmations_final": deposit.final,
            "credit_epoch": deposit.epoch,
            "credit_transfer_id": deposit.transfer_id(Code.CREDIT, deposit.epoch).hex(),
            "block_time": deposit.included.time,
        },
        event_id=fact_id("deposit_event", deposit.id, deposit.version),
    )


def _is_audited(change: Change) -> bool:
    newly_held = change.deposit.held_for is not None and change.deposit.state is State.INCLUDED
    return change.lost_final or (newly_held and change.cause in ("block_connected", "mined_again"))


def _audit(change: Change, trace_id: str, now: datetime) -> Message:
    deposit = change.deposit
    action = "deposit.final_reversed" if change.lost_final else "deposit.held"
    return Message(
        topic="audit.events",
        key="moneyin",
        body={
            "v": 1,
            "trace_id": trace_id,
            "module": "moneyin",
            "action": action,
            "at": now.isoformat(),
            "actor": "moneyin",
            "subject": public_id("dep", deposit.id),
            "details": {
                "asset": deposit.asset,
                "units": str(deposit.payment.units),
                "txid": deposit.payment.txid,
                "block_hash": deposit.included.hash,
                "held_for": str(deposit.held_for) if deposit.held_for else None,
            },
        },
        event_id=fact_id("audit", action, deposit.id, deposit.version),
    )


def resume_answer(request: ResumeRequest, recent: Sequence[BlockRef]) -> Message:
    """The reply to an agent that asked where to go on."""
    event_id = fact_id("resume", request.chain, request.node, request.request_id)
    body = _resume(request.trace_id, request.chain, request.node, request.request_id, recent)
    return Message("node.commands", request.node, body, event_id)


def resume_unasked(
    trace_id: str, chain: str, node: str, recent: Sequence[BlockRef], event_id: bytes
) -> Message:
    """A gap was seen: the agent shall go back to what both sides know."""
    return Message("node.commands", node, _resume(trace_id, chain, node, None, recent), event_id)


def _resume(
    trace_id: str, chain: str, node: str, request_id: str | None, recent: Sequence[BlockRef]
) -> Mapping[str, object]:
    return {
        "v": 1,
        "trace_id": trace_id,
        "kind": "resume",
        "chain": chain,
        "node": node,
        "request_id": request_id,
        "recent": [{"height": block.height, "hash": block.hash} for block in recent],
    }
