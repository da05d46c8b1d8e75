"""The Tron handover: the key that named a custody account gives it to its custody set."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from orion.chains.tron.creation import assemble_handover, decode_handover
from orion.kms.keys.chain_keys import tron_custody_address
from orion.kms.keys.wallet_signer import NAMING_PLACES, naming_key
from orion.kms.signing.accounts import verified
from orion.kms.signing.errors import (
    ChainKeyNotFound,
    CustodyAccountNotFound,
    NamingKeyDiffers,
)
from orion.kms.signing.events import account_handed_over
from orion.kms.signing.model import HandoverRequest
from orion.kms.signing.ports import ChainKeyOpener, HandoverStore


@dataclass(frozen=True, slots=True)
class SignedHandover:
    """A transaction for the chain, by its txID."""

    version: str
    transaction: bytes


@dataclass(frozen=True, slots=True)
class HandoverSigner:
    """Signs one AccountPermissionUpdate a custody account, whose permissions are computed here; the
    caller chooses its times alone.
    """

    vault: ChainKeyOpener
    store: HandoverStore
    now: Callable[[], datetime]

    def sign(self, request: HandoverRequest) -> SignedHandover:
        """The signed handover, the same for the same bytes, after its audit event is stored. Marks
        nothing as being on the chain: that is for whoever sees it there.

        Raises CustodyAccountNotFound, AccountDiffers, ChainKeyNotFound, SpendRefused,
        NamingKeyDiffers, ChainKeyRefused, ChainKeyVaultUnavailable, DatabaseUnavailable.
        """
        stored = self.store.account(request.group_no, request.kind)
        if stored is None:
            raise CustodyAccountNotFound(
                "the group has no such account on Tron", group=request.group_no
            )
        account = verified(stored)
        digest = decode_handover(request.unsigned, account)
        sealed = self.store.chain_key(request.group_no)
        if sealed is None:
            raise ChainKeyNotFound("the group has no naming key", group=request.group_no)
        with self.vault.opened(request.group_no, sealed) as node:
            if tron_custody_address(node, NAMING_PLACES[request.kind]) != account.anchor:
                raise NamingKeyDiffers("another key named this account", group=request.group_no)
            key = naming_key(node, request.kind)
            signature = key.sign(digest)
        transaction = assemble_handover(request.unsigned, account, key.public_key(), signature)
        at = self.now()
        told = account_handed_over(
            request.group_no,
            request.kind.value,
            account.address,
            account.place.set_no,
            digest.hex(),
            request.trace_id,
            at,
        )
        self.store.tell(told, at)
        return SignedHandover(digest.hex(), transaction)
