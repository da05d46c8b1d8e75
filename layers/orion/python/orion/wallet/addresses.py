"""The addresses of a wallet on every chain, from public keys only."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from coincurve import PublicKey

from orion.chains import base58
from orion.chains.bitcoin import bech32
from orion.chains.bitcoin.network import network_of
from orion.chains.ethereum.keccak import keccak256
from orion.chains.tron.address import VERSION as TRON_VERSION
from orion.wallet.errors import IndexOutOfRange
from orion.wallet.extended_key import ExtendedPublicKey, child_tweak, hash160, tweaked

GROUP_WALLETS = 10_000
MAX_RANGE = 1_000


@dataclass(frozen=True, slots=True)
class WalletAddresses:
    """One wallet: its index under the group's seed and its address on each chain, in the form of
    records.
    """

    index: int
    addresses: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WalletRange:
    """Consecutive wallets of one group. Raises IndexOutOfRange unless it is 1 to 1,000 of the
    group's 10,000.
    """

    first_index: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_RANGE:
            raise IndexOutOfRange(f"a range has 1 to {MAX_RANGE} wallets", count=self.count)
        if not 0 <= self.first_index <= GROUP_WALLETS - self.count:
            raise IndexOutOfRange(
                f"a group has the wallets 0 to {GROUP_WALLETS - 1}",
                first_index=self.first_index,
                count=self.count,
            )

    def indexes(self) -> range:
        """Every index of the range, in order."""
        return range(self.first_index, self.first_index + self.count)


@dataclass(frozen=True, slots=True)
class WalletKeys:
    """The public keys that the addresses of a range of wallets follow from.

    `branches` has the receiving branch of each chain with public derivation: its children are the
    wallets' keys. `leaves` has, for each chain without one, the wallets' own keys in order.
    `bitcoin_network` is the network that Bitcoin addresses are written for; the other chains'
    addresses are the same on all of theirs.
    """

    wanted: WalletRange
    branches: Mapping[str, ExtendedPublicKey]
    leaves: Mapping[str, Sequence[bytes]]
    bitcoin_network: str


def p2wpkh_address(public_key: bytes, network: str) -> str:
    """BIP-84: version 0 witness program of the compressed key's HASH160. Raises UnknownNetwork."""
    hrp = network_of(network).hrp
    return bech32.encode(hrp, 0, hash160(public_key), bech32.Encoding.BECH32)


def account_of(uncompressed: bytes) -> bytes:
    """Last 20 bytes of Keccak-256 over the point's 64 bytes (Yellow Paper, appendix F; Tron's
    accounts are made in the same way).
    """
    return keccak256(uncompressed[1:])[12:]


def addresses(keys: WalletKeys) -> Iterator[WalletAddresses]:
    """The wallets of a range, in order. Raises InvalidChildKey, UnknownNetwork."""
    # One parsed parent point a branch and no Lineage a child: this loop runs a million times in a
    # batch.
    parents = [
        (chain, PublicKey(branch.public_key), branch, _WRITERS[chain])
        for chain, branch in keys.branches.items()
    ]
    for place, index in enumerate(keys.wanted.indexes()):
        found = {
            chain: write(_child_point(parent, branch, index), keys.bitcoin_network)
            for chain, parent, branch, write in parents
        }
        for chain, leaves in keys.leaves.items():
            found[chain] = base58.encode(leaves[place])
        yield WalletAddresses(index, found)


def _child_point(parent: PublicKey, branch: ExtendedPublicKey, index: int) -> PublicKey:
    return tweaked(parent, child_tweak(branch.chain_code, branch.public_key, index)[0])


def _bitcoin(key: PublicKey, network: str) -> str:
    return p2wpkh_address(key.format(), network)


def _ethereum(key: PublicKey, _network: str) -> str:
    return "0x" + account_of(key.format(compressed=False)).hex()


def _tron(key: PublicKey, _network: str) -> str:
    return base58.encode_check(TRON_VERSION + account_of(key.format(compressed=False)))


_WRITERS: Mapping[str, Callable[[PublicKey, str], str]] = {
    "bitcoin": _bitcoin,
    "ethereum": _ethereum,
    "tron": _tron,
}
