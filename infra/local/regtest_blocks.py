"""The blocks of a regtest btcd, kept over its restarts: btcd deletes its regtest database at every
start.

Its block files (database/ffldb/blockio.go, "writeBlock") are records of network magic (4 bytes),
block length (4 bytes, little endian), block and checksum (4 bytes), in the order in which blocks
came.
"""

from collections.abc import Sequence
from pathlib import Path

from infra.local.authority import write_private
from orion.chains.bitcoin.hashing import sha256d

_MAGIC = bytes.fromhex("fabfb5da")
_HEADER_BYTES = 80
_CHECKSUM_BYTES = 4


def stored_blocks(folder: Path) -> list[bytes]:
    """The whole blocks in the files of `folder`, without the first (genesis); none when there is
    none.

    A record that a crash cut short ends its file.
    """
    blocks: list[bytes] = []
    for path in sorted(folder.glob("*.fdb")):
        blocks += _records(path.read_bytes())
    return [block for block in blocks if any(block[4:36])]


def _records(content: bytes) -> list[bytes]:
    found = []
    begin = 0
    while content[begin : begin + 4] == _MAGIC:
        size_bytes = int.from_bytes(content[begin + 4 : begin + 8], "little")
        block = content[begin + 8 : begin + 8 + size_bytes]
        begin += 8 + size_bytes + _CHECKSUM_BYTES
        if begin > len(content):
            break
        found.append(block)
    return found


def keep(blocks: Sequence[bytes], archive: Path) -> None:
    """Add those of `blocks` to `archive` that it lacks; the file is replaced whole."""
    known = kept_blocks(archive)
    seen = {_identity(block) for block in known}
    fresh = [block for block in blocks if _identity(block) not in seen]
    if fresh:
        replacement = archive.with_suffix(".new")
        write_private(
            replacement,
            b"".join(len(block).to_bytes(4, "little") + block for block in (*known, *fresh)),
        )
        replacement.rename(archive)


def kept_blocks(archive: Path) -> list[bytes]:
    """The blocks of `archive`, parents before children."""
    content = archive.read_bytes() if archive.exists() else b""
    found = []
    begin = 0
    while begin < len(content):
        end = begin + 4 + int.from_bytes(content[begin : begin + 4], "little")
        found.append(content[begin + 4 : end])
        begin = end
    return found


def _identity(block: bytes) -> bytes:
    return sha256d(block[:_HEADER_BYTES])
