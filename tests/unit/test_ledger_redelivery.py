"""Whatever is delivered again, wherever batches are cut: one state and one order of entries."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from orion.ledger.model import MAX_COUNTER, SIDES, Code, Entry, Kind, Refusal, Transfer
from tests.unit.ledger_scene import MERCHANT, OTHER, Books, move, then

Record = tuple[Transfer, ...]

DIRECT = st.builds(
    move,
    st.sampled_from(sorted(SIDES)),
    st.one_of(*[st.integers(1, 40)] * 4, st.just(MAX_COUNTER)),
    fact=st.integers(0, 4),
    merchant=st.sampled_from([MERCHANT, OTHER]),
    linked=st.sampled_from([False, False, False, True]),
)
ENDS = st.builds(
    then,
    st.sampled_from([Kind.SIGNED, Kind.POST, Kind.VOID, Kind.TIMEOUT]),
    st.builds(
        move,
        st.just(Code.PAYOUT),
        st.integers(1, 4),
        fact=st.integers(0, 2),
        merchant=st.sampled_from([MERCHANT, OTHER]),
    ),
    cause=st.sampled_from([b'{"type":"test"}', b'{"type":"chain_final"}']),
)
FUNDED = tuple(
    move(code, 20, fact="funds", merchant=merchant)
    for merchant in (MERCHANT, OTHER)
    for code in (Code.DEPOSIT_CREDIT, Code.DEPOSIT_FINAL)
)
PAYOUTS = st.builds(
    move, st.just(Code.PAYOUT), st.integers(1, 4), fact=st.integers(0, 2),
    merchant=st.sampled_from([MERCHANT, OTHER]),
)  # fmt: skip
RECORDS = st.lists(st.one_of(DIRECT, PAYOUTS, ENDS), min_size=1, max_size=5).map(tuple)
HISTORIES = st.lists(RECORDS, max_size=8).map(lambda records: [FUNDED, *records])


def merchants_only(owner: str) -> bool:
    return owner.startswith("merchant:")


class Delivered:
    """A shard's books after some batches, and everything that it said."""

    def __init__(self, batches: Sequence[Sequence[Record]], *, far: bool = False) -> None:
        self.books = Books(0, merchants_only) if far else Books(0)
        self.accepted: list[Entry] = []
        self.refused: list[Refusal] = []
        self.flown: dict[tuple[bytes, str], int] = {}
        for batch in batches:
            outcome = self.books.post_records(batch)
            self.accepted += outcome.accepted
            self.refused += outcome.refused
            for leg in outcome.legs:
                line = (leg.account.id, leg.side.value)
                self.flown[line] = self.flown.get(line, 0) + leg.units

    def everything(self) -> tuple[object, ...]:
        books = self.books
        return (
            self.accepted, self.refused, self.flown, books.counters, books.known, books.pendings,
        )  # fmt: skip


@given(HISTORIES, st.booleans())
@settings(max_examples=15, deadline=None)
def test_batches_of_every_size_give_one_state_and_one_order(
    history: list[Record], far: bool
) -> None:
    whole = Delivered([history], far=far).everything()
    for size in range(1, len(history)):
        cut = [history[start : start + size] for start in range(0, len(history), size)]
        assert Delivered(cut, far=far).everything() == whole


@given(HISTORIES, st.lists(st.integers(0, 8), max_size=5), st.booleans())
@settings(max_examples=20, deadline=None)
def test_a_partition_read_again_from_any_place_gives_the_state_of_one_reading(
    history: list[Record], places: list[int], far: bool
) -> None:
    whole = Delivered([history], far=far).everything()
    # Each reading begins at or before where the last one ended, and goes on to somewhere.
    ends = sorted({min(place, len(history)) for place in places} | {0, len(history)})
    again: list[list[Record]] = []
    for number, (_, end) in enumerate(pairwise(ends)):
        begin = places[number % len(places)] if places else 0
        again.append(history[min(begin, ends[number]) : end])
    assert Delivered(again, far=far).everything() == whole


@given(HISTORIES, st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=6))
@settings(max_examples=15, deadline=None)
def test_prefixes_repeated_inside_one_batch_give_the_state_of_one_reading(
    history: list[Record], repeats: list[tuple[int, int]]
) -> None:
    redelivered = list(history)
    for end, begin in sorted(repeats, reverse=True):
        stop = min(end, len(history))
        redelivered[stop:stop] = history[min(begin, stop) : stop]
    assert Delivered([redelivered]).everything() == Delivered([history]).everything()


@given(HISTORIES)
@settings(max_examples=15, deadline=None)
def test_a_delivered_history_delivered_again_changes_nothing(history: list[Record]) -> None:
    delivered = Delivered([history, history[::-1], history])
    assert delivered.everything() == Delivered([history]).everything()
