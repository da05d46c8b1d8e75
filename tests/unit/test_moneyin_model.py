"""The pure rules of moneyin: a chain as an agent tells it, and the credits that follow from it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.chains.blocks import Transfer
from orion.money import MAX_UNITS
from orion.moneyin.events import BlockRef
from orion.moneyin.model import (
    Code,
    Held,
    Inclusion,
    State,
    block_changes,
    deposit_id,
    payments,
)
from orion.moneyin.window import (
    WINDOW_BLOCKS,
    Meaning,
    Window,
    connect,
    disconnect,
    window_change,
)
from tests.unit.moneyin_follower import POLICY, WATCHED, Follower, followed, hashes, line, pay


def test_the_first_block_ever_is_the_anchor_and_its_parent_the_reference() -> None:
    assert hashes(followed(*line("a"))) == ["root", "a"]


def test_a_repeated_block_is_ignored() -> None:
    a, b = line("a", "b")
    assert connect(followed(a, b), a).meaning is Meaning.REPEAT


def test_a_block_with_an_unknown_parent_is_a_gap_and_changes_nothing() -> None:
    window = followed(*line("a"))
    decision = connect(window, BlockRef(103, "d", "c"))
    assert (decision.meaning, decision.after) == (Meaning.GAP, window)


def test_a_block_whose_height_does_not_follow_its_parent_is_a_gap() -> None:
    window = followed(*line("a"))
    assert connect(window, BlockRef(105, "b", "a")).meaning is Meaning.GAP


def test_a_block_on_a_deeper_parent_disconnects_everything_above_it() -> None:
    a, b, c = line("a", "b", "c")
    decision = connect(followed(a, b, c), BlockRef(101, "b2", "a"))
    assert decision.removed == (c, b)
    assert hashes(decision.after) == ["root", "a", "b2"]


def test_a_disconnected_block_takes_everything_above_it_along() -> None:
    a, b, c = line("a", "b", "c")
    decision = disconnect(followed(a, b, c), b)
    assert decision.removed == (c, b)
    assert hashes(decision.after) == ["root", "a"]


def test_disconnecting_what_is_unknown_or_gone_is_ignored() -> None:
    a, b = line("a", "b")
    window = disconnect(followed(a, b), b).after
    assert disconnect(window, b).meaning is Meaning.REPEAT
    assert disconnect(window, BlockRef(7, "x", "y")).meaning is Meaning.REPEAT


def test_a_reorg_below_the_anchor_steps_down_one_block_at_a_time_until_the_node_agrees() -> None:
    (a,) = line("a")
    window = disconnect(followed(a), a).after
    assert hashes(window) == ["root"]
    window = disconnect(window, BlockRef(99, "root", "older")).after
    assert hashes(window) == ["older"]
    assert connect(window, BlockRef(99, "root2", "older")).meaning is Meaning.CONNECT


def test_the_window_keeps_only_its_newest_blocks() -> None:
    blocks = line(*(f"b{n}" for n in range(WINDOW_BLOCKS + 20)))
    window = followed(*blocks)
    assert len(window.blocks) == WINDOW_BLOCKS
    assert window.blocks[-1] == blocks[-1]
    assert [b.hash for b in window.recent()][:2] == [blocks[-1].hash, blocks[-2].hash]
    assert len(window.recent()) == 256


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6))
def test_the_change_of_rows_turns_one_window_into_the_other(keep: int, lost: int, new: int) -> None:
    trunk = line(*(f"t{n}" for n in range(keep + 1)))
    before = followed(
        *trunk, *line(*(f"l{n}" for n in range(lost)), start=101 + keep, parent=f"t{keep}")
    )
    after = followed(
        *trunk, *line(*(f"n{n}" for n in range(new)), start=101 + keep, parent=f"t{keep}")
    )
    change = window_change(before, after)
    stored = [b for b in before.blocks if change.first <= b.height <= change.common]
    assert (*stored, *change.added) == after.blocks


def test_a_two_block_reorg_reverses_and_a_re_mined_payment_is_credited_in_the_next_epoch() -> None:
    node, payment = Follower(), pay("p")
    a, b, c = line("a", "b", "c")
    node.connected(a)
    node.connected(b, (payment,))
    node.connected(c)
    for block in (c, b):
        node.disconnected(block)
    node.connected(BlockRef(101, "b2", "a"))
    node.connected(BlockRef(102, "c2", "b2"), (payment,))
    for block in line("d2", "e2", start=103, parent="c2"):
        node.connected(block)
    told = [(c.deposit.state, c.deposit.epoch, c.deposit.version) for c in node.changes]
    assert told == [
        (State.INCLUDED, 0, 1),
        (State.CONFIRMED, 0, 2),
        (State.INCLUDED, 0, 3),
        (State.REVERSED, 1, 4),
        (State.INCLUDED, 1, 5),
        (State.CONFIRMED, 1, 6),
        (State.FINAL, 1, 7),
    ]
    postings = [(p.code, p.epoch) for change in node.changes for p in change.postings]
    assert postings == [
        (Code.CREDIT, 0),
        (Code.REVERSAL, 0),
        (Code.CREDIT, 1),
        (Code.FINAL, 1),
    ]


def test_a_final_deposit_that_loses_its_block_is_reversed_by_the_other_code_with_an_alarm() -> None:
    node = Follower()
    blocks = line("a", "b", "c", "d")
    node.connected(blocks[0], (pay("p"),))
    for block in blocks[1:]:
        node.connected(block)
    node.disconnected(blocks[0])
    last = node.changes[-1]
    assert last.lost_final
    assert [p.code for p in last.postings] == [Code.REVERSAL_FINAL]


def test_a_fake_token_with_a_real_name_and_a_zero_value_are_ignored() -> None:
    block = (
        pay("fake", contract="0xfake"),
        pay("zero", units=0),
        pay("zero", 0, contract="0xusdt"),
    )
    assert payments(block, WATCHED, POLICY) == []


def test_a_payment_out_of_a_batch_is_known_by_its_recipient_whoever_sent_it() -> None:
    batch = tuple(
        Transfer("t", f"log:{n}", "0xusdt", "0xexchange", to, 9)
        for n, to in enumerate(("x", "ours", "y", "ours"))
    )
    found = payments(batch, WATCHED, POLICY)
    assert [p.transfer.position for p in found] == ["log:1", "log:3"]
    assert len({deposit_id("ethereum", p.transfer) for p in found}) == 2


@pytest.mark.parametrize(
    "payment,reason",
    [
        (pay("p", MAX_UNITS + 1), Held.TOO_LARGE),
        (pay("p", 2**256 - 1), Held.TOO_LARGE),
        (pay("p", to="free"), Held.UNASSIGNED),
    ],
)
def test_what_no_account_can_hold_is_recorded_without_transfers(
    payment: Transfer, reason: Held
) -> None:
    node = Follower()
    blocks = line("a", "b", "c")
    node.connected(blocks[0], (payment,))
    node.connected(blocks[1])
    node.disconnected(blocks[0])
    assert {change.deposit.held_for for change in node.changes} == {reason}
    assert [p for change in node.changes for p in change.postings] == []


def test_the_largest_amount_of_an_account_is_credited() -> None:
    node = Follower()
    node.connected(line("a")[0], (pay("p", MAX_UNITS),))
    assert node.credited() == {"p": MAX_UNITS}


def test_a_payment_that_does_something_else_when_re_mined_is_credited_for_what_it_does_now() -> (
    None
):
    node = Follower()
    node.connected(line("a")[0], (pay("p", 5),))
    node.connected(BlockRef(100, "a2", "root"), (pay("p", 3),))
    assert node.credited() == {"p": 3}


def test_a_payment_that_stands_in_one_block_is_not_credited_by_another() -> None:
    # Two Bitcoin coinbases once shared a txid (BIP-30).
    node = Follower()
    first, second = line("a", "b")
    node.connected(first, (pay("p"),))
    node.connected(second, (pay("p"), pay("p")))
    assert node.credited() == {"p": 5}


def test_a_payment_named_twice_in_one_block_is_credited_once() -> None:
    node = Follower()
    node.connected(line("a")[0], (pay("p"), pay("p")))
    assert node.credited() == {"p": 5}


def test_with_one_confirmation_asked_for_a_deposit_is_final_with_its_own_block() -> None:
    policy = replace(POLICY, settled=1, final=1)
    found = payments((pay("p"),), WATCHED, policy)
    changes = block_changes(found, {}, Inclusion(100, "a", 0), policy)
    assert [change.deposit.state for change in changes] == [State.INCLUDED, State.FINAL]


def test_a_reference_that_leaves_without_naming_its_parent_leaves_nothing_known() -> None:
    (a,) = line("a")
    window = disconnect(followed(a), a).after
    window = disconnect(window, BlockRef(99, "root", "")).after
    assert window == Window()
    assert connect(window, BlockRef(50, "x", "w")).meaning is Meaning.CONNECT


def test_the_first_block_of_a_chain_has_no_reference_below_it() -> None:
    genesis = BlockRef(0, "g", "0000")
    assert hashes(followed(genesis)) == ["g"]
    assert disconnect(followed(genesis), genesis).after == Window()
