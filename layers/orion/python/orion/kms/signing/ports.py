"""What the signers need from outside."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from orion.chains.spend import CustodyAccount, CustodyPlace, WalletKind
from orion.kms.groups import CustodySet
from orion.kms.model import Message, SealedSeed
from orion.kms.signing.model import (
    AccountRow,
    ExportRequest,
    Refill,
    Reservation,
    Rotation,
)


class ChainKeyOpener(Protocol):
    """Opens one chain's keys and no other's: which one is fixed where it is made."""

    def opened(self, group_no: int, sealed: SealedSeed) -> AbstractContextManager[bytearray]:
        """The plain node, overwritten with zeros when the block ends.

        Raises ChainKeyRefused when the ciphertext's context is not exactly this group's and
        chain's, ChainKeyVaultUnavailable.
        """
        ...


class WalletStore(Protocol):
    """Chain keys, custody accounts and the outbox, of one chain fixed where it is made."""

    def chain_key(self, group_no: int) -> SealedSeed | None:
        """The encrypted key of the group. Raises DatabaseUnavailable."""
        ...

    def destinations(self, group_no: int) -> Sequence[AccountRow]:
        """The group's accounts on this chain under the sets that hold its wallets now, at most one
        of each kind. As stored, not computed again. Raises AccountDiffers where the set is not one
        of that kind, DatabaseUnavailable.
        """
        ...

    def tell(self, message: Message, now: datetime) -> None:
        """Append to the outbox; a message stored before is a no-op. Raises DatabaseUnavailable."""
        ...


class FloatStore(Protocol):
    """What signers with a float remember."""

    def accounts(self, groups: Sequence[int]) -> Sequence[CustodyAccount]:
        """All custody accounts of at most 50 groups on this chain, those of former sets too, whose
        last coins somebody has to move. As stored, not computed again. Raises AccountDiffers as
        above, DatabaseUnavailable.
        """
        ...

    def reserve(self, wanted: Reservation, cap_units: int, now: datetime) -> bytes | None:
        """Remember, committed before this returns, that `wanted` may be signed; the signature that
        is stored for it already, if any.

        A reservation made before is a no-op. One signer's reservations come one after the other.
        Raises BodyConflicts, FloatExhausted, DatabaseUnavailable when the outcome is unknown:
        repeat.
        """
        ...

    def keep(self, wanted: Reservation, signature: bytes, signed: Message, now: datetime) -> bytes:
        """Store the signature and its event in one transaction, unless there is one; the stored one
        either way. Raises DatabaseUnavailable.
        """
        ...

    def refilled(self, signer: str, refill: Refill, told: Message, now: datetime) -> int:
        """Give the refill back to the float, once for its id; the units committed afterwards.

        Raises RefillDiffers, DatabaseUnavailable.
        """
        ...


class MessageSigner(Protocol):
    """One asymmetric key of KMS."""

    def public_key(self) -> bytes:
        """33 bytes of a compressed point, or 32 of Ed25519. Raises SignerUnavailable,
        SignerRefused (of orion.kms.custody)."""
        ...

    def sign(self, message: bytes) -> bytes:
        """65 bytes r, s, recovery id over a digest of 32 bytes with low s, or 64 bytes of Ed25519
        over a message; verified before it is returned. Raises SignerUnavailable, SignerRefused.
        """
        ...


class SetStore(Protocol):
    """Custody sets and accounts, for registration and export."""

    def known_set(self, set_no: int) -> CustodySet | None:
        """The registered set of that number. Raises DatabaseUnavailable."""
        ...

    def add_set(self, wanted: CustodySet, registered: Message, now: datetime) -> bool:
        """Store a set and its event in one transaction; False where it was stored before.

        Raises CustodySetDiffers, KeyInTwoPlaces, DatabaseUnavailable.
        """
        ...

    def page(self, wanted: ExportRequest) -> Sequence[AccountRow]:
        """Accounts after the request's place, by group, wallet, chain and set; at most its limit.
        Raises DatabaseUnavailable.
        """
        ...


class SeenStore(Protocol):
    """Custody accounts by their addresses, and what was seen of them."""

    def at_address(self, chain: str, address: str) -> Sequence[AccountRow]:
        """The accounts at an address, former sets' too, at most 50; as stored, not computed again.
        Raises AccountDiffers as above, DatabaseUnavailable.
        """
        ...

    def mark(self, place: CustodyPlace, told: Message, now: datetime) -> bool:
        """Say that an account is on its chain and store the event, in one transaction; False where
        it was said before. Raises DatabaseUnavailable.
        """
        ...


class RotationStore(Protocol):
    """Which set holds a group's wallet, and how that changes."""

    def holding(self, group_no: int, kind: WalletKind) -> Sequence[AccountRow]:
        """The wallet's accounts under the set that holds it now, by chain; as stored, not computed
        again. Raises AccountDiffers as above, UnknownNetwork, DatabaseUnavailable.
        """
        ...

    def known_set(self, set_no: int) -> CustodySet | None:
        """The registered set of that number. Raises DatabaseUnavailable."""
        ...

    def sets_of(self, group_no: int, kind: WalletKind) -> AbstractSet[int]:
        """Numbers of all sets that the wallet has accounts of. Raises DatabaseUnavailable."""
        ...

    def rotate(self, rotation: Rotation, told: Message, now: datetime) -> bool:
        """Store the new accounts, name their set as the wallet's holder and store the event, in one
        transaction; False where that set holds it already. Raises RotationRefused where a third set
        does by now, DatabaseUnavailable.
        """
        ...


class HandoverStore(Protocol):
    """What the Tron handover reads."""

    def chain_key(self, group_no: int) -> SealedSeed | None:
        """The encrypted node `tron-custody` of the group. Raises DatabaseUnavailable."""
        ...

    def account(self, group_no: int, kind: WalletKind) -> CustodyAccount | None:
        """The wallet's account on Tron under the set that holds it now, as stored. Raises
        DatabaseUnavailable.
        """
        ...

    def tell(self, message: Message, now: datetime) -> None:
        """As `WalletStore.tell`."""
        ...
