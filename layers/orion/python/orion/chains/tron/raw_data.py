"""raw_data, the part of a Tron transaction that is signed: three kinds, each in one encoding.

`decode(encode(x)) == x` and `encode(decode(b)) == b`: every field that is not listed here is
refused, so a transaction does what its `RawData` says and nothing else. Its id, which is also what
is signed, is SHA-256 over these bytes.

Source: tronprotocol/protocol, core/Tron.proto and core/contract/*.proto (field numbers);
developers.tron.network, "Transactions" (reference block, expiration).
"""

import hashlib
from dataclasses import dataclass

from orion.chains.tron import protobuf
from orion.chains.tron.address import ACCOUNT_BYTES, VERSION
from orion.chains.tron.protobuf import Fields, Kind, Layout, MalformedMessage

VALID_MS_MAX = 600_000
FEE_LIMIT_SUN_MAX = 15_000_000_000  # Chain parameter getMaxFeeLimit.
OWNER_PERMISSION_ID = 0
RAW_BYTES_MAX = 2_048
BLOCK_ID_BYTES = 32

TRANSFER, TRIGGER, PERMISSION_UPDATE = 1, 31, 46  # ContractType.
_TYPE_URL = "type.googleapis.com/protocol."
_NAMES = {
    TRANSFER: "TransferContract",
    TRIGGER: "TriggerSmartContract",
    PERMISSION_UPDATE: "AccountPermissionUpdateContract",
}
# The main network's first block, 2018-06-25, and the year 2100: seconds or microseconds in the
# place of milliseconds lie outside.
_TIME_MS_MIN = 1_529_891_469_000
_TIME_MS_MAX = 4_102_444_800_000

_RAW: Layout = {
    1: Kind.OCTETS,
    3: "ref_block_num",
    4: Kind.OCTETS,
    8: Kind.NUMBER,
    9: "auths",
    10: "memo",
    11: Kind.PARTS,
    12: "scripts",
    14: Kind.NUMBER,
    18: Kind.NUMBER,
}
_CONTRACT: Layout = {
    1: Kind.NUMBER,
    2: Kind.PART,
    3: "provider",
    4: "contract_name",
    5: Kind.NUMBER,
}
_ANY: Layout = {1: Kind.OCTETS, 2: Kind.OCTETS}
_TRANSFER: Layout = {1: Kind.OCTETS, 2: Kind.OCTETS, 3: Kind.NUMBER}
_TRIGGER: Layout = {
    1: Kind.OCTETS,
    2: Kind.OCTETS,
    3: "call_value",
    4: Kind.OCTETS,
    5: "token_value",
    6: "token_value",
}
_UPDATE: Layout = {1: Kind.OCTETS, 2: Kind.PART, 3: "witness", 4: Kind.PARTS}
# java-tron gives ids by position and knows no other parent than the owner permission.
_PERMISSION: Layout = {
    1: Kind.NUMBER,
    2: "permission_id",
    3: Kind.OCTETS,
    4: Kind.NUMBER,
    5: "parent_id",
    6: Kind.OCTETS,
    7: Kind.PARTS,
}
_KEY: Layout = {1: Kind.OCTETS, 2: Kind.NUMBER}


@dataclass(frozen=True, slots=True)
class Frame:
    """What places a transaction in time: the block it builds on (low 2 bytes of its height, bytes 8
    to 16 of its id) and its times in milliseconds since 1970.

    It is valid on the chain of that block only, and in no block whose parent is of `expiration_ms`
    or later.
    """

    ref_block_bytes: bytes
    ref_block_hash: bytes
    timestamp_ms: int
    expiration_ms: int

    @classmethod
    def on(cls, block_id: bytes, timestamp_ms: int, expiration_ms: int) -> "Frame":
        """On the block of this id, whose first 8 bytes are its height. Raises MalformedMessage."""
        if len(block_id) != BLOCK_ID_BYTES:
            raise MalformedMessage("a block's id has 32 bytes", reason="ref_block")
        return cls(block_id[6:8], block_id[8:16], timestamp_ms, expiration_ms)


