"""From a group's seed to the public branches that its wallets are children of."""

from orion.kms.keys.extended_private_key import ExtendedPrivateKey
from orion.wallet.addresses import Branches
from orion.wallet.paths import bitcoin_branch, ethereum_branch


def branches(seed: bytes | bytearray, bitcoin_network: str) -> Branches:
    """The branches m/84'/coin'/0'/0 and m/44'/60'/0'/0, without private keys. Raises InvalidSeed,
    UnknownNetwork.

    The private steps end here: four a chain, once a range. Every wallet below costs one public
    tweak a chain.
    """
    root = ExtendedPrivateKey.master(seed)
    return Branches(
        bitcoin=root.derive(bitcoin_branch(bitcoin_network)).public(),
        ethereum=root.derive(ethereum_branch()).public(),
        bitcoin_network=bitcoin_network,
    )
