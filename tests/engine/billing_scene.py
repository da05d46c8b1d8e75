"""Billing on a real database: a merchant with rates, free wallets, and the records it reads."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import boto3

from orion.adapters.aws.webhook_secrets import KmsSecretKeeper
from orion.adapters.mysql.billing import MySqlBillingStore
from orion.adapters.mysql.session import Database, MySqlConfig
from orion.billing.creation import Asked
from orion.billing.event_stream import EventStream
from orion.billing.payment_link import Networks
from orion.billing.ports import Answer, KeyedRequest
from orion.billing.progress import InvoiceProgress
from orion.billing.rates.desk import RateDesk
from orion.billing.rates.ports import TickerCache
from orion.billing.rates.source import RateSource
from orion.billing.service import Billing, Surroundings
from orion.billing.webhook_dispatch import WebhookDeliveries
from orion.billing.webhook_endpoints import WebhookEndpoints
from orion.billing.webhook_log import WebhookLog
from orion.billing.webhook_target import Network
from orion.chains.bitcoin.address import address_of
from orion.chains.bitcoin.network import network_of
from orion.records import Record, canonical_json, parse_json

MERCHANT, STRANGER = b"m" * 16, b"s" * 16
TRACE = "ab" * 16
LANES = {"standard": "https://pay.example", "vip": "https://vip.example"}
TOKEN = "0x" + "11" * 20
NETWORKS = Networks({"bitcoin": "regtest", "ethereum": "31337"}, {"USDT.ethereum": TOKEN})
RATES = {"BTC.bitcoin": "60000.00", "ETH.ethereum": "2500.00", "USDT.ethereum": "0.93"}
BILLING_TABLES = (
    "rate",
    "rate_setting",
    "rate_ticker",
    "invoice",
    "payment_option",
    "deposit",
    "deposit_credit",
    "invoice_refund",
    "merchant_setting",
    "invoice_change",
    "fee_plan",
    "fee_assignment",
    "referral",
    "invoice_fee",
    "fee_fact",
    "fee_assessment",
    "fee_volume",
    "webhook_endpoint",
    "webhook_event",
    "webhook_delivery",
    "webhook_attempt",
    "event_stream",
    "outbox",
    "consumer_offset",
    "idempotency",
)


def kms_nobody_answers() -> Any:
    """A KMS client for tests that never make a secret."""
    return boto3.client(
        "kms",
        endpoint_url="http://127.0.0.1:9",
        region_name="us-east-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
    )


def billing_over(database: Database, clock: Any) -> Billing:
    """The merchant's side over one connection."""
    return Billing(MySqlBillingStore(database), Surroundings(LANES, NETWORKS), clock)


def asked(amount: str = "25.00", *assets: str, expires_in_s: int = 900) -> Asked:
    return Asked(amount, "EUR", assets or ("BTC.bitcoin",), "order 1", expires_in_s)


def keyed(key: str, payload: bytes = b"one", merchant: bytes = MERCHANT) -> KeyedRequest:
    return KeyedRequest(merchant, key, "POST /v1/invoices", payload.ljust(32, b"."))


