"""What can stop an agent, and whether waiting helps."""

from orion.errors import OrionError, Retry


class NodeUnavailable(OrionError):
    """The node does not answer, or not now: waiting helps."""

    code = "node_unavailable"
    retry = Retry.LATER


class NodeMisconfigured(OrionError):
    """The node is on another network or lacks a method that this agent needs.

    A person must look.
    """

    code = "node_misconfigured"


class EndpointRefused(OrionError):
    """An endpoint that is not on this host, or a socket that others may open."""

    code = "endpoint_refused"


class SettingsMissing(OrionError):
    """A parameter, a secret or a row of node.toml that is absent or malformed."""

    code = "settings_missing"


class ReorgTooDeep(OrionError):
    """No common ancestor within the bound: nothing more is published until a person has looked."""

    code = "reorg_too_deep"


class PublishRefused(OrionError):
    """Kafka refused a record for a reason that no repetition mends.

    Wrong rights, unknown topic, too large.
    """

    code = "publish_refused"


class StateRefused(OrionError):
    """The agent's state folder cannot be trusted: others may open it, or its content is damaged.

    A person must look.
    """

    code = "state_refused"
