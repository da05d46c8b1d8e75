"""A group's wallets on one chain, with their private keys: opened for one sweep."""

from collections.abc import Sequence
from typing import Protocol

from orion.chains.spend import WalletKind
from orion.kms.keys.ed25519_key import Ed25519Key
from orion.kms.keys.extended_private_key import ExtendedPrivateKey
from orion.wallet.paths import Path, solana_account

_RECEIVING = 0
# Below the node `tron-custody`: the keys 0/0 and 0/1 name the hot and the warm wallet.
NAMING_PLACES = {WalletKind.HOT: 0, WalletKind.WARM: 1}


class WalletKey(Protocol):
    """A wallet's private key."""

    def public_key(self) -> bytes:
        """33 bytes of a compressed point, or 32 of Ed25519."""
        ...

    def sign(self, message: bytes) -> bytes:
        """65 bytes r, s, recovery id over a digest, or 64 bytes over a message; the same every
        time.
        """
        ...


def wallet_keys(chain: str, node: bytearray, indexes: Sequence[int]) -> Sequence[WalletKey]:
    """The keys of wallets in the order of `indexes`, below the node that `chain_keys` serialized.

    Raises MalformedExtendedKey, InvalidChildKey, IndexOutOfRange.
    """
    if chain == "solana":
        parent = Ed25519Key.parse(bytes(node))
        return [parent.derive(solana_account(index)) for index in indexes]
    branch = ExtendedPrivateKey.parse(bytes(node)).child(_RECEIVING)
    return [branch.child(index) for index in indexes]


def naming_key(node: bytearray, kind: WalletKind) -> ExtendedPrivateKey:
    """The key that named the group's hot or warm account on Tron.

    Raises MalformedExtendedKey, InvalidChildKey.
    """
    path = Path((_RECEIVING, NAMING_PLACES[kind]))
    return ExtendedPrivateKey.parse(bytes(node)).derive(path)
