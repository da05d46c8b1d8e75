"""A group's account keys for the sweep signers, and the keys that name its custody accounts on
Tron.
"""

from collections.abc import Mapping

from coincurve import PublicKey

from orion.chains.tron.address import address_of
from orion.kms.keys.branches import account_path
from orion.kms.keys.ed25519_key import Ed25519Key
from orion.kms.keys.extended_private_key import ExtendedPrivateKey
from orion.kms.model import TRON_CUSTODY
from orion.wallet.addresses import account_of
from orion.wallet.extended_key import ExtendedPublicKey
from orion.wallet.paths import Path, solana_root, tron_custody_account


def chain_keys(seed: bytes | bytearray, networks: Mapping[str, str]) -> Mapping[str, bytearray]:
    """The serialized private node of every chain of `networks`, by the names of
    `model.chain_key_names`: 78 bytes of BIP-32, or 64 of `Ed25519Key.payload` for Solana.

    Whoever calls it overwrites what it returns. Raises InvalidSeed, UnknownChain, UnknownNetwork.
    """
    root = ExtendedPrivateKey.master(seed)
    found = {
        chain: bytearray(root.derive(account_path(chain, network)).payload())
        for chain, network in networks.items()
        if chain != "solana"
    }
    if "tron" in networks:
        found[TRON_CUSTODY] = bytearray(root.derive(tron_custody_account()).payload())
    if "solana" in networks:
        node = Ed25519Key.master(seed).derive(solana_root())
        found["solana"] = bytearray(node.payload())
    return found


def tron_custody_address(node: bytes | bytearray, place: int) -> str:
    """The address that the key 0/`place` below the node `tron-custody` names: 0 hot, 1 warm.

    Raises MalformedExtendedKey.
    """
    account: ExtendedPublicKey = ExtendedPrivateKey.parse(bytes(node)).public()
    child = account.derive(Path((0, place)))
    return address_of(account_of(PublicKey(child.public_key).format(compressed=False)))
