"""Seeds and chain keys under KMS keys, through the AWS Encryption SDK (keyring of the Material
Providers Library).

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
from orion.kms.model import (
    SEED_PURPOSE,
    SealedSeed,
    chain_key_alias,
    chain_key_purpose,
    secret_context,
)
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


class KmsSecretVault:
    """Secrets of one purpose under one symmetric KMS key, named by alias or ARN. `stage` and
    `purpose` are part of every context.
    """

    def __init__(self, kms: "KMSClient", key_id: str, stage: str, purpose: str) -> None:
        self._kms = kms
        self._key_id = key_id
        self._stage = stage
        self._purpose = purpose
        self._sdk = EncryptionSDKClient(
            commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
            max_encrypted_data_keys=1,
        )
        self._kms_error = ""
        # The SDK wraps errors of KMS beyond recognition, so the code is taken where it arrives.
        kms.meta.events.register("after-call.kms", self._note_error)
        self._providers = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())

    def seal(self, group_no: int, secret: bytes | bytearray) -> SealedSeed:
        """Encrypt for the group. Raises SeedVaultUnavailable."""
        try:
            key_arn = self._kms.describe_key(KeyId=self._key_id)["KeyMetadata"]["Arn"]
            ciphertext, _ = self._sdk.encrypt(
                source=bytes(secret),
                keyring=self._keyring(key_arn),
                encryption_context=dict(self._context(group_no)),
            )
        except (*_KMS_FAILED, AWSEncryptionSDKClientError):
            # No cause is chained: an SDK's exception may hold its call's arguments.
            raise SeedVaultUnavailable(
                "a secret was not encrypted", group=group_no, purpose=self._purpose
            ) from None
        return SealedSeed(ciphertext, key_arn)

    @contextmanager
    def opened(self, group_no: int, sealed: SealedSeed) -> Iterator[bytearray]:
        """The plain secret, overwritten with zeros when the block ends; the SDK's own copy is
        immutable and is only dropped.

        Raises SeedRefused when the ciphertext's context is not exactly this group's, this
        purpose's and this stage's, SeedVaultUnavailable.
        """
        wanted = self._context(group_no)
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
            raise self._refused("it does not open", group_no) from None
        secret = bytearray(plain)
        del plain
        try:
            # The keyring is content with any subset of the stored context; we want all of it.
            if _bound_to(header.encryption_context) != wanted:
                raise self._refused("it is bound to something else", group_no)
            self._check(secret, group_no)
            yield secret
        finally:
            overwrite(secret)

    def _check(self, secret: bytearray, group_no: int) -> None:
        if not secret:
            raise self._refused("it is empty", group_no)

    def _context(self, group_no: int) -> Mapping[str, str]:
        return secret_context(group_no, self._purpose, self._stage)

    def _refused(self, why: str, group_no: int) -> SeedRefused:
        return SeedRefused(f"a stored secret: {why}", group=group_no, purpose=self._purpose)

    def _unavailable(self, group_no: int) -> SeedVaultUnavailable:
        return SeedVaultUnavailable(
            "a secret was not decrypted",
            group=group_no,
            purpose=self._purpose,
            kms_error=self._kms_error or None,
        )

    def _note_error(self, parsed: Mapping[str, object], **_: object) -> None:
        error = parsed.get("Error")
        self._kms_error = str(error.get("Code", "")) if isinstance(error, dict) else ""

    def _keyring(self, key_arn: str) -> object:
        return self._providers.create_aws_kms_keyring(
            input=CreateAwsKmsKeyringInput(kms_key_id=key_arn, kms_client=self._kms)
        )


class KmsSeedVault(KmsSecretVault):
    """`SeedVault`: seeds of 32 bytes."""

    def __init__(self, kms: "KMSClient", key_id: str, stage: str) -> None:
        super().__init__(kms, key_id, stage, SEED_PURPOSE)

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

    def _check(self, secret: bytearray, group_no: int) -> None:
        if len(secret) != SEED_BYTES:
            raise self._refused("it is no seed", group_no)


class KmsChainKeyVault:
    """`ChainKeyVault`: each chain's key under the KMS key of that chain's sweep signer."""

    def __init__(self, kms: "KMSClient", stage: str) -> None:
        self._kms = kms
        self._stage = stage
        self._vaults: dict[str, KmsSecretVault] = {}

    def seal(self, group_no: int, name: str, key: bytearray) -> SealedSeed:
        """As the port says."""
        if name not in self._vaults:
            alias = f"alias/orion/{self._stage}/{chain_key_alias(name)}"
            self._vaults[name] = KmsSecretVault(
                self._kms, alias, self._stage, chain_key_purpose(name)
            )
        return self._vaults[name].seal(group_no, key)


def _bound_to(context: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in context.items() if not name.startswith(_SDK_PREFIX)}
