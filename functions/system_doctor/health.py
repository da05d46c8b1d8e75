"""Whether the system is well, for people, load balancers and start-up scripts."""

from collections.abc import Mapping

from orion.runtime.http import serve
from orion.runtime.system_doctor import HANDLERS


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """One REST API proxy event."""
    return serve(event, HANDLERS)
