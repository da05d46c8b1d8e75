"""Seeds under a KMS key, through the AWS Encryption SDK (keyring of the Material Providers
Library).

The SDK adds what KMS alone does not: key commitment (a ciphertext opens under one data key only)
and a signature over the message. Source: AWS Encryption SDK Developer Guide, "AWS KMS keyrings"
and "Commitment policy".
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import CreateAwsKmsKeyringInput
from aws_cryptographic_material_providers.smithygenerated.aws_cryptography_materialproviders.errors import (  # noqa: E501
    ServiceError,
)
from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import InvalidSignature, InvalidTag

from orion.kms.errors import SeedRefused, SeedVaultUnavailable
from orion.kms.model import SealedSeed, seed_context
from orion.kms.seed import SEED_BYTES, mixed_seed, overwrite

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

# The SDK writes its own pairs, such as the key that the message is signed with.
_SDK_PREFIX = "aws-crypto-"
# The answers of KMS that are about the ciphertext; every other error is about KMS or this caller.
_ABOUT_CIPHERTEXT = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_KMS_FAILED = (BotoCoreError, ClientError, ServiceError)
# What the SDK raises for an altered message, depending on the byte: found by altering each of them.
_MESSAGE_REFUSED = (AWSEncryptionSDKClientError, InvalidSignature, InvalidTag, ValueError)


class KmsSeedVault:
    """`SeedVault` under one symmetric KMS key, named by alias or ARN. `stage` is part of every
    context.
    """

    def __init__(self, kms: "KMSClient", key_id: str, stage: str) -> None:
        self._kms = kms
        self._key_id = key_id
        self._stage = stage
        self._sdk = EncryptionSDKClient(
            commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
            max_encrypted_data_keys=1,
        )
        self._kms_error = ""
        # The SDK wraps errors of KMS beyond recognition, so the code is taken where it arrives.
        kms.meta.events.register("after-call.kms", self._note_error)
        self._providers = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())

    def seal_new(self, group_no: int) -> SealedSeed:
        """As the port says."""
        try:
            remote = self._kms.generate_random(NumberOfBytes=SEED_BYTES)["Plaintext"]
        except _KMS_FAILED:
            raise SeedVaultUnavailable("KMS gave no randomness", group=group_no) from None
        seed = mixed_seed(os.urandom(SEED_BYTES), remote, group_no, self._stage)
        try:
            return self.seal(group_no, seed)
        finally:
            overwrite(seed)

    def seal(self, group_no: int, seed: bytearray) -> SealedSeed:
        """Encrypt `seed` for the group. Raises SeedVaultUnavailable."""
        try:
            key_arn = self._kms.describe_key(KeyId=self._key_id)["KeyMetadata"]["Arn"]
            ciphertext, _ = self._sdk.encrypt(
                source=bytes(seed),
                keyring=self._keyring(key_arn),
                encryption_context=dict(seed_context(group_no, self._stage)),
            )
        except (*_KMS_FAILED, AWSEncryptionSDKClientError):
            # No cause is chained: an SDK's exception may hold its call's arguments.
            raise SeedVaultUnavailable("the seed was not encrypted", group=group_no) from None
        return SealedSeed(ciphertext, key_arn)

    @contextmanager
    def opened(self, group_no: int, sealed: SealedSeed) -> Iterator[bytearray]:
        """As the port says. The SDK's own copy is immutable and is only dropped."""
        wanted = seed_context(group_no, self._stage)
        self._kms_error = ""
        try:
            plain, header = self._sdk.decrypt(
                source=sealed.ciphertext,
                keyring=self._keyring(sealed.key_arn),
                encryption_context=dict(wanted),
            )
        except _KMS_FAILED:
            raise self._unavailable(group_no) from None
        except _MESSAGE_REFUSED:
            if self._kms_error and self._kms_error not in _ABOUT_CIPHERTEXT:
                raise self._unavailable(group_no) from None
            raise SeedRefused("the stored seed is not this group's", group=group_no) from None
        seed = bytearray(plain)
        del plain
        try:
            # The keyring is content with any subset of the stored context; a seed wants all of it.
            if _bound_to(header.encryption_context) != wanted or len(seed) != SEED_BYTES:
                raise SeedRefused("the stored seed is bound to something else", group=group_no)
            yield seed
        finally:
            overwrite(seed)

    def _unavailable(self, group_no: int) -> SeedVaultUnavailable:
        return SeedVaultUnavailable(
            "the seed was not decrypted", group=group_no, kms_error=self._kms_error or None
        )

    def _note_error(self, parsed: Mapping[str, object], **_: object) -> None:
        error = parsed.get("Error")
        self._kms_error = str(error.get("Code", "")) if isinstance(error, dict) else ""

    def _keyring(self, key_arn: str) -> object:
        return self._providers.create_aws_kms_keyring(
            input=CreateAwsKmsKeyringInput(kms_key_id=key_arn, kms_client=self._kms)
        )


def _bound_to(context: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in context.items() if not name.startswith(_SDK_PREFIX)}
