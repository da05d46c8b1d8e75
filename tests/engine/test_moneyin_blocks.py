"""Block events on a real database: one effect however often, late or interrupted they come."""

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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from orion.adapters.mysql.moneyin import MySqlMoneyIn, MySqlUnit
from orion.adapters.mysql.session import Database, MySqlConfig
from orion.moneyin.errors import ForeignStream, MalformedEvent
from orion.moneyin.events import read_transfer
from orion.moneyin.model import deposit_id
from orion.moneyin.policy import read_policy
from orion.moneyin.ports import Unit
from orion.moneyin.service import MoneyIn
from orion.records import MalformedRecord, Record, canonical_json

pytestmark = pytest.mark.engine

T = TypeVar("T")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TRACE = "ab" * 16
USDT = "0x" + "11" * 20
OURS, SECOND, FREE = "0x" + "aa" * 20, "0x" + "bb" * 20, "0x" + "cc" * 20
MERCHANT, INVOICE = b"m" * 16, b"i" * 16
POLICY = read_policy(
    {"ethereum": "31337"},
    {"ethereum": {"settled": 2, "final": 3}},
    {"USDT.ethereum": USDT.upper().replace("0X", "0x")},
)
TABLES = (
    "outbox",
    "consumer_offset",
    "wallet",
    "address",
    "chain_head",
    "chain_block",
    "chain_cursor",
    "staged_part",
    "deposit",
    "deposit_history",
)

Event = dict[str, Any]


def config_of(host: str, port: int, user: str, password: str, ca_pem: str) -> MySqlConfig:
    return MySqlConfig(host, port, user, password, "orion_moneyin", ca_pem)


@pytest.fixture
def config(mysql_admin: Any) -> MySqlConfig:
    """The module's own user on emptied tables, with two wallets of an invoice and a free one."""
    login = mysql_admin.credentials("moneyin")
    found = config_of(
        mysql_admin.host, mysql_admin.port, login.username, login.password, mysql_admin.ca_pem
    )
    database = Database(found)
    with database.transaction() as cursor:
        for table in TABLES:
            cursor.execute(f"DELETE FROM {table}")
        cursor.execute(
            "INSERT INTO wallet VALUES (0, 0, 'assigned', %s, %s, UTC_TIMESTAMP(6)),"
            " (0, 1, 'assigned', %s, %s, UTC_TIMESTAMP(6)), (0, 2, 'free', NULL, NULL, NULL)",
            (MERCHANT, INVOICE, MERCHANT, b"j" * 16),
        )
        cursor.execute(
            "INSERT INTO address VALUES ('ethereum', %s, 0, 0), ('ethereum', %s, 0, 1),"
            " ('ethereum', %s, 0, 2)",
            (OURS, SECOND, FREE),
        )
    database.close()
    return found


class World:
    """One partition of `chain.blocks.ethereum` and the worker behind it."""

    def __init__(self, config: MySqlConfig) -> None:
        self.database = Database(config)
        self.service = MoneyIn(MySqlMoneyIn(self.database), POLICY)
        self.offset = 0
        self.log: list[Record] = []

    def records(self, *events: Event) -> list[Record]:
        fresh = []
        for event in events:
            fresh.append(
                Record("chain.blocks.ethereum", 0, self.offset, b"n", canonical_json(event))
            )
            self.offset += 1
        self.log += fresh
        return fresh

    def tell(self, *events: Event, now: datetime = NOW) -> int:
        return self.service.blocks(self.records(*events), now)

    def ask(self, sql: str, *values: object) -> Sequence[tuple[Any, ...]]:
        with self.database.transaction() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall()

    def sent(self, topic: str) -> list[Event]:
        rows = self.ask(
            "SELECT payload FROM outbox WHERE destination = %s ORDER BY seq", f"kafka:{topic}"
        )
        return [json.loads(payload) for (payload,) in rows]

    def transfers(self) -> list[tuple[str, int]]:
        return [
            (t["code"], t["cause"]["credit_epoch"])
            for record in self.sent("ledger.transfers")
            for t in record["transfers"]
        ]

    def states(self) -> list[tuple[str, int, int]]:
        return [
            (d["state"], d["confirmations"], d["credit_epoch"])
            for d in self.sent("moneyin.deposits")
        ]

    def window(self) -> list[str]:
        rows = self.ask("SELECT block_hash FROM chain_block ORDER BY node, height")
        return [row[0] for row in rows]


