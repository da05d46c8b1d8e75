"""Balances of chains, deposits and custody accounts beside each other. Pure; docs/books.md,
"Balances", is the rule book. Unknown is never zero here: what was not heard is None.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from orion.errors import OrionError
from orion.log.reconciliation.model import (
    AccountName,
    Difference,
    DifferenceKind,
    Wrong,
    clipped,
)

MAX_ITEMS = 500
_OUTPUT = re.compile(r"out:(0|[1-9][0-9]{0,9})\Z", re.ASCII)
_UNITS = re.compile(r"(0|[1-9][0-9]{0,77})\Z", re.ASCII)
# Chains whose balances are told by output; the others' by address.
BY_OUTPUT = frozenset({"bitcoin"})


class DepositUnreadable(OrionError):
    """A deposit that no payment of its chain can be: its place is not of the chain's form."""

    code = "deposit_unreadable"


class TooManyAssets(OrionError):
    """A wallet with deposits in more assets than one page holds: no stage names so many."""

    code = "too_many_assets"


class Unheard(StrEnum):
    """Why the chain did not tell; the agents' own reasons stand beside these."""

    NO_AGENT = "no_agent"
    NO_FINAL_BLOCK = "no_final_block"
    NO_ANSWER = "no_answer"
    NOT_ASKED = "not_asked"
    ANSWER_MALFORMED = "answer_malformed"
    OTHER_BLOCK = "other_block"
    NO_BALANCE = "no_balance"


@dataclass(frozen=True, slots=True)
class Place:
    """One thing to ask for: an output, or an address in one asset, of one wallet.

    `units` is what its deposits say lies there, `held` the part of it that is credited to nobody.
    """

    group: int
    index: int
    asset: str
    address: str
    contract: str | None
    output: tuple[str, int] | None
    units: int
    held: int

    @property
    def item(self) -> Mapping[str, object]:
        """As a command carries it."""
        if self.output is not None:
            txid, index = self.output
            return {"txid": txid, "index": index, "address": self.address}
        return {"address": self.address, "contract": self.contract}

    def expected(self) -> list[object]:
        """What is kept beside the item until the answer comes."""
        name = f"{self.output[0]}:{self.output[1]}" if self.output else self.address
        return [self.group, self.index, self.asset, name, str(self.units), str(self.held)]


@dataclass(frozen=True, slots=True)
class Heard:
    """A place with what the chain told of it: `units`, or None and the reason why nothing."""

    group: int
    index: int
    asset: str
    name: str
    expected: int
    held: int
    units: int | None
    unheard: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """What one command asked, and what came of it (`outcome` None: no answer in time)."""

    height: int
    block_hash: str
    by_output: bool
    expected: Sequence[Sequence[object]]
    outcome: str | None
    reason: str | None
    result: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class AssetBooks:
    """One asset in the database, in one snapshot. `deposits`: those at or below H that are not
    reversed and not held. `custody`: the custody account with the legs in flight to it, less what
    deposits above H were credited.
    """

    chain: str
    asset: str
    deposits: int
    custody: int


def output_of(txid: str, position: str) -> tuple[str, int]:
    """Raises DepositUnreadable."""
    match = _OUTPUT.match(position)
    if match is None:
        raise DepositUnreadable("a deposit that is no output", txid=txid, position=position[:64])
    return txid, int(match.group(1))


def heard_places(page: Page) -> list[Heard]:
    """Every place of a page with what was heard of it."""
    units, unheard = _told(page)
    places = []
    for row, answered in zip(page.expected, units, strict=True):
        group, index, asset, name, expected, held = row
        told, reason = answered, unheard
        if told is None and reason is None:
            # An output that the chain does not have holds nothing; an address always has a balance.
            told, reason = (0, None) if page.by_output else (None, Unheard.NO_BALANCE.value)
        places.append(
            Heard(
                group=_whole(group),
                index=_whole(index),
                asset=str(asset),
                name=str(name),
                expected=int(str(expected)),
                held=int(str(held)),
                units=told,
                unheard=reason,
            )
        )
    return places


def _told(page: Page) -> tuple[Sequence[int | None], str | None]:
    """The units by place, and why there are none."""
    nothing: Sequence[None] = [None] * len(page.expected)
    if page.outcome is None:
        return nothing, Unheard.NO_ANSWER.value
    if page.outcome != "done" or page.result is None:
        return nothing, page.reason or Unheard.NO_ANSWER.value
    rows = page.result.get("units")
    if (
        set(page.result) != {"height", "hash", "units"}
        or page.result["height"] != page.height
        or not isinstance(rows, list)
        or len(rows) != len(page.expected)
        or not all(r is None or (isinstance(r, str) and _UNITS.match(r)) for r in rows)
    ):
        return nothing, Unheard.ANSWER_MALFORMED.value
    if page.result["hash"] != page.block_hash:
        return nothing, Unheard.OTHER_BLOCK.value
    return [None if row is None else int(row) for row in rows], None


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError("a whole number was stored")
    return value


