"""What can be wrong with a seed, a mnemonic or a digest. No error quotes it."""

from orion.errors import OrionError


class InvalidSeed(OrionError):
    """A seed that BIP-32 has no master key for: another one must be made."""

    code = "invalid_seed"


class MalformedMnemonic(OrionError):
    """Text that is no mnemonic of BIP-39's English list. The field `reason` is one of `length`,
    `word`, `checksum`; `position` counts from 1 and is the first unknown word's.
    """

    code = "malformed_mnemonic"


class InvalidEntropy(OrionError):
    """Entropy of a length that BIP-39 has no mnemonic for."""

    code = "invalid_entropy"


class MalformedDigest(OrionError):
    """Something other than 32 bytes where ECDSA signs a digest."""

    code = "malformed_digest"
