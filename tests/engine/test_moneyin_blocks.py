"""Block events on a real database: one effect however often, late or interrupted they come."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from orion.adapters.mysql.session import MySqlConfig
from orion.moneyin.errors import ForeignStream, MalformedEvent
from orion.records import MalformedRecord, Record
from tests.engine.moneyin_scene import (
    FREE,
    INVOICE,
    MERCHANT,
    NOW,
    OURS,
    SECOND,
    TRACE,
    USDT,
    Event,
    World,
    block,
    emptied,
    gone,
    pay,
)

pytestmark = pytest.mark.engine


@pytest.fixture
def config(mysql_admin: Any) -> MySqlConfig:
    return emptied(mysql_admin)


@pytest.fixture
def world(config: MySqlConfig) -> Iterator[World]:
    found = World(config)
    yield found
    found.database.close()


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
