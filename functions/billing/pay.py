"""The page of payment links; its files travel in the folders `pay` and `shared` beside this one."""

from collections.abc import Mapping
from pathlib import Path

from orion.runtime import links_page


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """One REST API proxy event."""
    here = Path(__file__)
    return links_page.answer(event, here.with_name("pay"), here.with_name("shared"))