@dataclass(frozen=True, slots=True)
class Transfer:
    """TransferContract: `amount_sun` from one account (20 bytes) to another."""

    owner: bytes
    recipient: bytes
    amount_sun: int


@dataclass(frozen=True, slots=True)
class Call:
    """TriggerSmartContract without TRX or TRC-10 tokens."""

    owner: bytes
    contract: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Permission:
    """Who may act together: `keys` are accounts (20 bytes) with weights. `kind` is 0 for the owner
    permission, 2 for an active one, whose 32 bytes `operations` are a bitmap of contract types.
    """

    kind: int
    name: str
    threshold: int
    operations: bytes
    keys: tuple[tuple[bytes, int], ...]


@dataclass(frozen=True, slots=True)
class PermissionUpdate:
    """AccountPermissionUpdateContract: replaces all permissions of the account."""

    owner: bytes
    owner_permission: Permission
    actives: tuple[Permission, ...]


Action = Transfer | Call | PermissionUpdate


@dataclass(frozen=True, slots=True)
class RawData:
    """One action under one of the account's permissions. `fee_limit_sun` bounds what a call may
    burn for energy; it is 0 for the other actions, which burn none.
    """

    frame: Frame
    action: Action
    permission_id: int
    fee_limit_sun: int = 0


def digest(unsigned: bytes) -> bytes:
    """The 32 bytes that name the transaction and that its keys sign."""
    return hashlib.sha256(unsigned).digest()


def encode(raw: RawData) -> bytes:
    """The bytes of raw_data. Raises MalformedMessage for what `decode` would refuse."""
    _check(raw)
    kind, value = _encoded(raw.action)
    parameter = protobuf.octets(1, _type_url(kind)) + protobuf.octets(2, value)
    contract = (
        protobuf.number(1, kind)
        + protobuf.part(2, parameter)
        + protobuf.number(5, raw.permission_id)
    )
    return (
        protobuf.octets(1, raw.frame.ref_block_bytes)
        + protobuf.octets(4, raw.frame.ref_block_hash)
        + protobuf.number(8, raw.frame.expiration_ms)
        + protobuf.part(11, contract)
        + protobuf.number(14, raw.frame.timestamp_ms)
        + protobuf.number(18, raw.fee_limit_sun)
    )


def decode(unsigned: bytes) -> RawData:
    """What raw_data says. Raises MalformedMessage for all that is not understood or not sane."""
    if len(unsigned) > RAW_BYTES_MAX:
        raise MalformedMessage("longer than any of ours", reason="size")
    fields = protobuf.read(unsigned, _RAW)
    contracts = fields.parts(11)
    if len(contracts) != 1:
        raise MalformedMessage(
            "not exactly one contract", reason="contract_count", contracts=len(contracts)
        )
    contract = protobuf.read(contracts[0], _CONTRACT)
    raw = RawData(
        frame=Frame(
            ref_block_bytes=fields.octets(1),
            ref_block_hash=fields.octets(4),
            timestamp_ms=fields.number(14),
            expiration_ms=fields.number(8),
        ),
        action=_action(contract),
        permission_id=contract.number(5),
        fee_limit_sun=fields.number(18),
    )
    _check(raw)
    return raw


def _type_url(kind: int) -> bytes:
    return (_TYPE_URL + _NAMES[kind]).encode()


def _address(account: bytes) -> bytes:
    if len(account) != ACCOUNT_BYTES:
        raise MalformedMessage("an account has 20 bytes", reason="address")
    return VERSION + account


def _account(address: bytes) -> bytes:
    if len(address) != ACCOUNT_BYTES + 1 or address[:1] != VERSION:
        raise MalformedMessage("an address is 0x41 and 20 bytes", reason="address")
    return address[1:]


