"""The functions of rates as Lambda runs them: a round asked outside the network, sent by SQS, kept
inside in MySQL and memcached.
"""

import importlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest

from infra.local.memcached import Memcached
from infra.local.ticker import Ticker as TickerServer
from orion.billing.rates import snapshot
from orion.billing.rates.markets import MARKETS, listings
from orion.billing.rates.providers import PROVIDERS
from orion.errors import Unavailable
from orion.records import parse_json
from orion.runtime import cache, rates, settings, wakeup
from tests.engine.billing_scene import BillingScene, scene_of

pytestmark = pytest.mark.engine

STAGE = "rates"
CACHED = (
    settings.settings,
    settings._secret,
    wakeup.sqs,
    wakeup.queue_url,
    cache.cache,
    rates.keeping,
    rates.source,
)


def forget() -> None:
    for cached in CACHED:
        cached.cache_clear()


def put_parameter(name: str, value: str) -> None:
    boto3.client("ssm").put_parameter(
        Name=f"/orion/{STAGE}/{name}", Value=value, Type="String", Overwrite=True
    )


@pytest.fixture
def scene(
    mysql_admin: Any,
    memcached_server: Memcached,
    ticker_server: TickerServer,
    aws_engine: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[BillingScene]:
    found = scene_of(mysql_admin)
    found.rows("DELETE FROM orion_billing.rate_ticker")
    ticker_server.clear()
    environment = {**aws_engine.environment(), "ORION_STAGE": STAGE, "ORION_MODULE": "billing"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    put_parameter("rates/providers", json.dumps(dict(ticker_server.base_urls)))
    put_parameter("memcached/servers", memcached_server.servers)
    for name, value in (
        ("host", mysql_admin.host),
        ("port", str(mysql_admin.port)),
        ("ca-pem", mysql_admin.ca_pem),
    ):
        put_parameter(f"mysql/writer-{name}", value)
    secrets = boto3.client("secretsmanager")
    login = json.dumps({"username": found.config.user, "password": found.config.password})
    name = f"orion/{STAGE}/mysql/billing"
    if any(row["Name"] == name for row in secrets.list_secrets()["SecretList"]):
        secrets.put_secret_value(SecretId=name, SecretString=login)
    else:
        secrets.create_secret(Name=name, SecretString=login)
    sqs = boto3.client("sqs")
    sqs.purge_queue(QueueUrl=sqs.create_queue(QueueName=f"orion-{STAGE}-rate-results")["QueueUrl"])
    forget()
    cache.cache().delete(snapshot.KEY)
    yield found
    forget()
    found.close()


def run(file: str, event: Mapping[str, object]) -> Any:
    return importlib.import_module(f"functions.billing.{file}").handler(event, None)


def messages() -> list[str]:
    """All that waits, taken off the queue."""
    sqs, found = boto3.client("sqs"), list[str]()
    url = wakeup.queue_url("rate-results")
    while True:
        rows = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        if not rows:
            return found
        for row in rows:
            found.append(row["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=row["ReceiptHandle"])


def sqs_event(*bodies: str) -> dict[str, object]:
    return {"Records": [{"messageId": f"m{n}", "body": body} for n, body in enumerate(bodies)]}


def stored(scene: BillingScene) -> set[tuple[str, str]]:
    return set(scene.rows("SELECT market, provider FROM orion_billing.rate_ticker"))


def test_a_round_of_all_exchanges_reaches_the_database_and_the_cache(scene: BillingScene) -> None:
    listed = sum(len(listings(name)) for name in PROVIDERS)
    assert run("rates_fetch", {}) == {"providers": 3, "tickers": listed, "refused": 0}
    sent = messages()
    assert {parse_json(body.encode())["provider"] for body in sent} == set(PROVIDERS)
    assert run("rate_results", sqs_event(*sent)) == {"batchItemFailures": []}
    wanted = {(market, name) for market, names in MARKETS.items() for name in names}
    assert stored(scene) == wanted
    known = snapshot.read(cache.cache().get(snapshot.KEY), MARKETS)
    assert known is not None
    assert {(t.market, t.provider) for rows in known.values() for t in rows} == wanted


def test_an_exchange_that_fails_takes_no_other_with_it(
    scene: BillingScene, ticker_server: TickerServer
) -> None:
    ticker_server.fault("kraken", "error")
    done = run("rates_fetch", {})
    assert done["providers"] == 3
    assert done["refused"] == len(listings("kraken"))
    assert run("rate_results", sqs_event(*messages())) == {"batchItemFailures": []}
    assert {provider for _, provider in stored(scene)} == {"binance", "coinbase"}


def test_only_a_message_that_is_wrong_is_repeated(scene: BillingScene) -> None:
    run("rates_fetch", {})
    first, *_ = messages()
    wrong = json.dumps({**json.loads(first), "provider": "mtgox"})
    answer = run("rate_results", sqs_event("{", first, wrong))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m2"}]}
    assert {provider for _, provider in stored(scene)} == {json.loads(first)["provider"]}


def test_without_a_database_every_message_is_repeated_and_none_is_lost(
    scene: BillingScene,
) -> None:
    run("rates_fetch", {})
    sent = messages()
    put_parameter("mysql/writer-port", "9")
    forget()
    answer = run("rate_results", sqs_event(*sent))
    assert [row["itemIdentifier"] for row in answer["batchItemFailures"]] == ["m0", "m1", "m2"]
    put_parameter("mysql/writer-port", str(scene.config.port))
    forget()
    assert run("rate_results", sqs_event(*sent)) == {"batchItemFailures": []}
    assert {provider for _, provider in stored(scene)} == set(PROVIDERS)


def test_without_the_cache_the_database_keeps_all(scene: BillingScene) -> None:
    run("rates_fetch", {})
    put_parameter("memcached/servers", "127.0.0.1:9")
    forget()
    assert run("rate_results", sqs_event(*messages())) == {"batchItemFailures": []}
    assert {provider for _, provider in stored(scene)} == set(PROVIDERS)
    assert cache.cache().failures == 1


def test_an_exchange_that_is_not_named_is_not_asked(
    scene: BillingScene, ticker_server: TickerServer
) -> None:
    put_parameter("rates/providers", json.dumps({"kraken": ticker_server.base_urls["kraken"]}))
    forget()
    assert run("rates_fetch", {})["providers"] == 1
    assert all(path.startswith("/kraken/") for path in ticker_server.asked())


@pytest.mark.parametrize("value", ["{", "[]", '{"mtgox": "https://mtgox.com"}', '{"kraken": 7}'])
def test_a_parameter_that_names_no_exchange_of_ours_asks_nobody(
    scene: BillingScene, ticker_server: TickerServer, value: str
) -> None:
    put_parameter("rates/providers", value)
    forget()
    with pytest.raises(settings.MissingSetting):
        run("rates_fetch", {})
    assert ticker_server.asked() == []


def test_a_round_that_could_not_be_sent_at_all_fails_aloud(scene: BillingScene) -> None:
    url = wakeup.queue_url("rate-results")
    boto3.client("sqs").delete_queue(QueueUrl=url)
    with pytest.raises(Unavailable):
        run("rates_fetch", {})
