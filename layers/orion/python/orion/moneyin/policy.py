"""What a deployment decides about deposits, as data: confirmations, nodes, token contracts,
networks.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import cast

from orion.chains.registry import chain_data
from orion.money import Asset, asset
from orion.moneyin.errors import ForeignStream, UnusablePolicy

_MAX_CONFIRMATIONS = 10_000
_MAX_STEPS = 16
_UNITS = re.compile(r"[1-9][0-9]{0,38}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Step:
    """From `from_units` on, `settled` confirmations are asked for."""

    from_units: int
    settled: int


@dataclass(frozen=True, slots=True)
class ChainPolicy:
    """`settled` and `final` count confirmations, the block of inclusion included. `nodes` must
    agree on a block.

    `assets` maps a contract (None: the chain's own coin) to its asset. What is not in it does not
    exist for us. `ladders` asks for more confirmations of larger amounts of an asset: steps that
    rise in both numbers, none above `final`.
    """

    chain: str
    network: str
    settled: int
    final: int
    nodes: int
    assets: Mapping[str | None, Asset]
    ladders: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)

    def settled_for(self, asset_code: str, units: int) -> int:
        """Confirmations for `units` of an asset: of the highest step that they reach, else
        `settled`.

        With {from 10,000,000: 3, from 100,000,000: 6} and 2, one block's 9,999,999 sat to a wallet
        settle after 2 blocks, 10,000,000 after 3.
        """
        reached = [step for step in self.ladders.get(asset_code, ()) if units >= step.from_units]
        return reached[-1].settled if reached else self.settled


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy of every chain that this deployment follows."""

    chains: Mapping[str, ChainPolicy]

    def of(self, chain: str, network: str) -> ChainPolicy:
        """Raises ForeignStream for a chain or network that this deployment does not follow."""
        found = self.chains.get(chain)
        if found is None or found.network != network:
            raise ForeignStream("not a chain of this deployment", chain=chain, network=network)
        return found


def read_policy(
    networks: Mapping[str, object],
    confirmations: Mapping[str, object],
    contracts: Mapping[str, object],
) -> Policy:
    """From the parameters `chains/networks`, `policy/confirmations`, `chains/contracts`. Raises
    UnusablePolicy.
    """
    tokens: dict[str, dict[str | None, Asset]] = {}
    for code, contract in contracts.items():
        token = asset(code)
        if (
            token.chain is None
            or token.chain not in networks
            or not isinstance(contract, str)
            or not contract
        ):
            raise UnusablePolicy("a token contract without a chain of this deployment", asset=code)
        # Records carry hexadecimal in lower case; people write contracts with a checksum in the
        # case.
        key = contract.lower() if contract.startswith("0x") else contract
        if tokens.setdefault(token.chain, {}).setdefault(key, token) != token:
            raise UnusablePolicy("two assets share a contract", contract=key)
    chains = {}
    for chain, network in networks.items():
        data = chain_data(chain)
        settled, final, nodes = _counts(chain, str(network), confirmations.get(chain))
        native: dict[str | None, Asset] = {None: asset(data.native_asset)}
        assets = native | tokens.get(chain, {})
        ladders = _ladders(chain, settled, final, confirmations.get(chain))
        chains[chain] = ChainPolicy(chain, str(network), settled, final, nodes, assets, ladders)
    return Policy(MappingProxyType(chains))


def _counts(chain: str, network: str, row: object) -> tuple[int, int, int]:
    if row is None:
        known = chain_data(chain).confirmations(network)
        return known.settled, known.final, 1
    if not isinstance(row, dict):
        raise UnusablePolicy("confirmations are an object a chain", chain=chain)
    named = cast(Mapping[str, object], row)
    settled, final, nodes = named.get("settled"), named.get("final"), named.get("nodes", 1)
    if (
        not isinstance(settled, int)
        or not isinstance(final, int)
        or not 1 <= settled <= final <= _MAX_CONFIRMATIONS
    ):
        raise UnusablePolicy("1 <= settled <= final is not so", chain=chain)
    if nodes != 1:
        raise UnusablePolicy("only one deciding node a chain is supported", chain=chain)
    return settled, final, 1


def _ladders(chain: str, settled: int, final: int, row: object) -> Mapping[str, tuple[Step, ...]]:
    named = cast(Mapping[str, object], row).get("amounts") if isinstance(row, dict) else None
    if named is None:
        return MappingProxyType({})
    if not isinstance(named, dict):
        raise UnusablePolicy("amounts are an object an asset", chain=chain)
    ladders = {}
    for code, steps in cast(Mapping[str, object], named).items():
        if asset(code).chain != chain or not isinstance(steps, list) or len(steps) > _MAX_STEPS:
            raise UnusablePolicy(
                f"a ladder is of an asset of its chain, with at most {_MAX_STEPS} steps", asset=code
            )
        ladders[code] = _ladder(code, settled, final, [_step(code, step) for step in steps])
    return MappingProxyType(ladders)


def _step(code: str, step: object) -> Step:
    named = cast(Mapping[str, object], step) if isinstance(step, dict) else {}
    units, settled = named.get("from_units"), named.get("settled")
    if not isinstance(units, str) or not _UNITS.fullmatch(units) or type(settled) is not int:
        raise UnusablePolicy("a step has from_units (text) and settled (a number)", asset=code)
    return Step(int(units), settled)


def _ladder(code: str, settled: int, final: int, steps: Sequence[Step]) -> tuple[Step, ...]:
    below = Step(0, settled)
    for step in steps:
        if step.from_units <= below.from_units or not below.settled < step.settled <= final:
            raise UnusablePolicy(
                "a ladder rises in amounts and in confirmations, up to final", asset=code
            )
        below = step
    return tuple(steps)


def decides(node: str, deciding_node: str, nodes_required: int) -> bool:
    """Whether this node's blocks move deposits: the one place of the quorum rule.

    With one node required, the chain's first node decides and others are only followed. More than
    one is refused when the policy is read (docs/moneyin.md, "Which node counts").
    """
    return nodes_required == 1 and node == deciding_node
