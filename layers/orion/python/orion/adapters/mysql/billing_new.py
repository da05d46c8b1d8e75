"""A new invoice on MySQL: all that it writes, in one round trip
(infra/migrations/mysql/billing/0012_store_invoice.sql).
"""

import json

import pymysql

from orion.adapters.mysql.billing_rates import lock_values
from orion.adapters.mysql.billing_rows import BillingCursor, marks, maybe_stored, stored
from orion.adapters.mysql.idempotency import IdempotencyKeyInFlight
from orion.adapters.mysql.session import BeginAgain
from orion.billing.invoice import PaymentOption
from orion.billing.ports import KeyedAnswer, NewInvoice
from orion.records import canonical_json

_PARAMETERS = 36
_STORE = f"CALL store_invoice_1({marks(range(_PARAMETERS))})"
_KEY_ANSWERED, _KEY_IN_FLIGHT = 31001, 31002
_LOCK = ("rate_source", "rate_providers", "rate_path", "rate_spread_bps", "rate_observed_at")


class BillingNew(BillingCursor):
    """The part of the port `Transaction` that stores new invoices."""

    def add_new(self, new: NewInvoice, keyed: KeyedAnswer | None = None) -> None:
        try:
            self._cursor.execute(_STORE, (*_key_values(new, keyed), *_values(new)))
        except pymysql.err.OperationalError as exc:
            if exc.args[0] == _KEY_ANSWERED:
                raise BeginAgain from exc
            if exc.args[0] == _KEY_IN_FLIGHT:
                raise IdempotencyKeyInFlight(
                    "the first request with this key has not finished"
                ) from exc
            raise


def _key_values(new: NewInvoice, keyed: KeyedAnswer | None) -> tuple[object, ...]:
    if keyed is None:
        return (None,) * 7
    request, answer = keyed.request, keyed.answer
    at = stored(new.invoice.created_at)
    identity = (request.merchant_id, request.key, request.route, request.request_hash)
    return *identity, at, answer.status, answer.kept


def _values(new: NewInvoice) -> tuple[object, ...]:
    invoice, made = new.invoice, new.invoice.made
    return (
        new.wallet.group_no,
        new.wallet.wallet_index,
        invoice.invoice_id,
        invoice.merchant_id,
        invoice.lane,
        invoice.status.value,
        invoice.price.asset.code,
        invoice.price.units,
        made.reference,
        stored(invoice.created_at),
        stored(invoice.expires_at),
        invoice.tolerance_bps,
        maybe_stored(invoice.wakes_at),
        canonical_json(made.metadata).decode() if made.metadata else None,
        made.payment_link_id,
        made.session_id,
        made.success_url,
        made.cancel_url,
        made.language,
        json.dumps([_option(number, each) for number, each in enumerate(invoice.options)]),
        invoice.cause.type.value,
        invoice.cause.trace_id,
        new.event.event_id,
        new.event.type,
        new.event.body,
        new.told.event_id,
        new.told.destination,
        new.told.key.encode(),
        canonical_json(new.told.body),
    )


def _option(position: int, option: PaymentOption) -> dict[str, object]:
    """Large numbers as text, and what is not there left out: JSON's null is not SQL's."""
    lock = dict(zip(_LOCK, lock_values(option.rate_lock), strict=True))
    row: dict[str, object] = {
        "position": position,
        "asset": option.due.asset.code,
        "due_units": str(option.due.units),
        "rate_units": str(option.rate.units),
        "address": option.address,
        "payment_link": option.payment_link,
    }
    return row | {name: str(value) for name, value in lock.items() if value is not None}
