"""A batch of two groups while every one of its steps dies: no index twice, none missing."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import pytest

from infra.local import Stack
from infra.local.wallets import BatchRun
from orion.records import parse_json
from tests.bench.takers import take_all
from tests.e2e.scene import held, rows, somebody_waits, wait_until, workers

pytestmark = pytest.mark.e2e
CHAINS = {"bitcoin", "ethereum", "tron", "solana"}
POLLER = "poller-moneyin-addresses"


@contextmanager
def table_held(stack: Stack, table: str) -> Iterator[None]:
    """Nobody reads or writes `table` while the block runs."""
    connection = stack.mariadb.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLES {table} WRITE")
        yield
    finally:
        connection.close()


def kill_workers(stack: Stack, function: str) -> None:
    victims = workers(stack, f"orion-local-{function}")
    assert victims, f"a worker that runs {function}"
    for pid in victims:
        os.kill(pid, signal.SIGKILL)


def kill_while_waiting(stack: Stack, principal: str, function: str, what: str) -> None:
    """The function has done its work but for what it now waits to record."""
    wait_until(lambda: somebody_waits(stack, principal), what)
    kill_workers(stack, function)


def new_groups(stack: Stack) -> range:
    ((last,),) = rows(stack, "SELECT COALESCE(MAX(group_no), 0) FROM orion_kms.wallet_group")
    return range(int(last) + 1, int(last) + 3)


def told_indexes(stack: Stack, groups: range) -> Counter[tuple[int, int]]:
    """How often each wallet left kms."""
    found = rows(
        stack,
        "SELECT payload FROM orion_kms.outbox WHERE destination = 'kafka:wallet.addresses'"
        " AND partition_key IN (%s, %s)",
        tuple(str(group).encode() for group in groups),
    )
    bodies: list[Any] = [parse_json(payload) for (payload,) in found]
    return Counter(
        (body["group"], wallet["index"]) for body in bodies for wallet in body["wallets"]
    )


def stored_addresses(stack: Stack, groups: range) -> dict[tuple[int, int], set[str]]:
    found: dict[tuple[int, int], set[str]] = {}
    for group_no, index, name in rows(
        stack,
        "SELECT group_no, wallet_index, chain FROM orion_moneyin.address"
        " WHERE group_no >= %s AND group_no < %s",
        (groups.start, groups.stop),
    ):
        found.setdefault((group_no, index), set()).add(name)
    return found


def test_a_batch_started_twice_whose_every_step_dies_makes_each_wallet_once(
    running_stack: Stack,
) -> None:
    stack, groups = running_stack, new_groups(running_stack)
    runs = [BatchRun(stack, groups), BatchRun(stack, groups)]

    with table_held(stack, "orion_kms.wallet_range"):
        runs[0].start()
        runs[1].start_beside()
        kill_while_waiting(stack, "kms", "kms-plan-batch", "the batch to be planned")
    with held(stack, "SELECT * FROM orion_kms.wallet_group FOR UPDATE"):
        kill_while_waiting(stack, "kms", "kms-create-group", "a group to be recorded")
    with held(stack, "SELECT * FROM orion_kms.wallet_range FOR UPDATE"):
        kill_while_waiting(stack, "kms", "kms-address-pool", "a range to be recorded")
    # Told to Kafka, but not yet marked as told.
    unsent = "SELECT * FROM orion_kms.outbox FOR UPDATE"
    wait_until(lambda: runs[0].counter.count().told >= 2_000, "ranges to be told")
    with held(stack, unsent):
        kill_while_waiting(stack, "kms", "kms-outbox-relay", "the relay to mark what it sent")
    with held(stack, "SELECT * FROM orion_moneyin.consumer_offset FOR UPDATE"):
        kill_while_waiting(stack, "moneyin", "moneyin-addresses", "moneyin to have wallets")
        stack.kill_program(POLLER)
    stack.run_program(stack.programs()[POLLER])

    wanted = {(group, index) for group in groups for index in range(10_000)}
    wait_until(lambda: runs[0].counter.count().stored == len(wanted), "every wallet to be stored")
    for run in runs:
        wait_until(lambda run=run: run.status() == "SUCCEEDED", "both executions to end well")  # type: ignore[misc]
    check(stack, groups, wanted)


def check(stack: Stack, groups: range, wanted: set[tuple[int, int]]) -> None:
    assert told_indexes(stack, groups) == dict.fromkeys(wanted, 1)
    stored = stored_addresses(stack, groups)
    assert set(stored) == wanted
    assert all(chains == CHAINS for chains in stored.values())
    between = (groups.start, groups.stop)
    ((addresses, different),) = rows(
        stack,
        "SELECT COUNT(*), COUNT(DISTINCT chain, address) FROM orion_moneyin.address"
        " WHERE group_no >= %s AND group_no < %s",
        between,
    )
    assert addresses == different == 4 * len(wanted)
    assert rows(
        stack,
        "SELECT kind, COUNT(*) FROM orion_kms.custody_account"
        " WHERE group_no >= %s AND group_no < %s GROUP BY kind ORDER BY kind",
        between,
    ) == [("hot", 8), ("warm", 8)]
    ((keys,),) = rows(
        stack,
        "SELECT COUNT(*) FROM orion_kms.group_chain_key WHERE group_no >= %s AND group_no < %s",
        between,
    )
    assert keys == 10
    taken = take_all(stack, groups, takers=2)
    assert Counter(chain.from_iterable(taken)) == dict.fromkeys(wanted, 1)
    # Once more: what is done is passed over, and tells nothing again.
    again = BatchRun(stack, groups)
    again.start()
    wait_until(lambda: again.status() == "SUCCEEDED", "a repeated batch to end")
    assert told_indexes(stack, groups) == dict.fromkeys(wanted, 1)
