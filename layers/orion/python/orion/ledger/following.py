"""The order in which the logs of shards are followed into statements."""

from dataclasses import dataclass
from typing import Protocol

from orion.errors import OrionError, Retry

MAX_STEPS = 60  # Of one call; a step enters at most about 10,000 transfers.


class StatementsBehind(OrionError):
    """A shard's log is longer than one call may follow. What was entered stays; call again."""

    code = "statements_behind"
    retry = Retry.LATER


class GapInLog(OrionError):
    """The log lacks a number that its shard has used: nothing after it is entered."""

    code = "gap_in_log"


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction entered. `at_end`: the log had nothing more when the step began its
    look; `waits_for`: another shard's log comes first, because a bucket moved.
    """

    records: int
    at_end: bool
    waits_for: int | None = None


class StatementFollower(Protocol):
    """Writes `entry` from the log."""

    def follow(self, shard: int) -> Step:
        """Enter the next records of `shard`, a bounded number, in one transaction.

        Of two followers at once the second waits for the first and goes on behind it. Raises
        GapInLog, or Unavailable (retry SAME_KEY) when the outcome is unknown: call again.
        """
        ...


def follow_shard(follower: StatementFollower, shard: int, *, steps: int = MAX_STEPS) -> int:
    """Follow `shard` to its end, and first what it waits for; how many records were entered.

    Raises StatementsBehind after `steps` transactions.
    """
    entered = 0
    waiting = [shard]
    for _ in range(steps):
        step = follower.follow(waiting[-1])
        entered += step.records
        if step.waits_for is not None:
            waiting.append(step.waits_for)
        elif step.at_end:
            waiting.pop()
            if not waiting:
                return entered
    raise StatementsBehind("the log is longer than one call follows", shard=shard, entered=entered)
