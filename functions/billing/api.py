"""Invoices, rates, balances and webhook endpoints over HTTP."""

from collections.abc import Mapping

from orion.runtime.billing import HANDLERS
from orion.runtime.http import serve


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """One REST API proxy event."""
    return serve(event, HANDLERS)
