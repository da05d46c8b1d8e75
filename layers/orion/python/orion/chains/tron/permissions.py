"""The permissions of a 3-of-5 account: owner and one active, the same five keys, threshold 3.

The key that named the address is in neither, so it ends powerless. Payments go under the active
permission, whose bitmap has no bit for permission updates; replacing keys needs the owner
permission. Source: TIP-16; developers.tron.network, "Account Permission Management".
"""

from collections.abc import Sequence

from coincurve import PublicKey

from orion.chains.errors import MalformedAddress
from orion.chains.ethereum.keccak import keccak256
from orion.chains.spend import CUSTODIANS, THRESHOLD
from orion.chains.tron.address import address_of, parse_address
from orion.chains.tron.raw_data import TRANSFER, TRIGGER, Permission, PermissionUpdate

ACTIVE_PERMISSION_ID = 2  # java-tron numbers active permissions from 2 on.
OPERATIONS_BYTES = 32
OWNER_NAME = "owner"
ACTIVE_NAME = "payments"
_OWNER_KIND, _ACTIVE_KIND = 0, 2
_WEIGHT = 1
_COMPRESSED_BYTES = 33


def bitmap(contract_types: Sequence[int]) -> bytes:
    """The 32 bytes in which bit n of byte m allows contract type 8 m + n."""
    bits = sum(1 << kind for kind in contract_types)
    return bits.to_bytes(OPERATIONS_BYTES, "little")


OPERATIONS = bitmap((TRANSFER, TRIGGER))
"""TRX transfers and contract calls, nothing else: 0x02, 0, 0, 0x80, then zeros."""


def address_of_key(public_key: bytes) -> str:
    """The address that a compressed public key names. Raises MalformedAddress."""
    if len(public_key) != _COMPRESSED_BYTES:
        raise MalformedAddress("a compressed key has 33 bytes", reason="public_key")
    try:
        point = PublicKey(public_key).format(compressed=False)
    except ValueError as exc:
        raise MalformedAddress("no point of the curve", reason="public_key") from exc
    return address_of(keccak256(point[1:])[12:])


def addresses_of_keys(public_keys: Sequence[bytes]) -> tuple[str, ...]:
    """Five different keys' addresses, ascending. Raises MalformedAddress."""
    found = tuple(sorted(address_of_key(key) for key in public_keys))
    if len(found) != CUSTODIANS or len(set(found)) != CUSTODIANS:
        raise MalformedAddress("not five different keys", reason="public_key")
    return found


def permission_update(address: str, owners: Sequence[str]) -> PermissionUpdate:
    """The update after which exactly `owners` rule the account, any three of them.

    `owners` in ascending order. Raises MalformedAddress.
    """
    keys = tuple((parse_address(owner), _WEIGHT) for owner in owners)
    return PermissionUpdate(
        owner=parse_address(address),
        owner_permission=Permission(_OWNER_KIND, OWNER_NAME, THRESHOLD, b"", keys),
        actives=(Permission(_ACTIVE_KIND, ACTIVE_NAME, THRESHOLD, OPERATIONS, keys),),
    )


def owners_of(update: PermissionUpdate) -> tuple[str, ...]:
    """The addresses that the owner permission names, as they stand there."""
    return tuple(address_of(account) for account, _ in update.owner_permission.keys)
