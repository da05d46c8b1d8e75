"""Merkle tree hashes and audit paths, as of RFC 6962 section 2.1 (RFC 9162, section 2.1).

Leaf and node hashes begin with different bytes, so that no node can pass for a leaf. A lone node at
the end of a level is promoted unchanged, which is the split at the greatest power of two below the
size that the RFC describes. All hashes are 32 bytes of SHA-256.
"""

import hashlib
from collections.abc import Sequence

HASH_BYTES = 32
MAX_PATH = 64  # Hashes: no tree here has more than 2^64 leaves.
_NODE = b"\x01"
_PAIR = 2 * HASH_BYTES
_leaf_prefix = hashlib.sha256(b"\x00")
_EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf(line: bytes) -> bytes:
    """SHA-256(0x00 || line)."""
    state = _leaf_prefix.copy()
    state.update(line)
    return state.digest()


def node(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(_NODE + left + right).digest()


def root(leaves: Sequence[bytes] | bytes) -> bytes:
    """The tree hash of leaves in order, given one by one or as one run of 32 bytes each.

    Needs as many bytes again as the leaves have. Of no leaves: SHA-256 of nothing.
    """
    level = _joined(leaves)
    if not level:
        return _EMPTY_ROOT
    while len(level) > HASH_BYTES:
        level = _above(level)
    return level


def path(leaves: Sequence[bytes] | bytes, index: int) -> tuple[bytes, ...]:
    """The audit path of the leaf at `index` (from 0), from its sibling up. Raises IndexError."""
    level = _joined(leaves)
    if not 0 <= index < len(level) // HASH_BYTES:
        raise IndexError("no leaf of the tree has this index")
    found = []
    while len(level) > HASH_BYTES:
        sibling = (index ^ 1) * HASH_BYTES
        if sibling < len(level):
            found.append(level[sibling : sibling + HASH_BYTES])
        level = _above(level)
        index >>= 1
    return tuple(found)


def check(
    leaf_hash: bytes, index: int, size: int, audit_path: Sequence[bytes], root_hash: bytes
) -> bool:
    """Whether `audit_path` leads from the leaf at `index` of `size` leaves to the root.

    RFC 9162, section 2.1.3.2. For a size that is known, no other index passes; the size itself is
    not proven (trees of 5 to 8 leaves give their leaf 3 the same form of path): it must come from
    where the root comes from.
    """
    hashes = (leaf_hash, root_hash, *audit_path)
    if not 0 <= index < size or any(len(value) != HASH_BYTES for value in hashes):
        return False
    place, last, reached = index, size - 1, leaf_hash
    for sibling in audit_path:
        if last == 0:
            return False
        if place & 1 or place == last:
            reached = node(sibling, reached)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            reached = node(reached, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and reached == root_hash


def _joined(leaves: Sequence[bytes] | bytes) -> bytes:
    level = leaves if isinstance(leaves, bytes) else b"".join(leaves)
    if len(level) % HASH_BYTES:
        raise ValueError("leaves have 32 bytes each")
    return level


def _above(level: bytes) -> bytes:
    sha256 = hashlib.sha256
    whole = len(level) - len(level) % _PAIR
    above = bytearray()
    for at in range(0, whole, _PAIR):
        above += sha256(_NODE + level[at : at + _PAIR]).digest()
    return bytes(above + level[whole:])
