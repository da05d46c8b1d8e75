"""What asking nodes needs from outside."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from orion.log.node_commands.answer import Answer, Asked
from orion.records import Record

T = TypeVar("T")


class AnswerUnit(Protocol):
    """The commands inside one open transaction."""

    def asked(self, command_id: bytes) -> Asked | None:
        """The command of this id, its row held until the transaction ends."""
        ...

    def keep(self, answer: Answer, now: datetime) -> None:
        """Store `answer` with its command, which has none yet."""
        ...


class AnswerStore(Protocol):
    """Where commands and answers are kept."""

    def once(
        self, records: Sequence[Record], work: Callable[[AnswerUnit, Sequence[Record]], T]
    ) -> T:
        """`work` in one transaction over those of `records` (one partition, rising offsets) that
        had no effect yet; their offset moves with it. Raises DatabaseUnavailable: repeat.
        """
        ...


class CommandSigner(Protocol):
    """The issuer's key."""

    def sign(self, digest: bytes) -> bytes:
        """ECDSA P-256 over 32 bytes, in DER. Raises LogSignerUnavailable (retry LATER),
        LogSignerRefused.
        """
        ...
