"""Opens the keys of one chain for its sweep signer, or the naming keys for Tron's handover."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orion.adapters.aws.seed_vault import KmsSecretVault
from orion.kms.errors import SeedRefused, SeedVaultUnavailable
from orion.kms.model import SealedSeed, chain_key_alias, chain_key_purpose
from orion.kms.signing.errors import ChainKeyRefused, ChainKeyVaultUnavailable

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient


class KmsChainKeyOpener:
    """`ChainKeyOpener` of the key `name` (`orion.kms.model.chain_key_names`).

    The encryption context holds the name, so that another chain's key does not open here even for a
    caller whose KMS rights would let it.
    """

    def __init__(self, kms: "KMSClient", stage: str, name: str) -> None:
        self._name = name
        self._vault = KmsSecretVault(
            kms, f"alias/orion/{stage}/{chain_key_alias(name)}", stage, chain_key_purpose(name)
        )

    @contextmanager
    def opened(self, group_no: int, sealed: SealedSeed) -> Iterator[bytearray]:
        """As the port says."""
        try:
            opening = self._vault.opened(group_no, sealed)
            with opening as node:
                yield node
        except SeedRefused as exc:
            raise ChainKeyRefused(
                "the stored key is not this group's and chain's", group=group_no, key=self._name
            ) from exc
        except SeedVaultUnavailable as exc:
            raise ChainKeyVaultUnavailable(
                "the key was not opened", group=group_no, key=self._name
            ) from exc
