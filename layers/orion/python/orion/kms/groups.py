"""What a group consists of beside its seed: chain keys for the sweep signers, and one hot and one
warm wallet on every chain.
"""

import itertools
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from orion.chains.spend import (
    CustodyAccount,
    CustodyKeys,
    CustodyPlace,
    WalletKind,
    custody,
)
from orion.kms.errors import (
    CustodySetsMissing,
    GroupWithoutCustody,
    UnusableCustodyGroups,
    UnusableNetworks,
)
from orion.kms.model import MAX_GROUP, SealedSeed, WalletGroup

MAX_ROWS = 1_000
_ROW_FIELDS = frozenset({"first_group", "last_group", "hot", "warm"})
_MAX_SET = 2**31 - 1

SetNumbers = Mapping[WalletKind, int]


@dataclass(frozen=True, slots=True)
class CustodyRow:
    """The sets of the groups `first_group` to `last_group`, both included."""

    first_group: int
    last_group: int
    hot: int
    warm: int


@dataclass(frozen=True, slots=True)
class CustodyPlan:
    """What a deployment says of custody: the parameters `custody/groups` and
    `custody/solana-fee-payer` (None on a stage without Solana).
    """

    rows: tuple[CustodyRow, ...]
    solana_fee_payer: str | None = None

    def sets_of(self, group_no: int) -> SetNumbers:
        """The set numbers of a group's two wallets. Raises GroupWithoutCustody."""
        for row in self.rows:
            if row.first_group <= group_no <= row.last_group:
                return {WalletKind.HOT: row.hot, WalletKind.WARM: row.warm}
        raise GroupWithoutCustody("custody/groups names no sets for this group", group=group_no)


@dataclass(frozen=True, slots=True)
class CustodySet:
    """A registered set: ten public keys and the one purpose that it has for ever."""

    set_no: int
    purpose: WalletKind
    keys: CustodyKeys


@dataclass(frozen=True, slots=True)
class ChainKey:
    """A chain's account key as it is stored; `name` as in `model.chain_key_names`."""

    name: str
    sealed: SealedSeed


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is stored of a group: names of its chain keys, the chains of each wallet's accounts, and
    the sets that hold its wallets now.
    """

    chain_keys: frozenset[str]
    accounts: frozenset[tuple[WalletKind, str]]
    sets: SetNumbers

    def complete(self, key_names: Collection[str], chains: Collection[str]) -> bool:
        """Whether nothing is missing for these chains."""
        wanted = {(kind, chain) for kind in WalletKind for chain in chains}
        return (
            self.chain_keys.issuperset(key_names)
            and self.accounts >= wanted
            and set(self.sets) == set(WalletKind)
        )


@dataclass(frozen=True, slots=True)
class GroupContents:
    """A group with all that is stored with its seed in one transaction."""

    group: WalletGroup
    chain_keys: tuple[ChainKey, ...]
    sets: SetNumbers
    accounts: tuple[CustodyAccount, ...]
    created_at: datetime


def read_custody_groups(text: str) -> tuple[CustodyRow, ...]:
    """The parameter `custody/groups`: a JSON list of rows whose groups do not overlap, where no set
    is hot in one row and warm in another. Raises UnusableCustodyGroups.
    """
    try:
        listed = json.loads(text)
    except ValueError as exc:
        raise UnusableCustodyGroups("not JSON") from exc
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_ROWS:
        raise UnusableCustodyGroups(f"a list of 1 to {MAX_ROWS} rows")
    rows = tuple(sorted((_row(entry) for entry in listed), key=lambda row: row.first_group))
    for before, after in itertools.pairwise(rows):
        if after.first_group <= before.last_group:
            raise UnusableCustodyGroups("two rows name one group", group=after.first_group)
    shared = {row.hot for row in rows} & {row.warm for row in rows}
    if shared:
        raise UnusableCustodyGroups("a set is hot and warm", set=min(shared))
    return rows


def checked_sets(
    numbers: SetNumbers, found: Mapping[int, CustodySet]
) -> Mapping[WalletKind, CustodySet]:
    """The registered sets of a group's wallets. Raises CustodySetsMissing where one is not
    registered, or is registered for the other purpose.
    """
    for kind, set_no in numbers.items():
        known = found.get(set_no)
        if known is None or known.purpose is not kind:
            raise CustodySetsMissing(
                "the deployment registers custody sets before the first group",
                set=set_no,
                purpose=kind.value,
            )
    return {kind: found[set_no] for kind, set_no in numbers.items()}


def custody_accounts(
    group_no: int,
    networks: Mapping[str, str],
    sets: Mapping[WalletKind, CustodySet],
    tron_anchors: Mapping[WalletKind, str],
    plan: CustodyPlan,
) -> tuple[CustodyAccount, ...]:
    """The accounts of both wallets on every chain. `tron_anchors` are the addresses that the
    group's own keys name on Tron. Raises UnusableNetworks where Solana has no fee payer.
    """
    return tuple(
        custody(chain).account(
            CustodyPlace(chain, network, group_no, kind, sets[kind].set_no),
            sets[kind].keys,
            _anchor(chain, kind, tron_anchors, plan),
        )
        for kind in sorted(sets)
        for chain, network in sorted(networks.items())
    )


def _anchor(
    chain: str, kind: WalletKind, tron_anchors: Mapping[WalletKind, str], plan: CustodyPlan
) -> str:
    match chain:
        case "tron":
            return tron_anchors[kind]
        case "solana":
            if plan.solana_fee_payer is None:
                raise UnusableNetworks(
                    "Solana's accounts follow from a fee payer",
                    parameter="custody/solana-fee-payer",
                )
            return plan.solana_fee_payer
    return ""


def _row(entry: object) -> CustodyRow:
    if not isinstance(entry, dict) or set(entry) != _ROW_FIELDS:
        raise UnusableCustodyGroups("a row has first_group, last_group, hot and warm")
    numbers = {name: _number(entry[name], name) for name in _ROW_FIELDS}
    row = CustodyRow(**numbers)
    if not row.first_group <= row.last_group <= MAX_GROUP:
        raise UnusableCustodyGroups("a row's groups are not in order", group=row.first_group)
    return row


def _number(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_SET:
        raise UnusableCustodyGroups("a row has whole numbers", field=name)
    return value
