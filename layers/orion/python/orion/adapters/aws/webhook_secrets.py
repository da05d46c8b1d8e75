"""Webhook secrets under KMS: encrypted where they are made, decrypted where they sign.

The encryption context binds a ciphertext to its endpoint, so that one moved to another row cannot
be decrypted
(AWS KMS Developer Guide, "Encryption context").
"""

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from orion.errors import OrionError, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_kms.client import KMSClient

CACHED_SECRETS = 256
_UNUSABLE = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})


class SecretUnusable(OrionError):
    """This ciphertext does not belong to this endpoint, or is no ciphertext of this key."""

    code = "secret_unusable"


def _context(endpoint_id: bytes, merchant_id: bytes) -> dict[str, str]:
    return {
        "endpoint_id": endpoint_id.hex(),
        "merchant_id": merchant_id.hex(),
        "purpose": "webhook-secret",
    }


class KmsSecretKeeper:
    """The port `SecretKeeper`. `key_id` is the alias of the stage's webhook key."""

    def __init__(self, kms: "KMSClient", key_id: str) -> None:
        self._kms = kms
        self._key_id = key_id

    def encrypt(self, secret: bytes, endpoint_id: bytes, merchant_id: bytes) -> bytes:
        try:
            answer = self._kms.encrypt(
                KeyId=self._key_id,
                Plaintext=secret,
                EncryptionContext=_context(endpoint_id, merchant_id),
            )
        except (BotoCoreError, ClientError) as exc:
            raise Unavailable("the webhook key does not answer") from exc
        return answer["CiphertextBlob"]


class KmsSecretReader:
    """Decrypts for the sender; keeps the CACHED_SECRETS last used ones in memory, by all that binds
    them.
    """

    def __init__(self, kms: "KMSClient", key_id: str) -> None:
        self._kms = kms
        self._key_id = key_id
        self._known: OrderedDict[tuple[bytes, bytes, bytes], bytes] = OrderedDict()
        self._lock = Lock()

    def decrypt(self, ciphertext: bytes, endpoint_id: bytes, merchant_id: bytes) -> bytes:
        """The secret. Raises SecretUnusable (for ever), Unavailable (now)."""
        place = (ciphertext, endpoint_id, merchant_id)
        with self._lock:
            if place in self._known:
                self._known.move_to_end(place)
                return self._known[place]
        secret = self._ask(ciphertext, endpoint_id, merchant_id)
        with self._lock:
            self._known[place] = secret
            while len(self._known) > CACHED_SECRETS:
                self._known.popitem(last=False)
        return secret

    def _ask(self, ciphertext: bytes, endpoint_id: bytes, merchant_id: bytes) -> bytes:
        try:
            answer = self._kms.decrypt(
                KeyId=self._key_id,
                CiphertextBlob=ciphertext,
                EncryptionContext=_context(endpoint_id, merchant_id),
            )
        except ClientError as exc:
            if exc.response["Error"]["Code"] in _UNUSABLE:
                raise SecretUnusable("this secret cannot be decrypted for this endpoint") from exc
            raise Unavailable("the webhook key does not answer") from exc
        except BotoCoreError as exc:
            raise Unavailable("the webhook key does not answer") from exc
        return answer["Plaintext"]
