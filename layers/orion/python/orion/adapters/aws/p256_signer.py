"""One KMS key on P-256 (ECC_NIST_P256) that signs digests; every answer is verified.

Source: AWS KMS API reference, "Sign" (ECDSA_SHA_256 with MessageType DIGEST) and "GetPublicKey"
(the answer is a SubjectPublicKeyInfo, RFC 5280).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from orion.ledger.signature import fingerprint, is_p256_key, is_signed
from orion.log.errors import LogSignerRefused, LogSignerUnavailable

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_Answer = TypeVar("_Answer")
# What the same call gets again until somebody changes the key, its policy or this role.
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


class KmsP256Signer:
    """The key behind `alias`: its public half is asked for once, its private half never leaves."""

    def __init__(self, kms: "KMSClient", alias: str) -> None:
        self._kms = kms
        self._alias = alias
        self._public_key: bytes | None = None

    def public_key(self) -> bytes:
        """Its SubjectPublicKeyInfo. Raises LogSignerUnavailable, LogSignerRefused."""
        if self._public_key is None:
            answer = self._asked(lambda: self._kms.get_public_key(KeyId=self._alias))
            public_key = bytes(answer["PublicKey"])
            if not is_p256_key(public_key):
                raise LogSignerRefused("this key is not on P-256", key=self._alias)
            self._public_key = public_key
        return self._public_key

    def known_key(self, key: str) -> bytes | None:
        """The public key of this fingerprint (64 hexadecimal digits), if it is this one's."""
        public_key = self.public_key()
        return public_key if fingerprint(public_key) == key else None

    def sign(self, digest: bytes) -> bytes:
        """The signature (DER) of a SHA-256 digest. Raises as `public_key` does."""
        answer = self._asked(
            lambda: self._kms.sign(
                KeyId=self._alias,
                Message=digest,
                MessageType="DIGEST",
                SigningAlgorithm="ECDSA_SHA_256",
            )
        )
        signature = bytes(answer["Signature"])
        if not is_signed(self.public_key(), digest, signature):
            # The alias may name another key by now: the next call looks again.
            self._public_key = None
            raise LogSignerRefused("a signature that does not verify", key=self._alias)
        return signature

    def _asked(self, call: Callable[[], _Answer]) -> _Answer:
        try:
            return call()
        except ClientError as exc:
            code = exc.response.get("Error", {}).get("Code", "")
            if code in _REFUSALS:
                raise LogSignerRefused(
                    "KMS refuses this key", key=self._alias, kms_error=code
                ) from exc
            raise LogSignerUnavailable("KMS did not sign", kms_error=code) from exc
        except BotoCoreError as exc:
            raise LogSignerUnavailable("KMS does not answer") from exc
