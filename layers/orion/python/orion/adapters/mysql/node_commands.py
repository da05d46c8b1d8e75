"""Commands to nodes and their answers, in the log module's schema."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from orion.adapters.mysql.fence import fresh
from orion.adapters.mysql.session import Cursor, Database
from orion.log.node_commands.answer import Answer, Asked
from orion.log.node_commands.ports import AnswerUnit
from orion.records import Record, canonical_json

T = TypeVar("T")


class MySqlAnswerStore:
    """The port AnswerStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def once(
        self, records: Sequence[Record], work: Callable[[AnswerUnit, Sequence[Record]], T]
    ) -> T:
        """As the port says."""
        return self._database.run(lambda cursor: work(_Unit(cursor), fresh(cursor, records)))


class _Unit:
    """The port AnswerUnit on the cursor of one open transaction."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def asked(self, command_id: bytes) -> Asked | None:
        """As the port says."""
        self._cursor.execute(
            "SELECT chain, node, expires_at, outcome IS NOT NULL FROM node_command"
            " WHERE command_id = %s FOR UPDATE",
            (command_id,),
        )
        row = self._cursor.fetchone()
        if row is None:
            return None
        chain, node, expires_at, answered = row
        return Asked(str(chain), str(node), expires_at.replace(tzinfo=UTC), bool(answered))

    def keep(self, answer: Answer, now: datetime) -> None:
        """As the port says."""
        changed = self._cursor.execute(
            "UPDATE node_command SET outcome = %s, reason = %s, result = %s, answered_at = %s"
            " WHERE command_id = %s AND outcome IS NULL",
            (
                answer.outcome.value,
                answer.reason,
                None if answer.result is None else canonical_json(answer.result),
                now.replace(tzinfo=None),
                answer.command_id,
            ),
        )
        if changed != 1:
            raise RuntimeError("a command that was just read as unanswered has an answer")
