"""The address pool: when to ask kms for more wallets, and for which. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from orion.ids import fact_id
from orion.moneyin.errors import AddressConflict
from orion.moneyin.events import PoolExtension
from orion.moneyin.messages import Message

LOW_MARK = 500
RANGE_WALLETS = 500
GROUP_WALLETS = 10_000
REPEAT_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class PoolRequest:
    """A range asked of kms. `attempt` counts from 1; `present` are the wallets of the range that
    arrived.
    """

    group: int
    first_index: int
    count: int
    attempt: int
    requested_at: datetime
    present: int = 0

    @property
    def answered(self) -> bool:
        return self.present >= self.count


def range_after(newest: PoolRequest | None) -> tuple[int, int]:
    """Group and first index of the range that follows the last one asked for."""
    if newest is None:
        return (0, 0)
    first = newest.first_index + newest.count
    return (newest.group, first) if first < GROUP_WALLETS else (newest.group + 1, 0)


def next_request(
    newest: PoolRequest | None, free: int, now: datetime, *, start: tuple[int, int] | None = None
) -> PoolRequest | None:
    """What to ask now, if anything. Ranges follow each other without gaps, group after group.

    `start` is the first wallet from `range_after` on that is not stored (a batch of groups makes
    wallets that nobody here asked for). An unanswered request is asked again, whole, after five
    minutes, whatever the level: half a range is a gap.
    """
    if newest is not None and not newest.answered:
        if now - newest.requested_at < REPEAT_AFTER:
            return None
        return PoolRequest(newest.group, newest.first_index, newest.count, newest.attempt + 1, now)
    if free >= LOW_MARK:
        return None
    group, first = start or range_after(newest)
    return PoolRequest(group, first, min(RANGE_WALLETS, GROUP_WALLETS - first), 1, now)


def request_message(request: PoolRequest, trace_id: str) -> Message:
    """The record that asks kms for the range."""
    return Message(
        topic="wallet.requests",
        key=str(request.group),
        body={
            "v": 1,
            "trace_id": trace_id,
            "kind": "extend_pool",
            "group": request.group,
            "first_index": request.first_index,
            "count": request.count,
        },
        event_id=fact_id(
            "extend_pool", request.group, request.first_index, request.count, request.attempt
        ),
    )


@dataclass(frozen=True, slots=True)
class AddressRow:
    """A row of `address`."""

    chain: str
    address: str
    group: int
    index: int


def new_addresses(extension: PoolExtension, known: Sequence[AddressRow]) -> Sequence[AddressRow]:
    """The addresses of an answer that are not stored yet.

    `known` are the stored rows of the answer's wallets and of its addresses. Raises AddressConflict
    when the answer names another address for a known place, or one address for two places: deposits
    would go to a key nobody expects.
    """
    by_place = {(row.group, row.index, row.chain): row.address for row in known}
    by_address: dict[tuple[str, str], tuple[int, int]] = {
        (row.chain, row.address): (row.group, row.index) for row in known
    }
    added = []
    for wallet in extension.wallets:
        for chain, address in sorted(wallet.addresses.items()):
            row = AddressRow(chain, address, extension.group, wallet.index)
            place = (row.group, row.index)
            stored = by_place.get((*place, chain))
            holder = by_address.setdefault((chain, address), place)
            if (stored is not None and stored != address) or holder != place:
                raise AddressConflict(
                    "kms named an address that contradicts a stored one",
                    chain=chain,
                    group=row.group,
                    index=row.index,
                )
            if stored is None:
                added.append(row)
    return added


def wanted_places(extension: PoolExtension) -> Mapping[str, Sequence[str]]:
    """The addresses of an answer by chain."""
    by_chain: dict[str, list[str]] = {}
    for wallet in extension.wallets:
        for chain, address in wallet.addresses.items():
            by_chain.setdefault(chain, []).append(address)
    return by_chain
