"""What a merchant chose has no say in what he pays: the rate of the house, locked with the invoice,
on a real database. Numbers of docs/fees.md.
"""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from infra.local.memcached import Memcached
from orion.adapters.memcached.cache import Cache
from orion.adapters.mysql.billing import MySqlBillingStore
from orion.adapters.mysql.billing_rates import MySqlRateStore
from orion.billing.fees.errors import HouseRatesUnreadable
from orion.billing.rates.keeping import TickerKeeping
from orion.billing.rates.source import RateSource
from orion.billing.service import Billing, Surroundings
from orion.errors import OrionError
from orion.ids import parse_public_id
from tests.engine.billing_scene import LANES, MERCHANT, NETWORKS, TRACE, asked, keyed, scene_of
from tests.engine.fees_scene import MINE, STANDARD, FeesScene, fees_scene_of

pytestmark = pytest.mark.engine

PERCENT = {**STANDARD, "fixed": {}}
FEE, SHARE = ("fee", "mine", "system:bitcoin", 582), (
    "referral_share", "system:bitcoin", "theirs", 116,
)  # fmt: skip


@pytest.fixture
def scene(mysql_admin: Any) -> Iterator[FeesScene]:
    found = fees_scene_of(mysql_admin, scene_of(mysql_admin))
    found.prepare(wallets=6)
    found.assign()
    found.refer()
    yield found
    found.close()


def own_rate(scene: FeesScene, rate: str, currency: str = "EUR") -> None:
    scene.rates().put_rate(MERCHANT, "BTC.bitcoin", currency, rate, trace_id=TRACE)


def made(scene: FeesScene, amount: str = "25.00", *assets: str) -> tuple[bytes, dict[str, Any]]:
    view = json.loads(scene.create("k1", *assets, amount=amount).body)
    return parse_public_id("inv", view["id"]), view["payment_options"][0]


def paid(scene: FeesScene, invoice_id: bytes, units: int, name: str = "d1", **more: Any) -> None:
    progress = scene.progress()
    progress.apply_deposits([scene.final_event(invoice_id, name, units=str(units), **more)])
    coin = {"asset": more["asset"]} if "asset" in more else {}
    progress.apply_posted([scene.final_posted(name, units=units, **coin)])


def house_of(scene: FeesScene, invoice_id: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        scene.one(
            "SELECT house_rates FROM orion_billing.invoice_fee WHERE invoice_id = %s", invoice_id
        )
    )
    return found


@pytest.mark.parametrize("rate, amount", [("600000000.00", "250000.00"), ("24.00", "0.01")])
def test_a_rate_of_his_own_far_from_the_market_saves_no_fee_and_makes_up_no_volume(
    scene: FeesScene, rate: str, amount: str
) -> None:
    own_rate(scene, rate)
    invoice_id, option = made(scene, amount)
    assert (option["amount"], option["rate"]) == ("0.00041667", rate)
    paid(scene, invoice_id, 41_667)
    assert scene.sent() == [FEE, SHARE]
    assert scene.volume() == {("2026-01-02", "EUR"): 2_500}
    assert house_of(scene, invoice_id) == {
        "BTC.bitcoin": {
            "units": str(60_000 * 10**12),
            "providers": ["binance", "kraken"],
            "path": ["BTC/EUR"],
            "observed_at": "2026-01-02T03:04:05.000Z",
        }
    }


def test_a_spread_changes_what_is_asked_and_not_what_the_fixed_part_is(scene: FeesScene) -> None:
    scene.rates().put_choice(MERCHANT, ["market"], 200, trace_id=TRACE)
    invoice_id, option = made(scene)
    assert (option["amount"], option["rate"]) == ("0.00042518", "58800.00")
    paid(scene, invoice_id, 42_518)
    assert scene.sent()[0] == ("fee", "mine", "system:bitcoin", 425 + 166)
    assert scene.volume() == {("2026-01-02", "EUR"): 2_551}


