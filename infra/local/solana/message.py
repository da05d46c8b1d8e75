"""Reading a transaction's message: all its accounts, who may write them, its durable nonce."""

import hashlib
from dataclasses import dataclass

from solders.account import Account
from solders.compute_budget import ID as COMPUTE_BUDGET
from solders.message import Message, MessageAddressTableLookup, MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from infra.local.solana.model import Level
from infra.local.solana.refusals import Refused
from infra.local.solana.state import State

SYSTEM_PROGRAM = Pubkey.default()
LOOKUP_TABLE_PROGRAM = Pubkey.from_string("AddressLookupTab1e1111111111111111111111111")
# LOOKUP_TABLE_META_SIZE of solana-address-lookup-table-interface.
LOOKUP_TABLE_HEADER_BYTES = 56
# Limits of a packet (PACKET_DATA_SIZE).
TRANSACTION_BYTES_MAX = 1_232
LAMPORTS_PER_SIGNATURE = 5_000
_COMPUTE_UNITS_MAX = 1_400_000
_COMPUTE_UNITS_INSTRUCTION = 200_000
# Core programs take 3,000 each unless a limit is set (SIMD-170).
_COMPUTE_UNITS_BUILTIN = 3_000
_BUILTINS = frozenset(
    {
        SYSTEM_PROGRAM,
        COMPUTE_BUDGET,
        Pubkey.from_string("Vote111111111111111111111111111111111111111"),
        Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111"),
        Pubkey.from_string("BPFLoader1111111111111111111111111111111111"),
        Pubkey.from_string("BPFLoader2111111111111111111111111111111111"),
        Pubkey.from_string("LoaderV411111111111111111111111111111111111"),
        Pubkey.from_string("KeccakSecp256k11111111111111111111111111111"),
        Pubkey.from_string("Ed25519SigVerify111111111111111111111111111"),
    }
)
_NONCE_BYTES = 80
_ADVANCE_NONCE = (4).to_bytes(4, "little")


@dataclass(frozen=True, slots=True)
class Accounts:
    """All accounts of a message in its order; `writable` and `signers` are positions."""

    keys: tuple[Pubkey, ...]
    writable: frozenset[int]
    signers: int
    loaded_writable: tuple[Pubkey, ...]
    loaded_readonly: tuple[Pubkey, ...]


def lookups_of(message: Message | MessageV0) -> list[MessageAddressTableLookup]:
    """The message's lookups; a legacy message has none."""
    return message.address_table_lookups if isinstance(message, MessageV0) else []


def accounts_of(message: Message | MessageV0, state: State, level: Level) -> Accounts:
    """Resolve the message's accounts, lookup tables read at `level`. Raises Refused."""
    static = message.account_keys
    writable, readonly = [], []
    for lookup in lookups_of(message):
        listed = _table(state.account(lookup.account_key, level))
        try:
            writable += [listed[index] for index in lookup.writable_indexes]
            readonly += [listed[index] for index in lookup.readonly_indexes]
        except IndexError as exc:
            raise Refused("InvalidAddressLookupTableIndex") from exc
    header = message.header
    signers, total = header.num_required_signatures, len(static)
    positions = {
        *range(signers - header.num_readonly_signed_accounts),
        *range(signers, total - header.num_readonly_unsigned_accounts),
        *range(total, total + len(writable)),
    }
    return Accounts(
        keys=(*static, *writable, *readonly),
        writable=frozenset(positions),
        signers=signers,
        loaded_writable=tuple(writable),
        loaded_readonly=tuple(readonly),
    )


def _table(account: Account | None) -> list[Pubkey]:
    if account is None:
        raise Refused("AddressLookupTableNotFound")
    if account.owner != LOOKUP_TABLE_PROGRAM:
        raise Refused("InvalidAddressLookupTableOwner")
    body = bytes(account.data)[LOOKUP_TABLE_HEADER_BYTES:]
    if len(body) % 32:
        raise Refused("InvalidAddressLookupTableData")
    return [Pubkey(body[at : at + 32]) for at in range(0, len(body), 32)]


def nonce_of(account: Account | None) -> tuple[Pubkey, bytes] | None:
    """Authority and stored nonce of an initialized nonce account; None for any other."""
    if account is None or account.owner != SYSTEM_PROGRAM or len(account.data) != _NONCE_BYTES:
        return None
    data = bytes(account.data)
    if data[:8] != b"\x01\0\0\0\x01\0\0\0":
        return None
    return Pubkey(data[8:40]), data[40:72]


def with_nonce(account: Account, nonce: bytes) -> Account:
    """The nonce account holding `nonce` (32 bytes) instead."""
    data = bytes(account.data)
    return Account(
        account.lamports,
        data[:40] + nonce + data[72:],
        account.owner,
        account.executable,
        account.rent_epoch,
    )


def durable_nonce_key(message: Message | MessageV0) -> Pubkey | None:
    """The nonce account that the first instruction advances, if it does."""
    if not message.instructions:
        return None
    first = message.instructions[0]
    keys = message.account_keys
    if first.program_id_index >= len(keys) or not first.accounts:
        return None
    if keys[first.program_id_index] != SYSTEM_PROGRAM or first.data[:4] != _ADVANCE_NONCE:
        return None
    return keys[first.accounts[0]] if first.accounts[0] < len(keys) else None


def compute_price_micro(message: Message | MessageV0) -> int:
    """Micro-lamports per compute unit that the message offers."""
    return _budget(message)[0]


def fee_lamports(message: Message | MessageV0) -> int:
    """What the payer is charged: 5,000 lamports a signature and the priority fee, rounded up."""
    price, units = _budget(message)
    base = message.header.num_required_signatures * LAMPORTS_PER_SIGNATURE
    return base + -(-price * units // 1_000_000)


def _budget(message: Message | MessageV0) -> tuple[int, int]:
    price, limit, default = 0, None, 0
    keys = message.account_keys
    for call in message.instructions:
        index = call.program_id_index
        program = keys[index] if index < len(keys) else None
        default += _COMPUTE_UNITS_BUILTIN if program in _BUILTINS else _COMPUTE_UNITS_INSTRUCTION
        if program != COMPUTE_BUDGET or not call.data:
            continue
        if call.data[0] == 2:
            limit = int.from_bytes(call.data[1:5], "little")
        elif call.data[0] == 3:
            price = int.from_bytes(call.data[1:9], "little")
    return price, min(default if limit is None else limit, _COMPUTE_UNITS_MAX)


def message_hash(message: Message | MessageV0) -> str:
    """The same for equal messages, whoever signed them and how."""
    return hashlib.sha256(to_bytes_versioned(message)).hexdigest()


def parse_transaction(raw: bytes) -> VersionedTransaction:
    """The transaction of `raw`. Raises ValueError."""
    transaction = VersionedTransaction.from_bytes(raw)
    if bytes(transaction) != raw:
        raise ValueError("bytes after the transaction")
    transaction.sanitize()
    return transaction
