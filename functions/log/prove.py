"""Proves to operators that a transfer stands in the log book."""

from collections.abc import Mapping

from orion.runtime.ledger_book import prove_transfer


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return prove_transfer(event)
