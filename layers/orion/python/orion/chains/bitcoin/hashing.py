"""Bitcoin's double SHA-256 and the tree over transaction ids."""

import hashlib
from collections.abc import Sequence


def sha256d(data: bytes) -> bytes:
    """SHA-256 of SHA-256."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def display_hash(digest: bytes) -> str:
    """A hash as people and nodes write it: bytes reversed, hex."""
    return digest[::-1].hex()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """The root over `leaves` (at least one), in internal byte order.

    An odd level repeats its last node.
    """
    level = list(leaves)
    while len(level) > 1:
        if len(level) & 1:
            level.append(level[-1])
        level = [sha256d(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]
