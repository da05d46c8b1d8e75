"""How segments of both books are named: by where they begin, so that names sort as they follow."""

import re

from orion.log.errors import SegmentUnreadable

_DIGITS = 20  # Hold every offset and number (2^63).
_SUFFIX = ".jsonl.gz"
_NAME = re.compile(rf"[0-9]{{{_DIGITS}}}{re.escape(_SUFFIX)}", re.ASCII)


def segment_name(prefix: str, first: int) -> str:
    """The name of the segment that begins at `first`, under `prefix`."""
    return f"{prefix}{first:0{_DIGITS}d}{_SUFFIX}"


def is_segment_name(prefix: str, name: str) -> bool:
    """Whether this is the name of a segment under `prefix`."""
    return name.startswith(prefix) and _NAME.fullmatch(name, len(prefix)) is not None


def first_of(prefix: str, name: str) -> int:
    """Where the segment of this name begins. Raises SegmentUnreadable for another name."""
    if not is_segment_name(prefix, name):
        raise SegmentUnreadable("an object among the segments has another name", key=name[:256])
    return int(name[len(prefix) : len(prefix) + _DIGITS])


def just_before(prefix: str, first: int) -> str:
    """Sorts before the segment that begins at `first`, and behind all that begin before it."""
    return f"{prefix}{max(0, first):0{_DIGITS}d}"