def test_what_was_locked_holds_after_expiry_whatever_the_market_and_the_merchant_say_then(
    scene: FeesScene,
) -> None:
    invoice_id, _ = made(scene)
    scene.now += timedelta(days=40)
    scene.market("BTC/EUR", "1000.00")
    own_rate(scene, "0.01")
    paid(scene, invoice_id, 41_667)
    assert scene.sent() == [FEE, SHARE]
    assert scene.volume() == {("2026-02-11", "EUR"): 2_500}


def test_a_coin_that_was_not_offered_is_no_way_around_the_fixed_part(scene: FeesScene) -> None:
    scene.market("ETH/EUR", "2500.00")
    invoice_id, _ = made(scene)
    paid(scene, invoice_id, 10**16, asset="ETH.ethereum", chain="ethereum")
    # 1% of 0.01 ETH and 0.10 EUR at 2500.00 EUR/ETH.
    assert scene.sent()[0] == ("fee", "mine", "system:ethereum", 10**14 + 4 * 10**13)
    assert scene.volume() == {("2026-01-02", "EUR"): 2_500}
    assert scene.unvalued() == {}
    paid(scene, invoice_id, 41_667, "d2")
    assert [row[3] for row in scene.numbers(invoice_id)] == [10, 0]


@pytest.mark.parametrize(
    "market, code",
    [("none", "rate_unavailable"), ("stale", "rate_stale"), ("disputed", "rate_disputed")],
)
def test_a_fixed_part_without_a_rate_of_the_house_refuses_the_invoice_and_writes_nothing(
    scene: FeesScene, market: str, code: str
) -> None:
    scene.no_market()
    if market == "stale":
        scene.market("BTC/EUR", "60000.00", age_s=301)
    elif market == "disputed":
        scene.market("BTC/EUR", "60000.00")
        scene.rows(
            "UPDATE orion_billing.rate_ticker SET bid_units = 1, ask_units = 1"
            " WHERE provider = 'kraken'"
        )
    with pytest.raises(OrionError) as refused:
        scene.create("k1")
    assert (refused.value.code, refused.value.fields["needed_for"]) == (code, "fee")
    for table in ("invoice", "invoice_fee", "idempotency"):
        assert scene.rows(f"SELECT 1 FROM orion_billing.{table}") == []
    shown: Any = scene.rates().show(MERCHANT, "standard", "EUR", ["BTC.bitcoin"])["data"]
    assert (shown[0]["rate"], shown[0]["house_rate"], shown[0]["code"]) == (None, None, code)
    # On a lane, or under a plan, without a fixed part the merchant's own rate is enough.
    scene.assign(plan=PERCENT)
    shown = scene.rates().show(MERCHANT, "standard", "EUR", ["BTC.bitcoin"])["data"]
    assert (shown[0]["rate"], shown[0]["house_rate"], shown[0]["code"]) == ("60000.00", None, None)
    made(scene)


def test_each_asset_that_is_offered_needs_a_rate_of_the_house(scene: FeesScene) -> None:
    with pytest.raises(OrionError) as refused:
        made(scene, "25.00", "BTC.bitcoin", "ETH.ethereum")
    assert refused.value.fields["asset"] == "ETH.ethereum"
    assert refused.value.code == "rate_unavailable"
    made(scene, "25.00", "BTC.bitcoin")


def test_a_payment_of_unknown_value_costs_its_percent_counts_nothing_and_is_named(
    scene: FeesScene,
) -> None:
    scene.assign(plan=PERCENT)
    scene.no_market()
    invoice_id, _ = made(scene)
    paid(scene, invoice_id, 41_667)
    assert scene.sent()[0] == ("fee", "mine", "system:bitcoin", 416)
    stored = "SELECT rate_units, value_units, fixed_taken FROM orion_billing.fee_assessment"
    assert scene.rows(stored) == [(None, None, 0)]
    assert scene.volume() == {}
    paid(scene, invoice_id, 41_667, "d2")
    assert scene.unvalued() == {("2026-01-02", "EUR"): 2}
    scene.now += timedelta(days=1)
    scene.progress().apply_posted([scene.reversal_posted()])
    assert scene.sent()[4] == ("fee_returned", "system:bitcoin", "mine", 416)
    assert scene.unvalued() == {("2026-01-02", "EUR"): 2, ("2026-01-03", "EUR"): -1}


