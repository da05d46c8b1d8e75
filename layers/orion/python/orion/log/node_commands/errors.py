"""Conditions of asking nodes."""

from orion.errors import OrionError


class AnswerRefused(OrionError):
    """A record of `node.answers` that is no answer to believe. `reason` is a stable word."""

    code = "answer_refused"

    def __init__(self, reason: str, command_id: str | None, detail: str) -> None:
        super().__init__(detail, reason=reason, command_id=command_id)
        self.reason = reason
