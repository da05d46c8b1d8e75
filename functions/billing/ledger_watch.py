"""Counts what the ledger's shards owe each other for too long, and carries on their growth."""

from collections.abc import Mapping

from orion.runtime import ledger_shards


def handler(event: Mapping[str, object], context: object) -> Mapping[str, int]:
    """Run by the schedule, every minute."""
    return ledger_shards.watch()
