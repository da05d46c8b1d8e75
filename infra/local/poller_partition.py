"""What a poller knows of one partition: records in order, attempts, back-off. No clock, no
sockets.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from infra.local.poller_event import EVENT_BYTES_MAX, Fetched

BACK_OFF_FIRST_S = 0.1
BACK_OFF_MAX_S = 10.0
# A stopped partition says so again with each of these many attempts.
ALARM_EVERY = 6


class Verdict(StrEnum):
    """What a failure means for the batch that failed."""

    RETRY = "retry"
    SPLIT = "split"
    SET_ASIDE = "set_aside"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Policy:
    """A mapping's rule for records that its function cannot process."""

    batch_size: int
    window_s: float
    retries_max: int
    bisect: bool
    never_skips: bool


@dataclass(slots=True)
class Partition:
    """`pending` are fetched records that are not done; the first of them is always the next to run.

    `plan` holds the sizes of the batches that a failure laid down; while it is not empty the
    partition
    runs in events of its own, so that its failure is nobody else's.
    """

    policy: Policy
    pending: deque[Fetched] = field(default_factory=deque)
    plan: list[int] = field(default_factory=list)
    attempts: int = 0
    failures: int = 0
    not_before_s: float = 0.0
    first_pending_s: float = 0.0
    in_flight: int = 0
    bytes_pending: int = 0

    @property
    def failing(self) -> bool:
        return bool(self.plan)

    def add(self, record: Fetched, now_s: float) -> None:
        if not self.pending:
            self.first_pending_s = now_s
        self.pending.append(record)
        self.bytes_pending += record.event_bytes

    def due_s(self) -> float | None:
        """When the next batch may run; None while there is nothing or one is in flight."""
        if self.in_flight or not self.pending:
            return None
        if self.failing or len(self.pending) >= self.policy.batch_size:
            return self.not_before_s
        return max(self.not_before_s, self.first_pending_s + self.policy.window_s)

    def take(self, records_left: int, bytes_left: int) -> Sequence[Fetched]:
        """The next batch within these limits, in order; it stays pending until `done`."""
        if self.plan:
            batch = [self.pending[index] for index in range(self.plan[0])]
        else:
            batch = []
            for record in self.pending:
                bytes_left -= record.event_bytes
                if len(batch) >= records_left or (bytes_left < 0 and batch):
                    break
                if bytes_left < 0 and records_left < self.policy.batch_size:
                    break  # The event has other partitions' records: this one waits for its own.
                batch.append(record)
        self.in_flight = len(batch)
        return batch

    def done(self, now_s: float) -> int:
        """The batch in flight is processed or set aside; returns the offset to commit."""
        last = self.pending[0]
        for _ in range(self.in_flight):
            last = self.pending.popleft()
            self.bytes_pending -= last.event_bytes
        if self.plan:
            self.plan.pop(0)
        self.in_flight = self.attempts = self.failures = 0
        self.not_before_s = 0.0
        self.first_pending_s = now_s
        return last.offset + 1

    def failed(self, now_s: float, *, function_said_so: bool) -> Verdict:
        """The batch in flight failed. An unknown outcome never counts towards setting it aside."""
        size, self.in_flight = self.in_flight, 0
        if not self.plan:
            self.plan = [size]
        back_off_s = min(BACK_OFF_MAX_S, BACK_OFF_FIRST_S * 2 ** min(self.failures, 20))
        self.failures += 1
        self.not_before_s = now_s + back_off_s
        if self.policy.never_skips:
            return Verdict.STOPPED if self.failures % ALARM_EVERY == 3 else Verdict.RETRY
        if not function_said_so:
            return Verdict.RETRY
        if self.policy.bisect and size > 1:
            self.plan[:1] = [size // 2, size - size // 2]
            self.attempts = 0
            return Verdict.SPLIT
        self.attempts += 1
        if self.attempts > self.policy.retries_max >= 0:
            self.in_flight = size
            return Verdict.SET_ASIDE
        return Verdict.RETRY


def mixed_batch(
    partitions: Sequence[Partition], batch_size: int
) -> list[tuple[Partition, Sequence[Fetched]]]:
    """Records of several healthy partitions for one event, within AWS's limits."""
    chosen: list[tuple[Partition, Sequence[Fetched]]] = []
    records_left, bytes_left = batch_size, EVENT_BYTES_MAX
    for partition in partitions:
        if records_left <= 0 or bytes_left <= 0:
            break
        batch = partition.take(records_left, bytes_left)
        if batch:
            chosen.append((partition, batch))
            records_left -= len(batch)
            bytes_left -= sum(record.event_bytes for record in batch)
    return chosen
