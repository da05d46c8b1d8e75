"""From a group's seed to the public keys that its wallets' addresses follow from."""

from collections.abc import Mapping, Sequence

from orion.chains.errors import UnknownChain
from orion.kms.keys.ed25519_key import Ed25519Key
from orion.kms.keys.extended_private_key import ExtendedPrivateKey
from orion.wallet.addresses import WalletKeys, WalletRange
from orion.wallet.paths import (
    Path,
    bitcoin_branch,
    ethereum_branch,
    solana_account,
    solana_root,
    tron_branch,
)


def wallet_keys(
    seed: bytes | bytearray, networks: Mapping[str, str], wanted: WalletRange
) -> WalletKeys:
    """The keys of a range for every chain of `networks`, without private ones.

    For Bitcoin, Ethereum and Tron the private steps end at the branch: four a chain, once a range,
    and every wallet below costs one public tweak. For Solana all steps are private, two a wallet.
    Raises InvalidSeed, UnknownChain, UnknownNetwork.
    """
    root = ExtendedPrivateKey.master(seed)
    branches = {
        chain: root.derive(_branch(chain, network)).public()
        for chain, network in networks.items()
        if chain != "solana"
    }
    leaves = {"solana": solana_keys(seed, wanted)} if "solana" in networks else {}
    return WalletKeys(wanted, branches, leaves, networks.get("bitcoin", ""))


def solana_keys(seed: bytes | bytearray, wanted: WalletRange) -> Sequence[bytes]:
    """The Ed25519 public keys m/44'/501'/index'/0' of a range, in order. Raises InvalidSeed."""
    parent = Ed25519Key.master(seed).derive(solana_root())
    return [parent.derive(solana_account(index)).public_key() for index in wanted.indexes()]


def account_path(chain: str, network: str) -> Path:
    """The account that a chain's receiving branch is below: what that chain's sweep signer holds.

    Raises UnknownChain, UnknownNetwork.
    """
    return Path(_branch(chain, network).numbers[:-1])


def _branch(chain: str, network: str) -> Path:
    match chain:
        case "bitcoin":
            return bitcoin_branch(network)
        case "ethereum":
            return ethereum_branch()
        case "tron":
            return tron_branch()
    raise UnknownChain("wallets have no address on this chain", chain=chain[:32])
