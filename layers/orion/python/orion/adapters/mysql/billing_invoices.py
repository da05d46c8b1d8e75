"""Wallets, new invoices and balances on MySQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from orion.adapters.mysql.billing_rows import BillingCursor, marks, stored
from orion.adapters.mysql.one_trip import Columns, Question
from orion.billing.errors import NoAddressAvailable
from orion.billing.merchant_settings import MerchantSettings
from orion.billing.ports import AccountBalance, FreeWallet

_PURPOSES = ("available", "reversal_receivable", "settling")


# A free wallet, locked, and its addresses. SKIP LOCKED: concurrent invoices pass over each other's
# wallets instead of queueing for one row. It locks within the derived table only (MySQL 8.0
# Reference Manual, 15.2.13), so the addresses stay unlocked.
FREE_WALLET = Question(
    Columns({"w.group_no": int, "w.wallet_index": int, "a.chain": str, "a.address": str}),
    "FROM (SELECT group_no, wallet_index FROM orion_moneyin.wallet WHERE state = 'free'"
    " ORDER BY group_no, wallet_index LIMIT 1 FOR UPDATE SKIP LOCKED) w"
    " LEFT JOIN orion_moneyin.address a"
    " ON a.group_no = w.group_no AND a.wallet_index = w.wallet_index",
)


_SETTINGS = Columns({"tolerance_bps": int, "expires_in_s": int})


def settings_question(merchant_id: bytes) -> Question:
    """What a merchant's new invoices take where their request says nothing."""
    return Question(_SETTINGS, "FROM merchant_setting WHERE merchant_id = %s", (merchant_id,))


class BillingInvoices(BillingCursor):
    """The part of the port `Transaction` that creates, and reads what others own."""

    def free_wallet(self) -> FreeWallet:
        rows: Any = self._ask(FREE_WALLET)
        if not rows:
            raise NoAddressAvailable("no free address at the moment")
        group_no, wallet_index = rows[0][:2]
        addresses = {row[2]: row[3] for row in rows if row[2] is not None}
        return FreeWallet(group_no, wallet_index, addresses)

    def settings(self, merchant_id: bytes) -> MerchantSettings:
        rows: Any = self._ask(settings_question(merchant_id))
        return MerchantSettings(*rows[0]) if rows else MerchantSettings()

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

    def balances(self, merchant_id: bytes) -> Sequence[AccountBalance]:
        self._cursor.execute(
            "SELECT asset, purpose, credits_posted - debits_posted FROM orion_ledger.account"  # noqa: S608 - only placeholders
            f" WHERE owner = %s AND purpose IN ({marks(_PURPOSES)})",
            (f"merchant:{merchant_id.hex()}", *_PURPOSES),
        )
        return [
            AccountBalance(asset, purpose, int(u)) for asset, purpose, u in self._cursor.fetchall()
        ]
