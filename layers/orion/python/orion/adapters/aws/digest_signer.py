"""One KMS key on P-256 that signs digests: who attests, and to what, is its caller's.

Source: AWS KMS API reference, "Sign" (MessageType DIGEST: KMS signs the 32 bytes as they are) and
"GetPublicKey" (a SubjectPublicKeyInfo, RFC 5280).
"""

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from orion.errors import OrionError, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_DIGEST_BYTES = 32
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


class SigningRefused(OrionError):
    """KMS will not sign with this key, now or later: its policy, its state or its name is wrong."""

    code = "signing_refused"


class KmsDigestSigner:
    """The key behind `alias`. The client's own retries are the only ones."""

    def __init__(self, kms: "KMSClient", alias: str) -> None:
        self._kms = kms
        self._alias = alias

    def sign(self, digest: bytes) -> bytes:
        """ECDSA over 32 bytes, in DER. Raises SigningRefused; Unavailable where KMS is away."""
        if len(digest) != _DIGEST_BYTES:
            raise ValueError(f"a digest has {_DIGEST_BYTES} bytes, not {len(digest)}")
        try:
            answer = self._kms.sign(
                KeyId=self._alias,
                Message=digest,
                MessageType="DIGEST",
                SigningAlgorithm="ECDSA_SHA_256",
            )
        except ClientError as exc:
            raise self._error(exc) from exc
        except BotoCoreError as exc:
            raise Unavailable("KMS does not answer", key=self._alias) from exc
        return bytes(answer["Signature"])

    def public_key(self) -> bytes:
        """The public half as a SubjectPublicKeyInfo. Raises as `sign`."""
        try:
            return bytes(self._kms.get_public_key(KeyId=self._alias)["PublicKey"])
        except ClientError as exc:
            raise self._error(exc) from exc
        except BotoCoreError as exc:
            raise Unavailable("KMS does not answer", key=self._alias) from exc

    def _error(self, exc: ClientError) -> OrionError:
        code = exc.response.get("Error", {}).get("Code", "")
        if code in _REFUSALS:
            return SigningRefused("KMS refuses this key", key=self._alias, kms_error=code)
        return Unavailable("KMS did not answer in good order", key=self._alias, kms_error=code)
