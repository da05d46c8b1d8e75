"""Transactions and blocks as the RPC shows them (crate solana-transaction-status-client-types)."""

from base64 import b64encode
from collections.abc import Callable, Sequence

from solders.message import Message, MessageV0
from solders.transaction import VersionedTransaction

from infra.local.solana import base58
from infra.local.solana.message import lookups_of, parse_transaction
from infra.local.solana.model import Block, Executed, InnerCall, Json, TokenBalance
from infra.local.solana.rpc_errors import invalid, unsupported_version
from infra.local.solana.ui_amounts import ui_amount
from infra.local.solana.ui_instructions import memo_text, ui_parsed

ENCODINGS = ("json", "jsonParsed", "base58", "base64")
# A top-level instruction's height (TRANSACTION_LEVEL_STACK_HEIGHT).
_TOP = 1


def ui_transaction(done: Executed, encoding: str, version_max: int | None) -> Json:
    """`transaction`, `meta` and `version`. Raises RpcError when the version is not supported."""
    transaction = parse_transaction(done.raw)
    message = transaction.message
    shown = {
        "meta": _meta(done, parsed=encoding == "jsonParsed"),
        "transaction": _encoded(transaction, done, encoding),
    }
    versioned = isinstance(message, MessageV0)
    if version_max is None:
        if versioned:
            raise unsupported_version(0)
        return shown
    return {**shown, "version": 0 if versioned else "legacy"}


def checked_encoding(encoding: str | None) -> str:
    """`json` when nothing is said. Raises RpcError for one that is not known."""
    if encoding is None:
        return "json"
    if encoding not in ENCODINGS:
        raise invalid(f"unsupported encoding {encoding[:40]}")
    return encoding


def memo_of(done: Executed) -> str | None:
    """The memos of a transaction in the form of getSignaturesForAddress."""
    found = []
    for call in parse_transaction(done.raw).message.instructions:
        memo = memo_text(done.keys[call.program_id_index], bytes(call.data))
        if memo is not None:
            found.append(f"[{len(memo.encode())}] {memo}")
    return "; ".join(found) or None


def status_json(error: Json) -> Json:
    return {"Ok": None} if error is None else {"Err": error}


def _encoded(transaction: VersionedTransaction, done: Executed, encoding: str) -> Json:
    if encoding == "base64":
        return [b64encode(done.raw).decode(), "base64"]
    if encoding == "base58":
        return [base58.encode(done.raw), "base58"]
    message = transaction.message
    show = _parsed_message if encoding == "jsonParsed" else _raw_message
    return {
        "message": show(message, done),
        "signatures": [str(signature) for signature in transaction.signatures],
    }


def _raw_message(message: Message | MessageV0, _: Executed) -> Json:
    header = message.header
    shown = {
        "accountKeys": [str(key) for key in message.account_keys],
        "header": {
            "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
            "numRequiredSignatures": header.num_required_signatures,
        },
        "instructions": [
            _raw_call(call.program_id_index, call.accounts, bytes(call.data), _TOP)
            for call in message.instructions
        ],
        "recentBlockhash": str(message.recent_blockhash),
    }
    return {**shown, **_lookups(message)}


def _parsed_message(message: Message | MessageV0, done: Executed) -> Json:
    return {
        "accountKeys": account_list(message, done),
        "instructions": [
            _parsed_call(done.keys, call.program_id_index, call.accounts, bytes(call.data), _TOP)
            for call in message.instructions
        ],
        "recentBlockhash": str(message.recent_blockhash),
        # A raw legacy message lacks the key, a parsed one has null there.
        "addressTableLookups": None,
        **_lookups(message),
    }


def _lookups(message: Message | MessageV0) -> Json:
    if not isinstance(message, MessageV0):
        return {}
    return {
        "addressTableLookups": [
            {
                "accountKey": str(lookup.account_key),
                "readonlyIndexes": list(lookup.readonly_indexes),
                "writableIndexes": list(lookup.writable_indexes),
            }
            for lookup in lookups_of(message)
        ]
    }


def account_list(message: Message | MessageV0, done: Executed) -> Json:
    """All accounts with their roles and where they come from."""
    header, static = message.header, len(message.account_keys)
    shown = []
    for at, key in enumerate(done.keys):
        signer = at < header.num_required_signatures
        if at >= static:
            writable = at < static + len(done.loaded_writable)
        elif signer:
            writable = at < header.num_required_signatures - header.num_readonly_signed_accounts
        else:
            writable = at < static - header.num_readonly_unsigned_accounts
        shown.append(
            {
                "pubkey": key,
                "signer": signer,
                "source": "transaction" if at < static else "lookupTable",
                # A program that is called is never locked for writing (demote_program_id).
                "writable": writable and not _called(message, at),
            }
        )
    return shown


