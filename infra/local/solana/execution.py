"""Running transactions: what the cluster checks before the runtime, the runtime, and its record.

LiteSVM checks neither ages nor replays here: a fork must be able to bring both back.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from solders.account import Account
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import (
    FailedTransactionMetadata,
    InnerInstruction,
    SimulatedTransactionInfo,
    TransactionMetadata,
)

from infra.local.solana.message import (
    Accounts,
    accounts_of,
    compute_price_micro,
    durable_nonce_key,
    message_hash,
    nonce_of,
    with_nonce,
)
from infra.local.solana.model import Change, Executed, InnerCall, Json, Level
from infra.local.solana.refusals import Refused
from infra.local.solana.state import State
from infra.local.solana.tokens import token_balances

Values = Mapping[Pubkey, Account | None]


@dataclass(frozen=True, slots=True)
class Simulated:
    """Outcome of a dry run; `accounts` are values after it, of those the transaction names."""

    error: Json
    logs: tuple[str, ...]
    compute_units: int
    return_data: tuple[str, bytes] | None
    accounts: Values
    inner: tuple[tuple[int, tuple[InnerCall, ...]], ...]
    keys: tuple[str, ...]


def signatures_hold(transaction: VersionedTransaction) -> bool:
    """Whether every required signature is there and verifies."""
    required = transaction.message.header.num_required_signatures
    return len(transaction.signatures) == required and all(transaction.verify_with_results())


def durable_nonce(blockhash: str) -> bytes:
    """The nonce that an account takes in a slot whose parent has `blockhash`.

    Source: DurableNonce::from_blockhash, crate solana-nonce.
    """
    return hashlib.sha256(b"DURABLE_NONCE" + bytes(Pubkey.from_string(blockhash))).digest()


def check_age(
    message: Message | MessageV0, state: State, level: Level
) -> tuple[Pubkey, Account] | None:
    """Accept a recent blockhash or a durable nonce that may advance; answers the nonce account.

    Raises Refused with BlockhashNotFound.
    """
    blockhash = str(message.recent_blockhash)
    if state.is_recent(blockhash, level):
        return None
    key = durable_nonce_key(message)
    account = None if key is None else state.account(key, level)
    found = nonce_of(account)
    if key is None or account is None or found is None:
        raise Refused("BlockhashNotFound")
    authority, nonce = found
    signers = message.account_keys[: message.header.num_required_signatures]
    advances = nonce != durable_nonce(state.block_at(level).blockhash)
    if nonce != bytes(message.recent_blockhash) or not advances or authority not in signers:
        raise Refused("BlockhashNotFound")
    return key, account


def execute(
    transaction: VersionedTransaction, state: State
) -> tuple[Executed, Sequence[Change], Values]:
    """Run in the open slot; answers the record, the changed accounts and their earlier values.

    LiteSVM holds the outcome then; the caller records it in the state. Raises Refused: then
    nothing changed.
    """
    message = transaction.message
    if not signatures_hold(transaction):
        raise Refused("SignatureFailure")
    signature = str(transaction.signatures[0])
    _check_replay(message, state, Level.PROCESSED)
    nonce = check_age(message, state, Level.PROCESSED)
    named = accounts_of(message, state, Level.PROCESSED)
    state.sync_sysvars()
    before = {key: state.svm.get_account(key) for key in named.keys}
    result = state.svm.send_transaction(transaction)
    failed = isinstance(result, FailedTransactionMetadata)
    error = _error(result)
    payer = named.keys[0]
    if failed and state.svm.get_account(payer) == before[payer]:
        raise Refused(error)
    _advance_nonces(state, named, before, nonce)
    after = {key: state.svm.get_account(key) for key in named.keys}
    meta = result.meta() if isinstance(result, FailedTransactionMetadata) else result
    done = Executed(
        raw=bytes(transaction),
        signature=signature,
        message_hash=message_hash(message),
        slot=state.open.slot,
        error=error,
        fee_lamports=_lamports(before[payer]) - _lamports(after[payer]) if failed else meta.fee(),
        keys=tuple(map(str, named.keys)),
        loaded_writable=tuple(map(str, named.loaded_writable)),
        loaded_readonly=tuple(map(str, named.loaded_readonly)),
        pre_balances=tuple(_lamports(before[key]) for key in named.keys),
        post_balances=tuple(_lamports(after[key]) for key in named.keys),
        pre_tokens=token_balances(named.keys, before, state.svm.get_account),
        post_tokens=token_balances(named.keys, after, state.svm.get_account),
        logs=tuple(meta.logs()),
        inner=_inner(meta),
        compute_units=meta.compute_units_consumed(),
        compute_price_micro=compute_price_micro(message),
        return_data=_return_data(meta),
    )
    changes = [(key, after[key]) for key in named.keys if after[key] != before[key]]
    return done, changes, before


def _advance_nonces(
    state: State, named: Accounts, before: Values, durable: tuple[Pubkey, Account] | None
) -> None:
    """Give changed nonces the value of this slot's parent.

    LiteSVM derives a nonce from the message's own blockhash and does not advance the nonce of a
    transaction that failed; the cluster does both (crate solana-svm, rollback_accounts).
    """
    fresh = durable_nonce(state.tip.blockhash)
    for key in named.keys:
        account = state.svm.get_account(key)
        found = nonce_of(account)
        if account is None or found is None:
            continue
        known = nonce_of(before[key])
        is_durable = durable is not None and durable[0] == key
        if is_durable or known is None or known[1] != found[1]:
            state.svm.set_account(key, with_nonce(account, fresh))


def simulate(
    transaction: VersionedTransaction, state: State, level: Level, *, check: bool = True
) -> Simulated:
    """Run without effect on the state of `level`; with `check`, ages and replays are refused.

    The clock is that of the open slot at every level.
    """
    message = transaction.message
    try:
        if check:
            _check_replay(message, state, level)
            check_age(message, state, level)
        named = accounts_of(message, state, level)
    except Refused as exc:
        return Simulated(exc.error, (), 0, None, {}, (), ())
    state.sync_sysvars()
    present = {key: state.svm.get_account(key) for key in named.keys}
    wanted = {key: state.account(key, level) for key in named.keys}
    differing = [key for key in present if present[key] != wanted[key]]
    try:
        for key in differing:
            state.put(key, wanted[key])
        result = state.svm.simulate_transaction(transaction)
    finally:
        for key in differing:
            state.put(key, present[key])
    after = dict(wanted)
    if isinstance(result, SimulatedTransactionInfo):
        after.update(result.post_accounts())
    meta = result.meta()
    return Simulated(
        error=_error(result),
        logs=tuple(meta.logs()),
        compute_units=meta.compute_units_consumed(),
        return_data=_return_data(meta),
        accounts=after,
        inner=_inner(meta),
        keys=tuple(map(str, named.keys)),
    )


def _check_replay(message: Message | MessageV0, state: State, level: Level) -> None:
    known = state.history.of_message(message_hash(message))
    if known is not None and known.slot <= state.slot_at(level):
        raise Refused("AlreadyProcessed")


def _error(
    result: TransactionMetadata | FailedTransactionMetadata | SimulatedTransactionInfo,
) -> Json:
    if isinstance(result, FailedTransactionMetadata):
        return json.loads(result.to_json())["err"]
    return None


def _lamports(account: Account | None) -> int:
    return 0 if account is None else account.lamports


def _inner(meta: TransactionMetadata) -> tuple[tuple[int, tuple[InnerCall, ...]], ...]:
    found = []
    for index, calls in enumerate(meta.inner_instructions()):
        rows = tuple(
            InnerCall(
                program=call.instruction().program_id_index,
                accounts=tuple(call.instruction().accounts),
                data=bytes(call.instruction().data),
                stack_height=_stack_height(call),
            )
            for call in calls
        )
        if rows:
            found.append((index, rows))
    return tuple(found)


def _stack_height(call: InnerInstruction) -> int:
    # The wheel's type stubs lack the method.
    return int(json.loads(call.to_json())["stackHeight"])


def _return_data(meta: TransactionMetadata) -> tuple[str, bytes] | None:
    returned = meta.return_data()
    data = bytes(returned.data)
    return (str(returned.program_id), data) if data else None
