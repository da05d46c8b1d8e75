"""An invoice's rate: of the market or the merchant's own, locked with its reasons, never guessed;
with memcached, without it, and with nonsense in it. Numbers of docs/rates.md.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.memcached import Memcached
from orion.adapters.memcached.cache import Cache
from orion.billing.quote import Rate
from orion.billing.rates import snapshot
from orion.billing.rates.errors import RateSettingRefused
from orion.errors import OrionError
from tests.engine.billing_scene import MERCHANT, STRANGER, TRACE, scene_of
from tests.engine.rates_scene import RatesScene, dead_server

pytestmark = pytest.mark.engine

BTC = ("60010.00", "60020.00", "60000.00")


@pytest.fixture
def scene(mysql_admin: Any, memcached_server: Memcached) -> Iterator[RatesScene]:
    billing = scene_of(mysql_admin)
    billing.prepare(wallets=5)
    failures: list[str] = []
    server = (memcached_server.host, memcached_server.port)
    made = RatesScene(billing, Cache([server], f"r{time.time_ns()}:", failures.append), failures)
    yield made
    billing.close()


def counted(scene: RatesScene) -> list[int]:
    tables = ("invoice", "payment_option", "outbox", "idempotency")
    return [scene.scene.one(f"SELECT COUNT(*) FROM orion_billing.{name}") for name in tables]


def test_an_invoice_without_any_fixed_rate_locks_the_markets(scene: RatesScene) -> None:
    scene.keep(*scene.tickers("BTC/EUR", *BTC))
    option = scene.option("BTC.bitcoin")
    assert option["rate"] == "60010.00"
    assert option["amount"] == "0.00041660"
    assert option["rate_lock"] == {
        "source": "market",
        "providers": ["binance", "coinbase", "kraken"],
        "path": ["BTC/EUR"],
        "spread_bps": 0,
        "observed_at": "2026-01-02T03:04:05.000Z",
    }
    assert scene.failures == []


def test_the_lock_never_changes_and_is_what_the_database_keeps(scene: RatesScene) -> None:
    scene.keep(*scene.tickers("BTC/EUR", *BTC, age_s=20))
    made = scene.invoice("BTC.bitcoin")
    scene.keep(*scene.tickers("BTC/EUR", "70000.00", "70000.00", "70000.00"))
    (invoice_id,) = scene.scene.rows("SELECT invoice_id FROM orion_billing.invoice")[0]
    shown = scene.billing().invoice(STRANGER, invoice_id)
    assert shown["payment_options"] == made["payment_options"]
    assert scene.option("BTC.bitcoin", key="k2")["rate"] == "70000.00"


def test_an_option_from_before_the_lock_says_that_nothing_is_known(scene: RatesScene) -> None:
    scene.keep(*scene.tickers("BTC/EUR", *BTC))
    scene.invoice("BTC.bitcoin")
    scene.scene.rows(
        "UPDATE orion_billing.payment_option SET rate_source = NULL, rate_providers = NULL,"
        " rate_path = NULL, rate_spread_bps = NULL, rate_observed_at = NULL"
    )
    (invoice_id,) = scene.scene.rows("SELECT invoice_id FROM orion_billing.invoice")[0]
    shown: Any = scene.billing().invoice(STRANGER, invoice_id)
    assert shown["payment_options"][0]["rate_lock"] is None
    assert shown["payment_options"][0]["rate"] == "60010.00"


def test_a_fixed_rate_comes_first_where_nothing_was_chosen(scene: RatesScene) -> None:
    scene.keep(*scene.tickers("BTC/EUR", "50000.00", "50000.00"))
    option = scene.option("BTC.bitcoin", merchant=MERCHANT)
    assert option["rate"] == "60000.00"
    assert option["rate_lock"] == {
        "source": "fixed",
        "providers": [],
        "path": [],
        "spread_bps": 0,
        "observed_at": "2026-01-02T03:04:05.000Z",
    }


def test_a_merchants_order_decides_and_what_it_does_not_name_is_not_asked(
    scene: RatesScene,
) -> None:
    scene.keep(*scene.tickers("BTC/EUR", *BTC))
    desk = scene.desk()
    desk.put_rate(STRANGER, "BTC.bitcoin", "EUR", "1.00", trace_id=TRACE)
    assert scene.option("BTC.bitcoin")["rate"] == "1.00"
    desk.put_choice(STRANGER, ["market", "fixed"], 0, trace_id=TRACE)
    assert scene.option("BTC.bitcoin", key="k2")["rate"] == "60010.00"
    # Behind a market that is stale, the merchant's own rate is what the merchant asked for.
    scene.keep(*scene.tickers("ETH/EUR", "2500.00", "2500.00", age_s=301))
    desk.put_rate(STRANGER, "ETH.ethereum", "EUR", "2.00", trace_id=TRACE)
    assert scene.option("ETH.ethereum", key="k3")["rate"] == "2.00"
    desk.put_choice(STRANGER, ["market"], 0, trace_id=TRACE)
    with pytest.raises(OrionError) as refused:
        scene.option("ETH.ethereum", key="k4")
    assert refused.value.code == "rate_stale"
    desk.put_choice(STRANGER, ["fixed"], 0, trace_id=TRACE)
    desk.delete_rate(STRANGER, "BTC.bitcoin", "EUR", trace_id=TRACE)
    with pytest.raises(OrionError) as refused:
        scene.option("BTC.bitcoin", key="k5")
    assert refused.value.code == "rate_unavailable"


def test_the_spread_is_the_merchants(scene: RatesScene) -> None:
    scene.keep(*scene.tickers("BTC/EUR", "60000.00", "60000.00"))
    scene.desk().put_choice(STRANGER, ["market"], 50, trace_id=TRACE)
    option = scene.option("BTC.bitcoin")
    shown = scene.shown("BTC.bitcoin")
    assert (shown["rate"], shown["house_rate"]) == ("59700.00", "60000.00")
    assert option["rate"] == "59700.00"
    assert option["amount"] == "0.00041877"
    assert option["rate_lock"]["spread_bps"] == 50


def test_a_cross_rate_names_its_path(scene: RatesScene) -> None:
    scene.keep(
        *scene.tickers("BTC/USDT", "69612.34", "69612.34"),
        *scene.tickers("BTC/JPY", "10400000", "10400000", age_s=9),
    )
    found = scene.shown("USDT.ethereum", "JPY")
    assert found["rate"] == "149.39879912096"
    assert found["rate_lock"]["path"] == ["BTC/USDT", "BTC/JPY"]
    assert found["rate_lock"]["observed_at"] == "2026-01-02T03:03:56.000Z"


@pytest.mark.parametrize(
    "prices,age_s,code,reason",
    [
        ((), 0, "rate_unavailable", "too_few_sources"),
        (("60000.00",), 0, "rate_unavailable", "too_few_sources"),
        (("60000.00", "60000.00", "60000.00"), 301, "rate_stale", "stale"),
        (("60000.00", "61000.00", "62000.00"), 0, "rate_disputed", "disputed"),
        (("60000.00", "1.00"), 0, "rate_disputed", "disputed"),
    ],
)
def test_a_missing_old_or_disputed_rate_refuses_the_invoice_and_writes_nothing(
    scene: RatesScene, prices: tuple[str, ...], age_s: int, code: str, reason: str
) -> None:
    scene.keep(*scene.tickers("BTC/EUR", *prices, age_s=age_s))
    before = counted(scene)
    with pytest.raises(OrionError) as refused:
        scene.invoice("BTC.bitcoin")
    assert refused.value.code == code
    assert counted(scene) == before
    assert scene.shown("BTC.bitcoin") == {
        "asset": "BTC.bitcoin",
        "currency": "EUR",
        "rate": None,
        "rate_lock": None,
        "house_rate": None,
        "code": code,
        "reason": reason,
    }


def test_one_asset_without_a_rate_refuses_the_whole_invoice(scene: RatesScene) -> None:
    scene.keep(*scene.tickers("BTC/EUR", *BTC))
    before = counted(scene)
    with pytest.raises(OrionError) as refused:
        scene.invoice("BTC.bitcoin", "ETH.ethereum")
    assert refused.value.code == "rate_unavailable"
    assert refused.value.fields["asset"] == "ETH.ethereum"
    assert counted(scene) == before


def test_an_older_or_repeated_ticker_changes_nothing(scene: RatesScene) -> None:
    scene.keep(scene.ticker("kraken", "BTC/EUR", "60000.00", age_s=10))
    for age_s in (10, 11, 300):
        scene.keep(scene.ticker("kraken", "BTC/EUR", "1.00", age_s=age_s))
    rows = scene.scene.rows("SELECT bid_units, ask_units FROM orion_billing.rate_ticker")
    assert rows == [(60000 * 10**12, 60000 * 10**12)]
    scene.keep(scene.ticker("kraken", "BTC/EUR", "61000.00", age_s=9))
    rows = scene.scene.rows("SELECT bid_units, ask_units FROM orion_billing.rate_ticker")
    assert rows == [(61000 * 10**12, 61000 * 10**12)]


def test_a_dead_cache_costs_no_invoice(scene: RatesScene) -> None:
    scene.cache = Cache([dead_server()], "dead:", scene.failures.append)
    scene.keep(*scene.tickers("BTC/EUR", *BTC))
    assert scene.option("BTC.bitcoin")["rate"] == "60010.00"
    assert scene.failures == ["unreachable"]


@pytest.mark.parametrize("nonsense", [b"", b"{}", b"[]", b'{"BTC/EUR":[["kraken","0","0",0]]}'])
def test_nonsense_in_the_cache_is_not_believed(scene: RatesScene, nonsense: bytes) -> None:
    scene.store(*scene.tickers("BTC/EUR", *BTC))
    assert scene.cache.put(snapshot.KEY, nonsense, 60)
    assert scene.option("BTC.bitcoin")["rate"] == "60010.00"
    # What was read is put right for those who come after.
    assert scene.cache.get(snapshot.KEY) == snapshot.write(scene.tickers("BTC/EUR", *BTC))


def test_an_old_snapshot_refuses_nobody_whom_the_database_serves(scene: RatesScene) -> None:
    scene.store(*scene.tickers("BTC/EUR", *BTC))
    old = scene.tickers("BTC/EUR", "50000.00", "50000.00", age_s=301)
    scene.cache.put(snapshot.KEY, snapshot.write(old), 60)
    assert scene.option("BTC.bitcoin")["rate"] == "60010.00"


def test_a_cached_rate_asks_the_database_for_no_ticker(scene: RatesScene) -> None:
    scene.keep(*scene.tickers("BTC/EUR", *BTC))
    scene.scene.rows("DELETE FROM orion_billing.rate_ticker")
    assert scene.option("BTC.bitcoin")["rate"] == "60010.00"


def test_settings_are_replaced_told_once_and_bounded(scene: RatesScene) -> None:
    desk = scene.desk()
    assert desk.choice(STRANGER) == {"sources": ["fixed", "market"], "spread_bps": 0}
    before = len(scene.scene.outbox("kafka:audit.events"))
    for _ in range(2):
        desk.put_choice(STRANGER, ["market"], 2_000, trace_id=TRACE)
    assert desk.choice(STRANGER) == {"sources": ["market"], "spread_bps": 2_000}
    assert desk.choice(MERCHANT) == {"sources": ["fixed", "market"], "spread_bps": 0}
    told = scene.scene.outbox("kafka:audit.events")[before:]
    assert [row["action"] for row in told] == ["rate_settings.set"]
    wrong: list[tuple[list[str], int]] = [
        ([], 0),
        (["market", "market"], 0),
        (["guess"], 0),
        (["market"], 2_001),
        (["market"], -1),
    ]
    for sources, spread_bps in wrong:
        with pytest.raises(RateSettingRefused):
            desk.put_choice(STRANGER, sources, spread_bps, trace_id=TRACE)


def test_a_rate_is_forgotten_once_and_told_once(scene: RatesScene) -> None:
    desk = scene.desk()
    before = len(scene.scene.outbox("kafka:audit.events"))
    for _ in range(2):
        desk.delete_rate(MERCHANT, "BTC.bitcoin", "EUR", trace_id=TRACE)
    told = scene.scene.outbox("kafka:audit.events")[before:]
    assert [(row["action"], row["subject"]) for row in told] == [
        ("rate.deleted", "BTC.bitcoin/EUR")
    ]
    left = scene.scene.rows("SELECT asset FROM orion_billing.rate ORDER BY asset")
    assert left == [("ETH.ethereum",), ("USDT.ethereum",)]


def test_all_that_can_be_paid_here_is_shown_where_no_asset_is_named(scene: RatesScene) -> None:
    scene.keep(*scene.tickers("BTC/EUR", *BTC))
    found: Any = scene.desk().show(MERCHANT, "standard", "EUR", None)["data"]
    assert [(row["asset"], row["rate"], row["house_rate"]) for row in found] == [
        ("BTC.bitcoin", "60000.00", "60010.00"),
        ("ETH.ethereum", "2500.00", None),
        ("USDT.ethereum", "0.93", None),
    ]
    assert Rate.parse(found[0]["rate"]).text() == "60000.00"
