"""Audit events of the signers. Their identities are what was signed: a repeat is the same event."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from orion.chains.spend import CustodyAccount, Spend
from orion.ids import fact_id
from orion.kms.groups import CustodySet
from orion.kms.model import Message
from orion.kms.signing.model import Refill, Reservation, Rotation


def sweep_signed(
    chain: str, group_no: int, indexes: Sequence[int], spend: Spend, trace_id: str, at: datetime
) -> Message:
    """Wallets of a group paid their custody."""
    wallets = sorted(set(indexes))
    details = {
        "chain": chain,
        "group": group_no,
        "wallets": wallets,
        "version": spend.version,
        "fee_max_units": str(spend.fee_max_units),
        "payments": [
            {"asset": payment.asset, "recipient": payment.recipient, "units": str(payment.units)}
            for payment in spend.payments
        ],
    }
    # An account chain's unsigned bytes name no sender: the same ones sweep another wallet as well.
    identity = fact_id("audit.sweep.signed", chain, group_no, spend.version, *wallets)
    return _event("sweep.signed", f"group:{group_no}", details, identity, trace_id, at)


def fee_signed(reservation: Reservation, trace_id: str, at: datetime) -> Message:
    """A signer with a float bore a fee."""
    version = reservation.version.hex()
    details = {
        "signer": reservation.signer,
        "slot": reservation.slot,
        "version": version,
        "body": reservation.body_digest.hex(),
        "fee_max_units": str(reservation.fee_max_units),
    }
    identity = fact_id("audit.fee.signed", reservation.signer, reservation.slot, version)
    return _event("fee.signed", reservation.signer, details, identity, trace_id, at)


def float_refilled(signer: str, refill: Refill, at: datetime) -> Message:
    """A float came back."""
    details = {"signer": signer, "id": refill.refill_id, "units": str(refill.units)}
    identity = fact_id("audit.float.refilled", signer, refill.refill_id)
    return _event("float.refilled", signer, details, identity, refill.trace_id, at)


def account_handed_over(
    group_no: int, wallet: str, address: str, set_no: int, version: str, trace_id: str, at: datetime
) -> Message:
    """The key that named a Tron account signed it over to its custody set."""
    details = {
        "group": group_no,
        "wallet": wallet,
        "address": address,
        "set": set_no,
        "version": version,
    }
    identity = fact_id("audit.tron.handover", group_no, wallet, version)
    return _event("tron.handover.signed", f"group:{group_no}", details, identity, trace_id, at)


def set_registered(found: CustodySet, trace_id: str, at: datetime) -> Message:
    """A custody set came to be known. Its keys are public."""
    details = {
        "set": found.set_no,
        "purpose": found.purpose.value,
        "secp256k1": [key.hex() for key in found.keys.secp256k1],
        "ed25519": [key.hex() for key in found.keys.ed25519],
    }
    identity = fact_id("audit.custody_set.registered", found.set_no)
    subject = f"custody_set:{found.set_no}"
    return _event("custody_set.registered", subject, details, identity, trace_id, at)


def account_seen(account: CustodyAccount, final_at: int, trace_id: str, at: datetime) -> Message:
    """An account was seen on its chain, in its set's hands, in the final block `final_at`."""
    place = account.place
    details = {
        "chain": place.chain,
        "network": place.network,
        "group": place.group_no,
        "wallet": place.kind.value,
        "set": place.set_no,
        "address": account.address,
        "final_at": final_at,
    }
    identity = fact_id(
        "audit.custody_account.seen", place.chain, place.group_no, place.kind.value, place.set_no
    )
    subject = f"group:{place.group_no}"
    return _event("custody_account.seen", subject, details, identity, trace_id, at)


def custody_rotated(rotation: Rotation, trace_id: str, at: datetime) -> Message:
    """A wallet came into another set's hands. `final_at` is null where keys tell the address."""
    details = {
        "group": rotation.group_no,
        "wallet": rotation.kind.value,
        "from_set": rotation.from_set,
        "set": rotation.target_set,
        "accounts": [
            {
                "chain": account.place.chain,
                "network": account.place.network,
                "address": account.address,
                "final_at": rotation.final_at.get(account.place.chain),
            }
            for account in rotation.accounts
        ],
    }
    # No set holds a wallet twice.
    identity = fact_id(
        "audit.custody.rotated", rotation.group_no, rotation.kind.value, rotation.target_set
    )
    subject = f"group:{rotation.group_no}"
    return _event("custody.rotated", subject, details, identity, trace_id, at)


def _event(
    action: str,
    subject: str,
    details: Mapping[str, object],
    identity: bytes,
    trace_id: str,
    at: datetime,
) -> Message:
    return Message(
        topic="audit.events",
        key="kms",
        body={
            "v": 1,
            "trace_id": trace_id,
            "module": "kms",
            "action": action,
            "at": at.isoformat(),
            "actor": "kms",
            "subject": subject,
            "details": details,
        },
        event_id=identity,
    )
