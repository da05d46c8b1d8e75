"""What can be wrong with a key, an index or a path. No error of this package quotes key
material.
"""

from orion.errors import OrionError


class InvalidChildKey(OrionError):
    """BIP-32: this index has no key under this parent (probability below 2^-127). The next index
    has one.
    """

    code = "invalid_child_key"


class IndexOutOfRange(OrionError):
    """An index or a range of indexes outside what the derivation or the group allows."""

    code = "index_out_of_range"


class HardenedFromPublic(OrionError):
    """A hardened child needs the private key of its parent (BIP-32, public parent to public
    child).
    """

    code = "hardened_from_public"


class NormalFromEd25519(OrionError):
    """SLIP-10: a key on the Ed25519 curve has hardened children only."""

    code = "normal_from_ed25519"


class DepthExceeded(OrionError):
    """BIP-32 stores the depth in one byte: no key lies deeper than 255."""

    code = "depth_exceeded"


class MalformedPath(OrionError):
    """Text that is not a derivation path such as m/84'/0'/0'/0/7."""

    code = "malformed_path"


class MalformedExtendedKey(OrionError):
    """A serialized extended key that BIP-32 calls invalid. The reason says which rule it breaks."""

    code = "malformed_extended_key"
