"""Creates groups and derives their wallets. Seeds are open only while the keys that addresses
follow from are derived.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from orion.chains.spend import WalletKind
from orion.kms.batch import ToldRange, networks_id
from orion.kms.errors import GroupNotFound, GroupsMadeTooFast
from orion.kms.groups import (
    ChainKey,
    CustodyPlan,
    CustodySet,
    GroupContents,
    Holdings,
    checked_sets,
    custody_accounts,
)
from orion.kms.keys.branches import wallet_keys
from orion.kms.keys.chain_keys import chain_keys, tron_custody_address
from orion.kms.model import (
    MAX_GROUP,
    NO_TRACE,
    TRON_CUSTODY,
    Message,
    Networks,
    PoolRequest,
    WalletGroup,
    address_messages,
    chain_key_names,
    extend_pool_request,
    group_created,
)
from orion.kms.ports import ChainKeyVault, GroupStore, SeedVault
from orion.kms.requested import check_turn, judged_by
from orion.kms.seed import overwrite
from orion.records import Record, parse_json
from orion.wallet.addresses import WalletAddresses, addresses

_TRON_PLACES: Mapping[WalletKind, int] = {WalletKind.HOT: 0, WalletKind.WARM: 1}


@dataclass(frozen=True, slots=True)
class Derived:
    """What a call of `derive` told the others; `new` is False where it had been told before."""

    group_no: int
    first_index: int
    count: int
    records: int
    new: bool = True


@dataclass(frozen=True, slots=True)
class WalletService:
    """The kms module's use cases."""

    vault: SeedVault
    chain_vault: ChainKeyVault
    store: GroupStore
    networks: Networks
    custody: CustodyPlan
    now: Callable[[], datetime]

    def create_group(self, group_no: int, trace_id: str = NO_TRACE) -> WalletGroup:
        """The group, with a seed, chain keys, and one hot and one warm wallet on every chain.

        Idempotent: a loser of a race drops its own seed and uses the stored one; what an existing
        group lacks (a chain that the stage got since) is added from its seed. Raises
        CustodySetsMissing, GroupWithoutCustody, UnusableNetworks, SeedRefused,
        SeedVaultUnavailable, DatabaseUnavailable; repeating is always safe.
        """
        stored = self.store.find(group_no)
        held = self.store.holdings(group_no)
        chains = self.networks.by_chain()
        if stored is not None and held.complete(chain_key_names(chains), chains):
            return stored
        sets = self._sets(group_no, held)
        now = self.now()
        # The seed is opened again for its chain keys: what cannot be opened is never stored.
        group = stored or WalletGroup(group_no, self.vault.seal_new(group_no), now)
        contents = self._contents(group, sets, now)
        created = group_created(
            group_no,
            group.seed.key_arn,
            {kind.value: found.set_no for kind, found in sets.items()},
            trace_id,
            now,
        )
        return self.store.add(contents, created)

    def make_asked(self, records: Sequence[Record]) -> Sequence[int]:
        """Make the groups that requests of one partition need and that are not there: the one asked
        for, and one ahead, so that whoever derives finds it. Which they made.

        Needs no fence: a group that exists is left as it is, whatever it may lack. Raises
        MalformedRequest, GroupOutOfTurn, GroupsMadeTooFast, and what `create_group` raises; the
        groups made before stay. A group ahead that is too fast is left to a later request.
        """
        made = []
        for record in records:
            request = extend_pool_request(parse_json(record.value))
            asked, ahead = request.group_no, request.group_no + 1
            if self._make_next(asked, request.trace_id):
                made.append(asked)
            try:
                if ahead <= MAX_GROUP and self._make_next(ahead, request.trace_id):
                    made.append(ahead)
            except GroupsMadeTooFast:
                continue
        return made

    def derive(self, request: PoolRequest) -> Derived:
        """Publish the addresses of a range. Repeating derives the same and publishes nothing new.

        Raises GroupNotFound, SeedRefused, SeedVaultUnavailable, InvalidChildKey,
        DatabaseUnavailable.
        """
        messages = self._messages(request)
        self.store.publish(messages, self.now())
        wallets = request.wallets
        return Derived(request.group_no, wallets.first_index, wallets.count, len(messages))

    def derive_once(self, request: PoolRequest) -> Derived:
        """As `derive`, but a range that a batch has told is passed over without opening the seed,
        and of two that derive it at the same time one tells it.
        """
        wallets = request.wallets
        done = Derived(request.group_no, wallets.first_index, wallets.count, 0, new=False)
        told = ToldRange(request.group_no, wallets, networks_id(self.networks), request.trace_id)
        if self.store.was_told(told):
            return done
        messages = self._messages(request)
        if not self.store.tell_range(told, messages, self.now()):
            return done
        return Derived(request.group_no, wallets.first_index, wallets.count, len(messages))

    def consume(self, records: Sequence[Record]) -> int:
        """Answer the requests of one partition, each once; how many were new.

        All are derived before the transaction begins, so that no lock waits for KMS. A record
        that cannot be answered raises, and none of the batch has an effect.
        """
        answers = {
            record.offset: self._messages(extend_pool_request(parse_json(record.value)))
            for record in records
        }
        return self.store.publish_once(records, lambda record: answers[record.offset], self.now())

    def _make_next(self, group_no: int, trace_id: str) -> bool:
        made_at = self.store.made_at(judged_by(group_no))
        if group_no in made_at:
            return False
        check_turn(group_no, made_at, self.now())
        self.create_group(group_no, trace_id)
        return True

    def _sets(self, group_no: int, held: Holdings) -> Mapping[WalletKind, CustodySet]:
        """The sets that hold the group's wallets: the stored ones, for a rotation may have changed
        them, else those of the deployment.
        """
        numbers = held.sets or self.custody.sets_of(group_no)
        return checked_sets(numbers, self.store.custody_sets(set(numbers.values())))

    def _contents(
        self, group: WalletGroup, sets: Mapping[WalletKind, CustodySet], now: datetime
    ) -> GroupContents:
        networks = self.networks.by_chain()
        with self.vault.opened(group.group_no, group.seed) as seed:
            keys = chain_keys(seed, networks)
        try:
            anchors = (
                {
                    kind: tron_custody_address(keys[TRON_CUSTODY], place)
                    for kind, place in _TRON_PLACES.items()
                }
                if TRON_CUSTODY in keys
                else {}
            )
            sealed = tuple(
                ChainKey(name, self.chain_vault.seal(group.group_no, name, key))
                for name, key in keys.items()
            )
        finally:
            for key in keys.values():
                overwrite(key)
        return GroupContents(
            group=group,
            chain_keys=sealed,
            sets={kind: found.set_no for kind, found in sets.items()},
            accounts=custody_accounts(group.group_no, networks, sets, anchors, self.custody),
            created_at=now,
        )

    def _messages(self, request: PoolRequest) -> Sequence[Message]:
        group = self.store.find(request.group_no)
        if group is None:
            raise GroupNotFound("the group has no seed", group=request.group_no)
        return list(address_messages(request, self._wallets(group, request), self.networks))

    def _wallets(self, group: WalletGroup, request: PoolRequest) -> Sequence[WalletAddresses]:
        with self.vault.opened(group.group_no, group.seed) as seed:
            keys = wallet_keys(seed, self.networks.by_chain(), request.wallets)
        return list(addresses(keys))
