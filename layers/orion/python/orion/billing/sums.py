"""What the deposits and refunds of one invoice come to, by asset: all that its status needs of them
(docs/invoices.md, "Sums"). Pure; numbers that are added and taken away again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sums:
    """Of one asset, in its smallest units; `deposits` and `refunds` count. The model says which
    deposit belongs to which sum.
    """

    deposits: int = 0
    standing: int = 0
    mined: int = 0
    settled: int = 0
    in_time: int = 0
    in_a_block: int = 0
    refunds: int = 0
    refunded: int = 0

    @property
    def unconfirmed(self) -> int:
        """Seen, and in no block yet: what stands is that or mined."""
        return self.standing - self.mined

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(a + b for a, b in zip(self._all(), other._all(), strict=True)))

    def __sub__(self, other: "Sums") -> "Sums":
        return Sums(*(a - b for a, b in zip(self._all(), other._all(), strict=True)))

    def _all(self) -> tuple[int, ...]:
        return (self.deposits, self.standing, self.mined, self.settled, self.in_time,
                self.in_a_block, self.refunds, self.refunded)  # fmt: skip


SumsByAsset = Mapping[str, Sums]
NOTHING = Sums()


def added(sums: SumsByAsset, asset: str, more: Sums) -> SumsByAsset:
    """`sums` with `more` of one asset."""
    return {**sums, asset: sums.get(asset, NOTHING) + more}


def taken(sums: SumsByAsset, asset: str, less: Sums) -> SumsByAsset:
    """`sums` without what was added as `less`; an asset of which nothing is left is absent."""
    left = sums.get(asset, NOTHING) - less
    others = {code: found for code, found in sums.items() if code != asset}
    return others if left == NOTHING else {**others, asset: left}


def total(parts: Iterable[tuple[str, Sums]]) -> SumsByAsset:
    """The sums of all these parts."""
    found: dict[str, Sums] = {}
    for asset, part in parts:
        found[asset] = found.get(asset, NOTHING) + part
    return found
