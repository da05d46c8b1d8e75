"""Signatures as a Safe and as a transaction want them: r, s and v, of keys that are known."""

from collections.abc import Mapping

from orion.chains.ethereum.safe_account import owner_of
from orion.chains.secp256k1 import MalformedSignature, normalized, recoverable
from orion.chains.spend import CUSTODIANS, THRESHOLD, SignatureRefused

SIGNATURE_BYTES = 65
_V_BASE = 27  # v of a signature over the hash itself (Safe: SignatureDecoder, checkNSignatures).


def owner_signatures(
    digest: bytes, public_keys: tuple[bytes, ...], signatures: Mapping[int, tuple[bytes, ...]]
) -> bytes:
    """Three signatures over `digest` in ascending order of their owners, as the Safe demands.

    `signatures` are by custodian, 1 to 5, one each; all are verified, those of the three lowest
    custodians are used. Raises SignatureRefused.
    """
    if len(signatures) < THRESHOLD:
        raise SignatureRefused("too few signatures", custodian=None, wanted=THRESHOLD)
    by_owner: list[tuple[bytes, bytes]] = []
    for custodian, given in sorted(signatures.items()):
        if not 1 <= custodian <= CUSTODIANS or len(given) != 1:
            raise SignatureRefused("not one signature of a custodian", custodian=custodian)
        public_key = public_keys[custodian - 1]
        checked = checked_signature(public_key, digest, given[0], custodian)
        by_owner.append((owner_of(public_key), checked))
    used = sorted(by_owner[:THRESHOLD])
    return b"".join(sig[:64] + bytes([_V_BASE + sig[64]]) for _, sig in used)


def checked_signature(
    public_key: bytes, digest: bytes, signature: bytes, custodian: int | None = None
) -> bytes:
    """The same 65 bytes r, s, recovery id. Raises SignatureRefused unless they are the low-s
    signature of `public_key` over `digest`, with the right recovery id.
    """
    well_formed(signature, custodian)
    try:
        found = recoverable(public_key, digest, signature[:64])
    except MalformedSignature as exc:
        raise SignatureRefused("not this key's over this hash", custodian=custodian) from exc
    if found != signature:
        raise SignatureRefused("the recovery id leads to another key", custodian=custodian)
    return found


def well_formed(signature: bytes, custodian: int | None = None) -> None:
    """Refuse what Ethereum knows no form for: r or s out of range, a high s (EIP-2), a recovery id
    other than 0 and 1. Raises SignatureRefused.
    """
    if len(signature) != SIGNATURE_BYTES or signature[64] not in (0, 1):
        raise SignatureRefused("not r, s and a recovery id of 0 or 1", custodian=custodian)
    try:
        low = normalized(signature[:64])
    except MalformedSignature as exc:
        raise SignatureRefused("r or s is out of range", custodian=custodian) from exc
    if low != signature[:64]:
        raise SignatureRefused("s is the higher of two", custodian=custodian)
