"""The last wallets of a group are taken: addresses of a group that did not exist follow."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

import pytest

from infra.local import Stack
from tests.e2e.scene import log_of, rows, wait_until

pytestmark = pytest.mark.e2e
MAKER, DERIVER = "poller-kms-create-group", "poller-kms-address-pool"
LAST_INDEX, LAST_COUNT = 9_500, 500


def execute(stack: Stack, statement: str, parameters: tuple[object, ...] = ()) -> None:
    connection = stack.mariadb.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
        connection.commit()
    finally:
        connection.close()


def number(stack: Stack, statement: str, *parameters: object) -> int:
    ((found,),) = rows(stack, statement, parameters)
    return int(found)


def newest_group(stack: Stack) -> int:
    return number(stack, "SELECT MAX(group_no) FROM orion_kms.wallet_group")


def take_every_free_wallet(stack: Stack) -> None:
    execute(
        stack,
        "UPDATE orion_moneyin.wallet SET state = 'assigned', merchant_id = %s,"
        " invoice_id = UNHEX(MD5(CONCAT(group_no, '-', wallet_index))), assigned_at = NOW(6)"
        " WHERE state = 'free'",
        (bytes(16),),
    )


def look_at_the_pool(stack: Stack) -> None:
    """What the schedule does every minute."""
    call = Request(
        f"{stack.ministack.url}/2015-03-31/functions/orion-local-moneyin-pool-level/invocations",
        data=json.dumps({}).encode(),
    )
    with urlopen(call, timeout=60) as answer:
        assert "X-Amz-Function-Error" not in answer.headers, answer.read()


def free_wallets(stack: Stack, group: int) -> int:
    return number(
        stack,
        "SELECT COUNT(*) FROM orion_moneyin.wallet w WHERE group_no = %s AND state = 'free'"
        " AND (SELECT COUNT(*) FROM orion_moneyin.address a"
        " WHERE a.group_no = w.group_no AND a.wallet_index = w.wallet_index) = 4",
        group,
    )


def ask_for_the_last_range_of(stack: Stack, group: int) -> None:
    """As if all but these wallets had been asked for and taken."""
    for table in ("address", "wallet"):
        execute(
            stack,
            f"DELETE FROM orion_moneyin.{table} WHERE group_no = %s AND wallet_index >= %s",
            (group, LAST_INDEX),
        )
    execute(
        stack,
        "INSERT INTO orion_moneyin.pool_request VALUES (%s, %s, %s, 1, '2026-01-01 00:00:00')"
        " ON DUPLICATE KEY UPDATE requested_at = VALUES(requested_at)",
        (group, LAST_INDEX, LAST_COUNT),
    )
    take_every_free_wallet(stack)
    look_at_the_pool(stack)


@contextmanager
def killed(stack: Stack, program: str) -> Iterator[None]:
    """The program is dead while the block runs."""
    stack.kill_program(program)
    try:
        yield
    finally:
        stack.run_program(stack.programs()[program])


def test_after_the_last_wallets_of_the_last_group_come_those_of_a_new_one(
    running_stack: Stack,
) -> None:
    stack = running_stack
    last = newest_group(stack)
    with killed(stack, MAKER):
        ask_for_the_last_range_of(stack, last)
        wait_until(lambda: free_wallets(stack, last) >= LAST_COUNT, "the group's last wallets")
        take_every_free_wallet(stack)
        before = log_of(stack, DERIVER).count("wallet_group_not_found")
        look_at_the_pool(stack)
        # Nobody makes groups yet: who derives meets a missing one, and tries again.
        wait_until(
            lambda: log_of(stack, DERIVER).count("wallet_group_not_found") > before,
            "the request to meet a missing group",
        )
        assert newest_group(stack) == last

    wait_until(lambda: free_wallets(stack, last + 1) >= 500, "addresses of a new group")
    # One ahead: the next change of groups will wait for nobody.
    assert newest_group(stack) == last + 2
    attempts = "SELECT MAX(attempt) FROM orion_moneyin.pool_request WHERE group_no = %s"
    assert number(stack, attempts, last + 1) == 1
