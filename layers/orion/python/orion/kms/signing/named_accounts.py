"""Whether the group's own naming key named an account on Tron; it is opened to compute that."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from orion.chains.spend import CustodyAccount, WalletKind
from orion.kms.keys.chain_keys import tron_custody_address
from orion.kms.keys.wallet_signer import NAMING_PLACES
from orion.kms.model import SealedSeed
from orion.kms.signing.errors import ChainKeyNotFound
from orion.kms.signing.ports import ChainKeyOpener


class NamingKeys(Protocol):
    """Where the encrypted naming keys are."""

    def chain_key(self, group_no: int) -> SealedSeed | None:
        """The encrypted node `tron-custody` of the group. Raises DatabaseUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class NamedAccounts:
    """`Anchors` of Tron, asked about the accounts of one group at a time."""

    vault: ChainKeyOpener
    store: NamingKeys

    def ours(self, accounts: Sequence[CustodyAccount]) -> Sequence[bool]:
        """As the port says. Raises ChainKeyNotFound, ChainKeyRefused, ChainKeyVaultUnavailable,
        DatabaseUnavailable.
        """
        if not accounts:
            return []
        (group_no,) = {account.place.group_no for account in accounts}
        sealed = self.store.chain_key(group_no)
        if sealed is None:
            raise ChainKeyNotFound("the group has no naming key", group=group_no)
        with self.vault.opened(group_no, sealed) as node:
            named = {kind: tron_custody_address(node, NAMING_PLACES[kind]) for kind in WalletKind}
        return [account.anchor == named[account.place.kind] for account in accounts]
