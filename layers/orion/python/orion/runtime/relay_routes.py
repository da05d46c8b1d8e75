"""To which partition a record goes whose topic has one partition for each shard of the ledger.

`shard:<n>` and the bare number of `ledger.posted` and `ledger.refused` say it themselves.
`bucket:<n>` says whose money it is: the newest shard map, read when the record is sent, says where
that lives (docs/ledger.md, "Routing").
"""

import re
from collections.abc import Iterable, Sequence

from orion.adapters.mysql.ledger_map import newest_map
from orion.adapters.mysql.session import Cursor
from orion.errors import OrionError
from orion.ledger.buckets import BUCKETS, MAX_SHARDS

ROUTED_TOPIC = "ledger.transfers"
# Every module whose relay sends there, as infra/topics.toml says.
SENDERS = ("moneyin", "ledger", "billing")
_NUMBERED_TOPICS = frozenset({"ledger.posted", "ledger.refused"})
_ROUTED_KEY = re.compile(rb"(bucket|shard):(0|[1-9][0-9]{0,2})")
_NUMBER = re.compile(rb"0|[1-9][0-9]{0,2}")


class Unroutable(OrionError):
    """A stored row names no bucket and no shard: a mistake of the module that stored it."""

    code = "unroutable"


def shards_by_bucket(cursor: Cursor, topics: Iterable[str]) -> Sequence[int]:
    """The newest map's shard of each bucket; empty where none of `topics` asks for it.

    Read it in the transaction that reads the rows: no later than they are sent, and no earlier than
    the relay's lock was taken.
    """
    return newest_map(cursor) if ROUTED_TOPIC in topics else ()


def partition_of(topic: str, key: bytes, shards: Sequence[int]) -> int | None:
    """The partition for this record, or None where its key's hash decides. Raises Unroutable."""
    if topic in _NUMBERED_TOPICS:
        if not _NUMBER.fullmatch(key):
            raise Unroutable("the key is no shard's number", topic=topic)
        return int(key)
    if topic != ROUTED_TOPIC:
        return None
    named = _ROUTED_KEY.fullmatch(key)
    if named is None:
        raise Unroutable("the key names neither bucket nor shard", topic=topic)
    number = int(named[2])
    if number >= (BUCKETS if named[1] == b"bucket" else MAX_SHARDS):
        raise Unroutable("no such bucket or shard", topic=topic, number=number)
    return shards[number] if named[1] == b"bucket" else number
