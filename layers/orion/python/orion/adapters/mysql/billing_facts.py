"""What happens to invoices on MySQL: locks, deposits, credits, refunds and changes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from orion.adapters.mysql.billing_reading import (
    DEPOSIT_COLUMNS,
    SUM_COLUMNS,
    BillingReading,
    deposit_of,
    sum_values,
)
from orion.adapters.mysql.billing_rows import marks, maybe_stored, stored
from orion.billing.invoice import SHOWN, Change, Invoice
from orion.billing.model import WAKING, Deposit, DepositState, Refund
from orion.billing.ports import DepositPlace

_DUE = (
    "(SELECT invoice_id, wakes_at FROM invoice WHERE status = %s AND wakes_at <= %s"
    " ORDER BY wakes_at LIMIT %s)"
)
_WAKING = sorted(status.value for status in WAKING)


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
        # A range of the index for each status, and never more of it than is asked for.
        due = " UNION ALL ".join([_DUE] * len(_WAKING))
        self._cursor.execute(
            f"SELECT invoice_id FROM ({due}) due"  # noqa: S608 - only placeholders
            " ORDER BY wakes_at LIMIT %s",
            (*(part for status in _WAKING for part in (status, stored(now), limit)), limit),
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

    def put_refund(self, invoice_id: bytes, refund: Refund) -> bool:
        added = self._cursor.execute(
            "INSERT INTO invoice_refund (transfer_id, refund_id, invoice_id, asset, units,"
            " posted_at) VALUES (%s, %s, %s, %s, %s, %s)"
            " ON DUPLICATE KEY UPDATE transfer_id = transfer_id",
            (
                refund.transfer_id,
                refund.refund_id,
                invoice_id,
                refund.asset,
                refund.units,
                stored(refund.posted_at),
            ),
        )
        return added == 1

    def put_sums(self, invoice: Invoice) -> None:
        if invoice.deposits_count <= SHOWN and invoice.refunds_count <= SHOWN:
            return
        # Whole, so that an asset of which nothing is left does not stay.
        self._cursor.execute("DELETE FROM invoice_sum WHERE invoice_id = %s", (invoice.invoice_id,))
        self._cursor.executemany(
            f"INSERT INTO invoice_sum (invoice_id, asset, {SUM_COLUMNS})"  # noqa: S608
            f" VALUES ({marks(range(10))})",
            [
                (invoice.invoice_id, code, *sum_values(sums))
                for code, sums in sorted(invoice.sums.items())
            ],
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
        rows: Sequence[tuple[Any, ...]] = self._rows(
            f"SELECT d.invoice_id, {DEPOSIT_COLUMNS} FROM deposit d"  # noqa: S608
            f" WHERE d.deposit_id IN ({marks(deposit_ids)}) ORDER BY d.deposit_id FOR UPDATE",
            deposit_ids,
        )
        # A plain read after the lock: all epochs that are committed by now.
        return _places(rows, self._posted_epochs(deposit_ids))

    def put_deposit(self, invoice: Invoice, deposit: Deposit, now: datetime) -> None:
        self._cursor.execute(
            "UPDATE deposit SET version = %s, merchant_id = %s, invoice_id = %s, asset = %s,"
            " units = %s, state = %s, confirmations = %s, confirmations_settled = %s,"
            " credit_epoch = %s, block_time = %s, first_seen_at = %s, txid = %s,"
            " reversed_at = IF(%s, COALESCE(reversed_at, %s), NULL) WHERE deposit_id = %s",
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
                deposit.state is DepositState.REVERSED,
                stored(now),
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

    def _posted_epochs(self, deposit_ids: Sequence[bytes]) -> Mapping[bytes, frozenset[int]]:
        self._cursor.execute(
            "SELECT deposit_id, credit_epoch FROM deposit_credit"  # noqa: S608 - only placeholders
            f" WHERE deposit_id IN ({marks(deposit_ids)})",
            deposit_ids,
        )
        epochs: dict[bytes, set[int]] = defaultdict(set)
        for deposit_id, epoch in self._cursor.fetchall():
            epochs[deposit_id].add(int(epoch))
        return {deposit_id: frozenset(found) for deposit_id, found in epochs.items()}


def _places(
    rows: Sequence[tuple[Any, ...]], epochs: Mapping[bytes, frozenset[int]]
) -> Mapping[bytes, DepositPlace]:
    found: dict[bytes, DepositPlace] = {}
    for home, *row in rows:
        posted = epochs.get(row[0], frozenset())
        # Version 0: only the credit has come.
        deposit = deposit_of(row, posted) if row[4] else None
        found[row[0]] = DepositPlace(int(row[4]), home, posted, deposit)
    return found