def wallet_differences(chain: str, places: Iterable[Heard]) -> list[Difference]:
    """Wallets that hold on the chain something else than their deposits say; by wallet and asset.

    A wallet of which a place was not heard is not judged. More than its deposits say is a surplus
    at an address, to which anybody can send coins that are no deposit (rewards of blocks,
    withdrawals of stakes, contracts that end themselves). What an output holds never changes.
    """
    wallets: dict[tuple[int, int, str], list[Heard]] = {}
    for place in places:
        wallets.setdefault((place.group, place.index, place.asset), []).append(place)
    found = []
    for (group, index, asset), rows in sorted(wallets.items()):
        if any(row.units is None for row in rows):
            continue
        held, expected = sum(row.units or 0 for row in rows), sum(row.expected for row in rows)
        # Output by output: a wallet that lost one coin and gained another as large has lost one.
        changed = [row for row in rows if row.units != row.expected]
        if changed:
            names = ", ".join(f"{row.name} {row.units} for {row.expected}" for row in changed)
            found.append(
                Difference(
                    _kind(chain, surplus=all(_whole(row.units) > row.expected for row in changed)),
                    Wrong.CHAIN,
                    account=custody(chain, asset).text,
                    asset=asset,
                    found=clipped(f"wallet {group}/{index} holds {held} on the chain: {names}"),
                    expected=f"{expected} by its deposits",
                )
            )
    return found


def asset_differences(
    books: Sequence[AssetBooks],
    heard: Mapping[str, Sequence[Heard]],
    unheard: Mapping[str, str],
) -> list[Difference]:
    """Each asset's chain, deposits and custody account. `heard` are the places by chain, `unheard`
    chains of which not everything was asked, with the reason.
    """
    found = []
    for row in sorted(books, key=lambda each: each.asset):
        places = [each for each in heard.get(row.chain, ()) if each.asset == row.asset]
        reason = unheard.get(row.chain) or next((p.unheard for p in places if p.unheard), None)
        if reason is None:
            on_chain = sum((p.units or 0) - p.held for p in places)
            found += _three_voices(row, on_chain)
            continue
        if row.custody or row.deposits or places:
            found.append(_unknown(row, reason))
        if row.chain in heard and row.deposits != row.custody:
            found.append(_differs(row, Wrong.UNKNOWN, "the chain was not heard"))
    return found


def agrees(books: Iterable[AssetBooks]) -> bool:
    """Whether deposits and custody accounts say the same, so that nothing is on its way."""
    return all(row.deposits == row.custody for row in books)


def _three_voices(row: AssetBooks, on_chain: int) -> list[Difference]:
    voices = {Wrong.CHAIN: on_chain, Wrong.CAUSE: row.deposits, Wrong.MYSQL: row.custody}
    values = list(voices.values())
    if len(set(values)) == 1:
        return []
    alone = [name for name, value in voices.items() if values.count(value) == 1]
    wrong = alone[0] if len(alone) == 1 else Wrong.UNKNOWN
    kind = _kind(row.chain, surplus=wrong is Wrong.CHAIN and on_chain > row.deposits)
    return [_differs(row, wrong, f"chain {on_chain}", kind)]


def _kind(chain: str, *, surplus: bool) -> DifferenceKind:
    if surplus and chain not in BY_OUTPUT:
        return DifferenceKind.BALANCE_SURPLUS
    return DifferenceKind.BALANCE_DIFFERS


def _differs(
    row: AssetBooks,
    wrong: Wrong,
    told: str,
    kind: DifferenceKind = DifferenceKind.BALANCE_DIFFERS,
) -> Difference:
    return Difference(
        kind,
        wrong,
        account=custody(row.chain, row.asset).text,
        asset=row.asset,
        found=f"{told}, deposits {row.deposits}, custody account {row.custody}",
        expected="three equal sums",
    )


def _unknown(row: AssetBooks, reason: str) -> Difference:
    return Difference(
        DifferenceKind.BALANCE_UNKNOWN,
        Wrong.UNKNOWN,
        account=custody(row.chain, row.asset).text,
        asset=row.asset,
        found=f"the chain was not heard: {reason}",
        expected=str(row.custody),
    )


def custody(chain: str, asset: str) -> AccountName:
    """The account of what the chain holds for us."""
    return AccountName(f"system:{chain}", "custody", asset)
