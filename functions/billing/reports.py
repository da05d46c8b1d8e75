"""Payments, statements and exports over HTTP."""

from collections.abc import Mapping

from orion.runtime.http import serve
from orion.runtime.reports import HANDLERS


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """One REST API proxy event."""
    return serve(event, HANDLERS)
