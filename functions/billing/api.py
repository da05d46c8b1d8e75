"""Invoices, links, sessions, rates, balances and webhook endpoints over HTTP."""

from collections.abc import Mapping

from orion.runtime import billing, fees, invoice_history, links, rates_api, webhooks
from orion.runtime.http import serve

HANDLERS = {
    **billing.HANDLERS,
    **invoice_history.HANDLERS,
    **fees.HANDLERS,
    **links.HANDLERS,
    **rates_api.HANDLERS,
    **webhooks.HANDLERS,
}


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """One REST API proxy event."""
    return serve(event, HANDLERS)
