"""Calls that send, try and look up transactions."""

from base64 import b64decode

from solders.hash import Hash
from solders.message import Message, MessageV0, from_bytes_versioned
from solders.transaction import VersionedTransaction

from infra.local.solana.chain import AIRDROP_LAMPORTS_MAX, Chain, SlotFull
from infra.local.solana.execution import Simulated, check_age, signatures_hold, simulate
from infra.local.solana.message import fee_lamports, parse_transaction
from infra.local.solana.methods import At, Methods, bank_for, settled_level
from infra.local.solana.model import Executed, Json, Level
from infra.local.solana.params import Options, Params, as_array, as_bytes, as_pubkey, as_signature
from infra.local.solana.refusals import Refused, in_words
from infra.local.solana.rpc_errors import (
    INTERNAL_ERROR,
    NODE_UNHEALTHY,
    PREFLIGHT_FAILURE,
    SIGNATURE_VERIFICATION_FAILURE,
    RpcError,
    invalid,
)
from infra.local.solana.state import RECENT_BLOCKS
from infra.local.solana.ui_accounts import form_of, ui_account
from infra.local.solana.ui_transactions import (
    checked_encoding,
    memo_of,
    status_json,
    ui_inner,
    ui_return_data,
    ui_transaction,
)

STATUSES_MAX = 256
SIGNATURES_MAX = 1_000
_MESSAGE_LETTERS_MAX = 2_048
_SIMULATED_ACCOUNTS_MAX = 64


def _decoded(params: Params, options: Options) -> VersionedTransaction:
    raw = as_bytes(params.text(0), options.text("encoding"), "versioned_transaction")
    try:
        return parse_transaction(raw)
    except ValueError as exc:
        raise invalid(
            f"failed to deserialize solana_transaction::versioned::VersionedTransaction: {exc}"
        ) from exc


def _unverified() -> RpcError:
    return RpcError(SIGNATURE_VERIFICATION_FAILURE, "Transaction signature verification failure")


def _send_transaction(chain: Chain, params: Params) -> Json:
    options = params.options(1)
    transaction = _decoded(params, options)
    options.integer("maxRetries")
    if not options.flag("skipPreflight"):
        if not signatures_hold(transaction):
            raise _unverified()
        at = bank_for(chain, options, "preflightCommitment")
        tried = simulate(transaction, chain.state, at.level)
        if tried.error is not None:
            raise RpcError(
                PREFLIGHT_FAILURE,
                f"Transaction simulation failed: {in_words(tried.error)}",
                _simulated(tried),
            )
    try:
        chain.send(transaction)
    except Refused:
        # A cluster answers before it executes; what it refuses then is never heard of again.
        pass
    except SlotFull as exc:
        raise RpcError(NODE_UNHEALTHY, "Node is unhealthy", {"numSlotsBehind": None}) from exc
    return str(transaction.signatures[0])


def _simulated(tried: Simulated) -> Json:
    return {
        "accounts": None,
        "err": tried.error,
        "innerInstructions": None,
        "logs": list(tried.logs),
        "replacementBlockhash": None,
        "returnData": ui_return_data(tried.return_data),
        "unitsConsumed": tried.compute_units,
    }


def _with_blockhash(transaction: VersionedTransaction, blockhash: str) -> VersionedTransaction:
    message = transaction.message
    fresh = Hash.from_string(blockhash)
    replaced: Message | MessageV0
    if isinstance(message, MessageV0):
        replaced = MessageV0(
            message.header,
            message.account_keys,
            fresh,
            message.instructions,
            message.address_table_lookups,
        )
    else:
        header = message.header
        replaced = Message.new_with_compiled_instructions(
            header.num_required_signatures,
            header.num_readonly_signed_accounts,
            header.num_readonly_unsigned_accounts,
            message.account_keys,
            fresh,
            message.instructions,
        )
    return VersionedTransaction.populate(replaced, transaction.signatures)


def _simulate_transaction(chain: Chain, params: Params) -> Json:
    options = params.options(1)
    transaction = _decoded(params, options)
    at = bank_for(chain, options)
    replacement = None
    if options.flag("replaceRecentBlockhash"):
        if options.flag("sigVerify"):
            raise invalid("sigVerify may not be used with replaceRecentBlockhash")
        blockhash = chain.state.block_at(at.level).blockhash
        transaction = _with_blockhash(transaction, blockhash)
        replacement = {
            "blockhash": blockhash,
            "lastValidBlockHeight": chain.state.height_at(at.level) + 150,
        }
    if options.flag("sigVerify") and not signatures_hold(transaction):
        raise _unverified()
    tried = simulate(transaction, chain.state, at.level)
    shown = _simulated(tried)
    shown["replacementBlockhash"] = replacement
    wanted = options.object("accounts")
    if wanted is not None:
        shown["accounts"] = _simulated_accounts(chain, at, tried, wanted)
    if options.flag("innerInstructions"):
        shown["innerInstructions"] = ui_inner(tried.inner, tried.keys, parsed=True)
    return at.answer(shown)


