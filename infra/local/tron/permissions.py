"""Who may sign: permissions with thresholds, weights and operations, and their update.

Source: developers.tron.network "Account Permission Management"; TIP-16; the order of the checks and
the words of the refusals follow java-tron's TransactionCapsule and AccountPermissionUpdateActuator.
"""

from collections.abc import Sequence

from coincurve import PublicKey

from infra.local.tron import addresses
from infra.local.tron.accounts import Account
from infra.local.tron.parameters import (
    ACTIVE_PERMISSIONS_MAX,
    OPERATIONS_BYTES,
    SIGNATURES_MAX,
)
from infra.local.tron.refusals import Code, Refused, invalid
from infra.local.tron.wire import Message, number, octets, part, parts, text

_OWNER, _ACTIVE = 0, 2
_SIGNATURE_BYTES = 65
_NAME_LENGTH_MAX = 32
_TYPE_NAMES = {0: "Owner", 1: "Witness", 2: "Active"}
# Contract types that an active permission may name (java-tron's AVAILABLE_CONTRACT_TYPE).
_AVAILABLE = frozenset({*range(7), *range(8, 21), *range(30, 34), *range(41, 50), *range(51, 60)})


def _wrong(detail: str) -> Refused:
    return Refused(Code.SIGERROR, detail)


def signer(txid: bytes, signature: bytes) -> bytes:
    """The address whose key signed `txid`. Raises Refused."""
    if len(signature) < _SIGNATURE_BYTES:
        raise _wrong(f"Signature size is {len(signature)}")
    recovery = signature[64]
    recovery = recovery - 27 if recovery >= 27 else recovery
    if recovery > 3:
        raise _wrong(f"Header byte out of range: {signature[64]}")
    try:
        key = PublicKey.from_signature_and_message(
            signature[:64] + bytes([recovery]), txid, hasher=None
        )
    except (ValueError, Exception) as exc:
        raise _wrong(f"no key can be recovered ({exc})") from exc
    return addresses.of_public_key(key.format(compressed=False))


def allows(permission: Message, contract_type: int) -> bool:
    """Whether an active permission's bitmap has the bit of that contract type."""
    operations = octets(permission, "operations")
    if len(operations) != OPERATIONS_BYTES:
        return False
    return bool(operations[contract_type // 8] >> contract_type % 8 & 1)


def weight(
    permission: Message, txid: bytes, signatures: Sequence[bytes]
) -> tuple[int, list[bytes]]:
    """The sum of the signers' weights and who they are. Raises Refused for a stranger or a
    signer who signed twice.
    """
    keys = {octets(key, "address"): number(key, "weight") for key in parts(permission, "keys")}
    if len(signatures) > len(keys):
        raise _wrong(
            f"Signature count is {len(signatures)} more than key counts of permission : {len(keys)}"
        )
    signers: list[bytes] = []
    for signature in signatures:
        who = signer(txid, signature)
        shown = addresses.shown(who, visible=True)
        if who not in keys:
            raise _wrong(
                f"{signature.hex()} is signed by {shown} but it is not contained of permission."
            )
        if who in signers:
            raise _wrong(f"{shown} has signed twice!")
        signers.append(who)
    return sum(keys[who] for who in signers), signers


def permission_of(account: Account, permission_id: int, contract_type: int) -> Message:
    """The permission a transaction names, if it may do such a thing. Raises Refused."""
    permission = account.permission(permission_id)
    if permission is None:
        raise _wrong("permission isn't exit")
    if permission_id != 0:
        if number(permission, "type") != _ACTIVE:
            raise _wrong("Permission type is error")
        if not allows(permission, contract_type):
            raise _wrong("Permission denied")
    return permission


def check_signatures(
    account: Account,
    *,
    permission_id: int,
    contract_type: int,
    txid: bytes,
    signatures: Sequence[bytes],
) -> None:
    """Raise Refused unless the signatures reach the permission's threshold."""
    if not signatures:
        raise _wrong("miss sig or contract")
    if len(signatures) > SIGNATURES_MAX:
        raise _wrong("too many signatures")
    permission = permission_of(account, permission_id, contract_type)
    reached, _ = weight(permission, txid, signatures)
    if reached < number(permission, "threshold"):
        raise _wrong("sig error")


def validate_update(contract: Message) -> tuple[Message, list[Message]]:
    """The new owner permission and active permissions. Raises Refused."""
    owner = part(contract, "owner")
    actives = parts(contract, "actives")
    if owner is None:
        raise invalid("owner permission is missed")
    if part(contract, "witness") is not None:
        raise invalid("account isn't witness can't set witness permission")
    if not actives:
        raise invalid("active permission is missed")
    if len(actives) > ACTIVE_PERMISSIONS_MAX:
        raise invalid("active permission is too many")
    if number(owner, "type") != _OWNER:
        raise invalid("owner permission type is error")
    _check_permission(owner)
    for active in actives:
        if number(active, "type") != _ACTIVE:
            raise invalid("active permission type is error")
        _check_permission(active)
    return owner, actives


def _check_permission(permission: Message) -> None:
    keys = parts(permission, "keys")
    kind = number(permission, "type")
    if len(keys) > SIGNATURES_MAX:
        raise invalid(f"number of keys in permission should not be greater than {SIGNATURES_MAX}")
    if not keys:
        raise invalid("key's count should be greater than 0")
    threshold = number(permission, "threshold")
    if threshold <= 0:
        raise invalid("permission's threshold should be greater than 0")
    name = text(permission, "permission_name")
    if len(name) > _NAME_LENGTH_MAX:
        raise invalid("permission's name is too long")
    if number(permission, "parent_id") != 0:
        raise invalid("permission's parent should be owner")
    if len({octets(key, "address") for key in keys}) != len(keys):
        raise invalid(f"address should be distinct in permission {_TYPE_NAMES[kind]}")
    for key in keys:
        if not addresses.is_address(octets(key, "address")):
            raise invalid("key is not a validate address")
        if number(key, "weight") <= 0:
            raise invalid("key's weight should be greater than 0")
    if sum(number(key, "weight") for key in keys) < threshold:
        raise invalid(
            "sum of all key's weight should not be less than threshold in permission "
            + _TYPE_NAMES[kind]
        )
    _check_operations(octets(permission, "operations"), kind)


def _check_operations(operations: bytes, kind: int) -> None:
    if kind != _ACTIVE:
        if operations:
            raise invalid(f"{_TYPE_NAMES[kind]} permission needn't operations")
        return
    if len(operations) != OPERATIONS_BYTES:
        raise invalid("operations size must 32")
    for bit in range(OPERATIONS_BYTES * 8):
        if operations[bit // 8] >> bit % 8 & 1 and bit not in _AVAILABLE:
            raise invalid(f"{bit} isn't a validate ContractType")
