"""What the kms module needs from outside."""

from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from orion.kms.batch import ToldRange
from orion.kms.groups import CustodySet, GroupContents, Holdings
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


class ChainKeyVault(Protocol):
    """Where chain keys are encrypted for their sweep signers; kms itself never opens one again."""

    def seal(self, group_no: int, name: str, key: bytearray) -> SealedSeed:
        """Encrypt under the key and context of `name`. Raises SeedVaultUnavailable."""
        ...


class GroupStore(Protocol):
    """Groups and the outbox, in the module's own schema."""

    def find(self, group_no: int) -> WalletGroup | None:
        """The group as committed. Raises DatabaseUnavailable."""
        ...

    def made_at(self, groups: range) -> Mapping[int, datetime]:
        """When those of the groups that exist were made. Raises DatabaseUnavailable."""
        ...

    def holdings(self, group_no: int) -> Holdings:
        """What is stored of a group beside its seed. Raises DatabaseUnavailable."""
        ...

    def custody_sets(self, numbers: Collection[int]) -> Mapping[int, CustodySet]:
        """Those of the sets that are registered. Raises DatabaseUnavailable."""
        ...

    def add(self, contents: GroupContents, created: Message) -> WalletGroup:
        """Store a group, its contents and its event in one transaction; the stored group either
        way.

        Where the group exists with the same seed, what is missing of its contents is added. Where
        it exists with another, nothing is: of two concurrent creators one wins, and both return its
        row. Raises DatabaseUnavailable when the outcome is unknown: repeat.
        """
        ...

    def told_ranges(self, groups: range, networks_id: bytes) -> AbstractSet[tuple[int, int]]:
        """Ranges of these groups that a batch has told, as (group, first index), for these
        networks. Raises DatabaseUnavailable.
        """
        ...

    def was_told(self, told: ToldRange) -> bool:
        """Whether a batch has told this range for these networks. Raises DatabaseUnavailable."""
        ...

    def tell_range(self, told: ToldRange, messages: Sequence[Message], now: datetime) -> bool:
        """In one transaction: note the range as told and append its messages. False, and nothing
        done, where it was told before. Raises DatabaseUnavailable.
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
