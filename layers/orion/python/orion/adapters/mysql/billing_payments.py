"""A merchant's payments on MySQL: ranges of one index, in either direction."""

from collections.abc import Sequence
from typing import Any

from orion.adapters.mysql.billing_rows import BillingCursor, marks, read, stored
from orion.billing.model import DepositState
from orion.billing.moments import Period
from orion.billing.payments.model import Payment, Seen
from orion.billing.places import Place
from orion.billing.quote import Rate
from orion.money import Amount, asset


class BillingPayments(BillingCursor):
    """The port `PaymentTransaction`."""

    def scan_payments(
        self,
        merchant_id: bytes,
        period: Period,
        after: Place | None,
        *,
        invoice_id: bytes | None,
        newest_first: bool,
        limit: int,
    ) -> Sequence[Seen]:
        # Without a moment a row is a deposit of which only the credit has come.
        clauses, values = ["merchant_id = %s", "first_seen_at IS NOT NULL"], [merchant_id]
        bounds: list[object] = []
        if invoice_id is not None:
            clauses.append("invoice_id = %s")
            bounds.append(invoice_id)
        if period.since is not None:
            clauses.append("first_seen_at >= %s")
            bounds.append(stored(period.since))
        if period.until is not None:
            clauses.append("first_seen_at < %s")
            bounds.append(stored(period.until))
        sign, way = ("<", "DESC") if newest_first else (">", "ASC")
        if after is not None:
            # The plain bound first: servers read the range along the index by it.
            at = stored(after.at)
            clauses.append(
                f"first_seen_at {sign}= %s AND (first_seen_at {sign} %s OR deposit_id {sign} %s)"
            )
            bounds += [at, at, after.identity]
        rows = self._rows(
            "SELECT first_seen_at, deposit_id, asset, state FROM deposit"  # noqa: S608
            f" WHERE {' AND '.join(clauses)}"
            f" ORDER BY first_seen_at {way}, deposit_id {way} LIMIT %s",
            (*values, *bounds, limit),
        )
        return [_seen(row) for row in rows]

    def payments(self, identities: Sequence[bytes]) -> Sequence[Payment]:
        if not identities:
            return []
        rows: Sequence[tuple[Any, ...]] = self._rows(
            "SELECT d.deposit_id, d.invoice_id, i.reference, d.asset, d.units, d.txid, d.state,"  # noqa: S608
            " d.confirmations, d.confirmations_settled, d.first_seen_at, d.block_time, i.currency,"
            " o.rate_units, c.credit_epoch FROM deposit d"
            " JOIN invoice i ON i.invoice_id = d.invoice_id"
            " LEFT JOIN payment_option o ON o.invoice_id = d.invoice_id AND o.asset = d.asset"
            " LEFT JOIN deposit_credit c"
            " ON c.deposit_id = d.deposit_id AND c.credit_epoch = d.credit_epoch"
            f" WHERE d.deposit_id IN ({marks(identities)})",
            identities,
        )
        found = {row[0]: _payment(row) for row in rows}
        return [found[identity] for identity in identities if identity in found]


def _seen(row: Sequence[Any]) -> Seen:
    first_seen_at, deposit_id, code, state = row
    return Seen(Place(read(first_seen_at), deposit_id), code, DepositState(state))


def _payment(row: Sequence[Any]) -> Payment:
    (deposit_id, invoice_id, reference, code, units, txid, state, confirmations, settled,
     first_seen_at, block_time, currency, rate, credited_epoch) = row  # fmt: skip
    known = DepositState(state)
    return Payment(
        deposit_id=deposit_id,
        invoice_id=invoice_id,
        reference=reference,
        amount=Amount(int(units), asset(code)),
        txid=txid,
        state=known,
        confirmations=int(confirmations),
        confirmations_settled=int(settled),
        credited=credited_epoch is not None and known != DepositState.REVERSED,
        first_seen_at=read(first_seen_at),
        block_time=None if block_time is None else read(block_time),
        currency=currency,
        rate=None if rate is None else Rate(int(rate)).text(),
    )
