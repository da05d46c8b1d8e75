"""A run's rounds of balances on a real database: what is asked, kept, compared and recorded."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.local.mariadb import MariaDb
from orion.ids import fact_id
from orion.log.balances.service import UNANSWERED_MAX, State
from orion.log.node_commands.service import Taken
from tests.engine.balance_scene import NOW, USDT, Books

pytestmark = pytest.mark.engine

BTC, ETH, TETHER, TRX = "BTC.bitcoin", "ETH.ethereum", "USDT.ethereum", "TRX.tron"


@pytest.fixture
def books(mysql_admin: MariaDb, tmp_path: Path) -> Iterator[Books]:
    found = Books(mysql_admin, tmp_path)
    yield found
    found.close()


def holding(amounts: Mapping[str, int]) -> Any:
    """A chain by txid, or by address and contract."""
    return lambda item: amounts.get(
        item.get("txid") or f"{item['address']}/{item['contract'] or ''}"
    )


def test_an_equal_run_asks_each_chain_at_its_final_height_and_finds_nothing(books: Books) -> None:
    books.chain("bitcoin", 200)
    books.chain("ethereum", 300)
    books.deposit(BTC, 41_234, 198, txid="aa" * 32, wallet=(0, 7))
    books.deposit(ETH, 10**18, 296, wallet=(0, 7))
    books.deposit(ETH, 5, 290, wallet=(0, 7))
    books.deposit(TETHER, 25_000_000, 296, wallet=(0, 7))
    for asset, units in ((BTC, 41_234), (ETH, 10**18 + 5), (TETHER, 25_000_000)):
        books.custody(asset, units)
    run = books.run()
    assert books.round(run) is State.WAITING
    by_chain = {command["chain"]: command for command in books.commands()}
    assert by_chain["bitcoin"]["arguments"] == {
        "height": 198,
        "items": [{"txid": "aa" * 32, "index": 0, "address": "a0-7"}],
    }
    assert by_chain["ethereum"]["arguments"] == {
        "height": 296,
        "items": [
            {"address": "a0-7", "contract": None},
            {"address": "a0-7", "contract": USDT},
        ],
    }
    assert {c["expires_at"] for c in books.commands()} == {
        (NOW + timedelta(seconds=60)).isoformat()
    }
    chain = holding({"aa" * 32: 41_234, "a0-7/": 10**18 + 5, f"a0-7/{USDT}": 25_000_000})
    assert books.answer(by_chain["bitcoin"], chain) == Taken(1, 0)
    assert books.round(run, 2) is State.WAITING
    assert books.answer(by_chain["ethereum"], chain) == Taken(1, 0)
    assert books.round(run, 4) is State.CHECKED
    assert books.found() == []
    assert books.ask("SELECT step, item, differences FROM orion_log.checked") == [
        ("balances", "", 0)
    ]
    assert books.round(run, 6) is State.CHECKED
    assert len(books.commands()) == 2


def test_a_coin_that_left_is_named_and_the_custody_account_stands_by_its_deposits(
    books: Books,
) -> None:
    books.chain("bitcoin", 200)
    books.deposit(BTC, 41_234, 190, txid="aa" * 32)
    books.deposit(BTC, 1_000, 190, txid="bb" * 32)
    books.custody(BTC, 42_234)
    run = books.run()
    books.round(run)
    books.answer(books.commands()[0], holding({"bb" * 32: 1_000}))
    assert books.round(run, 2) is State.CHECKED
    assert books.found() == [("balance_differs", "chain", BTC)] * 2
    told = books.ask("SELECT found, expected FROM orion_log.difference ORDER BY seq")
    assert told == [
        (f"wallet 0/1 holds 0 on the chain: {'aa' * 32}:0 0 for 41234", "41234 by its deposits"),
        ("chain 1000, deposits 42234, custody account 42234", "three equal sums"),
    ]


def test_late_reversed_and_held_deposits_are_counted_where_they_belong(books: Books) -> None:
    books.chain("bitcoin", 200)
    books.deposit(BTC, 5, 198, txid="aa" * 32)
    books.deposit(BTC, 7, 190, txid="bb" * 32, state="reversed")
    books.deposit(BTC, 10**45, 190, txid="cc" * 32, held_for="too_large")
    books.deposit(BTC, 9, 190, txid="dd" * 32, held_for="unassigned")
    books.posted(books.deposit(BTC, 11, 199, txid="ee" * 32, state="included"))
    books.deposit(BTC, 13, 199, txid="ff" * 32, state="included")  # Not yet posted.
    # Credited by nobody who may: it takes nothing off the custody account.
    books.posted(books.deposit(BTC, 17, 199, txid="ab" * 32, held_for="unassigned"))
    books.custody(BTC, 5 + 11 + 7, 7)
    run = books.run()
    books.round(run)
    (command,) = books.commands()
    assert [item["txid"][:2] for item in command["arguments"]["items"]] == ["aa", "cc", "dd"]
    books.answer(command, holding({"aa" * 32: 5, "cc" * 32: 10**45, "dd" * 32: 9}))
    assert books.round(run, 2) is State.CHECKED
    assert books.found() == []


def test_a_credit_that_is_still_on_its_way_is_waited_for_and_a_missing_one_is_a_difference(
    books: Books,
) -> None:
    books.chain("bitcoin", 200)
    books.deposit(BTC, 5, 190, txid="aa" * 32)
    books.deposit(BTC, 7, 190, txid="bb" * 32)
    books.custody(BTC, 5)
    run = books.run()
    books.round(run)
    books.answer(books.commands()[0], holding({"aa" * 32: 5, "bb" * 32: 7}))
    assert books.round(run, 2) is State.WAITING
    # Another shard owes it to the custody account; then it has come.
    books.leg(BTC, 3, applied=True)
    assert books.round(run, 4) is State.WAITING
    assert books.round(run, 119) is State.WAITING
    other = books.run("run-2")
    books.leg(BTC, 7)
    books.round(other, 4)
    books.answer(books.commands()[1], holding({"aa" * 32: 5, "bb" * 32: 7}), 5)
    assert books.round(other, 6) is State.CHECKED
    assert books.found() == []
    books.do("DELETE FROM orion_ledger.leg WHERE applied_at IS NULL")
    assert books.round(run, 120) is State.CHECKED
    assert books.found() == [("balance_differs", "mysql", BTC)]


def test_a_leg_that_takes_from_custody_counts_against_it(books: Books) -> None:
    books.chain("bitcoin", 200)
    books.deposit(BTC, 5, 190, txid="aa" * 32)
    books.custody(BTC, 12)
    books.leg(BTC, 7, side="credit")
    run = books.run()
    books.round(run)
    books.answer(books.commands()[0], holding({"aa" * 32: 5}))
    assert books.round(run, 2) is State.CHECKED
    assert books.found() == []


def test_a_node_that_does_not_answer_leaves_its_assets_unknown_at_the_deadline(
    books: Books,
) -> None:
    books.chain("ethereum", 300)
    books.deposit(ETH, 5, 290)
    books.custody(ETH, 5)
    run = books.run()
    for after_s in (0, 2, 59):
        assert books.round(run, after_s) is State.WAITING
    assert books.round(run, 60) is State.CHECKED
    assert books.found() == [("balance_unknown", "unknown", ETH)]
    assert books.answer(books.commands()[0], holding({"a0-1/": 5}), 60) == Taken(0, 1)


def test_the_deadline_ends_the_step_also_while_a_command_could_still_be_answered(
    books: Books,
) -> None:
    books.chain("ethereum", 300)
    books.deposit(ETH, 5, 290)
    books.custody(ETH, 5)
    run = books.run()
    assert books.round(run) is State.WAITING
    # Whoever keeps commands alive keeps no run waiting.
    books.do("UPDATE orion_log.node_command SET expires_at = expires_at + INTERVAL 1 DAY")
    assert books.round(run, 239) is State.WAITING
    assert books.round(run, 240) is State.CHECKED
    assert books.found() == [("balance_unknown", "unknown", ETH)]


def test_the_last_round_waits_for_no_answer_and_asks_for_nothing_twice(books: Books) -> None:
    books.chain("ethereum", 300)
    books.deposit(ETH, 5, 290)
    books.custody(ETH, 4)
    run = books.run()
    assert books.round(run) is State.WAITING
    assert books.round(run, 2, last=True) is State.CHECKED
    assert books.found() == [
        ("balance_differs", "unknown", ETH),
        ("balance_unknown", "unknown", ETH),
    ]
    assert len(books.commands()) == 1


def test_the_step_ends_at_its_deadline_with_what_was_not_asked_unknown(books: Books) -> None:
    books.chain("bitcoin", 200)
    with books.together():
        for number in range(4 * 500 * 4 + 1):
            books.deposit(BTC, 1, 190, wallet=(0, number))
    books.custody(BTC, 8_001)
    run = books.run()
    for after_s in (0, 60, 120, 180):
        assert books.round(run, after_s) is State.WAITING
    # Nine seconds are too few for an answer.
    assert books.round(run, 231) is State.WAITING
    assert len(books.commands()) == 16
    assert books.round(run, 240) is State.CHECKED
    assert books.found() == [("balance_unknown", "unknown", BTC)]
    told = books.ask("SELECT found FROM orion_log.difference")
    assert told == [("the chain was not heard: not_asked",)]


def test_a_refusal_and_another_block_are_unknown_too(books: Books) -> None:
    books.chain("bitcoin", 200)
    books.chain("ethereum", 300)
    books.deposit(BTC, 5, 190)
    books.deposit(ETH, 5, 290)
    books.custody(BTC, 5)
    books.custody(ETH, 5)
    run = books.run()
    books.round(run)
    for command in books.commands():
        height = command["arguments"]["height"]
        more: dict[str, Any] = {"outcome": "refused", "reason": "not_permitted", "result": None}
        if command["chain"] == "ethereum":
            more = {"result": {"height": height, "hash": "0xother", "units": ["5"]}}
        assert books.answer(command, lambda _: 5, **more) == Taken(1, 0)
    assert books.round(run, 2) is State.CHECKED
    assert books.found() == [
        ("balance_unknown", "unknown", BTC),
        ("balance_unknown", "unknown", ETH),
    ]
    told = books.ask("SELECT found FROM orion_log.difference ORDER BY asset")
    assert told == [
        ("the chain was not heard: not_permitted",),
        ("the chain was not heard: other_block",),
    ]


def test_chains_without_an_agent_or_a_final_block_are_unknown_where_something_is_held(
    books: Books,
) -> None:
    books.chain("bitcoin", 1)
    books.custody(BTC, 7)
    books.custody(TRX, 7)
    books.custody("SOL.solana", 0)
    books.custody("DOGE.elsewhere", 1)
    run = books.run()
    assert books.round(run) is State.CHECKED
    unknown = [asset for kind, _, asset in books.found() if kind == "balance_unknown"]
    # What no policy knows concerns every asset.
    assert unknown == ["", BTC, TRX]


def test_places_are_asked_in_pages_without_a_gap_and_few_at_a_time(books: Books) -> None:
    books.chain("bitcoin", 200)
    wanted = set()
    with books.together():
        for number in range(2_300):
            # Wallets with more outputs than a page holds, and several groups.
            books.deposit(BTC, 1, 190, wallet=(number // 900, number % 2))
            wanted.add(f"{books.deposits:064x}")
    books.custody(BTC, 2_300)
    run = books.run()
    assert books.round(run) is State.WAITING
    asked = books.commands()
    assert [len(c["arguments"]["items"]) for c in asked] == [500] * UNANSWERED_MAX
    assert books.round(run, 2) is State.WAITING
    assert len(books.commands()) == UNANSWERED_MAX
    books.answer(asked[0], lambda _: 1)
    assert books.round(run, 4) is State.WAITING
    (last,) = books.commands()[UNANSWERED_MAX:]
    for command in (*asked[1:], last):
        books.answer(command, lambda _: 1, 5)
    items = [item["txid"] for c in books.commands() for item in c["arguments"]["items"]]
    assert len(items) == 2_300
    assert set(items) == wanted
    assert books.round(run, 6) is State.CHECKED
    assert books.found() == []


def test_accounts_are_asked_in_pages_of_whole_wallets(books: Books) -> None:
    books.chain("ethereum", 300)
    with books.together():
        for number in range(230):
            wallet = (number // 120, number)
            books.deposit(ETH, 1, 290, wallet=wallet)
            books.deposit(TETHER, 10**36, 290, wallet=wallet)
            # More digits than any number type of the database has.
            books.deposit(TETHER, 10**77, 290, wallet=wallet, held_for="too_large")
    books.custody(ETH, 230)
    books.custody(TETHER, 230 * 10**36)
    run = books.run()
    books.round(run)
    commands = books.commands()
    assert [len(c["arguments"]["items"]) for c in commands] == [200, 200, 60]
    for command in commands:
        books.answer(command, lambda item: 10**77 + 10**36 if item["contract"] else 1)
    assert books.round(run, 2) is State.CHECKED
    assert books.found() == []


def test_a_page_is_asked_once_with_its_message_or_not_at_all(books: Books) -> None:
    books.chain("bitcoin", 200)
    books.deposit(BTC, 5, 190, txid="aa" * 32)
    run = books.run()
    (check,) = (
        c
        for c in books.store.begin(run.id, {"bitcoin": 3}, NOW + timedelta(seconds=100))
        if c.chain == "bitcoin"
    )
    places = books.store.places(check)
    books.do("RENAME TABLE orion_log.outbox TO orion_log.outbox_away")
    try:
        with pytest.raises(Exception, match="outbox"):
            books.round(run)
    finally:
        books.do("RENAME TABLE orion_log.outbox_away TO orion_log.outbox")
    assert books.ask("SELECT COUNT(*) FROM orion_log.node_command") == [(0,)]
    books.round(run)
    assert len(books.commands()) == 1
    (command,) = books.commands()
    assert (
        command["command_id"]
        == fact_id("node_command", "reconciliation", run.id, "bitcoin", 0).hex()
    )
    # A round that looked before the other one asked.
    assert not books.check._asks(check, run.id, places, "cd" * 16, NOW)
    assert len(books.commands()) == 1


def test_heights_are_fixed_by_the_first_round(books: Books) -> None:
    books.chain("bitcoin", 200)
    run = books.run()
    first = books.store.begin(run.id, {"bitcoin": 3}, NOW)
    books.do("UPDATE orion_moneyin.chain_cursor SET tip_height = 199")
    assert books.store.begin(run.id, {"bitcoin": 3}, NOW + timedelta(seconds=9)) == first
    assert [(c.node, c.height, c.block_hash) for c in first] == [("bitcoin-1", 198, "bitcoin-198")]


def test_answers_that_are_not_believed_do_not_stop_those_that_are(
    books: Books, caplog: pytest.LogCaptureFixture
) -> None:
    books.chain("bitcoin", 200)
    books.deposit(BTC, 5, 190, txid="aa" * 32)
    books.custody(BTC, 5)
    run = books.run()
    books.round(run)
    (command,) = books.commands()
    body: dict[str, Any] = {
        "v": 1,
        "trace_id": command["trace_id"],
        "kind": "answer",
        "command_id": command["command_id"],
        "chain": "bitcoin",
        "node": "bitcoin-1",
        "outcome": "done",
        "reason": None,
        "result": {"height": 198, "hash": "bitcoin-198", "units": ["5"]},
        "answered_at": "2026-11-23T10:00:01.000Z",
    }
    agent, stranger = books.agents["bitcoin-1"], books.agents["ethereum-1"]
    values = [
        b"{",
        b'{"v":1,"kind":"resume_request"}',
        agent.signed(body | {"command_id": "9" * 32}),
        agent.signed(body | {"node": "bitcoin-2"}),
        stranger.signed(body),
        agent.signed(body),
        agent.signed(body | {"outcome": "failed", "reason": "timeout", "result": None}),
    ]
    assert books.take(values) == Taken(kept=1, refused=5)
    assert [
        getattr(line, "reason", None) for line in caplog.records if line.levelname == "ERROR"
    ] == [
        "malformed",
        "unknown_command",
        "foreign",
        "signature_invalid",
        "repeated",
    ]
    ((result,),) = books.ask("SELECT result FROM orion_log.node_command")
    assert json.loads(result) == body["result"]
    # The same batch again: its offsets have had their effect.
    books.offset = 0
    assert books.take(values) == Taken(kept=0, refused=0)
    assert books.round(run, 2) is State.CHECKED
    assert books.found() == []


def test_what_was_asked_three_months_ago_is_forgotten_with_the_next_run(books: Books) -> None:
    books.chain("bitcoin", 200)
    books.deposit(BTC, 5, 190)
    for name in ("old", "older"):
        books.round(books.run(name))
    books.do("UPDATE orion_log.node_command SET asked_at = asked_at - INTERVAL 91 DAY")
    books.do("UPDATE orion_log.balance_check SET deadline = deadline - INTERVAL 91 DAY")
    books.round(books.run("new"))
    assert books.ask("SELECT COUNT(*) FROM orion_log.node_command") == [(1,)]
    assert books.ask("SELECT COUNT(DISTINCT run_id) FROM orion_log.balance_check") == [(1,)]
