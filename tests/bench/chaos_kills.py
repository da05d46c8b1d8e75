"""`kill -9` of what posts the ledger and keeps its books, one at a time, and its start again."""

import os
import random
import signal
import time
from collections.abc import Sequence

from infra.local import Stack
from infra.local.failure import EngineFailure, StackFailure
from tests.e2e.scene import workers

FUNCTIONS = {
    "writer": "orion-local-billing-ledger-writer",
    "relay of moneyin": "orion-local-moneyin-outbox-relay",
    "relay of the ledger": "orion-local-billing-ledger-outbox-relay",
    "log book": "orion-local-log-ledger-segments",
    "external book": "orion-local-log-external-book",
    "statements": "orion-local-billing-ledger-statements",
}
ENGINES = {"database": "mariadb", "broker": "kafka", "external database": "postgres"}
POLLERS = {
    "poller of the writer": "poller-billing-ledger-writer",
    "poller of the log book": "poller-log-ledger-segments",
    "poller of the external book": "poller-log-external-book",
}
# One of each, the writer's first: what a short run has.
ONE_OF_EACH = (
    *("writer", "database", "log book", "external book", "broker"),
    *("relay of moneyin", "relay of the ledger", "statements", "external database"),
    *("poller of the writer", "poller of the external book", "poller of the log book"),
)
_WEIGHTS = {"writer": 5, "database": 3, "broker": 2}
_WORKER_WITHIN_S = 60.0
_ENGINE_WITHIN_S = 60.0
_POLL_S = 0.02


def plan(kills: int, seed: int) -> Sequence[str]:
    """Whom to kill, in order: everybody by weight, shuffled by `seed`."""
    round_of_all = [name for name in ONE_OF_EACH for _ in range(_WEIGHTS.get(name, 1))]
    rounds = -(-kills // len(round_of_all))
    chosen = round_of_all * rounds
    random.Random(seed).shuffle(chosen)  # noqa: S311 - no secret
    return chosen[:kills]


class Killer:
    """Kills by name. Every call ends with the victim dead, and alive again or started on demand."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def kill(self, name: str) -> None:
        """Raises StackFailure when there is nobody to kill."""
        if name in ENGINES:
            self._stack.kill(ENGINES[name])
            self._start_again(ENGINES[name])
        elif name in POLLERS:
            program = self._stack.programs()[POLLERS[name]]
            self._stack.kill_program(program.name)
            self._stack.run_program(program)
        else:
            self._function(FUNCTIONS[name])

    def _start_again(self, engine: str) -> None:
        """PostgreSQL starts only when the last child of the server that was killed has seen it."""
        deadline_s = time.monotonic() + _ENGINE_WITHIN_S
        while True:
            try:
                self._stack.start(engine)
            except EngineFailure:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(_POLL_S)
            else:
                return

    def _function(self, function: str) -> None:
        """The engine starts a worker when the next event comes."""
        deadline_s = time.monotonic() + _WORKER_WITHIN_S
        while not self._killed(function):
            if time.monotonic() > deadline_s:
                raise StackFailure(f"no worker of {function} within {_WORKER_WITHIN_S:.0f} s")
            time.sleep(_POLL_S)

    def _killed(self, function: str) -> int:
        count = 0
        for pid in workers(self._stack, function):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            count += 1
        return count
