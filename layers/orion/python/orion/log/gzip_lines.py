"""Lines as one gzip file: written in one way only, and read strictly.

Both books of this module are kept so. Equal lines give equal bytes, because the gzip header
carries no time (RFC 1952, section 2.3.1, MTIME 0).
"""

import gzip
import zlib
from collections.abc import Sequence

from orion.log.errors import SegmentUnreadable

_GZIP = 31  # zlib's window bits for one gzip member, header and checksum checked.
_END = b"\n"
# Half the time of zlib's usual 6 for a twelfth more bytes: most of a line is random digits.
_LEVEL = 3


def packed(lines: Sequence[bytes]) -> bytes:
    """The file of `lines`, each with its line end. No line may hold one."""
    return gzip.compress(b"".join(line + _END for line in lines), _LEVEL, mtime=0)


def unpacked(body: bytes, *, limit_bytes: int) -> list[bytes]:
    """The lines of a file of one gzip member, at most `limit_bytes` in all.

    Raises SegmentUnreadable: not gzip, damaged, cut off, continued, too large, or no line end at
    its end.
    """
    opened = zlib.decompressobj(_GZIP)
    try:
        text = opened.decompress(body, limit_bytes)
    except zlib.error as exc:
        raise SegmentUnreadable("a segment is not gzip, or damaged", part="gzip") from exc
    if not opened.eof or opened.unused_data:
        raise SegmentUnreadable("a segment is cut off, continued or too large", part="gzip")
    if not text.endswith(_END):
        raise SegmentUnreadable("a segment's last line has no end", part="lines")
    return text[: -len(_END)].split(_END)


def first_line(body: bytes, *, limit_bytes: int) -> bytes:
    """The first line alone, of at most `limit_bytes`. Raises SegmentUnreadable."""
    try:
        text = zlib.decompressobj(_GZIP).decompress(body, limit_bytes)
    except zlib.error as exc:
        raise SegmentUnreadable("a segment is not gzip, or damaged", part="gzip") from exc
    line, end, _ = text.partition(_END)
    if not end:
        raise SegmentUnreadable("a segment has no first line", part="lines")
    return line
