"""What a batch reads of its shard, in the transaction that decides."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, TypeVar

from orion.adapters.mysql.ledger_store_lane import Lane
from orion.adapters.mysql.ledger_store_rows import listed
from orion.errors import OrionError, Retry
from orion.ledger.codes import Code, Purpose
from orion.ledger.model import AccountKey, Counters, Pending, PendingState, account_key

T = TypeVar("T")

# Below MariaDB's threshold (1,000) for turning a list into a temporary table.
LIST_SIZE = 900
# Each asset once, however many incidents froze it; far more than the product knows.
MAX_FROZEN = 1_000


class UnknownShard(OrionError):
    """Transfers came on a partition that is no shard of this ledger."""

    code: ClassVar[str] = "unknown_shard"
    retry: ClassVar[Retry] = Retry.NEVER


class TooManyFrozen(OrionError):
    """More assets are frozen than are read: to leave one out would pay it out."""

    code: ClassVar[str] = "too_many_frozen"
    retry: ClassVar[Retry] = Retry.NEVER


@dataclass(frozen=True, slots=True)
class ShardRow:
    """The next numbers of a shard, the count of its commits and the time of the last one."""

    next_posted: int
    next_refused: int
    next_leg: int
    version: int
    last_posted_at: datetime


def lock_shard(lane: Lane, shard: int) -> ShardRow:
    """Wait for the shard's other writer, if there is one. Raises UnknownShard."""
    found = lane.ask(
        "SELECT next_posted, next_refused, next_leg, version, last_posted_at FROM shard"  # noqa: S608
        f" WHERE shard_no = {shard:d} FOR UPDATE"
    )
    if not found:
        raise UnknownShard("this partition is no shard of the ledger", shard=shard)
    ((posted, refused, leg, version, last),) = found
    return ShardRow(posted, refused, leg, version, last.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What others than this shard's writer may have changed: the next number of refusals of each
    shard, the newest version of the map, and the assets with an open row of `asset_freeze`.
    """

    next_refused: Mapping[int, int]
    map_version: int
    frozen: frozenset[str]


def surroundings(lane: Lane) -> Surroundings:
    """One statement, because a batch of one transfer pays for each. Raises TooManyFrozen."""
    rows = lane.ask(
        "SELECT shard_no, next_refused, NULL, NULL FROM shard"  # noqa: S608
        " UNION ALL SELECT NULL, NULL, MAX(map_version), NULL FROM shard_map"
        " UNION ALL (SELECT DISTINCT NULL, NULL, NULL, asset FROM asset_freeze"
        f" WHERE lifted_at IS NULL LIMIT {MAX_FROZEN + 1})"
    )
    frozen = frozenset(asset for *_, asset in rows if asset is not None)
    if len(frozen) > MAX_FROZEN:
        raise TooManyFrozen("more assets are frozen than there can be", limit=MAX_FROZEN)
    return Surroundings(
        next_refused={int(shard): int(upto) for shard, upto, _, _ in rows if shard is not None},
        map_version=max(int(map_) for _, _, map_, _ in rows if map_ is not None),
        frozen=frozen,
    )


def known_digests(lane: Lane, identities: Collection[bytes]) -> dict[bytes, frozenset[bytes]]:
    """The digests that were posted or refused under `identities`."""
    found: dict[bytes, frozenset[bytes]] = {}
    for chunk in chunks(sorted(identities), LIST_SIZE):
        for table in ("transfer", "refusal"):
            rows = lane.ask(f"SELECT id, digest FROM {table} WHERE id IN ({listed(chunk)})")  # noqa: S608
            for identity, digest in rows:
                found[identity] = found.get(identity, frozenset()) | {digest}
    return found


def stored_counters(lane: Lane, keys: Iterable[AccountKey]) -> dict[AccountKey, Counters]:
    """The counters of those of `keys` that exist. The shard's row lock keeps others from them."""
    by_id = {key.id: key for key in keys}
    found: dict[AccountKey, Counters] = {}
    for chunk in chunks(sorted(by_id), LIST_SIZE):
        rows = lane.ask(
            "SELECT id, debits_posted, debits_pending, credits_posted, credits_pending"  # noqa: S608
            f" FROM account WHERE id IN ({listed(chunk)})"
        )
        for identity, *counters in rows:
            found[by_id[identity]] = Counters(*(int(counter) for counter in counters))
    return found


def stored_pendings(lane: Lane, identities: Collection[bytes]) -> dict[bytes, Pending]:
    """The pending transfers of `identities`, ended ones too."""
    found: dict[bytes, Pending] = {}
    for chunk in chunks(sorted(identities), LIST_SIZE):
        rows = lane.ask(
            "SELECT id, code, asset, debit_owner, debit_purpose, credit_owner, credit_purpose,"  # noqa: S608
            f" units, state, signed FROM pending WHERE id IN ({listed(chunk)})"
        )
        for (
            identity,
            code,
            asset,
            debit,
            debit_for,
            credit,
            credit_for,
            units,
            state,
            signed,
        ) in rows:
            found[identity] = Pending(
                identity,
                Code(code),
                account_key(debit, Purpose(debit_for), asset),
                account_key(credit, Purpose(credit_for), asset),
                int(units),
                PendingState(state),
                bool(signed),
            )
    return found


def chunks(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """`rows` in pieces of at most `size`."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
