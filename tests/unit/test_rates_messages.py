"""What travels: the message of a round, and the cache's snapshot of all tickers."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.billing.quote import Rate
from orion.billing.rates import message, snapshot
from orion.billing.rates.markets import MARKETS, listings
from orion.billing.rates.model import SPREAD_BPS_MAX, Source, Ticker, TickerRefusal
from orion.billing.rates.providers import PROVIDERS
from orion.billing.rates.round import Report
from orion.records import MalformedRecord, canonical_json, parse_json
from orion.runtime.api_routes import rates as routes
from tests.unit.rate_tickers import NOW, ticker

TRACE = "ab" * 16
RATES = st.integers(1, 10**31).map(Rate)


@st.composite
def found(draw: st.DrawFn) -> Ticker:
    provider = draw(st.sampled_from(sorted(PROVIDERS)))
    market = draw(st.sampled_from([row.market for row in listings(provider)]))
    low, high = sorted((draw(RATES), draw(RATES)), key=lambda rate: rate.units)
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=draw(st.integers(0, 86_400)))
    return Ticker(provider, market, low, high, at)


BOOKS = st.lists(found(), max_size=6, unique_by=lambda row: (row.provider, row.market))


@settings(max_examples=40)
@given(BOOKS)
def test_a_round_is_read_as_it_was_written(rows: list[Ticker]) -> None:
    for provider in PROVIDERS:
        own = tuple(row for row in rows if row.provider == provider)
        report = Report(provider, own, {"X/Y": TickerRefusal.WIDE})
        body = parse_json(canonical_json(message.write(report, TRACE)))
        assert tuple(message.read(body, NOW)) == own
        assert body["refused"] == {"X/Y": "wide"}


@settings(max_examples=40)
@given(BOOKS)
def test_a_snapshot_is_read_as_it_was_written(rows: list[Ticker]) -> None:
    known = snapshot.read(snapshot.write(rows), MARKETS)
    assert known is not None
    assert {m: list(found) for m, found in known.items() if found} == snapshot.by_market(rows)


def test_only_the_asked_markets_are_read() -> None:
    rows = [ticker("1.00", market="BTC/EUR"), ticker("2.00", market="ETH/EUR")]
    assert snapshot.read(snapshot.write(rows), ["ETH/EUR"]) == {"ETH/EUR": [rows[1]]}
    assert snapshot.read(snapshot.write(rows), ["SOL/EUR"]) == {"SOL/EUR": []}


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff",
        b"[]",
        b"7",
        b"[" * 100_000,
        b'{"BTC/EUR": 7}',
        b'{"BTC/EUR": [["kraken", "1", "1"]]}',
        b'{"BTC/EUR": [["kraken", "0", "1", 1]]}',
        b'{"BTC/EUR": [["kraken", "1", "1", 1], ["kraken", "2", "2", 2]]}',
        b'{"BTC/EUR": [["kraken", "-1", "1", 1]]}',
        b'{"BTC/EUR": [["kraken", "x", "1", 1]]}',
        b'{"BTC/EUR": [["kraken", "1", "1", 1e400]]}',
        b'{"BTC/EUR": [["kraken", "1", "1", 99999999999999999999]]}',
    ],
)
def test_a_snapshot_of_another_form_is_no_snapshot(value: bytes | None) -> None:
    assert snapshot.read(value, ["BTC/EUR"]) is None


def body_of(**changes: Any) -> dict[str, object]:
    row = {"market": "BTC/EUR", "bid": "60000.00", "ask": "60000.10"}
    row["observed_at_s"] = changes.pop("observed_at_s", int(NOW.timestamp()))
    row.update({name: changes.pop(name) for name in ("market", "bid", "ask") if name in changes})
    rows = changes.pop("tickers", [row])
    made = {"v": 1, "trace_id": TRACE, "provider": "kraken", "tickers": rows, **changes}
    return parse_json(json.dumps(made).encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"provider": "mtgox"},
        {"provider": 7},
        {"market": "BTC/CNY"},
        {"market": "TRX/BTC", "provider": "coinbase"},
        {"bid": "60000.11"},
        {"bid": "0"},
        {"bid": "-1"},
        {"ask": "1e5"},
        {"ask": None},
        {"observed_at_s": int(NOW.timestamp()) + 31},
        {"observed_at_s": -1},
        {"observed_at_s": "1"},
        {"tickers": [7]},
        {"tickers": None},
        {"tickers": [{}] * (len(MARKETS) + 1)},
    ],
)
def test_a_round_that_the_function_outside_would_not_send_is_refused(
    changes: dict[str, object],
) -> None:
    assert len(message.read(body_of(), NOW)) == 1
    with pytest.raises(MalformedRecord):
        message.read(body_of(**changes), NOW)


def test_a_market_that_stands_twice_is_refused() -> None:
    once = body_of()["tickers"]
    assert isinstance(once, list)
    with pytest.raises(MalformedRecord):
        message.read(body_of(tickers=once * 2), NOW)


def test_the_described_bounds_are_those_of_the_rules() -> None:
    assert tuple(Source) == routes.SOURCES
    assert routes.SPREAD_BPS_MAX == SPREAD_BPS_MAX
