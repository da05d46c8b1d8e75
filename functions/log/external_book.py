"""Writes `ledger.posted` into the external book."""

from collections.abc import Mapping

from orion.runtime import external_book


def handler(event: Mapping[str, object], context: object) -> Mapping[str, int]:
    """One batch of the event source mapping of `ledger.posted`."""
    return external_book.write(event)
