"""What moneyin refuses. None of these may be skipped on `chain.*`: the partition stops and people
look.
"""

from orion.errors import OrionError


class MalformedEvent(OrionError):
    """A record whose fields are not those of docs/contracts.md."""

    code = "malformed_event"


class ForeignStream(OrionError):
    """A block event of another chain than its topic's, or of another network than this
    deployment's.
    """

    code = "foreign_stream"


class UnusablePolicy(OrionError):
    """Confirmations, nodes or contracts of this deployment that no chain can be followed with."""

    code = "unusable_policy"


class AddressConflict(OrionError):
    """kms named another address for a known place, or a known address for another place: two seeds
    are in use.
    """

    code = "address_conflict"
