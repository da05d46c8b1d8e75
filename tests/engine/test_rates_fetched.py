"""Exchanges asked over HTTP: the real client, the ticker server, and what may be wrong with it."""

import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from infra.local.ticker import Ticker as TickerServer
from orion.adapters.rates import http
from orion.adapters.rates.http import ProviderHttp
from orion.billing.rates.markets import MARKETS, listings
from orion.billing.rates.model import Price, Ticker, TickerRefusal, judge
from orion.billing.rates.providers import PROVIDERS
from orion.billing.rates.round import Report, ask
from orion.billing.rates.snapshot import by_market

pytestmark = pytest.mark.engine

Round = Callable[[str], Report]


@pytest.fixture
def server(ticker_server: TickerServer) -> Iterator[TickerServer]:
    ticker_server.clear()
    yield ticker_server
    ticker_server.clear()


@pytest.fixture
def round_of(server: TickerServer) -> Round:
    trust = ssl.create_default_context()

    def one(name: str) -> Report:
        client = ProviderHttp(server.base_urls[name], trust)
        return ask(PROVIDERS[name], listings(name), client.get, datetime.now(UTC))

    return one


def everything(round_of: Round) -> list[Ticker]:
    return [ticker for name in PROVIDERS for ticker in round_of(name).tickers]


def test_every_listing_is_answered_and_every_market_has_a_price(round_of: Round) -> None:
    for name in PROVIDERS:
        report = round_of(name)
        assert report.refused == {}
        assert {ticker.market for ticker in report.tickers} == {
            listing.market for listing in listings(name)
        }
    known = by_market(everything(round_of))
    now = datetime.now(UTC)
    for market, names in MARKETS.items():
        price = judge(known[market], now)
        assert isinstance(price, Price), market
        assert price.providers == tuple(sorted(names))


def test_what_one_provider_quotes_the_other_way_round_agrees_with_the_others(
    round_of: Round,
) -> None:
    rows = {t.provider: t.price_units for t in by_market(everything(round_of))["USDT/EUR"]}
    assert set(rows) == {"binance", "kraken", "coinbase"}
    assert max(rows.values()) - min(rows.values()) < min(rows.values()) // 1000
    # A dollar is 0.862 EUR at the server's prices.
    assert 861 * 10**9 < rows["binance"] < 863 * 10**9


@pytest.mark.parametrize(
    "fault,reason",
    [
        ("error", TickerRefusal.STATUS),
        ("limited", TickerRefusal.RATE_LIMITED),
        ("redirect", TickerRefusal.REDIRECTED),
        ("large", TickerRefusal.TOO_LARGE),
        ("garbage", TickerRefusal.MALFORMED),
        ("reset", TickerRefusal.UNREACHABLE),
        ("undated", TickerRefusal.NO_TIME),
        ("ahead", TickerRefusal.FROM_FUTURE),
        ("empty", TickerRefusal.EMPTY_BOOK),
        ("missing", TickerRefusal.UNKNOWN_PAIR),
    ],
)
def test_a_fault_refuses_every_market_of_its_provider_and_of_no_other(
    server: TickerServer, round_of: Round, fault: str, reason: TickerRefusal
) -> None:
    for name in PROVIDERS:
        server.clear()
        server.fault(name, fault)
        report = round_of(name)
        assert report.tickers == ()
        assert set(report.refused.values()) == {reason}
        other = next(one for one in PROVIDERS if one != name)
        assert round_of(other).refused == {}


def test_a_redirect_is_not_followed(server: TickerServer, round_of: Round) -> None:
    server.fault("kraken", "redirect")
    round_of("kraken")
    assert [path for path in server.asked() if "elsewhere" in path] == []


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_a_provider_that_never_ends_costs_a_round_and_no_more(
    server: TickerServer, round_of: Round, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "QUESTION_TIMEOUT_S", 0.3)
    monkeypatch.setattr(http, "ROUND_TIMEOUT_S", 0.8)
    server.fault("coinbase", fault)
    report = round_of("coinbase")
    assert report.tickers == ()
    assert set(report.refused.values()) == {TickerRefusal.TIMED_OUT}
    # After the round's end nobody is asked any more: three questions fit into it.
    assert len(server.asked()) <= 4


def test_a_provider_that_is_not_there_is_unreachable(server: TickerServer) -> None:
    client = ProviderHttp("http://127.0.0.1:9/kraken", ssl.create_default_context())
    report = ask(PROVIDERS["kraken"], listings("kraken"), client.get, datetime.now(UTC))
    assert set(report.refused.values()) == {TickerRefusal.UNREACHABLE}


def test_an_exchange_in_the_clear_where_tls_is_due_is_unreachable(server: TickerServer) -> None:
    url = server.base_urls["kraken"].replace("http:", "https:")
    client = ProviderHttp(url, ssl.create_default_context())
    assert client.get("/0/public/Ticker?pair=XBTEUR") is TickerRefusal.UNREACHABLE


@pytest.mark.parametrize(
    "provider,symbol,market",
    [("binance", "ETHBTC", "ETH/BTC"), ("kraken", "XBTEUR", "BTC/EUR")],
)
def test_one_pair_that_ended_takes_no_other_with_it(
    server: TickerServer, round_of: Round, provider: str, symbol: str, market: str
) -> None:
    server.fault(provider, "missing", symbol)
    report = round_of(provider)
    assert report.refused == {market: TickerRefusal.UNKNOWN_PAIR}
    assert len(report.tickers) == len(listings(provider)) - 1


def test_a_product_that_nobody_trades_is_halted(server: TickerServer, round_of: Round) -> None:
    server.fault("coinbase", "halted")
    assert set(round_of("coinbase").refused.values()) == {TickerRefusal.HALTED}


def test_an_answer_out_of_an_old_cache_is_as_old_as_it_says(
    server: TickerServer, round_of: Round
) -> None:
    server.fault("binance", "stale")
    ages = {datetime.now(UTC) - ticker.observed_at for ticker in round_of("binance").tickers}
    assert min(ages).total_seconds() >= 599
    price = judge(by_market(everything(round_of))["BTC/EUR"], datetime.now(UTC))
    assert isinstance(price, Price)
    assert price.providers == ("coinbase", "kraken")


def test_one_liar_is_outvoted(server: TickerServer, round_of: Round) -> None:
    server.fault("kraken", "outlier")
    price = judge(by_market(everything(round_of))["BTC/EUR"], datetime.now(UTC))
    assert isinstance(price, Price)
    assert price.providers == ("binance", "coinbase")
    # 69,600 dollars at 1.16: 60,000 EUR.
    assert 59_900 * 10**12 < price.rate.units < 60_100 * 10**12
