"""Rotations that are final on the chains: a group's wallet is in another set's hands from then on,
and sweeps go to that set's accounts.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime

from orion.chains.spend import CustodyAccount, custody
from orion.kms.custody.errors import EvidenceRefused
from orion.kms.custody.statements import EvidenceKeys, Kind, Statement, read_evidence
from orion.kms.groups import CustodySet
from orion.kms.signing.accounts import authenticated, verified
from orion.kms.signing.anchors import Anchors
from orion.kms.signing.errors import CustodyAccountNotFound, RotationRefused, WrongNetwork
from orion.kms.signing.events import custody_rotated
from orion.kms.signing.model import RotatedRequest, Rotation
from orion.kms.signing.ports import RotationStore
from orion.kms.signing.seen import SEEN_CHAINS
from orion.kms.signing.sets import set_digest

_PART = "statements"


@dataclass(frozen=True, slots=True)
class Rotated:
    """Which set held the wallet and which does now; `new` says whether this call moved it.
    `from_set` is None at a repeat, which asks for nothing that it did not find.
    """

    from_set: int | None
    target_set: int
    new: bool


@dataclass(frozen=True, slots=True)
class RotatedCustody:
    """Takes the word of the issuer `chain-finality` and of nobody else. `anchors` are those of the
    chains where no key tells an anchor; on Tron the address is the anchor, and the statement says
    who holds it.
    """

    networks: Mapping[str, str]
    anchors: Mapping[str, Anchors]
    evidence_keys: Callable[[], EvidenceKeys]
    store: RotationStore
    now: Callable[[], datetime]

    def record(self, request: RotatedRequest) -> Rotated:
        """Store the target set's accounts and name it as the holder, in one transaction, with its
        event. A repeat is a no-op, whatever became of its statements.

        Raises RotationRefused, RequestRefused, EvidenceRefused (both of orion.kms.custody),
        WrongNetwork, CustodyAccountNotFound, AccountDiffers, DatabaseUnavailable.
        """
        at = self.now()
        # Before the holder: a set that comes to hold the wallet in between is not a former one.
        known_sets = self.store.sets_of(request.group_no, request.kind)
        rows = self.store.holding(request.group_no, request.kind)
        present = self._held(request, [row.account for row in rows])
        target = check_target(
            self.store.known_set(request.target_set),
            request,
            present[0].place.set_no,
            known_sets,
        )
        if target is None:
            return Rotated(None, request.target_set, new=False)
        accounts = rotated_accounts(present, target)
        statements = self._statements(request.statements)
        final_at = checked_statements(statements, accounts, set_digest(target), at)
        rotation = Rotation(
            request.group_no,
            request.kind,
            present[0].place.set_no,
            target.set_no,
            accounts,
            final_at,
        )
        new = self.store.rotate(rotation, custody_rotated(rotation, request.trace_id, at), at)
        return Rotated(rotation.from_set if new else None, target.set_no, new)

    def _held(
        self, request: RotatedRequest, stored: Sequence[CustodyAccount]
    ) -> tuple[CustodyAccount, ...]:
        """The wallet's account of every chain of the stage under its present set."""
        if not stored or {account.place.chain for account in stored} != set(self.networks):
            raise CustodyAccountNotFound(
                "the group has no such wallet on every chain of the stage",
                group=request.group_no,
                wallet=request.kind.value,
            )
        return tuple(
            authenticated([account], self.anchors[account.place.chain])[0]
            if account.place.chain in self.anchors
            else verified(account)
            for account in stored
        )

    def _statements(self, given: object) -> tuple[Statement, ...]:
        # A stage of Bitcoin alone has nothing to state, and no list is read as empty otherwise.
        return () if given == [] else read_evidence(given, self.evidence_keys(), _PART)


def check_target(
    target: CustodySet | None,
    request: RotatedRequest,
    present_set: int,
    known_sets: AbstractSet[int],
) -> CustodySet | None:
    """The set that the wallet moves to; None where it is there already, by a rotation.
    `known_sets` are those that hold or held the wallet. Raises RotationRefused.

    A set that held the wallet before is refused: statements last a week, and a request of an
    earlier rotation that is sent again would otherwise move the wallet back.
    """
    if target is None:
        raise _refused(request, "set_not_registered", "the target set is not registered")
    if target.purpose is not request.kind:
        raise _refused(request, "other_purpose", "the target set is of the other purpose")
    if target.set_no == present_set:
        if not known_sets - {present_set}:
            raise _refused(request, "present_set", "the wallet was made with this set")
        return None
    if target.set_no in known_sets:
        raise _refused(request, "former_set", "the set held this wallet before")
    return target


def rotated_accounts(
    present: Sequence[CustodyAccount], target: CustodySet
) -> tuple[CustodyAccount, ...]:
    """The target set's account of each chain: on Ethereum and Tron at the same address, elsewhere
    at another one. Raises UnknownNetwork, MalformedAddress.
    """
    return tuple(
        custody(account.place.chain).account(
            replace(account.place, set_no=target.set_no), target.keys, _anchor(account)
        )
        for account in present
    )


def checked_statements(
    statements: Sequence[Statement],
    accounts: Sequence[CustodyAccount],
    digest: str,
    at: datetime,
) -> Mapping[str, int]:
    """The final block that each chain was seen in, by chain: one statement for every account whose
    holders its address does not tell, and no other. Raises EvidenceRefused, WrongNetwork.
    """
    by_chain = {account.place.chain: account for account in accounts}
    final_at: dict[str, int] = {}
    for statement in statements:
        account = by_chain.get(statement.chain)
        if (
            statement.kind is not Kind.HELD
            or statement.chain not in SEEN_CHAINS
            or account is None
            or statement.chain in final_at
        ):
            raise _evidence(statement.part, "not_wanted", "no word of who holds an account")
        if not statement.valid_at(at):
            raise _evidence(statement.part, "not_valid_now", "it has expired, or is yet to come")
        if statement.network != account.place.network:
            raise WrongNetwork("it speaks of another network", chain=statement.chain)
        if (statement.address, statement.set_digest) != (account.address, digest):
            raise _evidence(statement.part, "about_another", "another account, or another set")
        final_at[statement.chain] = statement.final_at
    for chain in sorted(SEEN_CHAINS & set(by_chain)):
        if chain not in final_at:
            raise _evidence(f"{_PART}.{chain}", "held_missing", "nobody says who holds the account")
    return final_at


def _anchor(account: CustodyAccount) -> str:
    if account.place.chain != "ethereum":
        return account.anchor
    from orion.chains.ethereum.custody import rotated_anchor

    return rotated_anchor(account)


def _refused(request: RotatedRequest, reason: str, detail: str) -> RotationRefused:
    return RotationRefused(
        detail,
        reason=reason,
        group=request.group_no,
        wallet=request.kind.value,
        set=request.target_set,
    )


def _evidence(part: str, reason: str, detail: str) -> EvidenceRefused:
    return EvidenceRefused(detail, reason=reason, part=part)
