"""What can be wrong with a seed. No error quotes it."""

from orion.errors import OrionError


class InvalidSeed(OrionError):
    """A seed that BIP-32 has no master key for: another one must be made."""

    code = "invalid_seed"
