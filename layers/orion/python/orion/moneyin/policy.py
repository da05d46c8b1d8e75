"""What a deployment decides about deposits, as data: confirmations, nodes, token contracts,
networks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

from orion.chains.registry import chain_data
from orion.money import Asset, asset
from orion.moneyin.errors import ForeignStream, UnusablePolicy

_MAX_CONFIRMATIONS = 10_000


@dataclass(frozen=True, slots=True)
class ChainPolicy:
    """`settled` and `final` count confirmations, the block of inclusion included. `nodes` must
    agree on a block.

    `assets` maps a contract (None: the chain's own coin) to its asset. What is not in it does not
    exist for us.
    """

    chain: str
    network: str
    settled: int
    final: int
    nodes: int
    assets: Mapping[str | None, Asset]


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
        chains[chain] = ChainPolicy(
            chain, str(network), settled, final, nodes, native | tokens.get(chain, {})
        )
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


def decides(node: str, deciding_node: str, nodes_required: int) -> bool:
    """Whether this node's blocks move deposits: the one place of the quorum rule.

    With one node required, the chain's first node decides and others are only followed. More than
    one is refused when the policy is read (docs/moneyin.md, "Which node counts").
    """
    return nodes_required == 1 and node == deciding_node
