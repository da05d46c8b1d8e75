"""A sweep signer: pays a group's wallets of one chain to the group's own custody accounts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from orion.chains.spend import Curve, Spend
from orion.kms.keys.wallet_signer import WalletKey, wallet_keys
from orion.kms.signing.accounts import authenticated
from orion.kms.signing.anchors import Anchors
from orion.kms.signing.chain_code import SweepCode
from orion.kms.signing.errors import ChainKeyNotFound, CustodyAccountNotFound
from orion.kms.signing.events import sweep_signed
from orion.kms.signing.model import SweepRequest
from orion.kms.signing.policy import Destinations, check_sweep, destinations
from orion.kms.signing.ports import ChainKeyOpener, WalletStore


@dataclass(frozen=True, slots=True)
class SignedSweep:
    """A transaction for the chain, by its `version` (docs/custody.md)."""

    version: str
    transaction: bytes


@dataclass(frozen=True, slots=True)
class SweepSigner:
    """The use case of one chain; `cap_units` is the most that the wallets may lose in fees in one
    transaction.
    """

    chain: str
    network: str
    contracts: Mapping[str, str]
    cap_units: Callable[[], int]
    code: SweepCode
    vault: ChainKeyOpener
    store: WalletStore
    anchors: Anchors
    now: Callable[[], datetime]

    def sign(self, request: SweepRequest) -> SignedSweep:
        """The signed transaction, the same for the same request, after its audit event is stored.

        The chain key is open while keys are derived and signatures made, and closed whatever
        happens. Raises LimitMissing, ChainKeyNotFound, CustodyAccountNotFound, AccountDiffers,
        SpendRefused, NotASweep, RecipientNotOurs, CustodyAccountNotOnChain, FeeTooHigh,
        ChainKeyRefused, InvalidChildKey, SignatureRefused, ChainKeyVaultUnavailable,
        DatabaseUnavailable.
        """
        cap_units = self.cap_units()
        ours = self._destinations(request.group_no)
        sealed = self.store.chain_key(request.group_no)
        if sealed is None:
            raise ChainKeyNotFound("the group has no key on this chain", group=request.group_no)
        with self.vault.opened(request.group_no, sealed) as node:
            keys = wallet_keys(self.chain, node, request.indexes)
            owners = tuple(key.public_key() for key in keys)
            spend = self.code.decode_sweep(request.unsigned, owners, self.network, self.contracts)
            messages = signed_messages(spend, len(owners))
            check_sweep(spend, len(owners), len(messages), ours, cap_units)
            signatures = _signatures(keys, messages)
        transaction = self.code.assemble_sweep(request.unsigned, owners, self.network, signatures)
        at = self.now()
        told = sweep_signed(
            self.chain, request.group_no, request.indexes, spend, request.trace_id, at
        )
        self.store.tell(told, at)
        return SignedSweep(spend.version, transaction)

    def _destinations(self, group_no: int) -> Destinations:
        rows = self.store.destinations(group_no)
        if not rows:
            raise CustodyAccountNotFound("the group has no custody account here", group=group_no)
        authenticated([row.account for row in rows], self.anchors)
        return destinations(rows)


def signed_messages(spend: Spend, owners: int) -> tuple[bytes, ...]:
    """What each owner signs. Bitcoin has a digest for each input; on Solana all owners sign the one
    message.
    """
    if spend.curve is Curve.ED25519 and len(spend.messages) == 1:
        return spend.messages * owners
    return spend.messages


def _signatures(keys: Sequence[WalletKey], messages: Sequence[bytes]) -> tuple[bytes, ...]:
    return tuple(key.sign(message) for key, message in zip(keys, messages, strict=True))
