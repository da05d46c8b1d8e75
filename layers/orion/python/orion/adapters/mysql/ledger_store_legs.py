"""A shard applies a leg once, and only one that its sender put in flight.

A leg is applied whatever its account's rule says, so one that no shard sent would be money from
nowhere. It must stand in `leg` as it came, unapplied; the commit that applies it says so there.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from orion.adapters.mysql.ledger_store_lane import Lane
from orion.adapters.mysql.ledger_store_reading import LIST_SIZE, chunks
from orion.adapters.mysql.ledger_store_rows import listed, sql_moment
from orion.errors import OrionError, Retry
from orion.ledger.codes import Purpose
from orion.ledger.model import Entry, Side


class UnknownLeg(OrionError):
    """A leg that no shard put in flight, or not in this form, or that was applied already."""

    code: ClassVar[str] = "unknown_leg"
    retry: ClassVar[Retry] = Retry.NEVER


def apply_legs(lane: Lane, entries: Sequence[Entry], at: datetime) -> None:
    """Mark the legs that `entries` apply. Raises UnknownLeg."""
    for some in chunks(entries, LIST_SIZE):
        named = listed(entry.transfer.id for entry in some)
        rows = lane.ask(
            "SELECT id, account, side, units FROM leg"  # noqa: S608
            f" WHERE id IN ({named}) AND applied_at IS NULL FOR UPDATE"
        )
        flying = {row[0]: (row[1], str(row[2]), int(row[3])) for row in rows}
        for entry in some:
            if flying.get(entry.transfer.id) != _meant(entry):
                raise UnknownLeg(
                    "a leg came that is not in flight in this form", leg=entry.transfer.id.hex()
                )
        lane.tell(
            f"UPDATE leg SET applied_at = '{sql_moment(at)}' WHERE id IN ({named})"  # noqa: S608
        )


def _meant(entry: Entry) -> tuple[bytes, str, int]:
    transfer = entry.transfer
    debits = transfer.credit.purpose is Purpose.CLEARING
    account, side = (transfer.debit, Side.DEBIT) if debits else (transfer.credit, Side.CREDIT)
    return account.id, side.value, transfer.units
