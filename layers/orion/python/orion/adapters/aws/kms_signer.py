"""A custodian's keys in KMS: ECDSA on secp256k1 over digests, Ed25519 over messages.

Sources: AWS KMS API reference, "Sign" (MessageType DIGEST and RAW) and "GetPublicKey" (the answer
is a SubjectPublicKeyInfo, RFC 5280); RFC 5480 and RFC 8410 for its two forms. KMS signs with either
of the two s that are valid, so the lower one is taken here. Nothing is answered that was not
verified with the public key.
"""

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Literal, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from coincurve import PublicKey
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from orion.chains.secp256k1 import MalformedSignature, normalized, parse_der, recoverable
from orion.chains.spend import Curve
from orion.kms.custody.errors import SignerRefused, SignerUnavailable

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_Answer = TypeVar("_Answer")
MAX_KNOWN_KEYS = 512
# AWS KMS, "Sign": a message of MessageType RAW has at most 4,096 bytes.
MAX_MESSAGE_BYTES = 4_096
ED25519_SIGNATURE_BYTES = 64
# AlgorithmIdentifier id-ecPublicKey with secp256k1, and a bit string of an uncompressed point.
_SECP256K1_SPKI = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200")
# AlgorithmIdentifier id-Ed25519 without parameters, and a bit string of 32 bytes.
_ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")
# Answers that the same call gets again until somebody changes the key, its policy or this role.
_REFUSALS = frozenset(
    {
        "AccessDeniedException",
        "DisabledException",
        "InvalidKeyUsageException",
        "KMSInvalidStateException",
        "NotFoundException",
        "UnsupportedOperationException",
        "ValidationException",
    }
)


class KmsCustodianSigner:
    """`CustodianSigner` of one custodian of a stage. The client's own retries are the only ones."""

    def __init__(self, kms: "KMSClient", stage: str, custodian: int) -> None:
        self._kms = kms
        self._prefix = f"alias/orion/{stage}/custodian-{custodian}"
        self._keys: dict[tuple[int, Curve], bytes] = {}
        self._lock = Lock()

    def public_key(self, set_no: int, curve: Curve) -> bytes:
        """As the port says; asked once, because a key behind an alias of ours is never replaced."""
        place = (set_no, curve)
        with self._lock:
            known = self._keys.get(place)
        if known is not None:
            return known
        answer = self._asked(
            lambda: self._kms.get_public_key(KeyId=self._alias(set_no, curve)), set_no, curve
        )
        key = _READERS[curve](bytes(answer["PublicKey"]))
        with self._lock:
            if len(self._keys) >= MAX_KNOWN_KEYS:
                self._keys.clear()
            self._keys[place] = key
        return key

    def sign(self, set_no: int, curve: Curve, message: bytes) -> bytes:
        """As the port says."""
        public_key = self.public_key(set_no, curve)
        if curve is Curve.SECP256K1:
            der = self._signed(set_no, curve, message, "ECDSA_SHA_256", "DIGEST")
            try:
                return recoverable(public_key, message, normalized(parse_der(der)))
            except MalformedSignature as exc:
                raise _refused("bad_signature", set_no, curve) from exc
        if len(message) > MAX_MESSAGE_BYTES:
            raise _refused("message_too_long", set_no, curve)
        signature = self._signed(set_no, curve, message, "ED25519_SHA_512", "RAW")
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
        except InvalidSignature as exc:
            raise _refused("bad_signature", set_no, curve) from exc
        return signature

    def _signed(
        self,
        set_no: int,
        curve: Curve,
        message: bytes,
        algorithm: Literal["ECDSA_SHA_256", "ED25519_SHA_512"],
        message_type: Literal["DIGEST", "RAW"],
    ) -> bytes:
        answer = self._asked(
            lambda: self._kms.sign(
                KeyId=self._alias(set_no, curve),
                Message=message,
                MessageType=message_type,
                SigningAlgorithm=algorithm,
            ),
            set_no,
            curve,
        )
        return bytes(answer["Signature"])

    def _asked(self, call: Callable[[], _Answer], set_no: int, curve: Curve) -> _Answer:
        try:
            return call()
        except ClientError as exc:
            code = exc.response.get("Error", {}).get("Code", "")
            if code in _REFUSALS:
                raise _refused("kms_refused", set_no, curve, code) from exc
            raise SignerUnavailable("KMS did not sign", set=set_no, kms_error=code) from exc
        except BotoCoreError as exc:
            raise SignerUnavailable("KMS does not answer", set=set_no) from exc

    def _alias(self, set_no: int, curve: Curve) -> str:
        return f"{self._prefix}/set-{set_no}/{curve.value}"


def secp256k1_key(spki: bytes) -> bytes:
    """The compressed point of a SubjectPublicKeyInfo on secp256k1. Raises SignerRefused."""
    point = spki[len(_SECP256K1_SPKI) :]
    if not spki.startswith(_SECP256K1_SPKI) or len(point) != 65 or point[0] != 4:
        raise _key_refused(Curve.SECP256K1)
    try:
        return bytes(PublicKey(point).format())
    except ValueError as exc:
        raise _key_refused(Curve.SECP256K1) from exc


def ed25519_key(spki: bytes) -> bytes:
    """The 32 bytes of a SubjectPublicKeyInfo on Ed25519. Raises SignerRefused."""
    if not spki.startswith(_ED25519_SPKI) or len(spki) != len(_ED25519_SPKI) + 32:
        raise _key_refused(Curve.ED25519)
    return spki[len(_ED25519_SPKI) :]


_READERS: dict[Curve, Callable[[bytes], bytes]] = {
    Curve.SECP256K1: secp256k1_key,
    Curve.ED25519: ed25519_key,
}


def _key_refused(curve: Curve) -> SignerRefused:
    return SignerRefused(
        "KMS answered no public key of this curve", reason="other_key", part=curve.value
    )


def _refused(reason: str, set_no: int, curve: Curve, kms_error: str | None = None) -> SignerRefused:
    return SignerRefused(
        "this key signs nothing here",
        reason=reason,
        part=curve.value,
        set=set_no,
        kms_error=kms_error,
    )
