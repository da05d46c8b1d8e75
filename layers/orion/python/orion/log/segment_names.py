"""How segments of both books are named: by where they begin, so that names sort as they follow."""

from orion.log.errors import SegmentUnreadable

_DIGITS = 20  # Hold every offset and number (2^63).
_SUFFIX = ".jsonl.gz"


def segment_name(prefix: str, first: int) -> str:
    """The name of the segment that begins at `first`, under `prefix`."""
    return f"{prefix}{first:0{_DIGITS}d}{_SUFFIX}"


def first_of(name: str) -> int:
    """Where the segment of this name begins. Raises SegmentUnreadable for another name."""
    digits = name.removesuffix(_SUFFIX)[-_DIGITS:]
    if not (name.endswith(_SUFFIX) and digits.isascii() and digits.isdigit()):
        raise SegmentUnreadable("an object among the segments has another name", key=name[:256])
    return int(digits)


def just_before(prefix: str, first: int) -> str:
    """Sorts before the segment that begins at `first`, and behind all that begin before it."""
    return f"{prefix}{max(0, first):0{_DIGITS}d}"
