"""Wallets, new invoices and balances on MySQL."""

from collections.abc import Sequence
from datetime import datetime

from orion.adapters.mysql.billing_rates import lock_values
from orion.adapters.mysql.billing_rows import BillingCursor, marks, maybe_stored, stored
from orion.billing.errors import NoAddressAvailable
from orion.billing.invoice import Change, Invoice
from orion.billing.merchant_settings import MerchantSettings
from orion.billing.ports import AccountBalance, TakenWallet
from orion.records import canonical_json

_PURPOSES = ("available", "reversal_receivable", "settling")


class BillingInvoices(BillingCursor):
    """The part of the port `Transaction` that creates, and reads what others own."""

    def take_wallet(self, merchant_id: bytes, invoice_id: bytes, now: datetime) -> TakenWallet:
        # SKIP LOCKED: concurrent invoices pass over each other's wallets instead of queueing for
        # one row. It locks within the derived table only (MySQL 8.0 Reference Manual, 15.2.13),
        # so the wallet comes with its addresses and the settings in one round trip, and these stay
        # unlocked.
        self._cursor.execute(
            "SELECT w.group_no, w.wallet_index, a.chain, a.address, s.tolerance_bps, s.expires_in_s"
            " FROM (SELECT group_no, wallet_index FROM orion_moneyin.wallet WHERE state = 'free'"
            " ORDER BY group_no, wallet_index LIMIT 1 FOR UPDATE SKIP LOCKED) w"
            " LEFT JOIN orion_moneyin.address a"
            " ON a.group_no = w.group_no AND a.wallet_index = w.wallet_index"
            " LEFT JOIN merchant_setting s ON s.merchant_id = %s",
            (merchant_id,),
        )
        rows = self._cursor.fetchall()
        if not rows:
            raise NoAddressAvailable("no free address at the moment")
        group_no, wallet_index = rows[0][:2]
        self._cursor.execute(
            "UPDATE orion_moneyin.wallet SET state = 'assigned', merchant_id = %s, invoice_id = %s,"
            " assigned_at = %s WHERE group_no = %s AND wallet_index = %s",
            (merchant_id, invoice_id, stored(now), group_no, wallet_index),
        )
        addresses = {row[2]: row[3] for row in rows if row[2] is not None}
        return TakenWallet(addresses, _settings(rows[0][4:]))

    def settings(self, merchant_id: bytes) -> MerchantSettings:
        self._cursor.execute(
            "SELECT tolerance_bps, expires_in_s FROM merchant_setting WHERE merchant_id = %s",
            (merchant_id,),
        )
        return _settings(self._cursor.fetchone() or (None, None))

    def put_settings(self, merchant_id: bytes, settings: MerchantSettings, now: datetime) -> bool:
        # The time moves only with a value, so an unchanged row counts as not affected.
        return bool(
            self._cursor.execute(
                "INSERT INTO merchant_setting (merchant_id, tolerance_bps, expires_in_s, set_at)"
                " VALUES (%s, %s, %s, %s) ON DUPLICATE KEY UPDATE"
                " set_at = IF(tolerance_bps = VALUES(tolerance_bps)"
                " AND expires_in_s = VALUES(expires_in_s), set_at, VALUES(set_at)),"
                " tolerance_bps = VALUES(tolerance_bps), expires_in_s = VALUES(expires_in_s)",
                (merchant_id, settings.tolerance_bps, settings.expires_in_s, stored(now)),
            )
        )

    def add_invoice(self, invoice: Invoice, change: Change) -> None:
        made = invoice.made
        self._cursor.execute(
            "INSERT INTO invoice (invoice_id, merchant_id, lane, status, currency, price_units,"  # noqa: S608
            " reference, created_at, expires_at, changes, tolerance_bps, wakes_at, metadata,"
            " payment_link_id, session_id, success_url, cancel_url, language)"
            f" VALUES ({marks(range(18))})",
            (
                invoice.invoice_id,
                invoice.merchant_id,
                invoice.lane,
                invoice.status.value,
                invoice.price.asset.code,
                invoice.price.units,
                made.reference,
                stored(invoice.created_at),
                stored(invoice.expires_at),
                invoice.changes,
                invoice.tolerance_bps,
                maybe_stored(invoice.wakes_at),
                canonical_json(made.metadata).decode() if made.metadata else None,
                made.payment_link_id,
                made.session_id,
                made.success_url,
                made.cancel_url,
                made.language,
            ),
        )
        self._cursor.executemany(
            "INSERT INTO payment_option (invoice_id, position, asset, due_units, rate_units,"
            " address, payment_link, rate_source, rate_providers, rate_path, rate_spread_bps,"
            " rate_observed_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    invoice.invoice_id,
                    position,
                    option.due.asset.code,
                    option.due.units,
                    option.rate.units,
                    option.address,
                    option.payment_link,
                    *lock_values(option.rate_lock),
                )
                for position, option in enumerate(invoice.options)
            ],
        )
        self._insert_change(invoice.invoice_id, change)

    def balances(self, merchant_id: bytes) -> Sequence[AccountBalance]:
        self._cursor.execute(
            "SELECT asset, purpose, credits_posted - debits_posted FROM orion_ledger.account"  # noqa: S608 - only placeholders
            f" WHERE owner = %s AND purpose IN ({marks(_PURPOSES)})",
            (f"merchant:{merchant_id.hex()}", *_PURPOSES),
        )
        return [
            AccountBalance(asset, purpose, int(u)) for asset, purpose, u in self._cursor.fetchall()
        ]


def _settings(row: Sequence[int | None]) -> MerchantSettings:
    tolerance_bps, expires_in_s = row
    if tolerance_bps is None or expires_in_s is None:
        return MerchantSettings()
    return MerchantSettings(int(tolerance_bps), int(expires_in_s))
