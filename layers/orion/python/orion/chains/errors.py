"""What a chain's bytes, JSON or addresses can be wrong in."""

from orion.errors import OrionError


class UnknownChain(OrionError):
    """A chain name without a folder in `orion.chains`."""

    code = "unknown_chain"


class UnknownNetwork(OrionError):
    """A network that this chain does not have."""

    code = "unknown_network"


class MalformedBlock(OrionError):
    """A block that no well-behaved node answers: truncated, overlong, or contradicting itself."""

    code = "malformed_block"


class MalformedAddress(OrionError):
    """Text that is no address of this chain. The field `reason` is a stable word."""

    code = "malformed_address"


class WrongNetworkAddress(OrionError):
    """A well-formed address of another network of the same chain."""

    code = "wrong_network_address"


class AmountNotPayable(OrionError):
    """A payment link for an amount of zero or less, or of a contract on a chain that has none."""

    code = "amount_not_payable"