def _simulated_accounts(chain: Chain, at: At, tried: Simulated, wanted: Options) -> Json:
    form = form_of(wanted, "base64")
    shown: list[Json] = []
    for text in wanted.array("addresses", _SIMULATED_ACCOUNTS_MAX):
        key = as_pubkey(text)
        account = tried.accounts.get(key) or chain.state.account(key, at.level)
        if tried.error is not None or account is None:
            shown.append(None)
            continue
        shown.append(ui_account(account, form, lambda key: chain.state.account(key, at.level)))
    return shown


def _status_level(chain: Chain, slot: int) -> Level:
    for level in (Level.FINALIZED, Level.CONFIRMED):
        if slot <= chain.state.slot_at(level):
            return level
    return Level.PROCESSED


def _confirmations(chain: Chain, slot: int) -> int | None:
    """Blocks built on the transaction's, None when it is final."""
    state = chain.state
    if slot <= state.root.slot:
        return None
    block = state.history.block(slot)
    return 0 if block is None else state.open_height - block.height


def _get_signature_statuses(chain: Chain, params: Params) -> Json:
    wanted = as_array(params.raw(0), "signatures", STATUSES_MAX)
    everything = params.options(1).flag("searchTransactionHistory")
    at = At(Level.PROCESSED, chain.state.slot_at(Level.PROCESSED))
    return at.answer([_status(chain, as_signature(text), everything) for text in wanted])


def _status(chain: Chain, signature: str, everything: bool) -> Json:
    done = chain.state.history.transaction(signature)
    if done is None:
        return None
    block = chain.state.history.block(done.slot)
    # Without the history, only what the status cache holds.
    oldest = chain.state.root.height - RECENT_BLOCKS
    if not everything and block is not None and block.height < oldest:
        return None
    return {
        "confirmationStatus": _status_level(chain, done.slot).value,
        "confirmations": _confirmations(chain, done.slot),
        "err": done.error,
        "slot": done.slot,
        "status": status_json(done.error),
    }


def _get_transaction(chain: Chain, params: Params) -> Json:
    signature = as_signature(params.raw(0))
    if params.has(1) and isinstance(params.raw(1), str):
        options, encoding = Options({}), checked_encoding(params.text(1))
    else:
        options = params.options(1)
        encoding = checked_encoding(options.text("encoding"))
    level = settled_level(options)
    done = chain.state.history.transaction(signature)
    block = None if done is None else chain.state.history.block(done.slot)
    if done is None or block is None or block.slot > chain.state.slot_at(level):
        return None
    version_max = options.integer("maxSupportedTransactionVersion")
    shown = ui_transaction(done, encoding, version_max)
    return {"blockTime": block.time_s, "slot": done.slot, **shown}


def _get_signatures_for_address(chain: Chain, params: Params) -> Json:
    address, options = str(params.pubkey(0)), params.options(1)
    limit = options.integer("limit")
    limit = SIGNATURES_MAX if limit is None else limit
    if not 1 <= limit <= SIGNATURES_MAX:
        raise invalid(f"Invalid limit; max {SIGNATURES_MAX}")
    newest = bank_for(chain, options)
    if newest.level is Level.PROCESSED:
        raise invalid("Method does not support commitment below `confirmed`")
    before, until = options.text("before"), options.text("until")
    before = None if before is None else as_signature(before)
    until = None if until is None else as_signature(until)
    rows: list[Json] = []
    seen_before = before is None
    for done in chain.state.history.of_address(address):
        if done.signature == until or len(rows) == limit:
            break
        if seen_before and done.slot <= newest.slot:
            rows.append(_signature_row(chain, done))
        seen_before = seen_before or done.signature == before
    return rows


def _signature_row(chain: Chain, done: Executed) -> Json:
    block = chain.state.history.block(done.slot)
    return {
        "blockTime": None if block is None else block.time_s,
        "confirmationStatus": _status_level(chain, done.slot).value,
        "err": done.error,
        "memo": memo_of(done),
        "signature": done.signature,
        "slot": done.slot,
    }


def _get_fee_for_message(chain: Chain, params: Params) -> Json:
    text, at = params.text(0), bank_for(chain, params.options(1))
    if len(text) > _MESSAGE_LETTERS_MAX:
        raise invalid(f"a message has at most {_MESSAGE_LETTERS_MAX} letters")
    try:
        message = from_bytes_versioned(b64decode(text, validate=True))
    except ValueError as exc:
        raise invalid(f"the message cannot be read: {exc}") from exc
    try:
        check_age(message, chain.state, at.level)
    except Refused:
        return at.answer(None)
    return at.answer(fee_lamports(message))


def _request_airdrop(chain: Chain, params: Params) -> Json:
    key, lamports = params.pubkey(0), params.integer(1)
    if not 1 <= lamports <= AIRDROP_LAMPORTS_MAX:
        raise invalid(f"1 to {AIRDROP_LAMPORTS_MAX} lamports")
    try:
        done = chain.airdrop(key, lamports)
    except (Refused, SlotFull) as exc:
        raise RpcError(INTERNAL_ERROR, "airdrop request failed") from exc
    return done.signature


METHODS: Methods = {
    "sendTransaction": _send_transaction,
    "simulateTransaction": _simulate_transaction,
    "getSignatureStatuses": _get_signature_statuses,
    "getTransaction": _get_transaction,
    "getSignaturesForAddress": _get_signatures_for_address,
    "getFeeForMessage": _get_fee_for_message,
    "requestAirdrop": _request_airdrop,
}