@pytest.fixture
def world(config: MySqlConfig) -> Iterator[World]:
    found = World(config)
    yield found
    found.database.close()


def pay(txid: str, units: int = 5, to: str = OURS, **more: Any) -> Event:
    transfer = {"txid": txid, "position": "call:", "contract": None, "from": "0xs", "to": to}
    return transfer | {"units": str(units)} | more


def block(height: int, name: str, parent: str, *transfers: Event, **more: Any) -> Event:
    event: Event = {"v": 1, "trace_id": TRACE, "kind": "connected", "chain": "ethereum"}
    event |= {"network": "31337", "node": "ethereum-1", "height": height, "hash": name}
    event |= {"parent": parent, "time": 1_700_000_000 + height, "part": 0, "parts": 1}
    return event | {"transfers": list(transfers)} | more


def gone(height: int, name: str, parent: str) -> Event:
    event = block(height, name, parent) | {"kind": "disconnected"}
    return {
        name: v for name, v in event.items() if name not in ("part", "parts", "transfers", "time")
    }


def test_the_same_block_twice_is_one_credit(world: World) -> None:
    world.tell(block(100, "a", "r"), block(101, "b", "a", pay("p")))
    world.tell(block(101, "b", "a", pay("p")))
    world.service.blocks(world.log, NOW)
    assert world.transfers() == [("deposit_credit", 0)]
    assert world.states() == [("included", 1, 0)]


def test_a_deposit_is_told_with_every_field_of_the_contract(world: World) -> None:
    world.tell(block(100, "a", "r", pay("p", 41, position="log:0", contract=USDT)))
    (deposit,) = world.sent("moneyin.deposits")
    assert len(deposit.pop("deposit_id")) == len(deposit.pop("credit_transfer_id")) == 32
    assert deposit == {
        "v": 1,
        "trace_id": TRACE,
        "kind": "deposit",
        "version": 1,
        "chain": "ethereum",
        "asset": "USDT.ethereum",
        "units": "41",
        "txid": "p",
        "position": "log:0",
        "address": OURS,
        "merchant_id": MERCHANT.hex(),
        "invoice_id": INVOICE.hex(),
        "state": "included",
        "height": 100,
        "block_hash": "a",
        "confirmations": 1,
        "confirmations_settled": 2,
        "confirmations_final": 3,
        "credit_epoch": 0,
        "block_time": 1_700_000_100,
    }
    ((transfer,),) = [record["transfers"] for record in world.sent("ledger.transfers")]
    assert len(transfer.pop("id")) == len(transfer["cause"].pop("deposit_id")) == 32
    assert transfer == {
        "kind": "direct",
        "code": "deposit_credit",
        "asset": "USDT.ethereum",
        "units": "41",
        "debit": {"owner": "system:ethereum", "purpose": "custody"},
        "credit": {"owner": f"merchant:{MERCHANT.hex()}", "purpose": "settling"},
        "cause": {"type": "deposit", "credit_epoch": 0},
        "linked": False,
    }


def test_blocks_out_of_order_change_nothing_ask_for_a_resume_and_heal(world: World) -> None:
    world.tell(block(100, "a", "r"))
    world.tell(block(102, "c", "b"), block(103, "d", "c", pay("p")))
    assert world.window() == ["r", "a"]
    assert world.transfers() == []
    (resume,) = world.sent("node.commands")
    assert (resume["kind"], resume["request_id"]) == ("resume", None)
    assert resume["recent"] == [{"height": 100, "hash": "a"}, {"height": 99, "hash": "r"}]
    world.tell(block(101, "b", "a"), block(102, "c", "b"), block(103, "d", "c", pay("p")))
    assert world.window() == ["r", "a", "b", "c", "d"]
    assert world.transfers() == [("deposit_credit", 0)]


def test_a_standing_gap_asks_again_only_after_five_seconds(world: World) -> None:
    world.tell(block(100, "a", "r"))
    for seconds in (0, 4, 5):
        world.tell(block(109, "x", "w"), now=NOW + timedelta(seconds=seconds))
    assert len(world.sent("node.commands")) == 2


