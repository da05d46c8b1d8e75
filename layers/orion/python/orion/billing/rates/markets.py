"""Which pairs are asked for, and by which markets a coin reaches a currency. Data, no decisions."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

PATH_MAX = 3
_TURNED = "1/"


@dataclass(frozen=True, slots=True)
class Listing:
    """One provider's name for a market; `turned` where it trades quote against base."""

    market: str
    symbol: str
    turned: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One market of a path. `forward` from its base to its quote, otherwise the other way."""

    market: str
    forward: bool


def _load() -> Mapping[str, Mapping[str, str]]:
    rows = tomllib.loads(Path(__file__).with_name("markets.toml").read_text(encoding="utf-8"))
    return MappingProxyType({market: MappingProxyType(names) for market, names in rows.items()})


# Market, then provider, then that provider's name for it.
MARKETS: Mapping[str, Mapping[str, str]] = _load()


@cache
def listings(provider: str) -> tuple[Listing, ...]:
    """What to ask this provider for."""
    return tuple(
        Listing(market, names[provider].removeprefix(_TURNED), names[provider].startswith(_TURNED))
        for market, names in MARKETS.items()
        if provider in names
    )


@cache
def path(base: str, quote: str) -> tuple[Step, ...] | None:
    """The shortest way from one symbol to another, of at most PATH_MAX markets; None where there
    is none. Of equally short ways the one whose markets stand first in the data.
    """
    ways: list[tuple[str, tuple[Step, ...]]] = [(base, ())]
    seen = {base}
    for _ in range(PATH_MAX):
        longer: list[tuple[str, tuple[Step, ...]]] = []
        for at, way in ways:
            for step, reached in _leaving(at):
                if reached not in seen:
                    longer.append((reached, (*way, step)))
        for reached, way in longer:
            if reached == quote:
                return way
            seen.add(reached)
        ways = longer
    return None


def _leaving(symbol: str) -> tuple[tuple[Step, str], ...]:
    found: list[tuple[Step, str]] = []
    for market in MARKETS:
        base, _, quote = market.partition("/")
        if base == symbol:
            found.append((Step(market, forward=True), quote))
        elif quote == symbol:
            found.append((Step(market, forward=False), base))
    return tuple(found)
