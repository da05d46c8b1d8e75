"""The ledger once more, as simply as it can be said: a list of movements, summed from its start.

Written from docs/ledger.md alone. It shares no decision with `orion.ledger.judge`: it moves first
and looks afterwards whether that was allowed, and it remembers nothing but what happened.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from orion.ids import fact_id
from orion.ledger.model import AccountKey, Transfer

LIMIT = 2**128 - 1
Name = tuple[str, str, str]  # owner, purpose, asset
TABLE = {
    "deposit_credit": ("custody", "settling"),
    "deposit_final": ("settling", "available"),
    "deposit_reversal": ("settling", "custody"),
    "deposit_reversal_final": ("available", "custody"),
    "payout": ("available", "custody"),
    "fee": ("available", "fee_income"),
    "fee_returned": ("fee_income", "available"),
    "referral_share": ("fee_income", "available"),
    "referral_returned": ("available", "fee_income"),
}
# Never refused for what their account lacks, and the code of what is owed instead.
NEVER_SHORT = {
    "deposit_reversal": "reversal_shortfall",
    "deposit_reversal_final": "reversal_shortfall",
    "fee": "fee_shortfall",
    "referral_returned": "fee_shortfall",
}
PAYS_BACK = ("deposit_final", "fee_returned", "referral_share")
OF_CHAINS = ("custody", "fee_income")
TWO_PHASES = ("pending", "signed", "post", "void", "timeout")


def name_of(key: AccountKey) -> Name:
    return key.owner, str(key.purpose), key.asset


@dataclass(frozen=True)
class Move:
    """`units` added to one counter of one account, by `shard`."""

    shard: int
    account: Name
    counter: str  # "debits posted", "credits pending", ...
    units: int


@dataclass(frozen=True)
class Posted:
    """What the ledger should say that it posted."""

    id: bytes
    kind: str
    code: str
    units: int
    debit: Name
    credit: Name
    meant: Name | None


@dataclass
class Story:
    """What happened, in order."""

    moves: list[Move] = field(default_factory=list)
    posted: list[Posted] = field(default_factory=list)
    refused: list[tuple[bytes, str]] = field(default_factory=list)
    # Each id with the contents that came under it.
    told: list[tuple[bytes, tuple[object, ...]]] = field(default_factory=list)
    # What befell pending transfers: (id, "open" | "signed" | "posted" | "voided", as asked).
    phases: list[tuple[bytes, str, Transfer]] = field(default_factory=list)

    def copy(self) -> "Story":
        return Story(*(list(part) for part in vars(self).values()))


class Reference:
    """All shards' books. `home` says which shard has an owner's accounts."""

    def __init__(self, home: Callable[[str], int]) -> None:
        self.home = home
        self.frozen: set[str] = set()
        self.story = Story()

    def counters(self) -> Mapping[Name, Mapping[str, int]]:
        """Every account that ever moved."""
        found: dict[Name, dict[str, int]] = {}
        for move in self.story.moves:
            row = found.setdefault(move.account, dict.fromkeys(COUNTERS, 0))
            row[move.counter] += move.units
        return found

    def counter(self, account: Name, counter: str) -> int:
        return sum(
            move.units
            for move in self.story.moves
            if move.account == account and move.counter == counter
        )

    def movable(self, account: Name) -> int:
        return (
            self.counter(account, "credits posted")
            - self.counter(account, "debits posted")
            - self.counter(account, "debits pending")
        )

    def tell(self, shard: int, record: Sequence[Transfer]) -> None:
        """`record` reaches `shard`."""
        chain: list[Transfer] = []
        for transfer in record:
            chain.append(transfer)
            if not transfer.linked:
                self._chain(shard, chain)
                chain = []
        if chain:
            self._refuse_all(chain, "linked_open")

    def _chain(self, shard: int, chain: Sequence[Transfer]) -> None:
        known = [self._contents(transfer.id) for transfer in chain]
        if len(chain) > 1 and any(known):
            self._refuse_all(chain, "linked_failed")
            return
        before = self.story.copy()
        for place, transfer in enumerate(chain):
            contents = self._contents(transfer.id)
            if content_of(transfer) in contents:
                continue
            reason = "id_conflict" if contents else self._carry_out(shard, transfer, chain)
            if reason:
                self.story = before
                self._refuse_all(chain, "linked_failed", {place: reason})
                return
            self.story.told.append((transfer.id, content_of(transfer)))

    def _refuse_all(
        self, chain: Sequence[Transfer], reason: str, own: Mapping[int, str] | None = None
    ) -> None:
        for place, transfer in enumerate(chain):
            contents = self._contents(transfer.id)
            if content_of(transfer) in contents:
                continue
            why = (own or {}).get(place) or ("id_conflict" if contents else reason)
            self.story.refused.append((transfer.id, why))
            self.story.told.append((transfer.id, content_of(transfer)))

    def _contents(self, identity: bytes) -> list[tuple[object, ...]]:
        return [content for told, content in self.story.told if told == identity]

    def _carry_out(self, shard: int, asked: Transfer, chain: Sequence[Transfer]) -> str:
        """What is wrong with it, or nothing: then it happened."""
        debit, credit = name_of(asked.debit), name_of(asked.credit)
        if debit == credit:
            return "same_account"
        if asked.code == "leg":
            self._both(shard, asked, "posted", asked.units)
            return ""
        if not well_formed(asked):
            return "code_mismatch"
        if decides(asked) != decides(chain[0]):
            return "two_limits"
        before = self.story.copy()
        reason = self._act(shard, asked)
        if not reason:
            touched = {move.account for move in self.story.moves[len(before.moves) :]}
            reason = "overflow" if any(self._too_full(account) for account in touched) else ""
        if reason:
            self.story = before
        return reason

    def _act(self, shard: int, asked: Transfer) -> str:
        debit = name_of(asked.debit)
        if asked.kind in ("signed", "post", "void", "timeout"):
            return self._second_phase(shard, asked)
        if asked.code in NEVER_SHORT:
            return self._reversal(shard, asked)
        if asked.code == "payout":
            if debit[2] in self.frozen:
                return "asset_frozen"
            owed = (debit[0], "reversal_receivable", debit[2])
            if self.counter(owed, "debits posted") > self.counter(owed, "credits posted"):
                return "receivable_open"
        if debit[1] in ("settling", "available") and self.movable(debit) < asked.units:
            return "exceeds_credits"
        phase = "posted" if asked.kind == "direct" else "pending"
        self._both(shard, asked, phase, asked.units)
        if asked.code in PAYS_BACK:
            self._repay(shard, asked)
        if phase == "pending":
            self.story.phases.append((asked.id, "open", asked))
        return ""

    def _second_phase(self, shard: int, asked: Transfer) -> str:
        history = [row for row in self.story.phases if row[0] == asked.pending_id]
        if not history:
            return "pending_not_found"
        opened = history[0][2]
        seen = [phase for _, phase, _ in history]
        same = (opened.code, opened.debit, opened.credit) == (asked.code, asked.debit, asked.credit)
        if not same or (asked.kind != "post" and asked.units != opened.units):
            return "pending_differs"
        for end in ("posted", "voided"):
            if end in seen:
                return f"pending_already_{end}"
        excluded = json.loads(asked.cause).get("type") == "chain_final"
        if "signed" in seen and (
            asked.kind == "timeout" or (asked.kind == "void" and not excluded)
        ):
            return "pending_signed"
        if asked.units > opened.units:
            return "pending_exceeded"
        if asked.kind == "signed":
            self._both(shard, asked, "posted", 0)
            self.story.phases.append((opened.id, "signed", asked))
            return ""
        self._both(shard, asked, "posted", asked.units if asked.kind == "post" else 0)
        for side, name in (("debits", asked.debit), ("credits", asked.credit)):
            here = self._here(shard, name_of(name))
            self.story.moves.append(Move(shard, here, f"{side} pending", -opened.units))
        self.story.phases.append((opened.id, "posted" if asked.kind == "post" else "voided", asked))
        self._repay(shard, asked)
        return ""

    def _reversal(self, shard: int, asked: Transfer) -> str:
        left = max(0, self.movable(name_of(asked.debit)))
        taken = min(left, asked.units)
        identity = fact_id("shortfall", asked.id)
        if 0 < taken < asked.units and self._contents(identity):
            taken = 0
        owing = AccountKey(asked.debit.owner, type(asked.debit.purpose)("reversal_receivable"),
                           asked.debit.asset)  # fmt: skip
        if taken:
            self._both(shard, asked._replace(units=taken), "posted", taken)
        if taken == asked.units:
            return ""
        rest = asked._replace(units=asked.units - taken, debit=owing)
        if taken:
            cause = {"transfer_id": asked.id.hex(), "type": "shortfall"}
            text = json.dumps(cause, separators=(",", ":")).encode()
            rest = rest._replace(
                id=identity, code=type(asked.code)(NEVER_SHORT[str(asked.code)]), cause=text
            )
            self.story.told.append((identity, content_of(rest)))
        self._both(shard, rest, "posted", rest.units)
        return ""

    def _repay(self, shard: int, before: Transfer) -> None:
        """As much of the debt as what can be moved now, with what came or was given back."""
        [available] = [s for s in (before.debit, before.credit) if s.purpose == "available"]
        purpose = type(available.purpose)("reversal_receivable")
        owing = AccountKey(available.owner, purpose, available.asset)
        debt = -self.movable(name_of(owing))
        units = min(debt, self.movable(name_of(available)))
        identity = fact_id("repaid", before.id)
        if units < 1 or self._contents(identity):
            return
        text = '{"transfer_id":"' + before.id.hex() + '","type":"repayment"}'
        repaid = before._replace(
            id=identity, kind=type(before.kind)("direct"), units=units, pending_id=None,
            code=type(before.code)("reversal_repaid"),
            debit=available, credit=owing, cause=text.encode(),
        )  # fmt: skip
        self.story.told.append((identity, content_of(repaid)))
        self._both(shard, repaid, "posted", units)

    def _both(self, shard: int, asked: Transfer, phase: str, units: int) -> None:
        debit, credit = name_of(asked.debit), name_of(asked.credit)
        here = self._here(shard, debit), self._here(shard, credit)
        if asked.code == "leg":
            meant = None
        else:
            meant = next((n for n, h in zip((debit, credit), here, strict=True) if n != h), None)
        self.story.posted.append(
            Posted(asked.id, str(asked.kind), str(asked.code), asked.units, *here, meant)
        )
        if units:
            self.story.moves.append(Move(shard, here[0], f"debits {phase}", units))
            self.story.moves.append(Move(shard, here[1], f"credits {phase}", units))

    def _here(self, shard: int, name: Name) -> Name:
        lives_here = name[1] != "clearing" and self.home(name[0]) == shard
        return name if lives_here else (f"shard:{shard}", "clearing", name[2])

    def _too_full(self, account: Name) -> bool:
        for side in ("debits", "credits"):
            posted = self.counter(account, f"{side} posted")
            if posted > LIMIT or posted + self.counter(account, f"{side} pending") > LIMIT:
                return True
        return False


COUNTERS = ("debits posted", "debits pending", "credits posted", "credits pending")


def content_of(asked: Transfer) -> tuple[object, ...]:
    """What an id stands for: everything but the trace id."""
    return (
        str(asked.kind), str(asked.code), asked.units, name_of(asked.debit), name_of(asked.credit),
        asked.cause, asked.linked, asked.pending_id,
    )  # fmt: skip


def well_formed(asked: Transfer) -> bool:
    debit, credit = name_of(asked.debit), name_of(asked.credit)
    if TABLE.get(str(asked.code)) != (debit[1], credit[1]) or debit[2] != credit[2]:
        return False
    if str(asked.kind) not in (TWO_PHASES if asked.code == "payout" else ("direct",)):
        return False
    for owner, purpose, asset in (debit, credit):
        kind, _, whose = owner.partition(":")
        if kind != ("system" if purpose in OF_CHAINS else "merchant"):
            return False
        if purpose in OF_CHAINS and whose != asset.partition(".")[2]:
            return False
    merchants = {name[0] for name in (debit, credit) if name[0].startswith("merchant:")}
    return len(merchants) == 1


def decides(asked: Transfer) -> str:
    """Every code of the table has one merchant, and he decides."""
    sides = (asked.debit.owner, asked.credit.owner)
    return next((owner for owner in sides if owner.startswith("merchant:")), sides[0])
