"""The making of a seed from two sources of randomness."""

from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from orion.kms.model import seed_context

SEED_BYTES = 32
_SALT = b"orion wallet seed 1"


def mixed_seed(local: bytes, remote: bytes, group_no: int, stage: str) -> bytearray:
    """HKDF-SHA-512 (RFC 5869) over 32 local and 32 remote random bytes, bound to group and stage:
    32 bytes.

    Why two sources: a function resumed from a snapshot, or a kernel with a broken generator,
    could repeat local bytes; bytes from KMS alone were seen by whatever carried its answer. The
    result is unpredictable as long as one of the two is. Extract-and-expand rather than XOR,
    because XOR of two equal or related inputs is weak.
    """
    if len(local) != SEED_BYTES or len(remote) != SEED_BYTES:
        raise ValueError("both sources give 32 bytes")
    context = seed_context(group_no, stage)
    info = "\n".join(f"{name}={context[name]}" for name in sorted(context)).encode()
    kdf = HKDF(algorithm=SHA512(), length=SEED_BYTES, salt=_SALT, info=info)
    return bytearray(kdf.derive(local + remote))


def overwrite(secret: bytearray) -> None:
    """Write zeros over `secret` in place."""
    secret[:] = bytes(len(secret))
