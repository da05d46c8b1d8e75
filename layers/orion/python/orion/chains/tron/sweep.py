"""Sweeps: a deposit address pays everything it has to the group's own wallet, with one signature.

The sweep signer holds the addresses' keys and compares the decoded `Spend` with its destinations;
here only what the bytes say.
"""

from collections.abc import Mapping

from orion.chains.spend import Curve, Operation, SignatureRefused, Spend, SpendRefused
from orion.chains.tron import payments, raw_data
from orion.chains.tron.address import address_of, check_network
from orion.chains.tron.fees import fee_max_sun
from orion.chains.tron.permissions import address_of_key
from orion.chains.tron.raw_data import OWNER_PERMISSION_ID, PermissionUpdate, RawData
from orion.chains.tron.signed import transaction, verified


def decode_sweep(
    unsigned: bytes, owners: tuple[bytes, ...], network: str, contracts: Mapping[str, str]
) -> Spend:
    """Read raw_data of one TRX or token transfer, without permission id, from the address that the
    only key of `owners` (33 bytes) names.

    Raises SpendRefused, UnknownNetwork, MalformedAddress (of the key).
    """
    raw = _read(unsigned, owners, network)
    message = raw_data.digest(unsigned)
    return Spend(
        operation=Operation.PAY,
        payments=(payments.payment(raw, contracts),),
        fee_max_units=fee_max_sun(unsigned, raw, signatures=1),
        claims=(),
        version=message.hex(),
        curve=Curve.SECP256K1,
        messages=(message,),
        expires_at_ms=raw.frame.expiration_ms,
    )


def assemble_sweep(
    unsigned: bytes, owners: tuple[bytes, ...], network: str, signatures: tuple[bytes, ...]
) -> bytes:
    """The message Transaction with the only signature, 65 bytes r, s, recovery id.

    Raises what `decode_sweep` raises, and SignatureRefused.
    """
    _read(unsigned, owners, network)
    if len(signatures) != 1:
        raise SignatureRefused("not one signature", signatures=len(signatures))
    return transaction(unsigned, (verified(owners[0], raw_data.digest(unsigned), signatures[0]),))


def _read(unsigned: bytes, owners: tuple[bytes, ...], network: str) -> RawData:
    check_network(network)
    if len(owners) != 1:
        raise SpendRefused("a transaction of Tron has one owner", reason="owner")
    raw = payments.read(unsigned)
    if isinstance(raw.action, PermissionUpdate):
        raise SpendRefused("a permission update is no sweep", reason="contract_type")
    if address_of(raw.action.owner) != address_of_key(owners[0]):
        raise SpendRefused("a transaction of another account", reason="owner")
    if raw.permission_id != OWNER_PERMISSION_ID:
        raise SpendRefused("another permission than the key's own", reason="permission")
    return raw
