"""The address pool and the agents' questions on a real database."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orion.adapters.mysql.moneyin import MySqlMoneyIn
from orion.adapters.mysql.session import Database, MySqlConfig
from orion.moneyin.errors import AddressConflict, MalformedEvent
from orion.moneyin.policy import read_policy
from orion.moneyin.service import MoneyIn
from orion.records import Record, canonical_json

pytestmark = pytest.mark.engine

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TRACE = "ab" * 16
POLICY = read_policy({"bitcoin": "regtest"}, {}, {})
TABLES = (
    "outbox",
    "consumer_offset",
    "wallet",
    "address",
    "pool_request",
    "chain_head",
    "chain_block",
    "chain_cursor",
    "deposit",
    "deposit_history",
)


class Pool:
    """moneyin with the topics that feed its pool."""

    def __init__(self, config: MySqlConfig) -> None:
        self.database = Database(config)
        self.service = MoneyIn(MySqlMoneyIn(self.database), POLICY)
        self.offset = 0

    def record(self, topic: str, body: Mapping[str, object]) -> Record:
        self.offset += 1
        return Record(topic, 0, self.offset, b"0", canonical_json(body))

    def answer(self, first: int, count: int, group: int = 0, salt: str = "") -> Record:
        wallets = [
            {"index": n, "addresses": {c: f"{c}{salt}{group}-{n}" for c in ("bitcoin", "ethereum")}}
            for n in range(first, first + count)
        ]
        body = {"v": 1, "trace_id": TRACE, "kind": "addresses", "group": group}
        return self.record("wallet.addresses", body | {"wallets": wallets})

    def ask(self, sql: str) -> Any:
        with self.database.transaction() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def sent(self, topic: str) -> list[dict[str, Any]]:
        rows = self.ask(
            f"SELECT payload FROM outbox WHERE destination = 'kafka:{topic}' ORDER BY seq"
        )
        return [json.loads(payload) for (payload,) in rows]

    def ranges(self) -> list[tuple[int, int, int]]:
        return [(r["group"], r["first_index"], r["count"]) for r in self.sent("wallet.requests")]


@pytest.fixture
def pool(mysql_admin: Any) -> Iterator[Pool]:
    login = mysql_admin.credentials("moneyin")
    found = Pool(
        MySqlConfig(
            mysql_admin.host,
            mysql_admin.port,
            login.username,
            login.password,
            "orion_moneyin",
            mysql_admin.ca_pem,
        )
    )
    with found.database.transaction() as cursor:
        for table in TABLES:
            cursor.execute(f"DELETE FROM {table}")
    yield found
    found.database.close()


def test_an_empty_pool_asks_once_and_again_only_after_five_minutes(pool: Pool) -> None:
    for minutes in (0, 1, 4, 5, 6):
        pool.service.pool_level(TRACE, NOW + timedelta(minutes=minutes))
    assert pool.ranges() == [(0, 0, 500), (0, 0, 500)]


def test_a_full_pool_asks_for_nothing_and_the_next_range_follows_the_last(pool: Pool) -> None:
    pool.service.pool_level(TRACE, NOW)
    pool.service.addresses([pool.answer(0, 500)])
    assert pool.service.pool_level(TRACE, NOW) == 0
    pool.ask("UPDATE wallet SET state = 'assigned' WHERE wallet_index = 0")
    assert pool.service.pool_level(TRACE, NOW) == 1
    assert pool.ranges() == [(0, 0, 500), (0, 500, 500)]


def test_half_an_answer_is_asked_again_whole(pool: Pool) -> None:
    pool.service.pool_level(TRACE, NOW)
    pool.service.addresses([pool.answer(0, 250)])
    assert pool.service.pool_level(TRACE, NOW) == 0
    pool.service.pool_level(TRACE, NOW + timedelta(minutes=5))
    assert pool.ranges() == [(0, 0, 500), (0, 0, 500)]


def test_a_full_group_is_followed_by_the_next_group(pool: Pool) -> None:
    pool.ask(
        "INSERT INTO pool_request VALUES (0, 9500, 500, 1, '2026-01-01 00:00:00')",
    )
    pool.service.addresses([pool.answer(9500, 500)])
    pool.ask("UPDATE wallet SET state = 'assigned'")
    pool.service.pool_level(TRACE, NOW)
    assert pool.ranges() == [(1, 0, 500)]


def test_the_pool_passes_over_wallets_that_a_batch_made_and_leaves_no_gap(pool: Pool) -> None:
    for first in range(0, 10_000, 500):
        pool.service.addresses([pool.answer(first, 500)])
    pool.service.addresses([pool.answer(0, 500, group=1), pool.answer(700, 300, group=1)])
    pool.ask("UPDATE wallet SET state = 'assigned'")
    pool.service.pool_level(TRACE, NOW)
    assert pool.ranges() == [(1, 500, 500)]


def test_a_group_that_a_batch_made_later_does_not_end_the_one_before(pool: Pool) -> None:
    pool.service.pool_level(TRACE, NOW)
    pool.service.addresses([pool.answer(0, 500), pool.answer(0, 500, group=1)])
    pool.ask("UPDATE wallet SET state = 'assigned'")
    pool.service.pool_level(TRACE, NOW)
    assert pool.ranges() == [(0, 0, 500), (0, 500, 500)]


def test_half_an_answer_that_is_stored_gets_its_other_half(pool: Pool) -> None:
    half = pool.answer(0, 3)
    assert pool.service.addresses([half]) == 6
    assert pool.service.addresses([pool.answer(2, 3), pool.answer(5, 1)]) == 6
    assert pool.ask("SELECT COUNT(*) FROM wallet") == ((6,),)
    assert pool.ask("SELECT COUNT(*) FROM address") == ((12,),)


def test_stored_wallets_get_the_addresses_of_a_chain_that_the_stage_got_since(pool: Pool) -> None:
    pool.service.addresses([pool.answer(0, 3)])
    wallets = [{"index": n, "addresses": {"solana": f"sol{n}"}} for n in range(3)]
    body = {"v": 1, "trace_id": TRACE, "kind": "addresses", "group": 0, "wallets": wallets}
    assert pool.service.addresses([pool.record("wallet.addresses", body)]) == 3
    assert pool.service.addresses([pool.record("wallet.addresses", body)]) == 0
    assert pool.ask("SELECT COUNT(*) FROM address WHERE chain = 'solana'") == ((3,),)
    assert pool.ask("SELECT COUNT(*) FROM wallet") == ((3,),)


@pytest.mark.parametrize("address", ["bc1'", "bc1\\", "bc1 x", "b\u00e91", "x" * 129, ""])
def test_an_address_of_another_form_never_reaches_the_database(pool: Pool, address: str) -> None:
    wallet = {"index": 0, "addresses": {"bitcoin": address}}
    body = {"v": 1, "trace_id": TRACE, "kind": "addresses", "group": 0, "wallets": [wallet]}
    with pytest.raises(MalformedEvent):
        pool.service.addresses([pool.record("wallet.addresses", body)])


def test_an_answer_twice_is_stored_once_and_takes_no_wallet_back(pool: Pool) -> None:
    first, again = pool.answer(0, 500), pool.answer(0, 500)
    assert pool.service.addresses([first]) == 1_000
    pool.ask("UPDATE wallet SET state = 'assigned' WHERE wallet_index = 7")
    assert pool.service.addresses([first]) == 0
    assert pool.service.addresses([again]) == 0
    assert pool.ask("SELECT state, COUNT(*) FROM wallet GROUP BY state ORDER BY state") == (
        ("free", 499),
        ("assigned", 1),
    )
    assert pool.ask("SELECT COUNT(*) FROM address") == ((1_000,),)


def test_another_address_for_a_known_wallet_is_refused_and_nothing_is_stored(pool: Pool) -> None:
    pool.service.addresses([pool.answer(0, 2)])
    with pytest.raises(AddressConflict):
        pool.service.addresses([pool.answer(2, 2), pool.answer(1, 2, salt="other")])
    assert pool.ask("SELECT COUNT(*) FROM wallet") == ((2,),)


def test_a_known_address_for_another_wallet_is_refused(pool: Pool) -> None:
    pool.service.addresses([pool.answer(0, 1)])
    stolen = {"index": 5, "addresses": {"bitcoin": "bitcoin0-0"}}
    body = {"v": 1, "trace_id": TRACE, "kind": "addresses", "group": 0, "wallets": [stolen]}
    with pytest.raises(AddressConflict):
        pool.service.addresses([pool.record("wallet.addresses", body)])
    assert pool.ask("SELECT COUNT(*) FROM wallet") == ((1,),)


def test_one_address_for_two_wallets_of_one_answer_is_refused(pool: Pool) -> None:
    wallets = [{"index": n, "addresses": {"bitcoin": "bc1same"}} for n in (1, 2)]
    body = {"v": 1, "trace_id": TRACE, "kind": "addresses", "group": 0, "wallets": wallets}
    with pytest.raises(AddressConflict):
        pool.service.addresses([pool.record("wallet.addresses", body)])
    assert pool.ask("SELECT COUNT(*) FROM address") == ((0,),)


def question(node: str, request_id: str, **more: object) -> dict[str, object]:
    body = {"v": 1, "trace_id": TRACE, "kind": "resume_request", "chain": "bitcoin"}
    return body | {"node": node, "request_id": request_id} | more


def test_an_agent_is_told_the_newest_256_blocks_of_its_node_newest_first(pool: Pool) -> None:
    blocks = [
        pool.record(
            "chain.blocks.bitcoin",
            {
                "v": 1,
                "trace_id": TRACE,
                "kind": "connected",
                "chain": "bitcoin",
                "network": "regtest",
                "node": "bitcoin-1",
                "height": height,
                "hash": f"b{height}",
                "parent": f"b{height - 1}",
                "time": 1,
                "part": 0,
                "parts": 1,
                "transfers": [],
            },
        )
        for height in range(1, 601)
    ]
    for start in range(0, 600, 100):
        pool.service.blocks(blocks[start : start + 100], NOW)
    asked = [
        pool.record("node.answers", question("bitcoin-1", "r1")),
        pool.record("node.answers", question("bitcoin-2", "r2")),
    ]
    assert pool.service.node_answers(asked, NOW) == 2
    assert pool.service.node_answers(asked, NOW) == 0
    known, unknown = pool.sent("node.commands")
    expected = [{"height": h, "hash": f"b{h}"} for h in range(600, 344, -1)]
    assert (known["request_id"], known["recent"]) == ("r1", expected)
    assert (unknown["request_id"], unknown["recent"]) == ("r2", [])
    assert pool.ask("SELECT COUNT(*), MIN(height), MAX(height) FROM chain_block") == (
        (512, 89, 600),
    )
    assert pool.ask("SELECT tip_height, tip_hash FROM chain_cursor") == ((600, "b600"),)


def test_an_unknown_answer_of_a_node_is_refused(pool: Pool) -> None:
    with pytest.raises(MalformedEvent):
        pool.service.node_answers(
            [pool.record("node.answers", question("bitcoin-1", "r", kind="balance"))], NOW
        )