@pytest.mark.parametrize("spoken", [True, False])
@pytest.mark.parametrize("place", ["same height", "another height", "another place in the block"])
def test_a_two_block_reorg_takes_the_credit_back_and_a_re_mined_payment_gives_it_again(
    world: World, spoken: bool, place: str
) -> None:
    payment = pay("p", position="log:0", contract=USDT)
    world.tell(block(100, "a", "r"), block(101, "b", "a", payment), block(102, "c", "b"))
    assert world.states()[-1] == ("confirmed", 2, 0)
    if spoken:
        world.tell(gone(102, "c", "b"), gone(101, "b", "a"))
    other = pay("q", 9, SECOND)
    first = (payment,) if place == "same height" else (other,)
    second = {"another height": (payment,), "another place in the block": (other, payment)}
    world.tell(block(101, "b2", "a", *(first if place == "same height" else ())))
    assert ("reversed", 0, 1) in world.states()
    world.tell(block(102, "c2", "b2", *second.get(place, ())), block(103, "d2", "c2"))
    world.tell(block(104, "e2", "d2"), block(105, "f2", "e2"))
    ours = [
        (t["code"], t["cause"]["credit_epoch"], t["id"])
        for record in world.sent("ledger.transfers")
        for t in record["transfers"]
        if t["asset"] == "USDT.ethereum"
    ]
    assert [(code, epoch) for code, epoch, _ in ours] == [
        ("deposit_credit", 0),
        ("deposit_reversal", 0),
        ("deposit_credit", 1),
        ("deposit_final", 1),
    ]
    assert len({identity for _, _, identity in ours}) == 4
    versions = [d["version"] for d in world.sent("moneyin.deposits") if d["txid"] == "p"]
    assert versions == sorted(set(versions))
    history = world.ask(
        "SELECT h.version FROM deposit_history h JOIN deposit d USING (deposit_id)"
        " WHERE d.txid = 'p' ORDER BY h.version"
    )
    assert [v for (v,) in history] == versions, "every version has its cause in the history"


def test_a_final_deposit_that_loses_its_block_is_taken_back_and_audited(world: World) -> None:
    world.tell(
        block(100, "a", "r", pay("p")),
        *(block(h, f"b{h}", f"b{h - 1}" if h > 101 else "a") for h in range(101, 104)),
    )
    world.tell(gone(100, "a", "r"))
    assert world.transfers() == [
        ("deposit_credit", 0),
        ("deposit_final", 0),
        ("deposit_reversal_final", 0),
    ]
    (audit,) = world.sent("audit.events")
    assert (audit["action"], audit["details"]["txid"]) == ("deposit.final_reversed", "p")


def test_a_large_block_counts_at_its_last_part(world: World) -> None:
    parts = [
        block(101, "b", "a", pay(f"p{n}"), pay(f"x{n}", to="0xelse"), part=n, parts=3)
        for n in range(3)
    ]
    world.tell(block(100, "a", "r"), parts[0])
    world.tell(parts[1])
    assert (world.window(), world.transfers()) == (["r", "a"], [])
    world.tell(parts[2], parts[2])
    assert world.transfers() == [("deposit_credit", 0)] * 3
    assert world.ask("SELECT COUNT(*) FROM staged_part") == ((0,),)


def test_a_large_block_without_one_of_its_parts_is_a_gap(world: World) -> None:
    parts = [block(101, "b", "a", pay(f"p{n}"), part=n, parts=3) for n in range(3)]
    world.tell(block(100, "a", "r"), parts[0], parts[2])
    assert (world.window(), world.transfers()) == (["r", "a"], [])
    assert len(world.sent("node.commands")) == 1
    world.tell(*parts)
    assert world.transfers() == [("deposit_credit", 0)] * 3


def test_payments_from_contracts_and_batches_and_second_payments_are_all_credited(
    world: World,
) -> None:
    world.tell(
        block(
            100,
            "a",
            "r",
            pay("batch", 1, "0xelse", position="log:0", contract=USDT),
            pay("batch", 2, position="log:1", contract=USDT),
            pay("batch", 3, SECOND, position="log:2", contract=USDT),
            pay("wallet", 4, position="call:0.2"),
            pay("wallet", 4, position="call:0.3"),
        ),
        block(101, "b", "a", pay("again", 6)),
    )
    rows = world.ask("SELECT txid, tx_position, units, state FROM deposit ORDER BY seq")
    assert [(txid, place, units) for txid, place, units, _ in rows] == [
        ("batch", "log:1", "2"),
        ("batch", "log:2", "3"),
        ("wallet", "call:0.2", "4"),
        ("wallet", "call:0.3", "4"),
        ("again", "call:", "6"),
    ]
    assert Counter(world.transfers()) == {("deposit_credit", 0): 5}


