"""Registration of custody sets, and what an auditor is told of the accounts that they hold."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from orion.chains.spend import CUSTODIANS, THRESHOLD, CustodyKeys, custody
from orion.kms.custody.evidence import check_enrolment
from orion.kms.custody.request import EnrolledSet
from orion.kms.custody.statements import EvidenceKeys, read_evidence
from orion.kms.groups import CustodySet
from orion.kms.signing.accounts import verified
from orion.kms.signing.errors import CustodySetDiffers
from orion.kms.signing.events import set_registered
from orion.kms.signing.model import AccountRow, ExportRequest, Place, ProposedSet, SetsRequest
from orion.kms.signing.points import check_different, check_set
from orion.kms.signing.ports import SetStore


@dataclass(frozen=True, slots=True)
class Registered:
    """Numbers of the sets that are new, and of those that were there before."""

    new: tuple[int, ...]
    known: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Accounts and the sets that they name, as JSON values; `after` is where the next page begins,
    None at the end.
    """

    accounts: tuple[Mapping[str, object], ...]
    sets: tuple[Mapping[str, object], ...]
    after: Place | None


@dataclass(frozen=True, slots=True)
class CustodyRegister:
    """Public keys of custody sets. `evidence_keys` are those that the custodians were given."""

    store: SetStore
    evidence_keys: Callable[[], EvidenceKeys]
    now: Callable[[], datetime]

    def register(self, request: SetsRequest) -> Registered:
        """Store the sets, each with its event. All are checked before the first one is stored. A
        set that is stored already is a no-op, whatever became of its approvals.

        Raises MalformedPublicKey, KeyInTwoPlaces, CustodySetDiffers, EvidenceRefused,
        RequestRefused (both of orion.kms.custody), DatabaseUnavailable.
        """
        sets = [proposed.found for proposed in request.sets]
        for found in sets:
            check_set(found)
        check_different(sets)
        at = self.now()
        for place, proposed in enumerate(request.sets):
            if not self._is_known(proposed.found):
                self._check_approved(proposed, f"sets[{place}].evidence", at)
        added = {
            found.set_no: self.store.add_set(found, set_registered(found, request.trace_id, at), at)
            for found in sets
        }
        return Registered(
            new=tuple(number for number, new in added.items() if new),
            known=tuple(number for number, new in added.items() if not new),
        )

    def _is_known(self, found: CustodySet) -> bool:
        stored = self.store.known_set(found.set_no)
        if stored not in (None, found):
            raise CustodySetDiffers("the set is registered otherwise", set=found.set_no)
        return stored is not None

    def _check_approved(self, proposed: ProposedSet, part: str, at: datetime) -> None:
        """The same two approvals as custodians want, of these very keys and this purpose."""
        statements = read_evidence(proposed.evidence, self.evidence_keys(), part)
        check_enrolment(set_digest(proposed.found), statements, (at,), part)


@dataclass(frozen=True, slots=True)
class CustodyExport:
    """Public descriptions of custody accounts."""

    store: SetStore

    def page(self, request: ExportRequest) -> Page:
        """The next accounts, every address computed again before it is told.

        Raises AccountDiffers, UnknownChain, DatabaseUnavailable.
        """
        rows = self.store.page(request)
        full = len(rows) == request.limit
        return Page(
            accounts=tuple(_described(row) for row in rows),
            sets=_sets(rows),
            after=rows[-1].place() if full else None,
        )


def set_digest(found: CustodySet) -> str:
    """What statements about a set name it by."""
    return EnrolledSet(found.set_no, found.purpose, found.keys).digest()


def _described(row: AccountRow) -> Mapping[str, object]:
    account = verified(row.account)
    place = account.place
    return {
        "group": place.group_no,
        "wallet": place.kind.value,
        "chain": place.chain,
        "network": place.network,
        "set": place.set_no,
        "held_by_set": row.holding_set_no,
        "anchor": account.anchor,
        "address": account.address,
        "created_at": row.created_at,
        "on_chain_at": row.on_chain_at,
        "description": dict(custody(place.chain).describe(account)),
    }


def _sets(rows: Sequence[AccountRow]) -> tuple[Mapping[str, object], ...]:
    found: dict[int, tuple[str, CustodyKeys]] = {}
    for row in rows:
        place = row.account.place
        found[place.set_no] = (place.kind.value, row.account.keys)
    return tuple(
        {
            "set": set_no,
            "purpose": purpose,
            "threshold": THRESHOLD,
            "custodians": CUSTODIANS,
            "secp256k1": [key.hex() for key in keys.secp256k1],
            "ed25519": [key.hex() for key in keys.ed25519],
        }
        for set_no, (purpose, keys) in sorted(found.items())
    )
