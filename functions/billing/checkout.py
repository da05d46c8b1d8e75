"""The hosted checkout page; its files travel in the folders `checkout` and `shared` beside this
one.
"""

from collections.abc import Mapping
from pathlib import Path

from orion.runtime.checkout import handlers
from orion.runtime.http import serve

_HERE = Path(__file__)
HANDLERS = handlers(_HERE.with_name("checkout"), _HERE.with_name("shared"))


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """One REST API proxy event."""
    return serve(event, HANDLERS)
