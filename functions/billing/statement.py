"""Shows operators an account's statement, page by page, at any moment."""

from collections.abc import Mapping

from orion.runtime import ledger_statements


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """`{"account", "limit", "cursor", "at", "order"}`; all but the first may be left out."""
    return ledger_statements.page(event)
