"""moneyin's work: load, let the model decide, store. Each entry is one transaction
(docs/moneyin.md).
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from orion.chains.blocks import Transfer
from orion.ids import fact_id
from orion.moneyin import pool
from orion.moneyin.errors import ForeignStream
from orion.moneyin.events import (
    BlockEvent,
    Connected,
    read_addresses,
    read_block_event,
    read_node_answer,
)
from orion.moneyin.messages import (
    Message,
    change_messages,
    resume_answer,
    resume_unasked,
)
from orion.moneyin.model import (
    Change,
    Inclusion,
    block_changes,
    candidates,
    deposit_id,
    payments,
    restate,
    reverse,
)
from orion.moneyin.policy import ChainPolicy, Policy, decides
from orion.moneyin.ports import Store, Unit
from orion.moneyin.window import Decision, Meaning, Window, connect, disconnect
from orion.records import Record, parse_json

BLOCKS_TOPIC = "chain.blocks."
RESUME_REPEAT = timedelta(seconds=5)

_log = logging.getLogger(__name__)


class MoneyIn:
    """The module's four entries. Each returns how many messages it left in the outbox."""

    def __init__(self, store: Store, policy: Policy) -> None:
        self._store = store
        self._policy = policy

    def blocks(self, records: Sequence[Record], now: datetime) -> int:
        """Block events of one partition, in order, all or none.

        Raises MalformedEvent or ForeignStream for a record that cannot be followed: nothing of the
        batch has happened.
        """
        return self._store.once(records, lambda unit, new: self._blocks(unit, new, now))

    def _blocks(self, unit: Unit, records: Sequence[Record], now: datetime) -> int:
        batch = _Batch(unit, self._policy, now)
        for record in records:
            batch.apply(record)
        return batch.finish()

    def node_answers(self, records: Sequence[Record], now: datetime) -> int:
        """Agents' questions where to go on, each answered with the newest blocks of its node's
        window.
        """

        def work(unit: Unit, new: Sequence[Record]) -> int:
            messages = []
            for record in new:
                request = read_node_answer(parse_json(record.value))
                if request is None:
                    continue
                recent = unit.window(request.chain, request.node).recent()
                messages.append(resume_answer(request, recent))
            unit.emit(messages, now)
            return len(messages)

        return self._store.once(records, work)

    def addresses(self, records: Sequence[Record]) -> int:
        """Wallets that kms derived, stored by primary key; how many addresses were new.

        Raises AddressConflict, and stores nothing of the batch, when an answer contradicts a stored
        address.
        """

        def work(unit: Unit, new: Sequence[Record]) -> int:
            count = 0
            for record in new:
                extension = read_addresses(parse_json(record.value))
                if unit.add_new(extension):
                    count += sum(len(wallet.addresses) for wallet in extension.wallets)
                    continue
                added = pool.new_addresses(extension, unit.known_addresses(extension))
                unit.add_wallets(extension, added)
                count += len(added)
            return count

        return self._store.once(records, work)

    def pool_level(self, trace_id: str, now: datetime) -> int:
        """Ask kms for more wallets when the pool is low and no answer is awaited."""

        def work(unit: Unit) -> int:
            newest = unit.newest_request()
            free = unit.free_wallets(pool.LOW_MARK)
            start = pool.range_after(newest)
            if free < pool.LOW_MARK:
                start = unit.first_missing(*start)
            request = pool.next_request(newest, free, now, start=start)
            if request is None:
                return 0
            unit.save_request(request)
            unit.emit([pool.request_message(request, trace_id)], now)
            return 1

        return self._store.run(work)


