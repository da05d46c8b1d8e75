"""Creates groups and derives their wallets. Seeds are open only while the keys that addresses
follow from are derived.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from orion.kms.errors import GroupNotFound
from orion.kms.keys.branches import wallet_keys
from orion.kms.model import (
    NO_TRACE,
    Message,
    Networks,
    PoolRequest,
    WalletGroup,
    address_messages,
    extend_pool_request,
    group_created,
)
from orion.kms.ports import GroupStore, SeedVault
from orion.records import Record, parse_json
from orion.wallet.addresses import WalletAddresses, addresses


@dataclass(frozen=True, slots=True)
class Derived:
    """What a call of `derive` told the others."""

    group_no: int
    first_index: int
    count: int
    records: int


@dataclass(frozen=True, slots=True)
class WalletService:
    """The kms module's use cases."""

    vault: SeedVault
    store: GroupStore
    networks: Networks
    now: Callable[[], datetime]

    def create_group(self, group_no: int, trace_id: str = NO_TRACE) -> WalletGroup:
        """The group, with a seed. Idempotent: a loser of a race drops its own seed and uses the
        stored one.

        Raises SeedVaultUnavailable, DatabaseUnavailable; repeating is always safe.
        """
        found = self.store.find(group_no)
        if found is not None:
            return found
        sealed = self.vault.seal_new(group_no)
        now = self.now()
        group = WalletGroup(group_no, sealed, now)
        return self.store.add(group, group_created(group_no, sealed.key_arn, trace_id, now))

    def derive(self, request: PoolRequest) -> Derived:
        """Publish the addresses of a range. Repeating derives the same and publishes nothing new.

        Raises GroupNotFound, SeedRefused, SeedVaultUnavailable, InvalidChildKey,
        DatabaseUnavailable.
        """
        messages = self._messages(request)
        self.store.publish(messages, self.now())
        wallets = request.wallets
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

    def _messages(self, request: PoolRequest) -> Sequence[Message]:
        group = self.store.find(request.group_no)
        if group is None:
            raise GroupNotFound("the group has no seed", group=request.group_no)
        return list(address_messages(request, self._wallets(group, request), self.networks))

    def _wallets(self, group: WalletGroup, request: PoolRequest) -> Sequence[WalletAddresses]:
        with self.vault.opened(group.group_no, group.seed) as seed:
            keys = wallet_keys(seed, self.networks.by_chain(), request.wallets)
        return list(addresses(keys))
