"""Takes the answers of one partition: believed ones are stored, others only logged.

A record that cannot be believed never stops the partition: whoever may write to the topic could
otherwise silence every node.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from orion.log.node_commands.answer import check_answer, read_answer
from orion.log.node_commands.errors import AnswerRefused
from orion.log.node_commands.ports import AnswerStore, AnswerUnit
from orion.records import Record

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """How many answers were kept, and how many kept out."""

    kept: int
    refused: int


@dataclass(frozen=True, slots=True)
class NodeAnswers:
    """`key_of` gives a node's published key (parameter `nodes/<node>/answer-key`) or None."""

    store: AnswerStore
    key_of: Callable[[str], str | None]

    def take(self, records: Sequence[Record], now: datetime) -> Taken:
        """Records of one partition. Raises DatabaseUnavailable: repeat the batch."""
        return self.store.once(records, lambda unit, new: self._take(unit, new, now))

    def _take(self, unit: AnswerUnit, records: Sequence[Record], now: datetime) -> Taken:
        kept = refused = 0
        for record in records:
            try:
                kept += self._kept(unit, record, now)
            except AnswerRefused as refusal:
                refused += 1
                _log.error(
                    "answer of a node kept out",
                    extra={
                        **refusal.fields,
                        "detail": refusal.detail,
                        "partition": record.partition,
                        "offset": record.offset,
                    },
                )
        return Taken(kept, refused)

    def _kept(self, unit: AnswerUnit, record: Record, now: datetime) -> int:
        answer = read_answer(record.value)
        if answer is None:
            return 0
        asked = unit.asked(answer.command_id)
        # A stranger's answer costs no look at the parameters.
        key = self.key_of(answer.node) if asked is not None else None
        check_answer(answer, asked, key, now)
        unit.keep(answer, now)
        _log.info(
            "answer of a node kept",
            extra={
                "trace_id": answer.trace_id,
                "command_id": answer.command_id.hex(),
                "outcome": answer.outcome.value,
                "reason": answer.reason,
            },
        )
        return 1
