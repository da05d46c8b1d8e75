"""What the stand-in for the exchanges lists and quotes, in each one's own names and form.

Written from the exchanges' documentation and not from the product's tables: where both disagree, a
test of the two together fails. Binance: "Symbol order book ticker". Kraken: "Get Ticker
Information" (old assets answer as XXBT, XETH, ZEUR, ZUSD, ZGBP, ZJPY). Coinbase Exchange: "Get
product ticker".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

BPS = 10_000
# Half of what lies between bid and ask, and how far each provider stands from the truth.
HALF_SPREAD_BPS = 1
LEAN_BPS = {"binance": 0, "kraken": 2, "coinbase": -2}
# Dollars for one, in millionths.
DOLLARS_E6 = {
    "BTC": 69_600_000_000,
    "ETH": 2_900_000_000,
    "SOL": 174_000_000,
    "TRX": 200_000,
    "USDT": 1_000_000,
    "USDC": 1_000_000,
    "EUR": 1_160_000,
    "GBP": 1_334_000,
    "JPY": 6_700,
    "USD": 1_000_000,
}
_BINANCE = (
    "BTC/EUR BTC/JPY BTC/USDT ETH/EUR ETH/BTC SOL/EUR SOL/BTC EUR/USDT EUR/USDC USDC/USDT TRX/BTC"
    " BTC/USDC"
)
_KRAKEN = (
    "BTC/EUR BTC/USD BTC/GBP BTC/JPY BTC/USDT ETH/EUR ETH/USD ETH/GBP ETH/BTC SOL/EUR SOL/USD"
    " SOL/BTC USDT/EUR USDT/USD USDC/EUR USDC/USDT USDC/USD TRX/BTC"
)
_COINBASE = (
    "BTC/EUR BTC/USD BTC/GBP BTC/USDT ETH/EUR ETH/USD ETH/GBP ETH/BTC SOL/EUR SOL/USD SOL/BTC"
    " USDT/EUR USDT/USD USDT/USDC USDC/EUR"
)
_OLD_NAMES = {"BTC": "XXBT", "ETH": "XETH", "EUR": "ZEUR", "USD": "ZUSD", "GBP": "ZGBP"}
_OLD_NAMES |= {"JPY": "ZJPY"}
# Pairs of a younger asset with euro carry the new names on both sides, those with dollars not all.
_KRAKEN_ANSWERS_BY = {"USDTUSD": "USDTZUSD"}
_BINANCE_PLACES, _KRAKEN_PLACES, _COINBASE_PLACES = 8, 10, 9


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask, in units of 10^-12 of the quote."""

    bid: int
    ask: int


@dataclass(frozen=True, slots=True)
class Body:
    """What a provider answers."""

    status: int
    content: object


def _listed(pairs: str, joined: str, names: Mapping[str, str]) -> Mapping[str, str]:
    """The pair by the provider's name for it."""
    found = {}
    for pair in pairs.split():
        base, _, quote = pair.partition("/")
        found[names.get(base, base) + joined + names.get(quote, quote)] = pair
    return found


LISTED: Mapping[str, Mapping[str, str]] = {
    "binance": _listed(_BINANCE, "", {}),
    "kraken": _listed(_KRAKEN, "", {"BTC": "XBT"}),
    "coinbase": _listed(_COINBASE, "-", {}),
}


def quote(provider: str, pair: str, dollars_e6: Mapping[str, int], times: int = 1) -> Quote:
    """The book of a pair; `times` as much as it is worth."""
    base, _, counter = pair.partition("/")
    middle = dollars_e6[base] * times * 10**12 * (BPS + LEAN_BPS[provider])
    middle //= dollars_e6[counter] * BPS
    return Quote(
        middle * (BPS - HALF_SPREAD_BPS) // BPS, -(-middle * (BPS + HALF_SPREAD_BPS) // BPS)
    )


def binance(quotes: Mapping[str, Quote | None], symbols: Sequence[str]) -> Body:
    """`/api/v3/ticker/bookTicker?symbols=[…]`"""
    if any(quotes.get(symbol) is None for symbol in symbols):
        return Body(400, {"code": -1121, "msg": "Invalid symbol."})
    rows = []
    for symbol in symbols:
        bid, ask = _sides(quotes[symbol], _BINANCE_PLACES)
        rows.append(
            {
                "symbol": symbol,
                "bidPrice": bid,
                "bidQty": "0.50000000",
                "askPrice": ask,
                "askQty": "1.25000000",
            }
        )
    return Body(200, rows)


def kraken(quotes: Mapping[str, Quote | None], pairs: Sequence[str]) -> Body:
    """`/0/public/Ticker?pair=A,B`"""
    if any(quotes.get(pair) is None for pair in pairs):
        return Body(200, {"error": ["EQuery:Unknown asset pair"]})
    result = {}
    for pair in pairs:
        bid, ask = _sides(quotes[pair], _KRAKEN_PLACES)
        result[_kraken_name(pair)] = {
            "a": [ask, "1", "1.000"],
            "b": [bid, "1", "1.000"],
            "c": [bid, "0.00067643"],
            "v": ["4083.67001100", "4412.73601799"],
            "p": [bid, bid],
            "t": [34619, 38907],
            "l": [bid, bid],
            "h": [ask, ask],
            "o": bid,
        }
    return Body(200, {"error": [], "result": result})


def coinbase(quotes: Mapping[str, Quote | None], product: str, traded_at: datetime) -> Body:
    """`/products/{product}/ticker`"""
    bid, ask = _sides(quotes.get(product), _COINBASE_PLACES)
    if not bid:
        return Body(404, {"message": "NotFound"})
    moment = traded_at.astimezone(UTC) - timedelta(microseconds=traded_at.microsecond)
    content = {
        "ask": ask,
        "bid": bid,
        "volume": "53602.03940154",
        "trade_id": 86326522,
        "price": bid,
        "size": "0.00698254",
        "time": moment.strftime("%Y-%m-%dT%H:%M:%S.833000Z"),
        "rfq_volume": "123.122000",
        "conversions_volume": "0.00",
    }
    return Body(200, content)


def _kraken_name(pair: str) -> str:
    if pair in _KRAKEN_ANSWERS_BY:
        return _KRAKEN_ANSWERS_BY[pair]
    base, _, counter = LISTED["kraken"][pair].partition("/")
    if base in _OLD_NAMES and counter in _OLD_NAMES:
        return _OLD_NAMES[base] + _OLD_NAMES[counter]
    return pair


def _sides(found: Quote | None, places: int) -> tuple[str, str]:
    if found is None:
        return "", ""
    return _text(found.bid, places), _text(found.ask, places)


def _text(units: int, places: int) -> str:
    digits = str(units // 10 ** (12 - places)).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}"
