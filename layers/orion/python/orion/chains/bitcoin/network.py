"""What differs between Bitcoin's networks: the prefixes of their addresses."""

from dataclasses import dataclass

from orion.chains.errors import UnknownNetwork


@dataclass(frozen=True, slots=True)
class Network:
    """Prefixes from Bitcoin Core's chainparams.

    Test networks share base58 versions, regtest has its own `hrp`.
    """

    name: str
    hrp: str
    p2pkh_version: int
    p2sh_version: int


NETWORKS = {
    network.name: network
    for network in (
        Network("mainnet", "bc", 0x00, 0x05),
        Network("testnet", "tb", 0x6F, 0xC4),
        Network("signet", "tb", 0x6F, 0xC4),
        Network("regtest", "bcrt", 0x6F, 0xC4),
    )
}


def network_of(name: str) -> Network:
    """The network called `name`. Raises UnknownNetwork."""
    found = NETWORKS.get(name)
    if found is None:
        raise UnknownNetwork("bitcoin has no such network", network=name[:32])
    return found
