"""What rates need from outside: rows in billing's transaction, and a cache that may forget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orion.billing.quote import Rate
from orion.billing.rates.model import Source, Ticker

SOURCES_DEFAULT = (Source.FIXED, Source.MARKET)


@dataclass(frozen=True, slots=True)
class RateChoice:
    """A merchant's sources in their order, and the spread on the market's rate."""

    sources: tuple[Source, ...] = SOURCES_DEFAULT
    spread_bps: int = 0


@dataclass(frozen=True, slots=True)
class FixedRate:
    """A merchant's own price of one coin."""

    rate: Rate
    set_at: datetime


@dataclass(frozen=True, slots=True)
class MerchantRates:
    """What a merchant chose, with those of the asked fixed rates that are set, by asset."""

    choice: RateChoice
    fixed: Mapping[str, FixedRate]


class RateTransaction(Protocol):
    """The part of billing's transaction that rates take."""

    def merchant_rates(
        self, merchant_id: bytes, currency: str, assets: Sequence[str]
    ) -> MerchantRates:
        """In one statement. A merchant without a choice has the default one."""
        ...

    def put_rate(
        self, merchant_id: bytes, asset: str, currency: str, rate: Rate, now: datetime
    ) -> bool:
        """Store a fixed rate; False when it was so already."""
        ...

    def delete_rate(self, merchant_id: bytes, asset: str, currency: str) -> bool:
        """Forget a fixed rate; False when there was none."""
        ...

    def rate_choice(self, merchant_id: bytes) -> RateChoice:
        """The merchant's choice, or the default one."""
        ...

    def put_rate_choice(self, merchant_id: bytes, choice: RateChoice, now: datetime) -> bool:
        """Store a choice; False when it was so already."""
        ...

    def tickers(self) -> Sequence[Ticker]:
        """The newest ticker of each market and provider: at most some hundred rows."""
        ...

    def put_tickers(self, tickers: Sequence[Ticker], now: datetime) -> None:
        """Keep each where it was observed later than what is stored."""
        ...


class TickerCache(Protocol):
    """Bytes that may be forgotten at any moment; a failure is None or False, never raised."""

    def get(self, key: str) -> bytes | None:
        """The value, or None."""
        ...

    def put(self, key: str, value: bytes, expires_s: int) -> bool:
        """Store or replace."""
        ...
