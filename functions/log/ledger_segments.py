"""Keeps the records of `ledger.posted` in the log book."""

from collections.abc import Mapping

from orion.runtime.ledger_book import write_segments


def handler(event: Mapping[str, object], context: object) -> Mapping[str, int]:
    """Lambda entry."""
    return write_segments(event)