def _encoded(action: Action) -> tuple[int, bytes]:
    """Contract type and content."""
    owner = protobuf.octets(1, _address(action.owner))
    match action:
        case Transfer():
            recipient = protobuf.octets(2, _address(action.recipient))
            return TRANSFER, owner + recipient + protobuf.number(3, action.amount_sun)
        case Call():
            contract = protobuf.octets(2, _address(action.contract))
            return TRIGGER, owner + contract + protobuf.octets(4, action.data)
        case PermissionUpdate():
            by_owner = protobuf.part(2, _encoded_permission(action.owner_permission))
            actives = (protobuf.part(4, _encoded_permission(one)) for one in action.actives)
            return PERMISSION_UPDATE, owner + by_owner + b"".join(actives)


def _encoded_permission(permission: Permission) -> bytes:
    keys = (
        protobuf.part(7, protobuf.octets(1, _address(account)) + protobuf.number(2, weight))
        for account, weight in permission.keys
    )
    return (
        protobuf.number(1, permission.kind)
        + protobuf.octets(3, permission.name.encode())
        + protobuf.number(4, permission.threshold)
        + protobuf.octets(6, permission.operations)
        + b"".join(keys)
    )


def _action(contract: Fields) -> Action:
    kind = contract.number(1)
    parameter = contract.part(2)
    if kind not in _NAMES or parameter is None:
        raise MalformedMessage("a contract type that we never use", reason="contract_type")
    wrapped = protobuf.read(parameter, _ANY)
    if wrapped.octets(1) != _type_url(kind):
        raise MalformedMessage("another type than the contract's", reason="contract_type")
    value = wrapped.octets(2)
    if kind == TRANSFER:
        transfer = protobuf.read(value, _TRANSFER)
        return Transfer(
            _account(transfer.octets(1)), _account(transfer.octets(2)), transfer.number(3)
        )
    if kind == TRIGGER:
        call = protobuf.read(value, _TRIGGER)
        return Call(_account(call.octets(1)), _account(call.octets(2)), call.octets(4))
    update = protobuf.read(value, _UPDATE)
    by_owner = update.part(2)
    if by_owner is None:
        raise MalformedMessage("an update without owner permission", reason="permissions")
    return PermissionUpdate(
        _account(update.octets(1)),
        _permission(by_owner),
        tuple(_permission(one) for one in update.parts(4)),
    )


def _permission(content: bytes) -> Permission:
    fields = protobuf.read(content, _PERMISSION)
    keys = (protobuf.read(one, _KEY) for one in fields.parts(7))
    try:
        name = fields.octets(3).decode()
    except UnicodeDecodeError as exc:
        raise MalformedMessage("a name that is no UTF-8", reason="permissions") from exc
    return Permission(
        kind=fields.number(1),
        name=name,
        threshold=fields.number(4),
        operations=fields.octets(6),
        keys=tuple((_account(key.octets(1)), key.number(2)) for key in keys),
    )


def _check(raw: RawData) -> None:
    """What every transaction of ours has in common. Raises MalformedMessage."""
    frame = raw.frame
    if len(frame.ref_block_bytes) != 2 or len(frame.ref_block_hash) != 8:
        raise MalformedMessage("no reference block of 2 and 8 bytes", reason="ref_block")
    if not _TIME_MS_MIN <= frame.timestamp_ms < frame.expiration_ms < _TIME_MS_MAX:
        raise MalformedMessage("times that are no milliseconds in order", reason="time")
    if frame.expiration_ms - frame.timestamp_ms > VALID_MS_MAX:
        raise MalformedMessage("valid for more than ten minutes", reason="expiration")
    if isinstance(raw.action, Transfer) and raw.action.amount_sun == 0:
        raise MalformedMessage("an amount of nothing", reason="amount")
    limited = isinstance(raw.action, Call)
    if limited != (raw.fee_limit_sun > 0) or raw.fee_limit_sun > FEE_LIMIT_SUN_MAX:
        raise MalformedMessage("a call has a fee limit, nothing else has one", reason="fee_limit")
