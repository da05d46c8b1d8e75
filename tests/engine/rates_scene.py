"""A merchant without rates of its own, tickers in the database, and a cache that tests may lose."""

import socket
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from orion.adapters.memcached.cache import Cache, Server
from orion.adapters.mysql.billing import MySqlBillingStore
from orion.adapters.mysql.billing_rates import MySqlRateStore
from orion.billing.quote import Rate
from orion.billing.rates.desk import RateDesk
from orion.billing.rates.keeping import TickerKeeping
from orion.billing.rates.model import Ticker
from orion.billing.rates.source import RateSource
from orion.billing.service import Billing, Surroundings
from orion.records import parse_json
from tests.engine.billing_scene import LANES, NETWORKS, STRANGER, TRACE, BillingScene, asked, keyed

PROVIDERS = ("binance", "coinbase", "kraken")


def dead_server() -> Server:
    """An address at which nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return "127.0.0.1", listener.getsockname()[1]


@dataclass
class RatesScene:
    """`scene` is billing's; `cache` begins with nothing under its own prefix."""

    scene: BillingScene
    cache: Cache
    failures: list[str] = field(default_factory=list)

    def ticker(self, provider: str, market: str, price: str, age_s: int = 0) -> Ticker:
        rate = Rate.parse(price)
        return Ticker(provider, market, rate, rate, self.scene.now - timedelta(seconds=age_s))

    def tickers(self, market: str, *prices: str, age_s: int = 0) -> list[Ticker]:
        """One of each of as many providers, in the order of their names."""
        rows = zip(PROVIDERS, prices, strict=False)
        return [self.ticker(name, market, price, age_s) for name, price in rows]

    def keep(self, *tickers: Ticker) -> None:
        store = MySqlRateStore(self.scene.database())
        TickerKeeping(store, self.cache, lambda: self.scene.now).keep(tickers)

    def store(self, *tickers: Ticker) -> None:
        """In the database alone."""
        MySqlRateStore(self.scene.database()).transact(
            lambda tx: tx.put_tickers(tickers, self.scene.now)
        )

    def source(self) -> RateSource:
        return RateSource(self.cache)

    def desk(self) -> RateDesk:
        store = MySqlBillingStore(self.scene.database())
        return RateDesk(store, self.source(), NETWORKS, lambda: self.scene.now)

    def billing(self) -> Billing:
        return Billing(
            MySqlBillingStore(self.scene.database()),
            Surroundings(LANES, NETWORKS, self.source()),
            lambda: self.scene.now,
        )

    def invoice(self, *assets: str, key: str = "k1", merchant: bytes = STRANGER) -> dict[str, Any]:
        """A new invoice of 25.00 EUR as its merchant sees it."""
        answer = self.billing().create_invoice(
            keyed(key, merchant=merchant),
            asked("25.00", *assets),
            lane="standard",
            trace_id=TRACE,
        )
        return parse_json(answer.body)

    def option(self, *assets: str, key: str = "k1", merchant: bytes = STRANGER) -> dict[str, Any]:
        """Its first payment option."""
        found: dict[str, Any] = self.invoice(*assets, key=key, merchant=merchant)[
            "payment_options"
        ][0]
        return found

    def shown(self, asset: str, currency: str = "EUR") -> Mapping[str, Any]:
        """What GET /v1/rates says of one asset."""
        found: Any = self.desk().show(STRANGER, "standard", currency, [asset])["data"]
        return dict(found[0])
