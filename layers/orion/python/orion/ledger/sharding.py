"""Which shard decides a transfer, while buckets stay and while they move. Pure.

docs/ledger.md, "Buckets, shards, numbers" and "Moving a bucket".
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import ClassVar

from orion.errors import OrionError
from orion.ledger.buckets import BUCKETS
from orion.ledger.model import Handover, Takeover, Transfer, bucket
from orion.ledger.posting import decider


class MisplacedControl(OrionError):
    """A control record for a bucket that is neither here nor on its way here."""

    code: ClassVar[str] = "misplaced_control"


class Place(StrEnum):
    """What a shard's writer does with what comes for a bucket."""

    DECIDE = "decide"
    HOLD = "hold"
    FORWARD = "forward"


@dataclass(frozen=True, slots=True)
class ShardView:
    """Where each of the 256 buckets lives, whether its shard has taken it over, and where the
    newest map lets it live; as one shard's writer reads it in the transaction that decides.
    """

    shard: int
    lives: Sequence[int]
    taken: Sequence[bool]
    newest: Sequence[int]
    # By bucket; worked out once, because a batch asks for it thousands of times.
    decides: tuple[bool, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        places = (self.place(number) for number in range(BUCKETS))
        object.__setattr__(self, "decides", tuple(place is Place.DECIDE for place in places))

    def local(self, owner: str) -> bool:
        """Whether this shard moves the accounts of `owner` itself."""
        return self.decides[bucket(owner)]

    def place(self, number: int) -> Place:
        """A bucket that lives here is decided once it was taken over, and held before; one that
        shall live here is held until its present shard lets go; all others are forwarded.
        """
        if self.lives[number] == self.shard:
            return Place.DECIDE if self.taken[number] else Place.HOLD
        return Place.HOLD if self.newest[number] == self.shard else Place.FORWARD

    def taking(self, number: int) -> "ShardView":
        """As this shard sees it in the transaction that decides what it held for the bucket."""
        return replace(self, taken=tuple(t or n == number for n, t in enumerate(self.taken)))


Piece = tuple[int, tuple[Transfer, ...]]
"""Transfers of one record and one bucket, in their order."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """`decide` is one sequence for each record that has anything to decide here."""

    decide: tuple[tuple[Transfer, ...], ...]
    hold: tuple[Piece, ...]
    forward: tuple[Piece, ...]


def sort_records(records: Iterable[Sequence[Transfer]], view: ShardView) -> Sorted:
    """Part what is decided here from what is held and what is forwarded, in order.

    A chain goes whole where its first member's decider lives: where its members have different
    ones it is refused by whoever decides it.
    """
    decide: list[tuple[Transfer, ...]] = []
    aside: Mapping[Place, list[Piece]] = {Place.HOLD: [], Place.FORWARD: []}
    if all(view.decides):  # As long as there is one shard.
        return Sorted(tuple(tuple(record) for record in records), (), ())
    decides = view.decides
    for record in records:
        if all(decides[bucket(decider(transfer))] for transfer in record):
            decide.append(tuple(record))  # Nearly always, while no bucket moves.
            continue
        pieces: dict[int, list[Transfer]] = {}
        here: list[Transfer] = []
        for chain in chains(record):
            number = bucket(decider(chain[0]))
            if decides[number]:
                here += chain
            else:
                pieces.setdefault(number, []).extend(chain)
        if here:
            decide.append(tuple(here))
        for number, transfers in pieces.items():
            aside[view.place(number)].append((number, tuple(transfers)))
    return Sorted(tuple(decide), tuple(aside[Place.HOLD]), tuple(aside[Place.FORWARD]))


def chains(record: Sequence[Transfer]) -> Iterator[Sequence[Transfer]]:
    """The record's transfers, each chain together. What the record ends inside of is one too."""
    start = 0
    for place, transfer in enumerate(record):
        if not transfer.linked:
            yield record[start : place + 1]
            start = place + 1
    if start < len(record):
        yield record[start:]


@dataclass(frozen=True, slots=True)
class Home:
    """Where one bucket lives since which version of the map, and whether it was taken over."""

    shard: int
    map_version: int
    taken: bool


def lets_go(home: Home, order: Handover, shard: int, shall: int | None) -> bool:
    """Whether `shard` hands the bucket over now; False where it did before. `shall` is its shard
    under the order's version of the map. Raises MisplacedControl.
    """
    if home.map_version >= order.map_version:
        return False
    if shall is None or shall == shard or home.shard != shard or not home.taken:
        raise MisplacedControl(
            "this bucket is not this shard's to hand over",
            bucket=order.bucket,
            map_version=order.map_version,
            shard=shard,
        )
    return True


def takes(home: Home, order: Takeover, shard: int) -> bool:
    """Whether `shard` takes the bucket over now; False where it did before. Raises
    MisplacedControl.
    """
    if home.map_version > order.map_version:
        return False
    if home.map_version < order.map_version or home.shard != shard:
        raise MisplacedControl(
            "this bucket was not handed over to this shard",
            bucket=order.bucket,
            map_version=order.map_version,
            shard=shard,
        )
    return not home.taken
