"""Reading invoices with their facts on MySQL: four statements, however many invoices."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from orion.adapters.mysql.billing_rates import LOCK, lock_of
from orion.adapters.mysql.billing_rows import BillingCursor, marks, read
from orion.billing.invoice import Cause, Invoice, Made, PaymentOption
from orion.billing.listing import Wanted
from orion.billing.model import CauseType, Deposit, DepositState, InvoiceStatus, Refund
from orion.billing.quote import Rate
from orion.money import Amount, asset
from orion.records import parse_json

_INVOICE = (
    "SELECT i.invoice_id, i.merchant_id, i.lane, i.status, i.currency, i.price_units,"
    " i.created_at, i.expires_at, i.changes, c.cause_type, c.cause_subject, c.at, c.trace_id,"
    " i.tolerance_bps, i.wakes_at, i.cancelled_at, i.reference, i.metadata, i.payment_link_id,"
    " i.session_id, i.success_url, i.cancel_url, i.language,"
    " COALESCE(f.asked_units - i.price_units, 0)"
    " FROM invoice i JOIN invoice_change c ON c.invoice_id = i.invoice_id AND c.number = i.changes"
    " LEFT JOIN invoice_fee f ON f.invoice_id = i.invoice_id"
)
_DEPOSIT = (
    "SELECT d.invoice_id, d.deposit_id, d.asset, d.units, d.state, d.version, d.confirmations,"
    " d.confirmations_settled, d.credit_epoch, d.block_time, d.first_seen_at, d.txid,"
    " c.credit_epoch FROM deposit d LEFT JOIN deposit_credit c ON c.deposit_id = d.deposit_id"
)


class BillingReading(BillingCursor):
    """The part of the port `Transaction` that reads invoices."""

    def invoice(self, invoice_id: bytes) -> Invoice | None:
        found = self._load(f"{_INVOICE} WHERE i.invoice_id = %s", (invoice_id,))
        return found[0] if found else None

    def invoices(self, merchant_id: bytes, wanted: Wanted, limit: int) -> Sequence[Invoice]:
        first, above = wanted.ids()
        conditions: list[str] = ["i.merchant_id = %s"]
        values: list[object] = [merchant_id]
        if wanted.status is not None:
            conditions.append("i.status = %s")
            values.append(wanted.status.value)
        if wanted.reference is not None:
            conditions.append("i.reference = %s")
            values.append(wanted.reference)
        return self._load(
            f"{_INVOICE} WHERE {' AND '.join(conditions)}"
            " AND i.invoice_id >= %s AND i.invoice_id < %s"
            " ORDER BY i.invoice_id DESC LIMIT %s",
            (*values, first, above, limit),
        )

    def _locked(self, invoice_ids: Sequence[bytes]) -> list[Invoice]:
        return self._load(
            f"{_INVOICE} WHERE i.invoice_id IN ({marks(invoice_ids)}) ORDER BY i.invoice_id",
            invoice_ids,
        )

    def _load(self, sql: str, values: Sequence[object]) -> list[Invoice]:
        self._cursor.execute(sql, values)
        rows: Sequence[tuple[Any, ...]] = self._cursor.fetchall()
        if not rows:
            return []
        ids = [row[0] for row in rows]
        options, deposits, refunds = self._options(ids), self._deposits(ids), self._refunds(ids)
        return [_invoice(row, options[row[0]], deposits[row[0]], refunds[row[0]]) for row in rows]

    def _options(self, invoice_ids: Sequence[bytes]) -> Mapping[bytes, list[PaymentOption]]:
        self._cursor.execute(
            f"SELECT invoice_id, asset, due_units, rate_units, address, payment_link, {LOCK}"  # noqa: S608 - only placeholders
            f" FROM payment_option WHERE invoice_id IN ({marks(invoice_ids)})"
            " ORDER BY invoice_id, position",
            invoice_ids,
        )
        options: dict[bytes, list[PaymentOption]] = defaultdict(list)
        for invoice_id, code, due_units, units, address, link, *lock in self._cursor.fetchall():
            due, rate = Amount(int(due_units), asset(code)), Rate(int(units))
            option = PaymentOption(due, rate, address, link, lock_of(rate, lock))
            options[invoice_id].append(option)
        return options

    def _deposits(self, invoice_ids: Sequence[bytes]) -> Mapping[bytes, list[Deposit]]:
        self._cursor.execute(
            f"{_DEPOSIT} WHERE d.invoice_id IN ({marks(invoice_ids)})"
            " ORDER BY d.invoice_id, d.first_seen_at, d.deposit_id",
            invoice_ids,
        )
        rows: dict[bytes, tuple[Any, ...]] = {}
        epochs: dict[bytes, set[int]] = defaultdict(set)
        for row in self._cursor.fetchall():
            rows[row[1]] = row
            if row[12] is not None:
                epochs[row[1]].add(int(row[12]))
        deposits: dict[bytes, list[Deposit]] = defaultdict(list)
        for deposit_id, row in rows.items():
            deposits[row[0]].append(_deposit(row, frozenset(epochs[deposit_id])))
        return deposits

    def _refunds(self, invoice_ids: Sequence[bytes]) -> Mapping[bytes, list[Refund]]:
        self._cursor.execute(
            "SELECT invoice_id, transfer_id, refund_id, asset, units, posted_at"  # noqa: S608 - only placeholders
            f" FROM invoice_refund WHERE invoice_id IN ({marks(invoice_ids)})"
            " ORDER BY invoice_id, posted_at, transfer_id",
            invoice_ids,
        )
        refunds: dict[bytes, list[Refund]] = defaultdict(list)
        for invoice_id, transfer_id, refund_id, code, units, at in self._cursor.fetchall():
            refunds[invoice_id].append(Refund(transfer_id, refund_id, code, int(units), read(at)))
        return refunds


def _invoice(
    row: tuple[Any, ...],
    options: Sequence[PaymentOption],
    deposits: Sequence[Deposit],
    refunds: Sequence[Refund],
) -> Invoice:
    return Invoice(
        invoice_id=row[0],
        merchant_id=row[1],
        lane=row[2],
        status=InvoiceStatus(row[3]),
        price=Amount(int(row[5]), asset(row[4])),
        created_at=read(row[6]),
        expires_at=read(row[7]),
        changes=int(row[8]),
        cause=Cause(CauseType(row[9]), row[10], read(row[11]), row[12]),
        options=tuple(options),
        made=Made(
            reference=row[16],
            metadata={} if row[17] is None else _texts(row[17]),
            payment_link_id=row[18],
            session_id=row[19],
            success_url=row[20],
            cancel_url=row[21],
            language=row[22],
        ),
        customer_fee_units=int(row[23]),
        tolerance_bps=int(row[13]),
        wakes_at=None if row[14] is None else read(row[14]),
        cancelled_at=None if row[15] is None else read(row[15]),
        deposits=tuple(deposits),
        refunds=tuple(refunds),
    )


def _texts(stored_text: str) -> Mapping[str, str]:
    return {name: str(text) for name, text in parse_json(stored_text.encode()).items()}


def _deposit(row: tuple[Any, ...], posted_epochs: frozenset[int]) -> Deposit:
    return Deposit(
        deposit_id=row[1],
        asset=row[2],
        units=int(row[3]),
        state=DepositState(row[4]),
        version=int(row[5]),
        confirmations=int(row[6]),
        confirmations_settled=int(row[7]),
        credit_epoch=int(row[8]),
        block_time=None if row[9] is None else read(row[9]),
        first_seen_at=read(row[10]),
        txid=row[11],
        posted_epochs=posted_epochs,
    )
