"""What stands in a path, by its name in the route's template.

Written down only: a handler refuses what it cannot read as the thing not found, with its own code.
"""

from collections.abc import Mapping

from orion.runtime.api_schema.kinds import Text, public_id

PATH_PARAMETERS: Mapping[str, Text] = {
    "asset": Text(max_length=64, form=r"[A-Z0-9]+\.[a-z0-9]+"),
    "code": Text(max_length=80, form="[a-z_]+"),
    "currency": Text(max_length=40, form="[A-Z]{3}"),
    "delivery_id": public_id("whd"),
    "endpoint_id": public_id("whe"),
    "event_id": public_id("evt"),
    "file": Text(max_length=80),
    "invoice_id": public_id("inv"),
    "key_id": public_id("key"),
    "link_id": public_id("pl"),
    "page": Text(max_length=40),
    "session_id": public_id("cs"),
    "version": Text(max_length=40),
}
