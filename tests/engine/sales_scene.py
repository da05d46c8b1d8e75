"""Payment links and checkout sessions on a real database."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from orion.adapters.mysql.billing_sessions import MySqlSalesStore
from orion.billing.payment_link import Networks
from orion.billing.payment_links.service import LinkAsked, PaymentLinks
from orion.billing.payment_links.visiting import LinkVisits
from orion.billing.ports import KeyedRequest
from orion.billing.sessions.service import CheckoutSessions
from orion.ids import parse_public_id
from orion.records import parse_object
from tests.engine.billing_scene import (
    LANES,
    MERCHANT,
    TOKEN,
    TRACE,
    BillingScene,
    scene_of,
)

PLACES = Networks({"bitcoin": "regtest", "ethereum": "31337"}, {"USDT.ethereum": TOKEN})
SALES_TABLES = ("payment_link", "payment_link_invoice", "payment_link_visitor", "checkout_session")


class SalesScene:
    """An emptied database of billing with the services that sell through it."""

    def __init__(self, billing: BillingScene) -> None:
        self.billing = billing
        self.keys = 0

    def links(self) -> PaymentLinks:
        return PaymentLinks(self._store(), LANES, PLACES, lambda: self.billing.now)

    def visits(self) -> LinkVisits:
        return LinkVisits(
            self._store(), self.billing.billing(), lambda: self.billing.now, os.urandom
        )

    def sessions(self) -> CheckoutSessions:
        return CheckoutSessions(
            self._store(), self.billing.billing(), LANES, lambda: self.billing.now
        )

    def _store(self) -> MySqlSalesStore:
        return MySqlSalesStore(self.billing.database())

    def keyed(self, merchant: bytes = MERCHANT) -> KeyedRequest:
        """A request under a key that nobody used before."""
        self.keys += 1
        return KeyedRequest(merchant, f"key-{self.keys}", "POST /v1/x", b"x" * 32)

    def link(self, **fields: Any) -> bytes:
        """A new link of 25 EUR in BTC, or as `fields` say."""
        values = {"title": "Coffee", "currency": "EUR", "assets": ("BTC.bitcoin",)}
        if not fields.keys() & {"min_amount", "max_amount", "free"}:
            values["amount"] = "25.00"
        fields.pop("free", None)
        asked = LinkAsked(**{**values, **fields})
        answer = self.links().create(self.keyed(), asked, lane="standard", trace_id=TRACE)
        return parse_public_id("pl", str(parse_object(answer.body)["id"]))

    def pay(self, link_id: bytes, visitor: bytes, typed: str = "") -> bytes:
        return self.visits().pay(link_id, visitor, typed, language="en", trace_id=TRACE)

    def view(self, link_id: bytes) -> Any:
        return self.links().link(MERCHANT, link_id)

    def invoices(self) -> int:
        return int(self.billing.one("SELECT COUNT(*) FROM orion_billing.invoice"))

    def taken_wallets(self) -> int:
        return int(
            self.billing.one("SELECT COUNT(*) FROM orion_moneyin.wallet WHERE state = 'assigned'")
        )


@contextmanager
def sales_scene(mysql_admin: Any) -> Iterator[SalesScene]:
    """Emptied tables, a few wallets and rates; connections are closed at the end."""
    billing = scene_of(mysql_admin)
    billing.prepare(wallets=14)
    for table in SALES_TABLES:
        billing.rows(f"DELETE FROM orion_billing.{table}")
    yield SalesScene(billing)
    billing.close()
