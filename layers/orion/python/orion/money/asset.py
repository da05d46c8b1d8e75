"""The registry of assets: `assets.toml`, one row each."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from orion.errors import OrionError


class UnknownAsset(OrionError):
    """No row of the registry has this code."""

    code = "unknown_asset"


@dataclass(frozen=True, slots=True)
class Asset:
    """`code` is `SYMBOL.chain` for a coin or token and the ISO 4217 code for fiat, whose `chain` is
    None.

    `decimals` places separate one whole coin from its smallest unit; people are shown
    `display_decimals`.
    """

    code: str
    decimals: int
    chain: str | None
    symbol: str
    display_decimals: int


def _load() -> Mapping[str, Asset]:
    rows = tomllib.loads(Path(__file__).with_name("assets.toml").read_text(encoding="utf-8"))
    return MappingProxyType(
        {
            code: Asset(
                code=code,
                decimals=row["decimals"],
                chain=row.get("chain"),
                symbol=code.partition(".")[0],
                display_decimals=row["display_decimals"],
            )
            for code, row in rows.items()
        }
    )


ASSETS: Mapping[str, Asset] = _load()


def asset(code: str) -> Asset:
    """The asset of this code. Raises UnknownAsset."""
    found = ASSETS.get(code)
    if found is None:
        raise UnknownAsset("no such asset", asset=code[:40])
    return found
