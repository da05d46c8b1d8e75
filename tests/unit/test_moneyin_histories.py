"""Random histories of a chain, told as agents tell them: credits follow the best chain."""

from collections import Counter
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from orion.chains.blocks import Transfer
from orion.moneyin.events import BlockRef
from orion.moneyin.model import (
    State,
)
from tests.unit.moneyin_follower import Follower, hashes, line, pay


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
