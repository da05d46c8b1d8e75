"""The step `balances` of a reconciliation, in rounds: ask the nodes, wait, compare.

A round never waits. The state machine calls again until it is told `checked`, which happens at the
deadline at the latest, whatever the nodes do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from orion.ids import fact_id
from orion.log.balances.model import (
    AssetBooks,
    Heard,
    Unheard,
    agrees,
    asset_differences,
    heard_places,
    wallet_differences,
)
from orion.log.balances.ports import BalanceStore, ChainCheck, Places
from orion.log.node_commands.command import NodeCommand
from orion.log.node_commands.ports import CommandSigner
from orion.log.reconciliation.model import Difference, Step
from orion.log.reconciliation.ports import DifferenceStore

ISSUER = PURPOSE = "reconciliation"
COMMAND = "balances"
# Shorter than the machine's 60 rounds with 5 s between them.
STEP_TIME = timedelta(seconds=240)
# What moneyin has sent and the ledger not yet posted is younger than this: heights are final ones.
SETTLE_TIME = timedelta(seconds=120)
COMMAND_LIFE = timedelta(seconds=60)
# Nothing is asked that could hardly be answered.
SHORTEST_LIFE = timedelta(seconds=10)
# Half of what an agent lets wait.
UNANSWERED_MAX = 4


class State(StrEnum):
    """What a round answers."""

    WAITING = "waiting"
    CHECKED = "checked"


@dataclass(frozen=True, slots=True)
class BalanceCheck:
    """`finals` has the final count of confirmations of every chain that the stage follows."""

    store: BalanceStore
    signer: CommandSigner
    differences: DifferenceStore
    finals: Mapping[str, int]

    def round(self, run: bytes, trace_id: str, now: datetime, *, last: bool = False) -> State:
        """One round of `run`; may be repeated and run beside itself. The `last` one waits for
        nobody any more.

        Raises UnknownRun, DepositUnreadable, LogSignerRefused; DatabaseUnavailable and
        LogSignerUnavailable: repeat.
        """
        checks = self.store.begin(run, self.finals, now + STEP_TIME)
        if all(check.done for check in checks):
            return State.CHECKED
        waiting = [self._waits(check, run, trace_id, now) for check in checks]
        last = last or all(check.deadline <= now for check in checks)
        if any(waiting) and not last:
            return State.WAITING
        checks = self.store.begin(run, self.finals, now + STEP_TIME)
        books = self.store.books(checks)
        settled = all(check.deadline - STEP_TIME + SETTLE_TIME <= now for check in checks)
        asked = {check.chain for check in checks if check.askable}
        if not (agrees(row for row in books if row.chain in asked) or settled or last):
            # On its way from moneyin to the ledger, or truly missing: the next rounds tell.
            return State.WAITING
        found = self._compared(run, checks, books)
        self.differences.record(run, Step.BALANCES, "", found)
        self.store.finish(run)
        return State.CHECKED

    def _waits(self, check: ChainCheck, run: bytes, trace_id: str, now: datetime) -> bool:
        """Ask what may be asked; whether something may still be heard."""
        if not check.askable:
            return False
        in_time = check.deadline - now >= SHORTEST_LIFE
        unanswered = self.store.unanswered(run, check.chain, now)
        while in_time and not check.asked_all and unanswered < UNANSWERED_MAX:
            places = self.store.places(check)
            if not places.places:
                self.store.asked_all(check, run)
                check = replace(check, asked_all=True)
            elif self._asks(check, run, places, trace_id, now):
                unanswered += 1
                check = replace(check, pages=check.pages + 1, after=places.after)
            else:
                return True  # A round beside this one asks.
        return unanswered > 0 or (in_time and not check.asked_all)

    def _asks(
        self, check: ChainCheck, run: bytes, places: Places, trace_id: str, now: datetime
    ) -> bool:
        command = NodeCommand(
            id=fact_id("node_command", ISSUER, run, check.chain, check.pages),
            trace_id=trace_id,
            name=COMMAND,
            issuer=ISSUER,
            purpose=PURPOSE,
            chain=check.chain,
            node=check.node or "",
            expires_at=min(now + COMMAND_LIFE, check.deadline),
            arguments={"height": check.height, "items": [p.item for p in places.places]},
        )
        signature = self.signer.sign(command.digest())
        return self.store.ask(check, run, command, places, signature, now)

    def _compared(
        self, run: bytes, checks: Sequence[ChainCheck], books: Sequence[AssetBooks]
    ) -> list[Difference]:
        heard: dict[str, Sequence[Heard]] = {}
        unheard = {row.chain: Unheard.NO_AGENT.value for row in books}
        found: list[Difference] = []
        for check in checks:
            if not check.askable:
                if check.node is not None:
                    unheard[check.chain] = Unheard.NO_FINAL_BLOCK.value
                continue
            places = [p for page in self.store.pages(check, run) for p in heard_places(page)]
            found += wallet_differences(check.chain, places)
            heard[check.chain] = places
            if check.asked_all:
                unheard.pop(check.chain, None)
            else:
                unheard[check.chain] = Unheard.NOT_ASKED.value
        return found + asset_differences(books, heard, unheard)
