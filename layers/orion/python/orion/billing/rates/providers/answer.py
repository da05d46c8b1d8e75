"""What every provider's answer is read with. Nothing of it is trusted."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn, Protocol, cast

from orion.billing.quote import RATE_DECIMALS, Rate
from orion.billing.rates.model import TickerRefusal
from orion.money import AmountNotPositive, AmountTooLarge, InexactAmount, MalformedAmount
from orion.records import MalformedJson, check_depth

NUMBER_DIGITS_MAX = 60

# Best bid and best ask as the provider trades them.
Quoted = tuple[Rate, Rate]
Found = Mapping[str, Quoted | TickerRefusal]


class NotTheFormat(Exception):
    """The body is not what this provider answers."""


class OneIsNotListed(Exception):
    """The whole question was refused because one of its pairs is not listed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; `at` is when it was made, by its own headers."""

    status: int
    body: bytes
    at: datetime


class Provider(Protocol):
    """One exchange's ticker."""

    @property
    def name(self) -> str:
        """As in markets.toml and in SSM `rates/providers`."""
        ...

    @property
    def symbols_max(self) -> int:
        """How many pairs one question may name."""
        ...

    def target(self, symbols: Sequence[str]) -> str:
        """Path and query of the question, below the base URL."""
        ...

    def read(self, symbols: Sequence[str], answer: Answer) -> Found:
        """By symbol, what an answer with status 200 to 499 says; a symbol that it does not speak of
        is UNKNOWN_PAIR. Raises NotTheFormat, OneIsNotListed (more than one symbol only).
        """
        ...


def read_json(body: bytes) -> object:
    """Any JSON. A number with a fraction stays text: no float is ever made. Raises NotTheFormat."""
    try:
        text = body.decode("utf-8")
        check_depth(text)
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=_refuse)
    except (ValueError, MalformedJson) as exc:
        raise NotTheFormat("the body is not JSON") from exc


def _refuse(word: str) -> NoReturn:
    raise ValueError(word)


def as_object(value: object) -> Mapping[str, object]:
    """Raises NotTheFormat."""
    if not isinstance(value, dict):
        raise NotTheFormat("an object is missing")
    return cast(Mapping[str, object], value)


def as_list(value: object) -> Sequence[object]:
    """Raises NotTheFormat."""
    if not isinstance(value, list):
        raise NotTheFormat("a list is missing")
    return cast(Sequence[object], value)


def side(value: object) -> Rate | TickerRefusal:
    """One side of the book. Absent or zero is an empty side; more than RATE_DECIMALS places are
    malformed unless the rest are zeros: nothing is rounded here.
    """
    if value is None or value == "":
        return TickerRefusal.EMPTY_BOOK
    if not isinstance(value, str) or len(value) > NUMBER_DIGITS_MAX:
        return TickerRefusal.MALFORMED
    whole, point, fraction = value.partition(".")
    if len(fraction) > RATE_DECIMALS:
        fraction = fraction.rstrip("0") or "0"
    try:
        return Rate.parse(whole + point + fraction)
    except AmountNotPositive:
        return TickerRefusal.EMPTY_BOOK if _is_zero(value) else TickerRefusal.MALFORMED
    except (MalformedAmount, InexactAmount, AmountTooLarge):
        return TickerRefusal.MALFORMED


def quoted(bid: object, ask: object) -> Quoted | TickerRefusal:
    """Both sides, or why there are none."""
    low, high = side(bid), side(ask)
    if isinstance(low, TickerRefusal):
        return low
    if isinstance(high, TickerRefusal):
        return high
    return low, high


def _is_zero(text: str) -> bool:
    return not text.strip("0.")
