"""Merchants with fee plans on a real database: plans, payments that become final, what is sent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from orion.adapters.mysql.billing_rates import MySqlRateStore
from orion.billing.fees.plan import plan_bytes, plan_id, read_plan
from orion.billing.quote import Rate
from orion.billing.rates.model import Ticker
from orion.ids import fact_id, parse_public_id
from orion.records import Record
from tests.engine.billing_scene import LANES, MERCHANT, TRACE, BillingScene

REFERRER = b"r" * 16
STANDARD: Mapping[str, object] = {
    "v": 1,
    "name": "standard",
    "currency": "EUR",
    "tiers": [{"from": "0.00", "bps": 100}, {"from": "10000.00", "bps": 80}],
    "fixed": {"EUR": "0.10"},
    "payer": "merchant",
    "referral_bps": 2_000,
    "reporting": {"USD": "0.92"},
}
MINE = f"merchant:{MERCHANT.hex()}"
THEIRS = f"merchant:{REFERRER.hex()}"
Sent = tuple[str, str, str, int]


@dataclass
class FeesScene(BillingScene):
    """As billing's scene, with merchants who exist and a market that says what his own rates do."""

    def prepare(self, wallets: int = 50) -> None:
        super().prepare(wallets)
        self.rows(
            "DELETE FROM orion_user.merchant"
            " WHERE merchant_id NOT IN (SELECT merchant_id FROM orion_user.api_key)"
        )
        self.register(MERCHANT, REFERRER)
        self.market("BTC/EUR", "60000.00")

    def register(self, *merchants: bytes) -> None:
        """As the user module knows them."""
        for merchant in merchants:
            self.rows(
                "INSERT INTO orion_user.merchant VALUES (%s, 'shop', 'standard', %s)",
                merchant, self.now.replace(tzinfo=None),
            )  # fmt: skip

    def market(self, name: str, price: str, age_s: int = 0) -> None:
        """What two exchanges say of a market, so old by now."""
        rate, at = Rate.parse(price), self.now - timedelta(seconds=age_s)
        found = [Ticker(provider, name, rate, rate, at) for provider in ("binance", "kraken")]
        MySqlRateStore(self.database()).transact(lambda tx: tx.put_tickers(found, self.now))

    def no_market(self) -> None:
        """Nobody has said anything."""
        self.rows("DELETE FROM orion_billing.rate_ticker")

    def assign(self, subject: str = MINE, plan: Mapping[str, object] | None = STANDARD) -> None:
        """As an operator's call stores it."""
        identity = None
        if plan is not None:
            read = read_plan(dict(plan))
            identity = plan_id(read)
            self.rows(
                "INSERT IGNORE INTO orion_billing.fee_plan VALUES (%s, %s, %s, %s)",
                identity, read.name, plan_bytes(read), self.now.replace(tzinfo=None),
            )  # fmt: skip
        self.rows(
            "INSERT INTO orion_billing.fee_assignment SELECT %s, COUNT(*) + 1, %s, %s, 'ops',"
            " 'test', %s FROM orion_billing.fee_assignment WHERE subject = %s",
            subject, identity, self.now.replace(tzinfo=None), TRACE, subject,
        )  # fmt: skip

    def refer(self, merchant: bytes = MERCHANT, referrer: bytes = REFERRER) -> None:
        self.rows(
            "INSERT INTO orion_billing.referral VALUES (%s, %s, %s, 'ops', 'test', %s)",
            merchant, referrer, self.now.replace(tzinfo=None), TRACE,
        )  # fmt: skip

    def invoice(self, key: str = "k1", *assets: str, lane: str = "standard") -> bytes:
        assert lane in LANES
        return parse_public_id("inv", json.loads(self.create(key, *assets).body)["id"])

    def final_event(
        self, invoice_id: bytes, name: str = "d1", *, epoch: int = 0, version: int = 9, **more: Any
    ) -> Record:
        """The deposit's own event in the state `final`."""
        fields = {"deposit_id": name * 16, "state": "final", "confirmations": 3}
        return self.deposit(invoice_id, version, credit_epoch=epoch, **fields, **more)

    def final_posted(
        self, name: str = "d1", *, epoch: int = 0, units: int = 41_667, **more: Any
    ) -> Record:
        """What the ledger says of the final credit."""
        return self.told("deposit_final", name, epoch, units, **more)

    def reversal_posted(self, name: str = "d1", *, epoch: int = 0, units: int = 41_667) -> Record:
        return self.told("deposit_reversal_final", name, epoch, units)

    def told(
        self,
        code: str,
        name: str,
        epoch: int,
        units: int,
        *,
        asset: str = "BTC.bitcoin",
        owner: str = MINE,
    ) -> Record:
        settling = {"owner": owner, "purpose": "settling"}
        available = {"owner": owner, "purpose": "available"}
        custody = {"owner": f"system:{asset.partition('.')[2]}", "purpose": "custody"}
        final = code == "deposit_final"
        transfer = {
            "id": fact_id(code, name, epoch).hex(),
            "kind": "direct",
            "code": code,
            "asset": asset,
            "units": str(units),
            "debit": settling if final else available,
            "credit": available if final else custody,
            "cause": {"type": "deposit", "deposit_id": name * 16, "credit_epoch": epoch},
            "linked": False,
            "digest": "0" * 32,
        }
        body = {
            "v": 1,
            "trace_id": TRACE,
            "shard": 0,
            "number": 1,
            "posted_at": "2026-01-02T03:04:05.000000Z",
            "transfers": [transfer],
        }
        return self._record("ledger.posted", body)

    def sent(self) -> list[Sent]:
        """What was asked of the ledger, in order: code, from whom, to whom, units."""
        return [
            (one["code"], _owner(one["debit"]), _owner(one["credit"]), int(one["units"]))
            for record in self.outbox("kafka:ledger.transfers")
            for one in record["transfers"]
        ]

    def keys(self) -> list[str]:
        found = self.rows(
            "SELECT partition_key FROM orion_billing.outbox"
            " WHERE destination = 'kafka:ledger.transfers' ORDER BY seq"
        )
        return [key.decode() for (key,) in found]

    def numbers(self, invoice_id: bytes) -> list[tuple[int, int | None, int, int]]:
        """Number, number of the return, what was open before and what was taken of it."""
        return [
            (n, r, int(before), int(taken))
            for n, r, before, taken in self.rows(
                "SELECT number, returned_number, open_before, fixed_taken"
                " FROM orion_billing.fee_assessment WHERE invoice_id = %s ORDER BY number",
                invoice_id,
            )
        ]

    def volume(self, merchant: bytes = MERCHANT) -> dict[tuple[str, str], int]:
        found = self.rows(
            "SELECT day, currency, units FROM orion_billing.fee_volume"
            " WHERE merchant_id = %s AND units <> 0",
            merchant,
        )
        return {(str(day), currency): int(units) for day, currency, units in found}

    def unvalued(self, merchant: bytes = MERCHANT) -> dict[tuple[str, str], int]:
        """How many payments of a day have no known value, where there are such."""
        found = self.rows(
            "SELECT day, currency, unvalued FROM orion_billing.fee_volume"
            " WHERE merchant_id = %s AND unvalued <> 0",
            merchant,
        )
        return {(str(day), currency): int(count) for day, currency, count in found}


def _owner(side: Mapping[str, str]) -> str:
    return {MINE: "mine", THEIRS: "theirs"}.get(side["owner"], side["owner"])


def fees_scene_of(mysql_admin: Any, plain: BillingScene) -> FeesScene:
    """The scene of fees over the same database."""
    return FeesScene(plain.config, mysql_admin)