class _Batch:
    """The events of one partition inside one transaction. Windows are stored once, at the end."""

    def __init__(self, unit: Unit, policy: Policy, now: datetime) -> None:
        self._unit = unit
        self._policy = policy
        self._now = now
        self._before: dict[tuple[str, str], Window] = {}
        self._windows: dict[tuple[str, str], Window] = {}
        self._deciding: dict[str, str] = {}
        self._messages: list[Message] = []

    def apply(self, record: Record) -> None:
        event = read_block_event(parse_json(record.value))
        if record.topic != BLOCKS_TOPIC + event.chain:
            # A topic belongs to one chain's agents: one agent must not speak for another chain.
            raise ForeignStream("a block of another chain than its topic's", topic=record.topic)
        policy = self._policy.of(event.chain, event.network)
        key = (event.chain, event.node)
        if event.chain not in self._deciding:
            self._deciding[event.chain] = self._unit.deciding_node(*key)
        if key not in self._windows:
            self._before[key] = self._windows[key] = self._unit.window(*key)
        if isinstance(event, Connected):
            self._connected(event, policy, record)
        else:
            self._unit.drop_staged(*key)
            decision = disconnect(self._windows[key], event.block)
            if decision.meaning is Meaning.DISCONNECT:
                self._move(event, decision, (), policy)

    def _connected(self, event: Connected, policy: ChainPolicy, record: Record) -> None:
        key = (event.chain, event.node)
        decision = connect(self._windows[key], event.block)
        if decision.meaning is Meaning.REPEAT:
            return
        if decision.meaning is Meaning.GAP:
            self._gap(event, record)
            return
        if event.parts == 1:
            self._move(event, decision, event.transfers, policy)
            return
        block_hash = event.block.hash
        if event.part == 0:
            self._unit.drop_staged(*key)
        self._unit.stage(*key, block_hash, event.part, self._ours(event, policy))
        if not event.last:
            return
        staged = self._unit.staged(*key, block_hash)
        if len(staged) < event.parts:
            self._gap(event, record)
            return
        transfers = [transfer for _, part in sorted(staged.items()) for transfer in part]
        self._unit.drop_staged(*key)
        self._move(event, decision, transfers, policy)

    def _ours(self, event: Connected, policy: ChainPolicy) -> Sequence[Transfer]:
        wanted = candidates(event.transfers, policy)
        watched = self._unit.watched(event.chain, {t.recipient for t in wanted})
        return [transfer for transfer in wanted if transfer.recipient in watched]

    def _gap(self, event: Connected, record: Record) -> None:
        key = (event.chain, event.node)
        sent_at = self._unit.resume_sent_at(*key)
        if sent_at is not None and self._now - sent_at < RESUME_REPEAT:
            return
        self._unit.set_resume_sent(*key, self._now)
        event_id = fact_id("resume_unasked", *key, record.topic, record.partition, record.offset)
        recent = self._windows[key].recent()
        self._messages.append(resume_unasked(event.trace_id, *key, recent, event_id))
        _log.warning("gap", extra={"chain": key[0], "node": key[1], "height": event.block.height})

    def _move(
        self,
        event: BlockEvent,
        decision: Decision,
        transfers: Sequence[Transfer],
        policy: ChainPolicy,
    ) -> None:
        key = (event.chain, event.node)
        self._windows[key] = decision.after
        if self._unit.resume_sent_at(*key) is not None:
            self._unit.set_resume_sent(*key, None)
        if not decides(event.node, self._deciding[event.chain], policy.nodes):
            return
        tip = decision.after.tip
        tip_height = tip.height if tip else event.block.height - 1
        changes = [*self._reverse(event, decision, tip_height), *self._restate(event, tip_height)]
        if isinstance(event, Connected):
            changes += self._include(event, transfers, policy)
        self._messages += change_messages(changes, trace_id=event.trace_id, now=self._now)

    def _reverse(self, event: BlockEvent, decision: Decision, tip_height: int) -> Sequence[Change]:
        if not decision.removed:
            return ()
        hashes = [block.hash for block in decision.removed]
        standing = self._unit.deposits_in(event.chain, hashes)
        changes = [change for d in standing if (change := reverse(d, tip_height)) is not None]
        for change in changes:
            if change.lost_final:
                _log.error(
                    "a final deposit lost its block",
                    extra={"deposit_id": change.deposit.id.hex(), "chain": event.chain},
                )
        return self._saved(changes, event)

    def _restate(self, event: BlockEvent, tip_height: int) -> Sequence[Change]:
        moved = self._unit.deposits_moved_by(event.chain, tip_height)
        changes = [change for d in moved if (change := restate(d, tip_height)) is not None]
        return self._saved(changes, event)

    def _include(
        self, event: Connected, transfers: Sequence[Transfer], policy: ChainPolicy
    ) -> Sequence[Change]:
        wanted = candidates(transfers, policy)
        watched = self._unit.watched(event.chain, {t.recipient for t in wanted})
        found = payments(wanted, watched, policy)
        known = self._unit.deposits({deposit_id(event.chain, p.transfer) for p in found})
        inclusion = Inclusion(event.block.height, event.block.hash, event.time)
        return self._saved(block_changes(found, known, inclusion, policy), event)

    def _saved(self, changes: Sequence[Change], event: BlockEvent) -> Sequence[Change]:
        if changes:
            self._unit.save(changes, trace_id=event.trace_id, now=self._now)
        return changes

    def finish(self) -> int:
        """Store the windows and the outbox rows; how many messages there are."""
        for (chain, node), after in self._windows.items():
            self._unit.save_window(chain, node, self._before[chain, node], after)
        self._unit.emit(self._messages, self._now)
        return len(self._messages)