@dataclass
class BillingScene:
    """One emptied database. `now` is the clock of all services made here."""

    config: MySqlConfig
    admin: Any
    kms: Any = field(default_factory=kms_nobody_answers)
    key_id: str = "alias/none"
    allowed: list[Network] = field(default_factory=list)
    now: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    opened: list[Database] = field(default_factory=list)
    offsets: Iterator[int] = field(default_factory=count)
    looking: Any = None

    def database(self) -> Database:
        self.opened.append(Database(self.config))
        return self.opened[-1]

    def billing(self) -> Billing:
        return billing_over(self.database(), lambda: self.now)

    def rates(self, cache: TickerCache | None = None) -> RateDesk:
        store = MySqlBillingStore(self.database())
        return RateDesk(store, RateSource(cache), NETWORKS, lambda: self.now)

    def progress(self) -> InvoiceProgress:
        return InvoiceProgress(MySqlBillingStore(self.database()), lambda: self.now, LANES)

    def deliveries(self) -> WebhookDeliveries:
        return WebhookDeliveries(MySqlBillingStore(self.database()), lambda: self.now)

    def endpoints(self) -> WebhookEndpoints:
        keeper = KmsSecretKeeper(self.kms, self.key_id)
        store = MySqlBillingStore(self.database())
        return WebhookEndpoints(store, keeper, self.allowed, lambda: self.now, os.urandom)

    def delivery_log(self) -> WebhookLog:
        return WebhookLog(MySqlBillingStore(self.database()), lambda: self.now)

    def stream(self) -> EventStream:
        return EventStream(MySqlBillingStore(self.database()))

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What an administrator sees; statements that change something are committed."""
        if self.looking is None:
            self.looking = self.admin.connect()
        with self.looking.cursor() as cursor:
            cursor.execute(sql, values)
            found = list(cursor.fetchall())
        self.looking.commit()
        return found

    def one(self, sql: str, *values: object) -> Any:
        return self.rows(sql, *values)[0][0]

    def prepare(self, wallets: int = 50) -> None:
        """Empty tables, free wallets, and the merchant's rates."""
        for table in BILLING_TABLES:
            self.rows(f"DELETE FROM orion_billing.{table}")
        for table in ("orion_moneyin.wallet", "orion_moneyin.address", "orion_ledger.account"):
            self.rows(f"DELETE FROM {table}")
        self.add_wallets(wallets)
        desk = self.rates()
        for code, rate in RATES.items():
            desk.put_rate(MERCHANT, code, "EUR", rate, trace_id=TRACE)

    def add_wallets(self, wallets: int, group: int = 0) -> None:
        for index in range(wallets):
            number = group * 10_000 + index + 1
            script = b"\x00\x14" + number.to_bytes(20, "big")
            self.rows(
                "INSERT INTO orion_moneyin.wallet (group_no, wallet_index) VALUES (%s, %s)",
                group,
                index,
            )
            self.rows(
                "INSERT INTO orion_moneyin.address (chain, address, group_no, wallet_index)"
                " VALUES ('bitcoin', %s, %s, %s), ('ethereum', %s, %s, %s)",
                address_of(script, network_of("regtest")),
                group,
                index,
                "0x" + number.to_bytes(20, "big").hex(),
                group,
                index,
            )

    def create(self, key: str = "k1", *assets: str, amount: str = "25.00") -> Answer:
        return self.billing().create_invoice(
            keyed(key), asked(amount, *assets), lane="standard", trace_id=TRACE
        )

    def status(self, invoice_id: bytes) -> str:
        return str(
            self.one("SELECT status FROM orion_billing.invoice WHERE invoice_id = %s", invoice_id)
        )

    def deposit(self, invoice_id: bytes, version: int = 1, **fields: object) -> Record:
        body = {
            "v": 1,
            "trace_id": TRACE,
            "kind": "deposit",
            "deposit_id": "d1" * 16,
            "version": version,
            "chain": "bitcoin",
            "asset": "BTC.bitcoin",
            "units": "41667",
            "txid": "t1",
            "position": "out:0",
            "address": "bcrt1",
            "merchant_id": MERCHANT.hex(),
            "invoice_id": invoice_id.hex(),
            "state": "included",
            "height": 100,
            "block_hash": "b1",
            "confirmations": 1,
            "confirmations_settled": 2,
            "confirmations_final": 3,
            "credit_epoch": 0,
            "credit_transfer_id": "c1" * 16,
            "block_time": int((self.now - timedelta(seconds=1)).timestamp()),
            **fields,
        }
        return self._record("moneyin.deposits", body)

    def posted(self, epoch: int = 0, deposit_id: str = "d1" * 16) -> Record:
        transfer = {
            "id": f"{epoch:032x}",
            "kind": "direct",
            "code": "deposit_credit",
            "asset": "BTC.bitcoin",
            "units": "41667",
            "debit": {"owner": "system:bitcoin", "purpose": "custody"},
            "credit": {"owner": f"merchant:{MERCHANT.hex()}", "purpose": "settling"},
            "cause": {"type": "deposit", "deposit_id": deposit_id, "credit_epoch": epoch},
            "linked": False,
            "posted_at": "2026-01-02T03:04:05Z",
        }
        body = {"v": 1, "trace_id": TRACE, "shard": 0, "number": 1, "transfers": [transfer]}
        return self._record("ledger.posted", body)

    def _record(self, topic: str, body: dict[str, object]) -> Record:
        return Record(topic, 0, next(self.offsets), b"", canonical_json(body))

    def outbox(self, destination: str) -> list[dict[str, Any]]:
        """Bodies that wait for this destination, oldest first."""
        rows = self.rows(
            "SELECT payload FROM orion_billing.outbox WHERE destination = %s ORDER BY seq",
            destination,
        )
        return [parse_json(row[0]) for row in rows]

    def close(self) -> None:
        for database in self.opened:
            database.close()
        if self.looking is not None:
            self.looking.close()


def scene_of(mysql_admin: Any) -> BillingScene:
    """The module's own user on the session's server; not prepared yet."""
    login = mysql_admin.credentials("billing")
    config = MySqlConfig(
        mysql_admin.host,
        mysql_admin.port,
        login.username,
        login.password,
        "orion_billing",
        mysql_admin.ca_pem,
    )
    return BillingScene(config, mysql_admin)
