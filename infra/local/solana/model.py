"""Facts of the chain: levels, executed transactions, blocks, and their plain JSON form."""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey

# A parsed JSON value; its shape is checked where it is read.
Json = Any
# An account after a change; None: it is gone (no lamports).
Change = tuple[Pubkey, Account | None]


class Level(StrEnum):
    """How sure the cluster is of a state (commitment)."""

    PROCESSED = "processed"
    CONFIRMED = "confirmed"
    FINALIZED = "finalized"


@dataclass(frozen=True, slots=True)
class TokenBalance:
    """Holding of one token account of a transaction; `units` of the mint's smallest unit."""

    index: int
    mint: str
    owner: str
    program: str
    units: int
    decimals: int


@dataclass(frozen=True, slots=True)
class InnerCall:
    """An instruction that a program issued while it ran."""

    program: int
    accounts: tuple[int, ...]
    data: bytes
    stack_height: int


@dataclass(frozen=True, slots=True)
class Executed:
    """A transaction that paid its fee in `slot`, whether it succeeded or not.

    `error` is the runtime's TransactionError in its JSON form, None for success; `keys` are all
    accounts in the order of the message, those of lookup tables last (writable, then read-only).
    """

    raw: bytes
    signature: str
    message_hash: str
    slot: int
    error: Json
    fee_lamports: int
    keys: tuple[str, ...]
    loaded_writable: tuple[str, ...]
    loaded_readonly: tuple[str, ...]
    pre_balances: tuple[int, ...]
    post_balances: tuple[int, ...]
    pre_tokens: tuple[TokenBalance, ...]
    post_tokens: tuple[TokenBalance, ...]
    logs: tuple[str, ...]
    inner: tuple[tuple[int, tuple[InnerCall, ...]], ...]
    compute_units: int
    compute_price_micro: int
    return_data: tuple[str, bytes] | None


@dataclass(frozen=True, slots=True)
class Block:
    """A closed slot. `reward_lamports` went to the leader, who then held `reward_balance`."""

    slot: int
    parent_slot: int
    height: int
    blockhash: str
    previous_blockhash: str
    time_s: int
    transactions: tuple[Executed, ...] = ()
    reward_lamports: int = 0
    reward_balance: int = 0


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()


def executed_json(done: Executed) -> Json:
    """For the journal, read back by `executed_of`."""
    return {
        "raw": _text(done.raw),
        "signature": done.signature,
        "message": done.message_hash,
        "slot": done.slot,
        "error": done.error,
        "fee": done.fee_lamports,
        "keys": done.keys,
        "loaded": (done.loaded_writable, done.loaded_readonly),
        "balances": (done.pre_balances, done.post_balances),
        "tokens": [
            [(t.index, t.mint, t.owner, t.program, t.units, t.decimals) for t in side]
            for side in (done.pre_tokens, done.post_tokens)
        ],
        "logs": done.logs,
        "inner": [
            (index, [(c.program, c.accounts, _text(c.data), c.stack_height) for c in calls])
            for index, calls in done.inner
        ],
        "units": done.compute_units,
        "price": done.compute_price_micro,
        "returned": done.return_data and (done.return_data[0], _text(done.return_data[1])),
    }


def executed_of(found: Mapping[str, Json]) -> Executed:
    """The transaction that `executed_json` wrote."""
    before, after = (tuple(TokenBalance(*row) for row in side) for side in found["tokens"])
    returned = found["returned"]
    return Executed(
        raw=b64decode(found["raw"]),
        signature=found["signature"],
        message_hash=found["message"],
        slot=found["slot"],
        error=found["error"],
        fee_lamports=found["fee"],
        keys=tuple(found["keys"]),
        loaded_writable=tuple(found["loaded"][0]),
        loaded_readonly=tuple(found["loaded"][1]),
        pre_balances=tuple(found["balances"][0]),
        post_balances=tuple(found["balances"][1]),
        pre_tokens=before,
        post_tokens=after,
        logs=tuple(found["logs"]),
        inner=tuple(
            (index, tuple(InnerCall(p, tuple(a), b64decode(d), h) for p, a, d, h in calls))
            for index, calls in found["inner"]
        ),
        compute_units=found["units"],
        compute_price_micro=found["price"],
        return_data=None if returned is None else (returned[0], b64decode(returned[1])),
    )


def changes_json(changes: Sequence[Change]) -> Json:
    """Accounts for the journal, read back by `changes_of`."""
    return [
        [str(key), None]
        if account is None
        else [
            str(key),
            account.lamports,
            str(account.owner),
            account.executable,
            account.rent_epoch,
            _text(account.data),
        ]
        for key, account in changes
    ]


def changes_of(rows: Sequence[Sequence[Json]]) -> list[Change]:
    """The accounts that `changes_json` wrote."""
    found: list[Change] = []
    for key, lamports, *rest in rows:
        account = None
        if lamports is not None:
            owner, executable, rent_epoch, data = rest
            account = Account(
                lamports, b64decode(data), Pubkey.from_string(owner), executable, rent_epoch
            )
        found.append((Pubkey.from_string(key), account))
    return found


def block_json(block: Block) -> Json:
    """The block with its transactions, for a compacted journal."""
    return {
        "slot": block.slot,
        "parent_slot": block.parent_slot,
        "height": block.height,
        "blockhash": block.blockhash,
        "previous_blockhash": block.previous_blockhash,
        "time_s": block.time_s,
        "transactions": [executed_json(done) for done in block.transactions],
        "reward_lamports": block.reward_lamports,
        "reward_balance": block.reward_balance,
    }


def block_of(found: Mapping[str, Json]) -> Block:
    """The block that `block_json` wrote."""
    return Block(
        **{**found, "transactions": tuple(executed_of(row) for row in found["transactions"])}
    )
