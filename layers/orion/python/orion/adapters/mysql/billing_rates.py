"""Fixed rates, what merchants chose, and the market's tickers on MySQL."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from orion.adapters.mysql.billing_rows import BillingCursor, marks, read, stored
from orion.adapters.mysql.one_trip import Columns, Question
from orion.adapters.mysql.session import Database
from orion.billing.quote import Rate
from orion.billing.rates.model import RateLock, Source, Ticker
from orion.billing.rates.ports import FixedRate, MerchantRates, RateChoice, RateTransaction

T = TypeVar("T")

# The columns of payment_option that say why its rate is this one.
LOCK = "rate_source, rate_providers, rate_path, rate_spread_bps, rate_observed_at"


_CHOICE = Columns({"sources": str, "spread_bps": int})
_FIXED = Columns({"asset": str, "rate_units": int, "set_at": datetime})


def choice_question(merchant_id: bytes) -> Question:
    """A merchant's sources and spread."""
    return Question(_CHOICE, "FROM rate_setting WHERE merchant_id = %s", (merchant_id,))


def fixed_question(merchant_id: bytes, currency: str, assets: Sequence[str]) -> Question:
    """A merchant's fixed rates of these assets in a currency."""
    return Question(
        _FIXED,
        f"FROM rate WHERE merchant_id = %s AND currency = %s AND asset IN ({marks(assets)})",
        (merchant_id, currency, *assets),
    )


class BillingRates(BillingCursor):
    """The port `RateTransaction`."""

    def merchant_rates(
        self, merchant_id: bytes, currency: str, assets: Sequence[str]
    ) -> MerchantRates:
        rows: Any = self._ask(fixed_question(merchant_id, currency, assets))
        fixed = {asset: FixedRate(Rate(units), read(set_at)) for asset, units, set_at in rows}
        return MerchantRates(self.rate_choice(merchant_id), fixed)

    def put_rate(
        self, merchant_id: bytes, asset: str, currency: str, rate: Rate, now: datetime
    ) -> bool:
        # The time moves only with the rate, so an unchanged row counts as not affected.
        return bool(
            self._cursor.execute(
                "INSERT INTO rate (merchant_id, asset, currency, rate_units, set_at)"
                " VALUES (%s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE"
                " set_at = IF(rate_units = VALUES(rate_units), set_at, VALUES(set_at)),"
                " rate_units = VALUES(rate_units)",
                (merchant_id, asset, currency, rate.units, stored(now)),
            )
        )

    def delete_rate(self, merchant_id: bytes, asset: str, currency: str) -> bool:
        return bool(
            self._cursor.execute(
                "DELETE FROM rate WHERE merchant_id = %s AND asset = %s AND currency = %s",
                (merchant_id, asset, currency),
            )
        )

    def rate_choice(self, merchant_id: bytes) -> RateChoice:
        rows: Any = self._ask(choice_question(merchant_id))
        return _choice(*rows[0]) if rows else RateChoice()

    def put_rate_choice(self, merchant_id: bytes, choice: RateChoice, now: datetime) -> bool:
        sources = ",".join(source.value for source in choice.sources)
        return bool(
            self._cursor.execute(
                "INSERT INTO rate_setting (merchant_id, sources, spread_bps, set_at)"
                " VALUES (%s, %s, %s, %s) ON DUPLICATE KEY UPDATE"
                " set_at = IF(sources = VALUES(sources) AND spread_bps = VALUES(spread_bps),"
                " set_at, VALUES(set_at)),"
                " sources = VALUES(sources), spread_bps = VALUES(spread_bps)",
                (merchant_id, sources, choice.spread_bps, stored(now)),
            )
        )

    def tickers(self) -> Sequence[Ticker]:
        self._cursor.execute(
            "SELECT provider, market, bid_units, ask_units, observed_at FROM rate_ticker"
            " ORDER BY market, provider"
        )
        return [
            Ticker(provider, market, Rate(int(bid)), Rate(int(ask)), read(at))
            for provider, market, bid, ask, at in self._cursor.fetchall()
        ]

    def put_tickers(self, tickers: Sequence[Ticker], now: datetime) -> None:
        # In the order of the key, so that two rounds at once wait for each other and never both.
        # Assignments see what those before them changed: the moment comes last.
        newer = "VALUES(observed_at) > observed_at"
        self._cursor.executemany(
            "INSERT INTO rate_ticker (market, provider, bid_units, ask_units, stored_at,"  # noqa: S608 - no value in it
            " observed_at) VALUES (%s, %s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE"
            f" bid_units = IF({newer}, VALUES(bid_units), bid_units),"
            f" ask_units = IF({newer}, VALUES(ask_units), ask_units),"
            f" stored_at = IF({newer}, VALUES(stored_at), stored_at),"
            f" observed_at = IF({newer}, VALUES(observed_at), observed_at)",
            [
                (
                    ticker.market,
                    ticker.provider,
                    ticker.bid.units,
                    ticker.ask.units,
                    stored(now),
                    stored(ticker.observed_at),
                )
                for ticker in sorted(tickers, key=lambda t: (t.market, t.provider))
            ],
        )


def _choice(sources: str, spread_bps: int) -> RateChoice:
    return RateChoice(tuple(Source(name) for name in sources.split(",")), spread_bps)


def lock_values(lock: RateLock | None) -> tuple[object, ...]:
    """The values of LOCK."""
    if lock is None:
        return None, None, None, None, None
    return (
        lock.source.value,
        ",".join(lock.providers),
        ",".join(lock.path),
        lock.spread_bps,
        stored(lock.observed_at),
    )


def lock_of(rate: Rate, values: Sequence[Any]) -> RateLock | None:
    """What the columns LOCK say; None of an option that was made before they were there."""
    source, providers, path, spread_bps, observed_at = values
    if source is None:
        return None
    return RateLock(
        rate=rate,
        source=Source(source),
        providers=_names(providers),
        path=_names(path),
        spread_bps=int(spread_bps),
        observed_at=read(observed_at),
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


class MySqlRateStore:
    """The port `RateStore`, for the function that does nothing but keep tickers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def transact(self, work: Callable[[RateTransaction], T]) -> T:
        return self._database.run(lambda cursor: work(BillingRates(cursor)))
