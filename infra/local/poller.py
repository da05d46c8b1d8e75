"""One Kafka event source mapping of the template, polled as AWS Lambda's own poller does.

    python -m infra.local.poller --template FILE --mapping LOGICAL_ID

The order of each partition is kept: a batch is committed after its function succeeded, and a
failing partition is tried again alone, with back-off, while the others go on. A record that
cannot be processed stops its partition for ever where the mapping never skips (with an ALARM line
in the log), and goes to the dead-letter topic with its cause where the mapping names one.
Credentials and addresses come from SSM and Secrets Manager, as in the cloud. Ends on SIGTERM or
SIGINT.
"""

import argparse
import logging
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from confluent_kafka import KafkaException

from infra.local.poller_aws import Aws, CallFailed, Endpoint, FunctionFailed, OutcomeUnknown
from infra.local.poller_event import Fetched, event
from infra.local.poller_kafka import Brokers, DeadLetterRefused, DeadLetters, Source
from infra.local.poller_partition import Partition, Policy, Verdict, mixed_batch
from infra.local.poller_template import (
    KafkaMapping,
    TemplateUnreadable,
    mapping,
    mappings,
    read_template,
)

READY = "poller ready"
# AWS invokes up to five times at once a poller (Lambda, "Low latency processing for Kafka").
INVOCATIONS_MAX = 4
# A function's time-out is Lambda's to report; only a lost connection waits for more.
_INVOKE_MARGIN_S = 15.0
_IDLE_POLL_S = 0.1
_BUSY_POLL_S = 0.002
_FETCH_RECORDS_MAX = 1_000
_BUFFER_BYTES_MAX = 8_000_000
_CLOSE_TIMEOUT_S = 5.0

_log = logging.getLogger("poller")

Chosen = Sequence[tuple[Partition, Sequence[Fetched]]]


@dataclass(slots=True)
class _Flight:
    """One invocation under way. A partition that was revoked meanwhile is no longer ours to
    commit.
    """

    parts: Chosen
    outcome: Future[None]


