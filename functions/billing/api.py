"""Invoices, links, sessions, rates, balances and webhook endpoints over HTTP."""

from collections.abc import Mapping

from orion.runtime import billing, fees, links, rates_api
from orion.runtime.http import serve

HANDLERS = {**billing.HANDLERS, **fees.HANDLERS, **links.HANDLERS, **rates_api.HANDLERS}


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """One REST API proxy event."""
    return serve(event, HANDLERS)
