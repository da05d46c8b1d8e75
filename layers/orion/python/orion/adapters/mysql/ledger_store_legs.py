"""A shard applies a leg once, and only one that its sender put in flight.

A leg is applied whatever its account's rule says, so one that no shard sent would be money from
nowhere. It must stand in `leg` as it came, cause and all, and unapplied; the commit that applies it
says so there.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from orion.adapters.mysql.ledger_store_lane import Lane, exactly
from orion.adapters.mysql.ledger_store_reading import LIST_SIZE, chunks
from orion.adapters.mysql.ledger_store_rows import listed, sql_moment
from orion.errors import OrionError, Retry
from orion.ledger.model import Entry


class UnknownLeg(OrionError):
    """A leg that no shard put in flight, or not in this form, or that was applied already."""

    code: ClassVar[str] = "unknown_leg"
    retry: ClassVar[Retry] = Retry.NEVER


def apply_legs(lane: Lane, entries: Sequence[Entry], at: datetime) -> None:
    """Mark the legs that `entries` apply. Raises UnknownLeg."""
    for some in chunks(entries, LIST_SIZE):
        named = listed(entry.transfer.id for entry in some)
        rows = lane.ask(
            f"SELECT id, digest FROM leg WHERE id IN ({named}) AND applied_at IS NULL"  # noqa: S608
        )
        flying: dict[bytes, bytes] = dict(rows)
        for entry in some:
            if flying.get(entry.transfer.id) != entry.digest:
                raise UnknownLeg(
                    "a leg came that is not in flight in this form", leg=entry.transfer.id.hex()
                )
        # By its id alone: along another index other shards' legs would be locked as well.
        lane.tell(
            f"UPDATE leg FORCE INDEX (PRIMARY) SET applied_at = '{sql_moment(at)}'"  # noqa: S608
            f" WHERE id IN ({named}) AND applied_at IS NULL",
            exactly(len(some), "legs in flight"),
        )
