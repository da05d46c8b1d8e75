"""Posts `ledger.transfers`: the single writer of a shard."""

from collections.abc import Mapping

from orion.runtime import ledger


def handler(event: Mapping[str, object], context: object) -> Mapping[str, int]:
    return ledger.post(event)
