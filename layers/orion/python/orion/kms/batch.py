"""A batch of wallet groups: what is still to do, range by range."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from orion.ids import fact_id
from orion.kms.errors import MalformedRequest
from orion.kms.model import MAX_GROUP, Networks, check_trace
from orion.wallet.addresses import GROUP_WALLETS, MAX_RANGE, WalletRange

# A plan of 1,000 untouched groups is 72 KB; what passes between states has at most 256 KB
# (Step Functions, "Quotas").
MAX_GROUPS = 1_000
RANGES = range(0, GROUP_WALLETS, MAX_RANGE)
_CALL_FIELDS = frozenset({"first_group", "groups", "trace_id"})


@dataclass(frozen=True, slots=True)
class Batch:
    """All wallets of consecutive groups."""

    first_group: int
    groups: int
    trace_id: str

    def numbers(self) -> range:
        """The groups, in order."""
        return range(self.first_group, self.first_group + self.groups)


@dataclass(frozen=True, slots=True)
class ToldRange:
    """A range whose wallets a batch told moneyin. `networks_id` names the networks that they were
    derived for: a stage that gets a chain has told none of its ranges.
    """

    group_no: int
    wallets: WalletRange
    networks_id: bytes
    trace_id: str


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """The ranges of a group that are still to be told."""

    group_no: int
    first_indexes: tuple[int, ...]


def batch_call(body: Mapping[str, object], new_trace_id: str) -> Batch:
    """Read a state machine's call: first_group, groups, and trace_id if it has one.

    Raises MalformedRequest.
    """
    if not _CALL_FIELDS - {"trace_id"} <= set(body) <= _CALL_FIELDS:
        raise MalformedRequest("a batch has the fields first_group and groups")
    first, count = body["first_group"], body["groups"]
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MAX_GROUPS:
        raise MalformedRequest(f"a batch has 1 to {MAX_GROUPS} groups", field="groups")
    if (
        not isinstance(first, int)
        or isinstance(first, bool)
        or not 0 <= first <= MAX_GROUP + 1 - count
    ):
        raise MalformedRequest(f"groups are 0 to {MAX_GROUP}", field="first_group")
    return Batch(first, count, check_trace(body.get("trace_id", new_trace_id)))


def networks_id(networks: Networks) -> bytes:
    """The identity of what a range was derived for."""
    return fact_id("wallet_networks", *networks.identity())


def plan(batch: Batch, told: AbstractSet[tuple[int, int]]) -> Sequence[GroupPlan]:
    """What is left to do, group by group. A range is told only after its group has everything, so
    a group without ranges left is complete.
    """
    plans = (
        GroupPlan(group_no, tuple(first for first in RANGES if (group_no, first) not in told))
        for group_no in batch.numbers()
    )
    return [found for found in plans if found.first_indexes]
