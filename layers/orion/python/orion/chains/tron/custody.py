"""3 of 5 by account permissions: `orion.chains.spend.Custody` for Tron.

Formats, fees and reasons: docs/chains/tron-custody.md.

The account is the one that the group's own key named (`anchor`); `creation` hands it over. Nothing
but time excludes an earlier version of a payment: `claims` are empty, and an `absent` statement
must show a solidified time of at least `expiration_ms`.
"""

from collections.abc import Mapping

from orion.chains.errors import MalformedAddress
from orion.chains.spend import (
    CUSTODIANS,
    THRESHOLD,
    Curve,
    CustodyAccount,
    CustodyKeys,
    CustodyPlace,
    Operation,
    SignatureRefused,
    Spend,
    SpendRefused,
)
from orion.chains.tron import payments, raw_data
from orion.chains.tron.address import canonical_address, parse_address
from orion.chains.tron.fees import fee_max_sun
from orion.chains.tron.permissions import (
    ACTIVE_NAME,
    ACTIVE_PERMISSION_ID,
    OPERATIONS,
    OWNER_NAME,
    addresses_of_keys,
    owners_of,
    permission_update,
)
from orion.chains.tron.raw_data import OWNER_PERMISSION_ID, PermissionUpdate, RawData
from orion.chains.tron.signed import transaction, verified


def account(place: CustodyPlace, keys: CustodyKeys, anchor: str) -> CustodyAccount:
    """The account that `anchor` names. Raises UnknownNetwork, MalformedAddress: of the anchor, of
    keys that are not five different ones, or of an anchor whose own key is among them.
    """
    address = canonical_address(anchor, place.network)
    if address in owner_addresses(keys):
        raise MalformedAddress("the key that named the account would keep power", reason="owner")
    return CustodyAccount(place, keys, anchor, address)


def owner_addresses(keys: CustodyKeys) -> tuple[str, ...]:
    """The addresses of the five secp256k1 keys, ascending. Raises MalformedAddress."""
    return addresses_of_keys(keys.secp256k1)


def decode(unsigned: bytes, account: CustodyAccount, contracts: Mapping[str, str]) -> Spend:
    """Read raw_data: one payment under the active permission, or a rotation under the owner
    permission. Raises SpendRefused.
    """
    raw = payments.read(unsigned)
    _check_owner(raw, account)
    # Whoever holds all five signatures could send them all, and each costs bandwidth.
    fee_max_units = fee_max_sun(unsigned, raw, CUSTODIANS)
    message = raw_data.digest(unsigned)
    if isinstance(raw.action, PermissionUpdate):
        _check_permission(raw, OWNER_PERMISSION_ID)
        return Spend(
            operation=Operation.ROTATE,
            payments=(),
            fee_max_units=fee_max_units,
            claims=(),
            version=message.hex(),
            curve=Curve.SECP256K1,
            messages=(message,),
            owners_after=_owners_after(raw.action, account),
            expires_at_ms=raw.frame.expiration_ms,
        )
    _check_permission(raw, ACTIVE_PERMISSION_ID)
    return Spend(
        operation=Operation.PAY,
        payments=(payments.payment(raw, contracts),),
        fee_max_units=fee_max_units,
        claims=(),
        version=message.hex(),
        curve=Curve.SECP256K1,
        messages=(message,),
        expires_at_ms=raw.frame.expiration_ms,
    )


def expiration_ms(unsigned: bytes) -> int:
    """When the transaction expires, in milliseconds since 1970: a block whose parent is of this
    time or later cannot hold it. Raises SpendRefused.

    So it is absent for ever when it is absent from the chain up to a solidified block of this time
    or later: an `absent` statement's `valid_until` is at least this, its `final_at` later. A
    custodian with a clock also refuses one that is further away than ten minutes.
    """
    return payments.read(unsigned).frame.expiration_ms


def assemble(
    unsigned: bytes, account: CustodyAccount, signatures: Mapping[int, tuple[bytes, ...]]
) -> bytes:
    """The message Transaction with exactly three signatures, lowest custodians first.

    Raises SpendRefused for bytes that are no transaction of this account, SignatureRefused.
    """
    _check_owner(payments.read(unsigned), account)
    message = raw_data.digest(unsigned)
    found: list[bytes] = []
    for custodian in sorted(signatures):
        if not 1 <= custodian <= CUSTODIANS:
            raise SignatureRefused("custodians are numbered 1 to 5", custodian=custodian)
        if len(signatures[custodian]) != 1:
            raise SignatureRefused("not one signature for one message", custodian=custodian)
        key = account.keys.secp256k1[custodian - 1]
        found.append(verified(key, message, signatures[custodian][0], custodian))
    if len(found) < THRESHOLD:
        raise SignatureRefused("too few signatures", signatures=len(found))
    return transaction(unsigned, found[:THRESHOLD])


def describe(account: CustodyAccount) -> Mapping[str, object]:
    """What an auditor compares with /wallet/getaccount, in its words and defaults."""
    owners = owner_addresses(account.keys)
    keys = [{"address": owner, "weight": 1} for owner in owners]
    return {
        "chain": payments.CHAIN,
        "network": account.place.network,
        "address": account.address,
        "threshold": THRESHOLD,
        "public_keys": [key.hex() for key in account.keys.secp256k1],
        "owners": list(owners),
        "owner_permission": {"permission_name": OWNER_NAME, "threshold": THRESHOLD, "keys": keys},
        "active_permission": [
            {
                "type": "Active",
                "id": ACTIVE_PERMISSION_ID,
                "permission_name": ACTIVE_NAME,
                "threshold": THRESHOLD,
                "operations": OPERATIONS.hex(),
                "keys": keys,
            }
        ],
    }


def _check_owner(raw: RawData, account: CustodyAccount) -> None:
    if raw.action.owner != parse_address(account.address):
        raise SpendRefused("a transaction of another account", reason="owner")


def _check_permission(raw: RawData, wanted: int) -> None:
    if raw.permission_id != wanted:
        raise SpendRefused(
            "another permission than this action's", reason="permission", wanted=wanted
        )


def _owners_after(update: PermissionUpdate, account: CustodyAccount) -> tuple[str, ...]:
    """The five owners of an update that is ours in every field."""
    owners = owners_of(update)
    if len(owners) != CUSTODIANS or list(owners) != sorted(set(owners)):
        raise SpendRefused("not five different owners, ascending", reason="owners")
    if account.address in owners:
        raise SpendRefused("the key that named the account would rule it", reason="owners")
    if update != permission_update(account.address, owners):
        raise SpendRefused("permissions that are not ours", reason="permissions")
    return owners
