"""The parameter that lets webhooks go to private networks: `none` in the cloud."""

import ipaddress
import json
from collections.abc import Sequence

from orion.billing.webhook_target import Network
from orion.runtime.settings import MissingSetting, Settings

_NAME = "webhooks/allowed-private-networks"


def allowed_private_networks(known: Settings) -> Sequence[Network]:
    """Networks that webhooks may go to although they are private. Raises MissingSetting."""
    known.text(_NAME)  # An absent parameter is a mistake, not a permission and not a refusal.
    text = known.optional(_NAME)
    try:
        return [ipaddress.ip_network(entry) for entry in json.loads(text)] if text else []
    except (TypeError, ValueError) as exc:
        raise MissingSetting("not a JSON list of networks", parameter=_NAME) from exc
