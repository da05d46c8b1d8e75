"""The pages of problems and the OpenAPI document; files travel in the folders beside this one."""

from collections.abc import Mapping
from pathlib import Path

from orion.runtime.http import serve
from orion.runtime.reference import handlers

HANDLERS = handlers(Path(__file__).with_name("problems"), Path(__file__).with_name("shared"))


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """One REST API proxy event."""
    return serve(event, HANDLERS)
