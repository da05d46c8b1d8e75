"""The exchanges' public ticker formats, read exactly. The bodies are those of their documentation:
Binance "Symbol order book ticker" and errors -1121; Kraken "Get Ticker Information"; Coinbase
Exchange "Get product ticker".
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.adapters.rates.http import ProviderUrlRefused, _read, moment
from orion.billing.quote import Rate
from orion.billing.rates.markets import Listing, listings
from orion.billing.rates.model import TickerRefusal
from orion.billing.rates.providers import PROVIDERS
from orion.billing.rates.providers.answer import Answer, NotTheFormat, OneIsNotListed
from orion.billing.rates.providers.binance import Binance
from orion.billing.rates.providers.coinbase import Coinbase
from orion.billing.rates.providers.kraken import Kraken
from orion.billing.rates.round import QUESTIONS_MAX, Report, ask

NOW = AT = datetime(2020, 3, 20, 0, 23, 5, tzinfo=UTC)
BINANCE = """[
 {"symbol":"LTCBTC","bidPrice":"4.00000000","bidQty":"431.00000000",
  "askPrice":"4.00000200","askQty":"9.00000000"},
 {"symbol":"ETHBTC","bidPrice":"0.07946700","bidQty":"9.00000000",
  "askPrice":"100000.00000000","askQty":"1000.00000000"}]"""
KRAKEN = """{"error":[],"result":{"XXBTZUSD":{"a":["30300.10000","1","1.000"],
 "b":["30300.00000","1","1.000"],"c":["30303.20000","0.00067643"],
 "v":["4083.67001100","4412.73601799"],"p":["30706.77771","30689.13205"],"t":[34619,38907],
 "l":["29868.30000","29868.30000"],"h":["31631.00000","31631.00000"],"o":"30502.80000"}}}"""
COINBASE = """{"trade_id":86326522,"price":"6268.48","size":"0.00698254",
 "time":"2020-03-20T00:22:57.833Z","bid":"6265.15","ask":"6267.71","volume":"53602.03940154",
 "rfq_volume":"123.122","conversions_volume":"0.00"}"""


def answer(body: str | bytes, status: int = 200, at: datetime = AT) -> Answer:
    return Answer(status, body if isinstance(body, bytes) else body.encode(), at)


def sides(bid: str, ask_text: str) -> tuple[Rate, Rate]:
    return Rate.parse(bid), Rate.parse(ask_text)


def test_binance_is_asked_for_several_and_read_by_symbol() -> None:
    assert Binance().target(["LTCBTC", "ETHBTC"]) == (
        "/api/v3/ticker/bookTicker?symbols=%5B%22LTCBTC%22%2C%22ETHBTC%22%5D"
    )
    assert Binance().read(["LTCBTC", "ETHBTC", "TRXBTC"], answer(BINANCE)) == {
        "LTCBTC": sides("4.00", "4.000002"),
        "ETHBTC": sides("0.079467", "100000.00"),
        "TRXBTC": TickerRefusal.UNKNOWN_PAIR,
    }


def test_binance_refuses_all_for_one_unknown_symbol() -> None:
    refused = answer('{"code":-1121,"msg":"Invalid symbol."}', 400)
    with pytest.raises(OneIsNotListed):
        Binance().read(["A", "B"], refused)
    assert Binance().read(["A"], refused) == {"A": TickerRefusal.UNKNOWN_PAIR}
    other = answer('{"code":-1000,"msg":"An unknown error."}', 400)
    assert Binance().read(["A", "B"], other) == dict.fromkeys("AB", TickerRefusal.STATUS)


def test_a_symbol_that_binance_answers_twice_is_believed_neither_time() -> None:
    row = json.loads(BINANCE)[0]
    with pytest.raises(NotTheFormat):
        Binance().read(["LTCBTC"], answer(json.dumps([row, row])))


def test_a_pair_that_is_listed_the_other_way_round_becomes_the_market() -> None:
    rows = [Listing("USDT/EUR", "EURUSDT", turned=True)]
    row = {"symbol": "EURUSDT", "bidPrice": "1.1600", "askPrice": "1.1602"}
    report = ask(Binance(), rows, lambda _target: answer(json.dumps([row])), NOW)
    (found,) = report.tickers
    assert (found.bid.text(), found.ask.text()) == ("0.861920358558", "0.862068965517")


def test_kraken_is_asked_for_several_and_answers_by_its_old_names() -> None:
    assert Kraken().target(["XBT/USD", "SOL/EUR"]) == "/0/public/Ticker?pair=XBTUSD,SOLEUR"
    assert Kraken().read(["XBT/USD", "SOL/EUR"], answer(KRAKEN)) == {
        "XBT/USD": sides("30300.00", "30300.10"),
        "SOL/EUR": TickerRefusal.UNKNOWN_PAIR,
    }
    for name in ("XBTUSD", "XBTZUSD", "XXBTZUSD"):
        found = Kraken().read(["XBT/USD"], answer(KRAKEN.replace("XXBTZUSD", name)))
        assert found == {"XBT/USD": sides("30300.00", "30300.10")}


def test_a_pair_that_kraken_answers_twice_is_believed_neither_time() -> None:
    row = json.loads(KRAKEN)["result"]["XXBTZUSD"]
    body = json.dumps({"error": [], "result": {"XXBTZUSD": row, "XBTUSD": row}})
    with pytest.raises(NotTheFormat):
        Kraken().read(["XBT/USD"], answer(body))


@pytest.mark.parametrize(
    "error,reason",
    [
        ("EGeneral:Too many requests", TickerRefusal.RATE_LIMITED),
        ("EAPI:Rate limit exceeded", TickerRefusal.RATE_LIMITED),
        ("EService:Unavailable", TickerRefusal.STATUS),
        ("EQuery:Unknown asset pair", TickerRefusal.UNKNOWN_PAIR),
    ],
)
def test_krakens_errors_come_with_status_200(error: str, reason: TickerRefusal) -> None:
    refused = answer(json.dumps({"error": [error]}))
    assert Kraken().read(["XBT/USD"], refused) == {"XBT/USD": reason}
    if reason is TickerRefusal.UNKNOWN_PAIR:
        with pytest.raises(OneIsNotListed):
            Kraken().read(["XBT/USD", "XBT/EUR"], refused)


def test_a_warning_of_kraken_leaves_its_result_standing() -> None:
    body = KRAKEN.replace('"error":[]', '"error":["WGeneral:Deprecated"]')
    assert Kraken().read(["XBT/USD"], answer(body)) == {"XBT/USD": sides("30300.00", "30300.10")}


def test_coinbase_is_asked_for_one_product() -> None:
    assert Coinbase().target(["BTC-USD"]) == "/products/BTC-USD/ticker"
    assert Coinbase().read(["BTC-USD"], answer(COINBASE)) == {
        "BTC-USD": sides("6265.15", "6267.71")
    }
    unknown = answer('{"message":"NotFound"}', 404)
    assert Coinbase().read(["X-Y"], unknown) == {"X-Y": TickerRefusal.UNKNOWN_PAIR}


def test_a_product_that_nobody_traded_for_an_hour_is_halted() -> None:
    traded_at = datetime(2020, 3, 20, 0, 22, 57, tzinfo=UTC)
    hour = timedelta(hours=1)
    assert Coinbase().read(["A"], answer(COINBASE, at=traded_at + hour)) == {
        "A": sides("6265.15", "6267.71")
    }
    late = answer(COINBASE, at=traded_at + hour + timedelta(seconds=1))
    assert Coinbase().read(["A"], late) == {"A": TickerRefusal.HALTED}


@pytest.mark.parametrize("time", ["2020-03-20", "2020-03-20T00:22:57", "2020-13-20T00:22:57Z", ""])
def test_a_product_without_a_readable_trade_is_not_the_format(time: str) -> None:
    with pytest.raises(NotTheFormat):
        Coinbase().read(["A"], answer(COINBASE.replace("2020-03-20T00:22:57.833Z", time)))


@pytest.mark.parametrize(
    "price,reason",
    [
        ('"0.00000000"', TickerRefusal.EMPTY_BOOK),
        ('""', TickerRefusal.EMPTY_BOOK),
        ("null", TickerRefusal.EMPTY_BOOK),
        ('"-1"', TickerRefusal.MALFORMED),
        ('"1e3"', TickerRefusal.MALFORMED),
        ('"NaN"', TickerRefusal.MALFORMED),
        ('"0.0000000000001"', TickerRefusal.MALFORMED),
        ('"1.0000000000001"', TickerRefusal.MALFORMED),
        ('"123456789012345678901"', TickerRefusal.MALFORMED),
        ('"1,000.00"', TickerRefusal.MALFORMED),
        ("[1]", TickerRefusal.MALFORMED),
        ("true", TickerRefusal.MALFORMED),
    ],
)
def test_a_side_that_is_no_plain_price_is_refused(price: str, reason: TickerRefusal) -> None:
    for name in ('"bid":"6265.15"', '"ask":"6267.71"'):
        body = COINBASE.replace(name, name[:6] + price)
        assert Coinbase().read(["A"], answer(body)) == {"A": reason}


def test_a_number_is_read_exactly_also_without_quotes_and_with_zeros() -> None:
    body = COINBASE.replace('"6265.15"', "6265.150000000001")
    body = body.replace('"6267.71"', '"6267.7100000000000000"')
    assert Coinbase().read(["A"], answer(body)) == {"A": sides("6265.150000000001", "6267.71")}


READERS: list[Callable[[Answer], object]] = [
    lambda given_answer: Binance().read(["LTCBTC"], given_answer),
    lambda given_answer: Kraken().read(["XBT/USD"], given_answer),
    lambda given_answer: Coinbase().read(["BTC-USD"], given_answer),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "result", "XXBTZUSD", "a", "b", "symbol", "bid", "time"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=60)
@given(st.binary(max_size=64) | JSON.map(lambda body: json.dumps(body).encode()))
def test_no_body_breaks_a_reader(body: bytes) -> None:
    for read in READERS:
        try:
            read(answer(body))
        except NotTheFormat:
            continue


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"a":' * 12_000, b"\xff\xfe", b"NaN", b""])
def test_a_hostile_body_is_not_the_format(body: bytes) -> None:
    for read in READERS:
        with pytest.raises(NotTheFormat):
            read(answer(body))


def asked(provider: str, get: Callable[[str], Answer | TickerRefusal]) -> Report:
    return ask(PROVIDERS[provider], listings(provider), get, NOW)


def test_every_market_of_a_provider_is_a_ticker_or_refused_for_a_reason() -> None:
    for provider in PROVIDERS:
        for said in TickerRefusal:
            report = asked(provider, lambda _target, said=said: said)  # type: ignore[misc]
            assert set(report.refused) == {row.market for row in listings(provider)}
            assert set(report.refused.values()) == {said}
            assert report.tickers == ()


@pytest.mark.parametrize(
    "status,reason",
    [
        (302, TickerRefusal.REDIRECTED),
        (418, TickerRefusal.RATE_LIMITED),
        (429, TickerRefusal.RATE_LIMITED),
        (500, TickerRefusal.STATUS),
        (403, TickerRefusal.STATUS),
        (200, TickerRefusal.MALFORMED),
    ],
)
def test_an_error_page_is_refused_by_its_status(status: int, reason: TickerRefusal) -> None:
    for provider in PROVIDERS:
        report = asked(provider, lambda _target: answer("<html>", status))
        assert set(report.refused.values()) == {reason}


def test_after_a_rate_limit_nothing_more_is_asked() -> None:
    targets: list[str] = []

    def get(target: str) -> Answer:
        targets.append(target)
        return answer("", 429)

    report = asked("coinbase", get)
    assert len(targets) == 1
    assert set(report.refused.values()) == {TickerRefusal.RATE_LIMITED}


def test_one_pair_that_ended_takes_no_other_with_it() -> None:
    rows = [Listing(f"M{n}", f"S{n}", turned=False) for n in range(20)]
    targets: list[str] = []

    def get(target: str) -> Answer:
        targets.append(target)
        names = target.partition("pair=")[2].split(",")
        if "S13" in names:
            return answer('{"error":["EQuery:Unknown asset pair"]}')
        row = {"a": ["2"], "b": ["2"]}
        return answer(json.dumps({"error": [], "result": dict.fromkeys(names, row)}))

    report = ask(Kraken(), rows, get, NOW)
    assert report.refused == {"M13": TickerRefusal.UNKNOWN_PAIR}
    assert len(report.tickers) == 19
    assert len(targets) <= 11


def test_a_provider_that_lists_nothing_is_asked_a_bounded_number_of_times() -> None:
    rows = [Listing(f"M{n}", f"S{n}", turned=False) for n in range(100)]
    targets: list[str] = []

    def get(target: str) -> Answer:
        targets.append(target)
        return answer('{"error":["EQuery:Unknown asset pair"]}')

    report = ask(Kraken(), rows, get, NOW)
    assert len(targets) == QUESTIONS_MAX
    assert len(report.refused) == 100


def test_an_answer_from_the_future_is_no_ticker() -> None:
    rows = [Listing("BTC/USD", "BTC-USD", turned=False)]
    for ahead_s, refused in ((30, {}), (31, {"BTC/USD": TickerRefusal.FROM_FUTURE})):
        at = NOW + timedelta(seconds=ahead_s)
        report = ask(Coinbase(), rows, lambda _target, at=at: answer(COINBASE, at=at), NOW)  # type: ignore[misc]
        assert report.refused == refused


def test_an_answer_is_as_old_as_its_date_and_its_age_say() -> None:
    date = "Fri, 20 Mar 2020 00:23:05 GMT"
    assert moment(date, None) == AT
    assert moment(date, "61") == AT - timedelta(seconds=61)
    for wrong_date, wrong_age in (
        (None, None),
        ("yesterday", None),
        ("Fri, 20 Mar 2020 00:23:05", None),
        (date, "-1"),
        (date, "1.5"),
        (date, "9" * 10),
    ):
        assert moment(wrong_date, wrong_age) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://api.kraken.com",
        "http://10.0.0.1:80",
        "ftp://api.kraken.com",
        "api.kraken.com",
        "https://",
        "https://user@api.kraken.com",
        "https://api.kraken.com/?a=b",
        "https://api.kraken.com:x",
    ],
)
def test_a_provider_is_asked_in_the_clear_on_this_machine_only(url: str) -> None:
    with pytest.raises(ProviderUrlRefused):
        _read(url)
    assert _read("http://127.0.0.1:8080/kraken/").path == "/kraken"
    assert _read("https://api.kraken.com").port == 443
