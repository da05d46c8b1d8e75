"""Reading invoices with their facts on MySQL: four statements, however many invoices, and one more
where one has more deposits or refunds than are shown.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from datetime import datetime
from typing import Any

from orion.adapters.mysql.billing_rates import LOCK, lock_of
from orion.adapters.mysql.billing_rows import BillingCursor, marks, read
from orion.billing.invoice import SHOWN, Cause, Invoice, Made, PaymentOption
from orion.billing.listing import Wanted
from orion.billing.model import (
    CauseType,
    Deposit,
    DepositState,
    InvoiceStatus,
    Refund,
    sums_of,
)
from orion.billing.quote import Rate
from orion.billing.sums import Sums, SumsByAsset
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
DEPOSIT_COLUMNS = (
    "d.deposit_id, d.asset, d.units, d.state, d.version, d.confirmations, d.confirmations_settled,"
    " d.credit_epoch, d.block_time, d.first_seen_at, d.txid"
)
# The present epoch's credit is all that a sum or a reader asks of credits, and it is one row at
# most.
_DEPOSITS = (
    f"SELECT d.invoice_id, c.credit_epoch, {DEPOSIT_COLUMNS} FROM deposit d"  # noqa: S608 - only names of columns
    " LEFT JOIN deposit_credit c ON c.deposit_id = d.deposit_id AND c.credit_epoch = d.credit_epoch"
    " WHERE d.invoice_id"
)
_REFUNDS = (
    "SELECT invoice_id, transfer_id, refund_id, asset, units, posted_at FROM invoice_refund"
    " WHERE invoice_id"
)
# One more than is shown says that there are more. Each is a range of the invoice's own index, read
# from its end.
_NEWEST_DEPOSITS = (
    f"({_DEPOSITS} = %s ORDER BY d.first_seen_at DESC, d.deposit_id DESC LIMIT {SHOWN + 1})"
)
_NEWEST_REFUNDS = f"({_REFUNDS} = %s ORDER BY posted_at DESC, transfer_id DESC LIMIT {SHOWN + 1})"
# An ordinary invoice has fewer: then one range for each of many invoices is one plain statement.
_FEW = 10
_RANGES_AT_ONCE = 100
SUM_COLUMNS = "deposits, standing, mined, settled, in_time, in_a_block, refunds, refunded"


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
        expiries = {row[0]: read(row[7]) for row in rows}
        ids = list(expiries)
        options, deposits, refunds = self._options(ids), self._deposits(ids), self._refunds(ids)
        sums = {
            i: sums_of(deposits[i], refunds[i], expires_at) for i, expires_at in expiries.items()
        }
        many = [i for i in ids if len(deposits[i]) > SHOWN or len(refunds[i]) > SHOWN]
        sums.update(self._sums_of_many({i: expiries[i] for i in many}))
        return [
            _invoice(row, options[row[0]], deposits[row[0]], refunds[row[0]], sums[row[0]])
            for row in rows
        ]

    def _sums_of_many(self, expiries: Mapping[bytes, datetime]) -> Mapping[bytes, SumsByAsset]:
        """The sums that these invoices keep; of one that keeps none yet, because what made its
        deposits knew no sums, those of all its rows.
        """
        if not expiries:
            return {}
        found: dict[bytes, dict[str, Sums]] = defaultdict(dict)
        rows: Sequence[tuple[Any, ...]] = self._rows(
            f"SELECT invoice_id, asset, {SUM_COLUMNS} FROM invoice_sum"  # noqa: S608 - only placeholders
            f" WHERE invoice_id IN ({marks(list(expiries))})",
            list(expiries),
        )
        for invoice_id, code, *parts in rows:
            found[invoice_id][code] = Sums(*map(int, parts))
        return {
            invoice_id: found.get(invoice_id) or self._sums_of_rows(invoice_id, expires_at)
            for invoice_id, expires_at in expiries.items()
        }

    def _sums_of_rows(self, invoice_id: bytes, expires_at: datetime) -> SumsByAsset:
        deposits = [
            deposit_of(row[2:], _epochs(row))
            for row in self._rows(f"{_DEPOSITS} = %s", (invoice_id,))
        ]
        refunds = [_refund(row) for row in self._rows(f"{_REFUNDS} = %s", (invoice_id,))]
        return sums_of(deposits, refunds, expires_at)

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
        deposits: dict[bytes, list[Deposit]] = defaultdict(list)
        for row in self._newest(_DEPOSITS, _NEWEST_DEPOSITS, invoice_ids):
            deposits[row[0]].append(deposit_of(row[2:], _epochs(row)))
        for found in deposits.values():
            found.sort(key=lambda one: (one.first_seen_at, one.deposit_id))
        return deposits

    def _refunds(self, invoice_ids: Sequence[bytes]) -> Mapping[bytes, list[Refund]]:
        refunds: dict[bytes, list[Refund]] = defaultdict(list)
        for row in self._newest(_REFUNDS, _NEWEST_REFUNDS, invoice_ids):
            refunds[row[0]].append(_refund(row))
        for found in refunds.values():
            found.sort(key=lambda one: (one.posted_at, one.transfer_id))
        return refunds

    def _newest(
        self, of_all: str, of_one: str, invoice_ids: Sequence[bytes]
    ) -> Sequence[tuple[Any, ...]]:
        """Of each of these invoices at least the newest SHOWN + 1 rows, or all, in any order."""
        if len(invoice_ids) > 1:
            few = _FEW * len(invoice_ids) + SHOWN
            rows: Sequence[tuple[Any, ...]] = self._rows(
                f"{of_all} IN ({marks(invoice_ids)}) LIMIT %s", (*invoice_ids, few)
            )
            if len(rows) < few:
                return rows
        found: list[tuple[Any, ...]] = []
        for start in range(0, len(invoice_ids), _RANGES_AT_ONCE):
            some = invoice_ids[start : start + _RANGES_AT_ONCE]
            found += self._rows(" UNION ALL ".join([of_one] * len(some)), some)
        return found


def _invoice(
    row: tuple[Any, ...],
    options: Sequence[PaymentOption],
    deposits: Sequence[Deposit],
    refunds: Sequence[Refund],
    sums: SumsByAsset,
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
        deposits=tuple(deposits[-SHOWN:]),
        refunds=tuple(refunds[-SHOWN:]),
        sums=sums,
    )


def _texts(stored_text: str) -> Mapping[str, str]:
    return {name: str(text) for name, text in parse_json(stored_text.encode()).items()}


def _epochs(row: tuple[Any, ...]) -> frozenset[int]:
    return frozenset() if row[1] is None else frozenset({int(row[1])})


def deposit_of(row: Sequence[Any], posted_epochs: frozenset[int]) -> Deposit:
    """A deposit from a row of DEPOSIT_COLUMNS."""
    return Deposit(
        deposit_id=row[0],
        asset=row[1],
        units=int(row[2]),
        state=DepositState(row[3]),
        version=int(row[4]),
        confirmations=int(row[5]),
        confirmations_settled=int(row[6]),
        credit_epoch=int(row[7]),
        block_time=None if row[8] is None else read(row[8]),
        first_seen_at=read(row[9]),
        txid=row[10],
        posted_epochs=posted_epochs,
    )


def _refund(row: tuple[Any, ...]) -> Refund:
    return Refund(row[1], row[2], row[3], int(row[4]), read(row[5]))


def sum_values(sums: Sums) -> tuple[int, ...]:
    """The values of SUM_COLUMNS."""
    return astuple(sums)