class Poller:
    """The loop: collect records, finish invocations, start invocations."""

    def __init__(self, found: KafkaMapping, aws: Aws) -> None:
        self._mapping = found
        self._aws = aws
        self._cluster_arn = aws.parameter(found.cluster_parameter)
        brokers = _brokers(found, aws)
        self._servers = brokers.servers
        self._policy = Policy(
            batch_size=found.batch_size,
            window_s=found.window_s,
            retries_max=found.retries_max,
            bisect=found.bisect,
            never_skips=found.never_skips,
        )
        self._partitions: dict[int, Partition] = {}
        self._paused: set[int] = set()
        self._flights: list[_Flight] = []
        self._stopping = False
        self._workers = ThreadPoolExecutor(INVOCATIONS_MAX, thread_name_prefix="invoke")
        self._dead_letters = DeadLetters(found, brokers)
        self._source = Source(found, brokers, assigned=self._assigned, revoked=self._revoked)

    def stop(self, _signal: int, _frame: FrameType | None) -> None:
        """Signal handler: finish what is in flight, commit it, leave."""
        self._stopping = True

    def run(self) -> None:
        """Poll until `stop`."""
        _log.info(
            "%s on %s as group %s", self._mapping.function, self._mapping.topic, self._mapping.group
        )
        while not self._stopping:
            self._collect()
            self._finish()
            self._start()
        self._close()

    def _collect(self) -> None:
        now_s = time.monotonic()
        wait_s = _BUSY_POLL_S if self._flights else _IDLE_POLL_S
        if len(self._flights) < INVOCATIONS_MAX:
            dues = [part.due_s() for part in self._partitions.values()]
            wait_s = min([wait_s, *(max(0.0, due - now_s) for due in dues if due is not None)])
        for record in self._source.poll(wait_s, _FETCH_RECORDS_MAX):
            partition = self._partitions.get(record.partition)
            if partition is None:
                continue  # Revoked since it was fetched: its next owner reads it again.
            partition.add(record, time.monotonic())
            if record.partition not in self._paused and self._is_full(partition):
                self._source.pause(record.partition)
                self._paused.add(record.partition)

    def _is_full(self, partition: Partition) -> bool:
        enough = 2 * self._policy.batch_size
        return len(partition.pending) >= enough or partition.bytes_pending >= _BUFFER_BYTES_MAX

    def _start(self) -> None:
        now_s = time.monotonic()
        due = [
            part
            for part in self._partitions.values()
            if (at := part.due_s()) is not None and at <= now_s
        ]
        for part in due:
            if part.failing and len(self._flights) < INVOCATIONS_MAX:
                limit = self._policy.batch_size
                self._invoke([(part, part.take(limit, _BUFFER_BYTES_MAX))])
        healthy = [part for part in due if not part.failing]
        while healthy and len(self._flights) < INVOCATIONS_MAX:
            chosen = mixed_batch(healthy, self._policy.batch_size)
            if not chosen:
                return
            self._invoke(chosen)
            healthy = [part for part in healthy if not part.in_flight]

    def _invoke(self, parts: Chosen) -> None:
        payload = event(
            (record for _, batch in parts for record in batch),
            cluster_arn=self._cluster_arn,
            bootstrap_servers=self._servers,
        )
        timeout_s = self._mapping.function_timeout_s + _INVOKE_MARGIN_S
        call = self._workers.submit(
            self._aws.invoke, self._mapping.function, payload, timeout_s=timeout_s
        )
        self._flights.append(_Flight(parts, call))

    def _finish(self) -> None:
        landed = [flight for flight in self._flights if flight.outcome.done()]
        self._flights = [flight for flight in self._flights if not flight.outcome.done()]
        for flight in landed:
            error = flight.outcome.exception()
            for part, batch in flight.parts:
                number = batch[0].partition
                if self._partitions.get(number) is not part:
                    continue
                if error is None:
                    self._commit(number, part)
                elif isinstance(error, FunctionFailed | OutcomeUnknown):
                    self._failed(number, part, batch, error)
                else:
                    raise error

    def _commit(self, number: int, part: Partition, *, wait: bool = False) -> None:
        was_failing = part.failing
        self._source.commit(number, part.done(time.monotonic()), wait=wait)
        if was_failing and not part.failing:
            _log.info("%s-%s goes on", self._mapping.topic, number)
        if number in self._paused and not self._is_full(part):
            self._source.resume(number)
            self._paused.discard(number)

    def _failed(
        self, number: int, part: Partition, batch: Sequence[Fetched], error: BaseException
    ) -> None:
        verdict = part.failed(time.monotonic(), function_said_so=isinstance(error, FunctionFailed))
        where = f"{self._mapping.topic}-{number} offsets {batch[0].offset}..{batch[-1].offset}"
        if verdict is Verdict.STOPPED:
            _log.error("ALARM %s: partition stopped, %s failures: %s", where, part.failures, error)
        elif verdict is Verdict.SET_ASIDE:
            self._set_aside(number, part, batch, str(error), where)
        else:
            _log.warning("%s: failed, next: %s: %s", where, verdict, error)

    def _set_aside(
        self, number: int, part: Partition, batch: Sequence[Fetched], cause: str, where: str
    ) -> None:
        try:
            self._dead_letters.put(batch, cause, part.attempts)
        except (DeadLetterRefused, KafkaException) as exc:
            _log.error("ALARM %s: dead-letter topic refused: %s", where, exc)
            part.failed(time.monotonic(), function_said_so=False)
            return
        _log.error("ALARM %s: set aside to %s: %s", where, self._mapping.dead_letter_topic, cause)
        self._commit(number, part)

    def _assigned(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._partitions[number] = Partition(self._policy)
        _log.info("%s: partitions %s", READY, sorted(self._partitions))

    def _revoked(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._partitions.pop(number, None)
            self._paused.discard(number)

    def _close(self) -> None:
        deadline_s = time.monotonic() + _CLOSE_TIMEOUT_S
        while self._flights and time.monotonic() < deadline_s:
            self._finish()
            time.sleep(_BUSY_POLL_S)
        # An invocation that outlives us comes again from its offset: its function fences.
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._source.close()


def _brokers(found: KafkaMapping, aws: Aws) -> Brokers:
    username, password = aws.secret(aws.parameter(found.secret_parameter))
    authority = aws.parameter(found.authority_parameter)
    return Brokers(
        servers=aws.parameter(found.servers_parameter),
        username=username,
        password=password,
        authority_pem=None if authority == "system" else authority,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Poll one mapping, or list the template's mappings when none is named."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.poller")
    parser.add_argument("--template", type=Path, required=True)
    parser.add_argument("--mapping", help="logical id; without it the mappings are listed")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout
    )
    try:
        template = read_template(chosen.template)
        if chosen.mapping is None:
            for found in mappings(template):
                print(found.logical_id, found.topic, found.function)
            return 0
        poller = Poller(mapping(template, chosen.mapping), Aws(Endpoint.from_environment()))
    except (TemplateUnreadable, CallFailed) as problem:
        print(f"poller failed: {problem}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, poller.stop)
    signal.signal(signal.SIGINT, poller.stop)
    poller.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
