"""What the kms module needs from outside."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from orion.kms.model import Message, SealedSeed, WalletGroup
from orion.records import Record


class SeedVault(Protocol):
    """Where seeds are made and opened. Plain seeds exist only here and inside an `opened` block."""

    def seal_new(self, group_no: int) -> SealedSeed:
        """Make a seed of 32 random bytes and encrypt it under the group's context.

        Every call makes another seed. Raises SeedVaultUnavailable.
        """
        ...

    def opened(self, group_no: int, sealed: SealedSeed) -> AbstractContextManager[bytearray]:
        """The plain seed, overwritten with zeros when the block ends.

        Raises SeedRefused when the ciphertext's context is not exactly this group's,
        SeedVaultUnavailable.
        """
        ...


class GroupStore(Protocol):
    """Groups and the outbox, in the module's own schema."""

    def find(self, group_no: int) -> WalletGroup | None:
        """The group as committed. Raises DatabaseUnavailable."""
        ...

    def add(self, group: WalletGroup, created: Message) -> WalletGroup:
        """Store the group and its event, unless it exists; the stored one either way.

        Of two concurrent calls one wins, and both return its row. Raises DatabaseUnavailable when
        the outcome is unknown: repeat.
        """
        ...

    def publish(self, messages: Sequence[Message], now: datetime) -> None:
        """Append to the outbox in one transaction; a message stored before is a no-op. Raises
        DatabaseUnavailable.
        """
        ...

    def publish_once(
        self,
        records: Sequence[Record],
        messages: Callable[[Record], Sequence[Message]],
        now: datetime,
    ) -> int:
        """In one transaction, behind the partition's offset fence: append the messages of each
        record that had no effect yet; how many records that were. `records` are of one partition
        with rising offsets. Raises DatabaseUnavailable.
        """
        ...
