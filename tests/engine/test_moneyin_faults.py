"""Block events on a real database: workers that wake late, meet or die, and any redelivery."""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from orion.adapters.mysql.moneyin import MySqlMoneyIn, MySqlUnit
from orion.adapters.mysql.session import Database, MySqlConfig
from orion.moneyin.events import read_transfer
from orion.moneyin.model import deposit_id
from orion.moneyin.ports import Unit
from orion.moneyin.service import MoneyIn
from orion.records import Record
from tests.engine.moneyin_scene import (
    NOW,
    POLICY,
    Event,
    World,
    block,
    config_of,
    emptied,
    gone,
    pay,
)

pytestmark = pytest.mark.engine


T = TypeVar("T")


@pytest.fixture
def config(mysql_admin: Any) -> MySqlConfig:
    return emptied(mysql_admin)


@pytest.fixture
def world(config: MySqlConfig) -> Iterator[World]:
    found = World(config)
    yield found
    found.database.close()


class Unfenced(MySqlMoneyIn):
    """The same store without its guard: every record counts as new."""

    def once(self, records: Sequence[Record], work: Callable[[Unit, Sequence[Record]], T]) -> T:
        return self._database.run(lambda cursor: work(MySqlUnit(cursor), records))


@pytest.mark.parametrize("guarded", [False, True])
def test_a_worker_that_wakes_late_credits_a_lost_payment_unless_it_is_fenced(
    world: World, guarded: bool
) -> None:
    store = MySqlMoneyIn(world.database) if guarded else Unfenced(world.database)
    service = MoneyIn(store, POLICY)
    early = world.records(block(100, "a", "r"), block(101, "b", "a", pay("p")))
    late = world.records(gone(101, "b", "a"))
    service.blocks(early, NOW)
    service.blocks(late, NOW)
    service.blocks(early, NOW)
    told = [code for code, _ in world.transfers()]
    balance = told.count("deposit_credit") - told.count("deposit_reversal")
    assert balance == (0 if guarded else 1), "the payment is on no chain any more"


def test_two_workers_at_once_on_one_partition_have_one_effect(config: MySqlConfig) -> None:
    first, second = World(config), World(config)
    records = first.records(
        block(100, "a", "r"),
        *(
            block(n, f"b{n}", f"b{n - 1}" if n > 101 else "a", pay(f"p{n}"))
            for n in range(101, 121)
        ),
    )
    start = threading.Barrier(2)

    def work(world: World) -> int:
        start.wait()
        return world.service.blocks(records, NOW)

    with ThreadPoolExecutor(2) as pool:
        counts = sorted(pool.map(work, (first, second)))
    assert counts[0] == 0
    assert counts[1] > 0
    assert Counter(first.transfers())["deposit_credit", 0] == 20
    for world in (first, second):
        world.database.close()


def test_a_worker_killed_inside_its_transaction_leaves_nothing_and_its_retry_credits_once(
    world: World, mysql_admin: Any, config: MySqlConfig
) -> None:
    event = block(101, "b", "a", pay("p"))
    world.tell(block(100, "a", "r"))
    (record,) = world.records(event)
    identity = deposit_id("ethereum", read_transfer(event["transfers"][0]))
    # An uncommitted row with the deposit's key makes the worker wait where it writes its deposit.
    holder = mysql_admin.connect()
    holder.begin()
    with holder.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orion_moneyin.deposit SELECT %s, 1, '', '', '', '', '', NULL, NULL, '', 0,"
            " 0, NULL, NULL, 'reversed', NULL, 0, '', 0, 0, 0, 0, 0, 0, 0, %s, %s",
            (identity, NOW.replace(tzinfo=None), NOW.replace(tzinfo=None)),
        )
    worker = start_worker(config, record)
    wait_for_lock(mysql_admin)
    worker.kill()
    worker.wait()
    holder.rollback()
    holder.close()
    assert world.transfers() == []
    assert world.window() == ["r", "a"]
    for _ in range(2):
        retry = start_worker(config, record)
        assert retry.wait(timeout=60) == 0
    assert world.transfers() == [("deposit_credit", 0)]
    assert world.window() == ["r", "a", "b"]


def start_worker(config: MySqlConfig, record: Record) -> "subprocess.Popen[bytes]":
    """This file as a worker: another process that receives the record."""
    given = {
        "config": [config.host, config.port, config.user, config.password, config.ca_pem],
        "record": [record.topic, record.partition, record.offset, record.value.decode()],
    }
    return subprocess.Popen(
        [sys.executable, __file__],
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "MONEYIN_WORK": json.dumps(given),
        },
        cwd=Path(__file__).parents[2],
    )


def wait_for_lock(mysql_admin: Any) -> None:
    connection = mysql_admin.connect()
    try:
        for _ in range(300):
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT COUNT(*) FROM information_schema.innodb_trx"
                    " WHERE trx_state = 'LOCK WAIT'"
                )
                if cursor.fetchone() != (0,):
                    return
            connection.rollback()
            time.sleep(0.1)
        raise AssertionError("the worker never reached the row")
    finally:
        connection.close()


def history(dice: random.Random) -> tuple[list[Event], Counter[str]]:
    """A chain with reorgs as an agent tells it, and what its best chain pays at the end."""
    content: dict[str, list[Event]] = {"b0": []}
    chain, told = [(100, "b0", "r")], [block(100, "b0", "r")]
    for number in range(1, dice.randint(5, 25)):
        depth = min(dice.choice((0, 0, 0, 1, 2, 4)), len(chain) - 1)
        spoken = dice.random() < 0.5
        for _ in range(depth):
            lost = chain.pop()
            if spoken:
                told.append(gone(*lost))
        spent = {t["txid"] for _, name, _ in chain for t in content[name]}
        chosen = [
            pay(f"p{n}", n + 1) for n in range(6) if f"p{n}" not in spent and dice.random() < 0.3
        ]
        dice.shuffle(chosen)
        new = (chain[-1][0] + 1, f"b{number}", chain[-1][1])
        content[new[1]] = chosen
        chain.append(new)
        told.append(block(*new, *chosen))
        if dice.random() < 0.2:
            told += told[-2:]
    paid = Counter({t["txid"]: int(t["units"]) for _, name, _ in chain for t in content[name]})
    return told, paid


@pytest.mark.parametrize("seed", range(12))
def test_any_redelivery_of_a_partition_credits_exactly_its_best_chain(
    world: World, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311 - a repeatable story, not a secret.
    told, paid = history(dice)
    world.records(*told)
    position = 0
    while position < len(told):
        end = min(len(told), position + dice.randint(1, 6))
        start = dice.randint(0, position)
        world.service.blocks(world.log[start:end], NOW)
        position = end
    sums: Counter[str] = Counter()
    ids = []
    txids = dict(world.ask("SELECT LOWER(HEX(deposit_id)), txid FROM deposit"))
    for record in world.sent("ledger.transfers"):
        for transfer in record["transfers"]:
            ids.append(transfer["id"])
            sign = {"deposit_credit": 1, "deposit_final": 0}.get(transfer["code"], -1)
            sums[txids[transfer["cause"]["deposit_id"]]] += sign * int(transfer["units"])
    assert Counter({txid: units for txid, units in sums.items() if units}) == paid
    assert len(set(ids)) == len(ids)


if __name__ == "__main__":
    work = json.loads(os.environ["MONEYIN_WORK"])
    topic, partition, offset, value = work["record"]
    service = MoneyIn(MySqlMoneyIn(Database(config_of(*work["config"]))), POLICY)
    service.blocks([Record(topic, partition, offset, b"n", value.encode())], NOW)
