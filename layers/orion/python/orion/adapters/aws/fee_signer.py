"""The one KMS key of an executor or a fee payer, asked and verified as custodians' keys are."""

from typing import TYPE_CHECKING

from orion.adapters.aws.kms_signer import KmsCustodianSigner
from orion.chains.spend import Curve

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_NO_SET = 0


class KmsFeeSigner:
    """`MessageSigner` of the key behind `alias`, which is on `curve`."""

    def __init__(self, kms: "KMSClient", alias: str, curve: Curve) -> None:
        self._key = _AliasedSigner(kms, alias)
        self._curve = curve

    def public_key(self) -> bytes:
        """As the port says."""
        return self._key.public_key(_NO_SET, self._curve)

    def sign(self, message: bytes) -> bytes:
        """As the port says."""
        return self._key.sign(_NO_SET, self._curve, message)


class _AliasedSigner(KmsCustodianSigner):
    """The same calls and checks under one alias."""

    def __init__(self, kms: "KMSClient", alias: str) -> None:
        super().__init__(kms, stage="", custodian=0)
        self._only_alias = alias

    def _alias(self, set_no: int, curve: Curve) -> str:  # noqa: ARG002 - One key, one alias.
        return self._only_alias
