"""The barrier of a growing ledger outlasts whoever may keep a sender's lock."""

import pytest

from infra.cloud.function_table import FUNCTIONS, function_row
from orion.adapters.mysql.ledger_growth import BARRIER_WAIT_S, asks
from orion.adapters.mysql.session import READ_TIMEOUT_S
from orion.runtime.relay_routes import SENDERS
from orion.runtime.settings import DIRECT_IDLE_S

# Settings, secrets, the map and the outbox.
OWN_WORK_S = 60


def test_the_barrier_waits_longer_than_a_relay_that_vanished_keeps_its_lock() -> None:
    relays = [row for row in FUNCTIONS if row.file.endswith("outbox_relay")]
    assert len(relays) > len(SENDERS)
    assert max(row.timeout_s for row in relays) + DIRECT_IDLE_S < BARRIER_WAIT_S


@pytest.mark.parametrize("name", ["billing/shard_map", "billing/ledger_watch"])
def test_a_function_that_passes_the_barrier_may_wait_for_every_sender(name: str) -> None:
    row = function_row(name)
    assert row.timeout_s >= len(SENDERS) * BARRIER_WAIT_S + OWN_WORK_S
    assert "outbox-ledger" in row.sends


@pytest.mark.parametrize("wait_s", [0, 1, 20, 21, BARRIER_WAIT_S])
def test_a_wait_is_asked_for_in_questions_that_the_connection_outlasts(wait_s: int) -> None:
    questions = asks(wait_s)
    assert sum(questions) == wait_s
    assert questions
    assert max(questions) < READ_TIMEOUT_S