def test_a_currency_that_no_market_reaches_has_a_percent_and_no_known_value(
    scene: FeesScene,
) -> None:
    own_rate(scene, "470000.00", "CNY")
    body = asked("200.00", "BTC.bitcoin")
    answer = scene.billing().create_invoice(
        keyed("k1"), body.__class__("200.00", "CNY", ("BTC.bitcoin",)), lane="standard",
        trace_id=TRACE,
    )  # fmt: skip
    view = json.loads(answer.body)
    assert view["payment_options"][0]["amount"] == "0.00042554"
    invoice_id = parse_public_id("inv", view["id"])
    assert house_of(scene, invoice_id) == {}
    paid(scene, invoice_id, 42_554)
    assert scene.sent()[0] == ("fee", "mine", "system:bitcoin", 425)
    assert scene.unvalued() == {("2026-01-02", "CNY"): 1}


def test_the_rate_of_the_house_costs_no_statement_while_memcached_knows_the_market(
    scene: FeesScene, memcached_server: Memcached
) -> None:
    server = (memcached_server.host, memcached_server.port)
    cache = Cache([server], f"f{time.time_ns()}:", list[str]().append)
    TickerKeeping(MySqlRateStore(scene.database()), cache, lambda: scene.now).keep([])
    scene.no_market()
    asked_for = statements(scene, RateSource(cache), "k1")
    assert not [sql for sql in asked_for if "rate_ticker" in sql]
    (invoice_id,) = scene.rows("SELECT invoice_id FROM orion_billing.invoice_fee")[0]
    assert list(house_of(scene, invoice_id)) == ["BTC.bitcoin"]
    # What memcached forgot, the database knows.
    scene.market("BTC/EUR", "60000.00")
    forgot = Cache([server], f"g{time.time_ns()}:", list[str]().append)
    assert len(statements(scene, RateSource(forgot), "k2")) == len(asked_for) + 1
    assert len(statements(scene, RateSource(forgot), "k3")) == len(asked_for)


def test_an_invoice_that_agrees_on_no_fee_asks_for_no_rate_of_the_house(scene: FeesScene) -> None:
    scene.assign(plan=None)
    scene.no_market()
    found = statements(scene, RateSource(), "k1")
    assert not [sql for sql in found if "rate_ticker" in sql]
    assert scene.rows("SELECT 1 FROM orion_billing.invoice_fee") == []


def statements(scene: FeesScene, rates: RateSource, key: str) -> list[str]:
    """What the database was asked for one new invoice, as its own log tells it."""
    database = scene.database()
    billing = Billing(
        MySqlBillingStore(database), Surroundings(LANES, NETWORKS, rates), lambda: scene.now
    )
    scene.rows("SET GLOBAL log_output = 'TABLE'")
    scene.rows("TRUNCATE mysql.general_log")
    scene.rows("SET GLOBAL general_log = 1")
    try:
        billing.create_invoice(keyed(key), asked(), lane="standard", trace_id=TRACE)
    finally:
        scene.rows("SET GLOBAL general_log = 0")
    found = scene.rows(
        "SELECT argument FROM mysql.general_log WHERE command_type = 'Query'"
        " AND user_host LIKE %s ORDER BY event_time",
        "billing%",
    )
    return [str(argument) for (argument,) in found]


def test_rates_that_somebody_changed_stop_the_fee_and_are_guessed_by_nobody(
    scene: FeesScene,
) -> None:
    invoice_id, _ = made(scene)
    scene.rows("UPDATE orion_billing.invoice_fee SET house_rates = '{}x'")
    progress = scene.progress()
    progress.apply_deposits([scene.final_event(invoice_id)])
    posted = [scene.final_posted()]
    with pytest.raises(HouseRatesUnreadable):
        progress.apply_posted(posted)
    assert scene.sent() == []
    assert scene.rows("SELECT subject FROM orion_billing.invoice_fee") == [(MINE,)]