def test_a_block_with_more_recipients_than_one_query_takes_is_matched_whole(world: World) -> None:
    strangers = [pay(f"x{n}", to=f"0x{n:040x}") for n in range(2_500)]
    ours = [pay(f"p{n}", n + 1) for n in range(1_200)]
    mixed = [transfer for pair in zip(strangers, [*ours, *ours], strict=False) for transfer in pair]
    world.tell(block(100, "a", "r", *mixed))
    assert world.ask("SELECT COUNT(*) FROM deposit") == ((1_200,),)
    assert [len(r["transfers"]) for r in world.sent("ledger.transfers")] == [1_000, 200]
    world.tell(gone(100, "a", "r"))
    codes = Counter(code for code, _ in world.transfers())
    assert codes == {"deposit_credit": 1_200, "deposit_reversal": 1_200}


def test_fake_tokens_and_zero_values_leave_no_trace(world: World) -> None:
    fake = pay("fake", 9, position="log:0", contract="0x" + "66" * 20)
    world.tell(
        block(100, "a", "r", fake, pay("z", 0), pay("z", 0, position="log:1", contract=USDT))
    )
    assert world.ask("SELECT COUNT(*) FROM deposit") == ((0,),)
    assert world.ask("SELECT COUNT(*) FROM outbox") == ((0,),)


def test_what_cannot_be_credited_is_recorded_held_and_audited(world: World) -> None:
    huge = pay("huge", 2**256 - 1, position="log:0", contract=USDT)
    world.tell(block(100, "a", "r", huge, pay("early", 7, FREE)), block(101, "b", "a"))
    rows = world.ask("SELECT txid, units, held_for, state FROM deposit ORDER BY seq")
    assert rows == (
        ("huge", str(2**256 - 1), "too_large", "confirmed"),
        ("early", "7", "unassigned", "confirmed"),
    )
    assert (world.transfers(), world.states()) == ([], [])
    assert [a["details"]["held_for"] for a in world.sent("audit.events")] == [
        "too_large",
        "unassigned",
    ]


def test_a_second_node_is_followed_but_moves_no_deposit(world: World) -> None:
    other = {"node": "ethereum-2"}
    world.tell(block(100, "a", "r"), block(100, "a", "r", **other))
    world.tell(block(101, "b2", "a", pay("p"), **other))
    assert world.transfers() == []
    world.tell(block(101, "b", "a", pay("p")))
    assert world.transfers() == [("deposit_credit", 0)]
    assert world.window() == ["r", "a", "b", "r", "a", "b2"]


@pytest.mark.parametrize(
    "bad,error",
    [
        (block(101, "b", "a", chain="bitcoin"), ForeignStream),
        (block(101, "b", "a", network="1"), ForeignStream),
        (block(101, "b", "a", pay("p") | {"units": "1e3"}), MalformedEvent),
        (block(101, "b", "a", pay("p") | {"units": "-1"}), MalformedEvent),
        (block(101, "b", "a", v=2), MalformedEvent),
        (block(101, "b", "a", part=1), MalformedEvent),
        (block(101, "b", "a", kind="mined"), MalformedEvent),
    ],
)
def test_a_record_that_cannot_be_followed_stops_the_batch_and_leaves_nothing(
    world: World, bad: Event, error: type[Exception]
) -> None:
    with pytest.raises(error):
        world.tell(block(100, "a", "r", pay("p")), bad)
    for table in ("deposit", "chain_block", "outbox", "consumer_offset"):
        assert world.ask(f"SELECT COUNT(*) FROM {table}") == ((0,),)


def test_a_record_that_is_not_json_stops_the_batch(world: World) -> None:
    with pytest.raises(MalformedRecord):
        world.service.blocks([Record("chain.blocks.ethereum", 0, 0, b"", b'{"units": 1.5}')], NOW)


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
