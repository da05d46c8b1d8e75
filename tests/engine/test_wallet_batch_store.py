"""A range of a batch is told once, whoever derives it again and how often."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pymysql
import pytest

from orion.adapters.mysql.session import Database
from orion.kms.batch import RANGES, Batch
from orion.kms.model import Networks, PoolRequest
from orion.kms.planning import BatchPlanner
from orion.kms.service import WalletService
from orion.wallet.addresses import WalletRange
from tests.engine.kms_scene import (
    FOUR,
    aws_client,
    connected,
    emptied,
    new_stage,
    outbox,
    rows,
    wallet_service,
)

pytestmark = pytest.mark.engine
TRACES = [f"{number:032x}" for number in range(1, 9)]


@pytest.fixture
def database(mysql_admin: Any) -> Iterator[Callable[[], Database]]:
    opened: list[Database] = []

    def connect() -> Database:
        opened.append(connected(mysql_admin))
        return opened[-1]

    emptied(mysql_admin)
    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def kms(aws_engine: Any) -> Any:
    return aws_client(aws_engine, "kms")


@pytest.fixture(scope="module")
def stage(aws_engine: Any) -> str:
    return new_stage(aws_client(aws_engine, "kms"))


def asked(trace_id: str, first: int = 0, count: int = 600) -> PoolRequest:
    return PoolRequest(0, WalletRange(first, count), trace_id)


def told(database: Database) -> list[int]:
    bodies: list[Any] = outbox(database, "wallet.addresses")
    return [wallet["index"] for body in bodies for wallet in body["wallets"]]


def test_a_range_that_was_told_is_passed_over_without_opening_the_seed(
    kms: Any, stage: str, database: Callable[[], Database]
) -> None:
    service = wallet_service(kms, stage, database())
    group = service.create_group(0)
    first = service.derive_once(asked(TRACES[0]))
    assert (first.new, first.records) == (True, 2)

    kms.disable_key(KeyId=group.seed.key_arn)
    try:
        again = service.derive_once(asked(TRACES[1]))
    finally:
        kms.enable_key(KeyId=group.seed.key_arn)
    assert (again.new, again.records) == (False, 0)
    assert sorted(told(database())) == list(range(600))


def test_of_many_that_derive_a_range_at_once_one_tells_it(
    kms: Any, stage: str, database: Callable[[], Database]
) -> None:
    services = [wallet_service(kms, stage, database()) for _ in range(4)]
    services[0].create_group(0)
    barrier = threading.Barrier(len(services))

    def derive(number: int) -> bool:
        # Past the look whether it was told: the hazard is that all of them found nothing.
        assert not services[number].store.told_ranges(range(1), b"")
        barrier.wait(timeout=10)
        return services[number].derive_once(asked(TRACES[number])).new

    with ThreadPoolExecutor(len(services)) as pool:
        assert sorted(pool.map(derive, range(len(services)))) == [False, False, False, True]
    assert sorted(told(database())) == list(range(600))


def test_without_the_note_two_askings_would_tell_a_range_twice(
    kms: Any, stage: str, database: Callable[[], Database]
) -> None:
    service = wallet_service(kms, stage, database())
    service.create_group(0)
    for trace_id in TRACES[:2]:
        service.derive(asked(trace_id))
    assert len(told(database())) == 1_200


def test_a_range_is_told_with_its_note_or_not_at_all(
    kms: Any, stage: str, database: Callable[[], Database], mysql_admin: Any
) -> None:
    service = wallet_service(kms, stage, database())
    service.create_group(0)
    connection = mysql_admin.connect()
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER orion_kms.shut BEFORE INSERT ON orion_kms.outbox FOR EACH ROW"
            " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the outbox is shut'"
        )
        try:
            with pytest.raises(pymysql.err.MySQLError, match="the outbox is shut"):
                service.derive_once(asked(TRACES[0]))
        finally:
            cursor.execute("DROP TRIGGER orion_kms.shut")
    assert rows(database(), "SELECT COUNT(*) FROM wallet_range") == [(0,)]
    assert service.derive_once(asked(TRACES[1])).new


def test_a_batch_has_left_what_was_not_told_for_these_networks(
    kms: Any, stage: str, database: Callable[[], Database]
) -> None:
    two: WalletService = wallet_service(kms, stage, database(), Networks("regtest", "31337"))
    two.create_group(0)
    two.derive_once(asked(TRACES[0], 1_000, 1_000))
    batch = Batch(0, 1, TRACES[1])
    [left] = BatchPlanner(two.store, two.networks).plan(batch)
    assert left.first_indexes == tuple(first for first in RANGES if first != 1_000)

    [all_left] = BatchPlanner(two.store, FOUR).plan(batch)
    assert all_left.first_indexes == tuple(RANGES)
