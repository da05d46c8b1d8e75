"""What a test of an invoice's life says to a scene: deposits by state, refunds, and what it reads
back.
"""

import json
from typing import Any

from orion.billing.creation import Asked
from orion.ids import parse_public_id
from orion.records import Record, canonical_json
from tests.engine.billing_scene import MERCHANT, TRACE, BillingScene, keyed

DUE = "41667"


def new_invoice(scene: BillingScene, key: str = "k1", *assets: str) -> bytes:
    return parse_public_id("inv", json.loads(scene.create(key, *assets).body)["id"])


def asked_with(**fields: Any) -> Asked:
    return Asked(**{"amount": "25.00", "currency": "EUR", "assets": ("BTC.bitcoin",), **fields})


def created(scene: BillingScene, asked: Asked, key: str = "k1") -> dict[str, Any]:
    answer = scene.billing().create_invoice(keyed(key), asked, lane="standard", trace_id=TRACE)
    found: dict[str, Any] = json.loads(answer.body)
    return found


def cancel(
    scene: BillingScene, invoice_id: bytes, key: str = "c1", merchant: bytes = MERCHANT
) -> dict[str, Any]:
    answer = scene.billing().cancel_invoice(
        keyed(key, b"cancel", merchant), invoice_id, trace_id=TRACE
    )
    assert answer.status == 200
    found: dict[str, Any] = json.loads(answer.body)
    return found


def in_mempool(scene: BillingScene, invoice_id: bytes, version: int = 1, **fields: Any) -> Record:
    nowhere = {"height": None, "block_hash": None, "block_time": None, "confirmations": 0}
    return scene.deposit(invoice_id, version, **{"state": "seen", **nowhere, **fields})


def settle(
    scene: BillingScene, invoice_id: bytes, name: str = "d1", version: int = 1, **fields: Any
) -> None:
    """A deposit that is confirmed and credited."""
    progress = scene.progress()
    confirmed = {"state": "confirmed", "deposit_id": name * 16, "confirmations": 2, **fields}
    progress.apply_deposits([scene.deposit(invoice_id, version, **confirmed)])
    progress.apply_posted([scene.posted(0, name * 16)])


def refund(
    scene: BillingScene,
    invoice_id: bytes,
    units: str,
    name: str = "f1",
    kind: str = "post",
    cause_type: str = "refund",
) -> Record:
    transfer = {
        "id": name * 16,
        "kind": kind,
        "code": "payout",
        "asset": "BTC.bitcoin",
        "units": units,
        "debit": {"owner": f"merchant:{MERCHANT.hex()}", "purpose": "available"},
        "credit": {"owner": "system:bitcoin", "purpose": "custody"},
        "cause": {"type": cause_type, "refund_id": "e1" * 16, "invoice_id": invoice_id.hex()},
        "linked": False,
    }
    body = {"v": 1, "trace_id": TRACE, "shard": 0, "number": 1, "transfers": [transfer]}
    return Record("ledger.posted", 0, next(scene.offsets), b"", canonical_json(body))


def view(scene: BillingScene, invoice_id: bytes) -> dict[str, Any]:
    return dict(scene.billing().invoice(MERCHANT, invoice_id))


def story(scene: BillingScene, invoice_id: bytes) -> list[str]:
    """The statuses that the invoice has had, in order, equal ones too."""
    rows = scene.rows(
        "SELECT to_status FROM orion_billing.invoice_change WHERE invoice_id = %s ORDER BY number",
        invoice_id,
    )
    return [row[0] for row in rows]


def causes(scene: BillingScene, invoice_id: bytes) -> list[str]:
    rows = scene.rows(
        "SELECT cause_type FROM orion_billing.invoice_change WHERE invoice_id = %s ORDER BY number",
        invoice_id,
    )
    return [row[0] for row in rows]
