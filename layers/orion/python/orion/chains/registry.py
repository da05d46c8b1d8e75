"""Chains by name. A new chain is a folder: `chain.toml` with its data, a package with its code."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from orion.chains.errors import UnknownChain, UnknownNetwork
from orion.money import Amount

_FOLDER = Path(__file__).parent
_NAME = re.compile(r"[a-z][a-z0-9_]{0,15}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Confirmations:
    """Default block counts of two credit moments, the block of inclusion counted."""

    settled: int
    final: int


@dataclass(frozen=True, slots=True)
class ChainData:
    """The rows of one `chain.toml`. `coin_type` is the chain's number in SLIP-44."""

    name: str
    native_asset: str
    coin_type: int
    block_interval_s: int
    networks: Mapping[str, Confirmations]

    def confirmations(self, network: str) -> Confirmations:
        """The defaults of `network`, or of the row `other` where the chain has one.

        Raises UnknownNetwork.
        """
        found = self.networks.get(network) or self.networks.get("other")
        if found is None:
            raise UnknownNetwork(f"{self.name} has no such network", network=network)
        return found


class Chain(Protocol):
    """What every chain's package offers to code that is not written for one chain."""

    def canonical_address(self, text: str, network: str) -> str:
        """The form of an address that stands in records and keys.

        Raises MalformedAddress, WrongNetworkAddress or UnknownNetwork.
        """
        ...

    def display_address(self, address: str) -> str:
        """The form for people of a canonical address, with its checksum."""
        ...

    def payment_link(
        self, address: str, amount: Amount, network: str, contract: str | None = None
    ) -> str:
        """A link that a customer's wallet opens: pay exactly `amount` to `address`.

        `contract` names a token, None the chain's own coin. Raises what `canonical_address` raises,
        and AmountNotPayable.
        """
        ...


@cache
def chain_names() -> tuple[str, ...]:
    """Every chain that has a folder here, in alphabetical order."""
    return tuple(sorted(path.parent.name for path in _FOLDER.glob("*/chain.toml")))


@cache
def chain_data(name: str) -> ChainData:
    """The data of one chain, without importing its code. Raises UnknownChain."""
    if not _NAME.match(name) or name not in chain_names():
        raise UnknownChain("no such chain", chain=name[:32])
    row = tomllib.loads((_FOLDER / name / "chain.toml").read_text(encoding="utf-8"))
    return ChainData(
        name=name,
        native_asset=row["native_asset"],
        coin_type=row["coin_type"],
        block_interval_s=row["block_interval_s"],
        networks={
            network: Confirmations(settled=counts["settled"], final=counts["final"])
            for network, counts in row["confirmations"].items()
        },
    )


def chain(name: str) -> Chain:
    """The code of one chain, imported now and not before. Raises UnknownChain."""
    chain_data(name)
    return cast(Chain, import_module(f"orion.chains.{name}"))
