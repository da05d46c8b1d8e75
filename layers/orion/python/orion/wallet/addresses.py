"""The addresses of a wallet on every chain, from public keys only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from coincurve import PublicKey

from orion.chains.bitcoin import bech32
from orion.chains.bitcoin.network import network_of
from orion.chains.ethereum.keccak import keccak256
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
class Branches:
    """The receiving branch of a group on each chain, and the network that its Bitcoin addresses
    are written for.
    """

    bitcoin: ExtendedPublicKey
    ethereum: ExtendedPublicKey
    bitcoin_network: str


def p2wpkh_address(public_key: bytes, network: str) -> str:
    """BIP-84: version 0 witness program of the compressed key's HASH160. Raises UnknownNetwork."""
    hrp = network_of(network).hrp
    return bech32.encode(hrp, 0, hash160(public_key), bech32.Encoding.BECH32)


def ethereum_address(uncompressed: bytes) -> str:
    """Last 20 bytes of Keccak-256 over the point's 64 bytes (Yellow Paper, appendix F), lower
    case.
    """
    return "0x" + keccak256(uncompressed[1:])[12:].hex()


def addresses(branches: Branches, wanted: WalletRange) -> Iterator[WalletAddresses]:
    """The wallets of a range, in order. Raises InvalidChildKey, UnknownNetwork."""
    # One parsed parent point a branch and no Lineage a child: this loop runs a million times in a
    # batch.
    bitcoin, ethereum = (
        PublicKey(branches.bitcoin.public_key),
        PublicKey(branches.ethereum.public_key),
    )
    for index in wanted.indexes():
        bitcoin_key = _child_point(bitcoin, branches.bitcoin, index)
        ethereum_key = _child_point(ethereum, branches.ethereum, index)
        yield WalletAddresses(
            index,
            {
                "bitcoin": p2wpkh_address(bitcoin_key.format(), branches.bitcoin_network),
                "ethereum": ethereum_address(ethereum_key.format(compressed=False)),
            },
        )


def _child_point(parent: PublicKey, branch: ExtendedPublicKey, index: int) -> PublicKey:
    return tweaked(parent, child_tweak(branch.chain_code, branch.public_key, index)[0])
