"""Whether an id was ever refused, asked thousands of times a batch of a table that hardly grows.

Refusals never change and never go, so what was read once stays true, whoever wrote it. Each batch
reads what came since: the shards' own numbers say whether anything did.
"""

from collections.abc import Collection, Mapping, Sequence

from orion.adapters.mysql.ledger_store_lane import Lane
from orion.adapters.mysql.ledger_store_reading import LIST_SIZE, chunks
from orion.adapters.mysql.ledger_store_rows import listed
from orion.ledger.model import Transfer
from orion.ledger.posting import ids

# A hundred bytes each. With more refusals than that, the database is asked.
MAX_REFUSED = 50_000


class KnownIdentity(Exception):
    """An id of the batch was posted or refused before: decide again, knowing how."""


class Refusals:
    """The ids that were refused, as far as the writer has read them."""

    def __init__(self) -> None:
        self._ids: set[bytes] = set()
        self._upto: dict[int, int] = {}
        self._too_many = False

    def catch_up(self, lane: Lane, next_refused: Mapping[int, int]) -> None:
        """Read what was refused since the last time, by any shard."""
        if next_refused == self._upto:
            return
        if any(upto < self._upto.get(shard, 0) for shard, upto in next_refused.items()):
            # Another database, or an older state of this one.
            self._ids.clear()
            self._upto.clear()
            self._too_many = False
        for shard, upto in next_refused.items():
            since = self._upto.get(shard, 1)
            if upto > since and not self._too_many:
                rows = lane.ask(
                    f"SELECT id FROM refusal WHERE shard_no = {shard:d} AND number >= {since:d}"  # noqa: S608
                    f" AND number < {upto:d} LIMIT {MAX_REFUSED + 1 - len(self._ids)}"
                )
                self._ids.update(identity for (identity,) in rows)
                self._too_many = len(self._ids) > MAX_REFUSED
            self._upto[shard] = upto

    def hold_none(self, lane: Lane, records: Sequence[Sequence[Transfer]]) -> None:
        """Raise KnownIdentity, now or before the commit, where an id of `records` was refused."""
        if not self._ids and not self._too_many:
            return
        identities = ids(records)
        if not self._too_many:
            if not self._ids.isdisjoint(identities):
                raise KnownIdentity
            return
        for some in chunks(sorted(identities), LIST_SIZE):
            lane.tell(
                f"SELECT 1 FROM refusal WHERE id IN ({listed(some)}) LIMIT 1",  # noqa: S608
                none_found,
            )


def none_found(_affected: int, found: Collection[object]) -> None:
    """The check of a statement that looks for known ids."""
    if found:
        raise KnownIdentity
