"""The merchant pages; their files travel in the folders beside this one."""

from collections.abc import Mapping
from pathlib import Path

from orion.runtime.http import serve
from orion.runtime.merchant_pages import handlers

HANDLERS = handlers(Path(__file__).with_name("merchant"), Path(__file__).with_name("shared"))


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """One REST API proxy event."""
    return serve(event, HANDLERS)
