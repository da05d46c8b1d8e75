"""Custody accounts that were seen on their chains: sweeps to Tron and Solana wait for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from orion.kms.custody.errors import EvidenceRefused
from orion.kms.custody.statements import EvidenceKeys, Kind, Statement, read_evidence
from orion.kms.groups import CustodySet
from orion.kms.signing.accounts import verified
from orion.kms.signing.errors import CustodyAccountNotFound, WrongNetwork
from orion.kms.signing.events import account_seen
from orion.kms.signing.model import AccountRow, Place, SeenRequest
from orion.kms.signing.ports import SeenStore
from orion.kms.signing.sets import set_digest

_PART = "statement"
# Where one address is one account of one group. On Bitcoin groups of a set share theirs, and it
# follows from the keys.
SEEN_CHAINS = frozenset({"ethereum", "tron", "solana"})


@dataclass(frozen=True, slots=True)
class Seen:
    """Accounts that are on their chain; `new` says whether it was the first word of it."""

    accounts: tuple[Place, ...]
    new: bool


@dataclass(frozen=True, slots=True)
class SeenAccounts:
    """Takes the word of the issuer `chain-finality` and of nobody else."""

    networks: Mapping[str, str]
    evidence_keys: Callable[[], EvidenceKeys]
    store: SeenStore
    now: Callable[[], datetime]

    def mark(self, request: SeenRequest) -> Seen:
        """Mark the account that the statement names, once, with its event.

        Raises RequestRefused, EvidenceRefused (both of orion.kms.custody), WrongNetwork,
        CustodyAccountNotFound, AccountDiffers, DatabaseUnavailable.
        """
        at = self.now()
        statement = self._statement(request.statement, at)
        rows = [
            row
            for row in self.store.at_address(statement.chain, statement.address)
            if _digest_of(row) == statement.set_digest
        ]
        if not rows:
            raise CustodyAccountNotFound(
                "no account of ours at this address under this set",
                chain=statement.chain,
                address=statement.address,
            )
        accounts = [verified(row.account) for row in rows]
        marked = [
            self.store.mark(
                account.place, account_seen(account, statement.final_at, request.trace_id, at), at
            )
            for account in accounts
        ]
        return Seen(tuple(row.place() for row in rows), any(marked))

    def _statement(self, envelope: object, at: datetime) -> Statement:
        (statement,) = read_evidence([envelope], self.evidence_keys(), _PART)
        if statement.kind is not Kind.HELD or statement.chain not in SEEN_CHAINS:
            raise EvidenceRefused(
                "no word of who holds an account", reason="not_wanted", part=statement.part
            )
        if not statement.valid_at(at):
            raise EvidenceRefused(
                "it has expired, or is from the future", reason="not_valid_now", part=statement.part
            )
        if statement.network != self.networks.get(statement.chain):
            raise WrongNetwork("it speaks of another network", chain=statement.chain)
        return statement


def _digest_of(row: AccountRow) -> str:
    place = row.account.place
    return set_digest(CustodySet(place.set_no, place.kind, row.account.keys))
