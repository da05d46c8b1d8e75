"""The hosted checkout page; its files travel in the folder `checkout` beside this one."""

from collections.abc import Mapping
from pathlib import Path

from orion.runtime.checkout import handlers
from orion.runtime.http import serve

HANDLERS = handlers(Path(__file__).with_name("checkout"))


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """One REST API proxy event."""
    return serve(event, HANDLERS)
