"""What happens to invoices on MySQL: locks, deposits, credits, refunds and changes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from orion.adapters.mysql.billing_reading import BillingReading
from orion.adapters.mysql.billing_rows import marks, maybe_stored, stored
from orion.billing.invoice import Change, Invoice
from orion.billing.model import Deposit, Refund
from orion.billing.ports import DepositPlace


class BillingFacts(BillingReading):
    """The part of the port `Transaction` that follows invoices."""

    def lock_invoices(self, invoice_ids: Sequence[bytes]) -> Sequence[Invoice]:
        if not invoice_ids:
            return []
        self._cursor.execute(
            f"SELECT invoice_id FROM invoice WHERE invoice_id IN ({marks(invoice_ids)})"  # noqa: S608
            " ORDER BY invoice_id FOR UPDATE",
            invoice_ids,
        )
        return self._locked(invoice_ids)

    def waking(self, now: datetime, limit: int) -> Sequence[bytes]:
        self._cursor.execute(
            "SELECT invoice_id FROM invoice WHERE wakes_at <= %s ORDER BY wakes_at LIMIT %s",
            (stored(now), limit),
        )
        return [row[0] for row in self._cursor.fetchall()]

    def put_waking(self, invoice: Invoice) -> None:
        self._cursor.execute(
            "UPDATE invoice SET wakes_at = %s WHERE invoice_id = %s",
            (maybe_stored(invoice.wakes_at), invoice.invoice_id),
        )

    def put_change(self, invoice: Invoice, change: Change) -> None:
        self._insert_change(invoice.invoice_id, change)
        self._cursor.execute(
            "UPDATE invoice SET status = %s, changes = %s, wakes_at = %s, cancelled_at = %s"
            " WHERE invoice_id = %s",
            (
                invoice.status.value,
                invoice.changes,
                maybe_stored(invoice.wakes_at),
                maybe_stored(invoice.cancelled_at),
                invoice.invoice_id,
            ),
        )

    def put_refund(self, invoice_id: bytes, refund: Refund) -> None:
        self._cursor.execute(
            "INSERT INTO invoice_refund (transfer_id, refund_id, invoice_id, asset, units,"
            " posted_at) VALUES (%s, %s, %s, %s, %s, %s)",
            (
                refund.transfer_id,
                refund.refund_id,
                invoice_id,
                refund.asset,
                refund.units,
                stored(refund.posted_at),
            ),
        )

    def lock_deposits(self, deposit_ids: Sequence[bytes]) -> Mapping[bytes, DepositPlace]:
        if not deposit_ids:
            return {}
        # An empty row is locked too, so the two facts of a new deposit cannot pass each other
        # unseen.
        self._cursor.executemany(
            "INSERT INTO deposit (deposit_id, version) VALUES (%s, 0)"
            " ON DUPLICATE KEY UPDATE version = version",
            [(deposit_id,) for deposit_id in deposit_ids],
        )
        self._cursor.execute(
            f"SELECT deposit_id, version, invoice_id FROM deposit"  # noqa: S608
            f" WHERE deposit_id IN ({marks(deposit_ids)}) ORDER BY deposit_id FOR UPDATE",
            deposit_ids,
        )
        return {i: DepositPlace(int(version), home) for i, version, home in self._cursor.fetchall()}

    def put_deposit(self, invoice: Invoice, deposit: Deposit) -> None:
        self._cursor.execute(
            "UPDATE deposit SET version = %s, merchant_id = %s, invoice_id = %s, asset = %s,"
            " units = %s, state = %s, confirmations = %s, confirmations_settled = %s,"
            " credit_epoch = %s, block_time = %s, first_seen_at = %s, txid = %s"
            " WHERE deposit_id = %s",
            (
                deposit.version,
                invoice.merchant_id,
                invoice.invoice_id,
                deposit.asset,
                deposit.units,
                deposit.state.value,
                deposit.confirmations,
                deposit.confirmations_settled,
                deposit.credit_epoch,
                maybe_stored(deposit.block_time),
                stored(deposit.first_seen_at),
                deposit.txid,
                deposit.deposit_id,
            ),
        )

    def put_credit(
        self, deposit_id: bytes, epoch: int, transfer_id: bytes, posted_at: datetime
    ) -> None:
        self._cursor.execute(
            "INSERT INTO deposit_credit (deposit_id, credit_epoch, transfer_id, posted_at)"
            " VALUES (%s, %s, %s, %s) ON DUPLICATE KEY UPDATE posted_at = posted_at",
            (deposit_id, epoch, transfer_id, stored(posted_at)),
        )

    def posted_epochs(self, deposit_ids: Sequence[bytes]) -> Mapping[bytes, frozenset[int]]:
        if not deposit_ids:
            return {}
        self._cursor.execute(
            "SELECT deposit_id, credit_epoch FROM deposit_credit"  # noqa: S608 - only placeholders
            f" WHERE deposit_id IN ({marks(deposit_ids)})",
            deposit_ids,
        )
        epochs: dict[bytes, set[int]] = defaultdict(set)
        for deposit_id, epoch in self._cursor.fetchall():
            epochs[deposit_id].add(int(epoch))
        return {deposit_id: frozenset(found) for deposit_id, found in epochs.items()}
