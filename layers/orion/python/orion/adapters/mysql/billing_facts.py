"""Invoices with their facts on MySQL: reading, locking, deposits and credits."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from orion.adapters.mysql.billing_rows import BillingCursor, marks, read, stored
from orion.billing.invoice import Cause, Invoice, PaymentOption
from orion.billing.model import CauseType, Deposit, DepositState, InvoiceStatus
from orion.billing.ports import DepositPlace
from orion.billing.quote import Rate
from orion.money import Amount, asset

_INVOICE = (
    "SELECT i.invoice_id, i.merchant_id, i.lane, i.status, i.currency, i.price_units, i.reference,"
    " i.created_at, i.expires_at, i.changes, c.cause_type, c.cause_subject, c.at, c.trace_id"
    " FROM invoice i JOIN invoice_change c ON c.invoice_id = i.invoice_id AND c.number = i.changes"
)
_DEPOSIT = (
    "SELECT invoice_id, deposit_id, asset, units, state, version, confirmations,"
    " confirmations_settled, credit_epoch, block_time, first_seen_at, txid FROM deposit"
)
# Waiting for a payment: the only statuses that the passing of time alone changes.
_WAITING = (InvoiceStatus.NEW.value, InvoiceStatus.PARTIALLY_PAID.value)


class BillingFacts(BillingCursor):
    """The part of the port `Transaction` that follows invoices."""

    def invoice(self, invoice_id: bytes) -> Invoice | None:
        found = self._load(f"{_INVOICE} WHERE i.invoice_id = %s", (invoice_id,))
        return found[0] if found else None

    def invoices_before(
        self, merchant_id: bytes, before: bytes | None, limit: int
    ) -> Sequence[Invoice]:
        return self._load(
            f"{_INVOICE} WHERE i.merchant_id = %s AND i.invoice_id < %s"
            " ORDER BY i.invoice_id DESC LIMIT %s",
            # No identity is above sixteen times 255: its version bits say 7.
            (merchant_id, before or b"\xff" * 16, limit),
        )

    def lock_invoices(self, invoice_ids: Sequence[bytes]) -> Sequence[Invoice]:
        if not invoice_ids:
            return []
        self._cursor.execute(
            f"SELECT invoice_id FROM invoice WHERE invoice_id IN ({marks(invoice_ids)})"  # noqa: S608
            " ORDER BY invoice_id FOR UPDATE",
            invoice_ids,
        )
        return self._load(
            f"{_INVOICE} WHERE i.invoice_id IN ({marks(invoice_ids)}) ORDER BY i.invoice_id",
            invoice_ids,
        )

    def overdue(self, now: datetime, limit: int) -> Sequence[bytes]:
        found: list[tuple[datetime, bytes]] = []
        for status in _WAITING:
            self._cursor.execute(
                "SELECT expires_at, invoice_id FROM invoice WHERE status = %s AND expires_at <= %s"
                " ORDER BY expires_at LIMIT %s",
                (status, stored(now), limit),
            )
            found += self._cursor.fetchall()
        return [invoice_id for _, invoice_id in sorted(found)[:limit]]

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

    def put_deposit(self, invoice_id: bytes, deposit: Deposit) -> None:
        self._cursor.execute(
            "UPDATE deposit SET version = %s, invoice_id = %s, asset = %s, units = %s, state = %s,"
            " confirmations = %s, confirmations_settled = %s, credit_epoch = %s, block_time = %s,"
            " first_seen_at = %s, txid = %s WHERE deposit_id = %s",
            (
                deposit.version,
                invoice_id,
                deposit.asset,
                deposit.units,
                deposit.state.value,
                deposit.confirmations,
                deposit.confirmations_settled,
                deposit.credit_epoch,
                stored(deposit.block_time),
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

    def _load(self, sql: str, values: Sequence[object]) -> list[Invoice]:
        self._cursor.execute(sql, values)
        rows: Sequence[tuple[Any, ...]] = self._cursor.fetchall()
        if not rows:
            return []
        ids = [row[0] for row in rows]
        options, deposits = self._options(ids), self._deposits(ids)
        return [
            Invoice(
                invoice_id=row[0],
                merchant_id=row[1],
                lane=row[2],
                status=InvoiceStatus(row[3]),
                price=Amount(int(row[5]), asset(row[4])),
                reference=row[6],
                created_at=read(row[7]),
                expires_at=read(row[8]),
                changes=int(row[9]),
                cause=Cause(CauseType(row[10]), row[11], read(row[12]), row[13]),
                options=tuple(options[row[0]]),
                deposits=tuple(deposits[row[0]]),
            )
            for row in rows
        ]

    def _options(self, invoice_ids: Sequence[bytes]) -> Mapping[bytes, list[PaymentOption]]:
        self._cursor.execute(
            "SELECT invoice_id, asset, due_units, rate_units, address, payment_link"  # noqa: S608 - only placeholders
            f" FROM payment_option WHERE invoice_id IN ({marks(invoice_ids)})"
            " ORDER BY invoice_id, position",
            invoice_ids,
        )
        options: dict[bytes, list[PaymentOption]] = defaultdict(list)
        for invoice_id, code, due, rate, address, link in self._cursor.fetchall():
            option = PaymentOption(Amount(int(due), asset(code)), Rate(int(rate)), address, link)
            options[invoice_id].append(option)
        return options

    def _deposits(self, invoice_ids: Sequence[bytes]) -> Mapping[bytes, list[Deposit]]:
        self._cursor.execute(
            f"{_DEPOSIT} WHERE invoice_id IN ({marks(invoice_ids)})"
            " ORDER BY invoice_id, first_seen_at, deposit_id",
            invoice_ids,
        )
        rows: Sequence[tuple[Any, ...]] = self._cursor.fetchall()
        epochs = self.posted_epochs([row[1] for row in rows])
        deposits: dict[bytes, list[Deposit]] = defaultdict(list)
        for row in rows:
            deposit = Deposit(
                deposit_id=row[1],
                asset=row[2],
                units=int(row[3]),
                state=DepositState(row[4]),
                version=int(row[5]),
                confirmations=int(row[6]),
                confirmations_settled=int(row[7]),
                credit_epoch=int(row[8]),
                block_time=read(row[9]),
                first_seen_at=read(row[10]),
                txid=row[11],
                posted_epochs=epochs.get(row[1], frozenset()),
            )
            deposits[row[0]].append(deposit)
        return deposits
