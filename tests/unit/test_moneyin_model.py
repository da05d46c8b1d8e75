"""The pure rules of moneyin: a chain as an agent tells it, and the credits that follow from it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.chains.blocks import Transfer
from orion.money import MAX_UNITS, asset
from orion.moneyin.events import BlockRef
from orion.moneyin.model import (
    Change,
    Code,
    Deposit,
    Held,
    Inclusion,
    State,
    Watched,
    block_changes,
    deposit_id,
    payments,
    restate,
    reverse,
)
from orion.moneyin.policy import ChainPolicy
from orion.moneyin.window import (
    WINDOW_BLOCKS,
    Meaning,
    Window,
    connect,
    disconnect,
    window_change,
)

OURS = Watched(0, 7, b"m" * 16, b"i" * 16)
FREE = Watched(0, 8, None, None)
WATCHED = {"ours": OURS, "free": FREE}
POLICY = ChainPolicy(
    "ethereum",
    "31337",
    settled=2,
    final=3,
    nodes=1,
    assets={None: asset("ETH.ethereum"), "0xusdt": asset("USDT.ethereum")},
)


def pay(name: str, units: int = 5, to: str = "ours", **more: str | None) -> Transfer:
    return Transfer(name, str(more.get("position", "call:")), more.get("contract"), None, to, units)


@dataclass
class Follower:
    """One node's stream applied to values, in the order that the service applies it to rows."""

    window: Window = field(default_factory=Window)
    deposits: dict[bytes, Deposit] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)

    def connected(self, block: BlockRef, transfers: tuple[Transfer, ...] = ()) -> Meaning:
        decision = connect(self.window, block)
        if decision.meaning is Meaning.CONNECT:
            self._leave(decision.removed, block.height)
            self.window = decision.after
            found = payments(transfers, WATCHED, POLICY)
            here = Inclusion(block.height, block.hash, 0)
            self._keep(block_changes(found, self.deposits, here, POLICY))
        return decision.meaning

    def disconnected(self, block: BlockRef) -> Meaning:
        decision = disconnect(self.window, block)
        self.window = decision.after
        if decision.meaning is Meaning.DISCONNECT:
            self._leave(decision.removed, self.window.blocks[-1].height)
        return decision.meaning

    def _leave(self, removed: tuple[BlockRef, ...], tip_height: int) -> None:
        gone = {block.hash for block in removed}
        standing = [d for d in self.deposits.values() if d.included.hash in gone]
        self._keep([c for d in standing if (c := reverse(d, tip_height))])
        self._keep([c for d in self.deposits.values() if (c := restate(d, tip_height))])

    def _keep(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self.deposits[change.deposit.id] = change.deposit
            self.changes.append(change)

    def credited(self) -> Counter[str]:
        """Credits minus reversals by txid, zeros left out."""
        sums: Counter[str] = Counter()
        for change in self.changes:
            for posting in change.postings:
                txid, units = posting.deposit.payment.txid, posting.deposit.payment.units
                if posting.code is Code.CREDIT:
                    sums[txid] += units
                elif posting.code in (Code.REVERSAL, Code.REVERSAL_FINAL):
                    sums[txid] -= units
        return Counter({txid: units for txid, units in sums.items() if units})


def line(*names: str, start: int = 100, parent: str = "root") -> list[BlockRef]:
    blocks = []
    for height, name in enumerate(names, start=start):
        blocks.append(BlockRef(height, name, parent))
        parent = name
    return blocks


def followed(*blocks: BlockRef) -> Window:
    window = Window()
    for block in blocks:
        window = connect(window, block).after
    return window


def hashes(window: Window) -> list[str]:
    return [block.hash for block in window.blocks]


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


@dataclass(frozen=True)
class Told:
    """An event of an agent; `transfers` None for a disconnected block."""

    block: BlockRef
    transfers: tuple[Transfer, ...] | None


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Told], dict[str, tuple[Transfer, ...]], list[str]]:
    """A random chain with reorgs as an agent tells it, each block's content, the best chain."""
    payable = [pay(f"p{n}", n + 1) for n in range(4)]
    content: dict[str, tuple[Transfer, ...]] = {"b0": ()}
    chain, told = line("b0"), [Told(line("b0")[0], ())]
    for number in range(1, draw(st.integers(2, 14))):
        depth = draw(st.integers(0, min(3, len(chain) - 1))) if draw(st.booleans()) else 0
        spoken = draw(st.booleans())
        for _ in range(depth):
            lost = chain.pop()
            if spoken:
                told.append(Told(lost, None))
        spent = {t.txid for block in chain for t in content[block.hash]}
        left = [p for p in payable if p.txid not in spent]
        chosen = tuple(
            draw(
                st.permutations(draw(st.lists(st.sampled_from(left), unique=True)) if left else [])
            )
        )
        block = BlockRef(chain[-1].height + 1, f"b{number}", chain[-1].hash)
        content[block.hash] = chosen
        chain.append(block)
        told.append(Told(block, chosen))
        for again in draw(st.lists(st.integers(1, 4), max_size=1)):
            told += told[-again:]
    return told, content, [block.hash for block in chain]


def deliver(node: Follower, events: list[Told]) -> None:
    for event in events:
        if event.transfers is None:
            node.disconnected(event.block)
        else:
            node.connected(event.block, event.transfers)


def check(node: Follower, content: dict[str, tuple[Transfer, ...]], best: list[str]) -> None:
    assert hashes(node.window) == ["root", *best]
    on_chain = Counter({t.txid: t.units for name in best for t in content[name]})
    assert node.credited() == on_chain
    facts = [
        (p.id, (p.code, p.deposit.id, p.epoch, p.deposit.payment))
        for change in node.changes
        for p in change.postings
    ]
    assert len({identity for identity, _ in facts}) == len(facts), "a transfer id is used once"
    versions = Counter((c.deposit.id, c.deposit.version) for c in node.changes)
    assert set(versions.values()) <= {1}, "each change has a version of its own"


@settings(max_examples=200, deadline=None)
@given(histories())
def test_the_credited_payments_are_those_on_the_best_chain(
    history: tuple[list[Told], dict[str, tuple[Transfer, ...]], list[str]],
) -> None:
    told, content, best = history
    node = Follower()
    deliver(node, told)
    check(node, content, best)


@settings(max_examples=200, deadline=None)
@given(histories(), st.data())
def test_telling_the_end_again_from_anywhere_ends_at_the_same_chain_and_credits(
    history: tuple[list[Told], dict[str, tuple[Transfer, ...]], list[str]], data: st.DataObject
) -> None:
    told, content, best = history
    node = Follower()
    deliver(node, told)
    for start in data.draw(st.lists(st.integers(0, len(told) - 1), max_size=3)):
        deliver(node, told[start:])
    check(node, content, best)


@settings(max_examples=200, deadline=None)
@given(histories())
def test_each_deposit_is_credited_once_or_not_at_all_at_every_moment(
    history: tuple[list[Told], dict[str, tuple[Transfer, ...]], list[str]],
) -> None:
    told, _, _ = history
    node = Follower()
    for event in told:
        deliver(node, [event])
        for deposit in node.deposits.values():
            standing = deposit.state is not State.REVERSED
            expected = deposit.payment.units if standing else 0
            assert node.credited()[deposit.payment.txid] == expected