def _called(message: Message | MessageV0, at: int) -> bool:
    return any(call.program_id_index == at for call in message.instructions)


def _raw_call(program: int, accounts: Sequence[int], data: bytes, height: int) -> Json:
    return {
        "accounts": list(accounts),
        "data": base58.encode(data),
        "programIdIndex": program,
        "stackHeight": height,
    }


def _parsed_call(
    keys: Sequence[str], program: int, accounts: Sequence[int], data: bytes, height: int
) -> Json:
    return ui_parsed(keys[program], [keys[at] for at in accounts], data, height)


def ui_inner(
    inner: Sequence[tuple[int, tuple[InnerCall, ...]]], keys: Sequence[str], *, parsed: bool
) -> Json:
    """The instructions that programs issued, by the index of the top-level one."""

    def show(call: InnerCall) -> Json:
        if parsed:
            return _parsed_call(keys, call.program, call.accounts, call.data, call.stack_height)
        return _raw_call(call.program, call.accounts, call.data, call.stack_height)

    return [
        {"index": index, "instructions": [show(call) for call in calls]} for index, calls in inner
    ]


def ui_return_data(returned: tuple[str, bytes] | None) -> Json:
    if returned is None:
        return None
    return {"data": [b64encode(returned[1]).decode(), "base64"], "programId": returned[0]}


def _meta(done: Executed, *, parsed: bool) -> Json:
    meta = {
        "computeUnitsConsumed": done.compute_units,
        "err": done.error,
        "fee": done.fee_lamports,
        "innerInstructions": ui_inner(done.inner, done.keys, parsed=parsed),
        "logMessages": list(done.logs),
        "postBalances": list(done.post_balances),
        "postTokenBalances": [_token(held) for held in done.post_tokens],
        "preBalances": list(done.pre_balances),
        "preTokenBalances": [_token(held) for held in done.pre_tokens],
        "rewards": [],
        "status": status_json(done.error),
    }
    if not parsed:
        # Accounts of jsonParsed name their source instead.
        meta["loadedAddresses"] = {
            "readonly": list(done.loaded_readonly),
            "writable": list(done.loaded_writable),
        }
    if done.return_data is not None:
        meta["returnData"] = ui_return_data(done.return_data)
    return meta


def _token(held: TokenBalance) -> Json:
    amount = ui_amount(held.units, held.decimals)
    if not held.units:
        # The ledger's stored form has no zero here (crate solana-storage-proto).
        amount["uiAmount"] = None
    return {
        "accountIndex": held.index,
        "mint": held.mint,
        "owner": held.owner,
        "programId": held.program,
        "uiTokenAmount": amount,
    }


def ui_block(
    block: Block,
    leader: str,
    *,
    encoding: str,
    details: str,
    rewards: bool,
    version_max: int | None,
) -> Json:
    """A block; `details` is full, accounts, signatures or none. Raises RpcError."""
    shown: dict[str, Json] = {
        "blockHeight": block.height,
        "blockTime": block.time_s,
        "blockhash": block.blockhash,
        "parentSlot": block.parent_slot,
        "previousBlockhash": block.previous_blockhash,
    }
    show: dict[str, Callable[[Executed], Json]] = {
        "full": lambda done: ui_transaction(done, encoding, version_max),
        "accounts": lambda done: _accounts_only(done, version_max),
    }
    if details in show:
        shown["transactions"] = [show[details](done) for done in block.transactions]
        if not rewards:
            for row in shown["transactions"]:
                row["meta"]["rewards"] = None
    elif details == "signatures":
        shown["signatures"] = [done.signature for done in block.transactions]
    elif details != "none":
        raise invalid(f"unknown transactionDetails {details[:40]}")
    if rewards:
        shown["rewards"] = _rewards(block, leader)
    return shown


def _accounts_only(done: Executed, version_max: int | None) -> Json:
    shown = ui_transaction(done, "json", version_max)
    kept = ("err", "fee", "preBalances", "postBalances", "preTokenBalances", "postTokenBalances")
    shown["meta"] = {name: shown["meta"][name] for name in (*kept, "status", "rewards")}
    message = parse_transaction(done.raw).message
    shown["transaction"] = {
        "accountKeys": account_list(message, done),
        "signatures": shown["transaction"]["signatures"],
    }
    return shown


def _rewards(block: Block, leader: str) -> Json:
    if not block.reward_lamports:
        return []
    return [
        {
            "commission": None,
            "lamports": block.reward_lamports,
            "postBalance": block.reward_balance,
            "pubkey": leader,
            "rewardType": "Fee",
        }
    ]
