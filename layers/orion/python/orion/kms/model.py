"""Groups, requests for wallets, and the messages that leave the module."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from orion.ids import fact_id
from orion.kms.errors import MalformedRequest, UnusableNetworks
from orion.wallet.addresses import WalletAddresses, WalletRange

MAX_GROUP = 2**31 - 1
WALLETS_A_RECORD = 500
NO_TRACE = "0" * 32
SEED_PURPOSE = "wallet-seed"
# The node whose keys name a group's two custody accounts on Tron.
TRON_CUSTODY = "tron-custody"
_TRACE = re.compile(r"[0-9a-f]{32}\Z", re.ASCII)
_EXTEND_FIELDS = frozenset({"v", "trace_id", "kind", "group", "first_index", "count"})
_CALL_FIELDS = frozenset({"group", "first_index", "count", "trace_id"})


@dataclass(frozen=True, slots=True)
class SealedSeed:
    """A seed as it is stored: the encrypted message, and the ARN of the KMS key that it was made
    under.
    """

    ciphertext: bytes
    key_arn: str


@dataclass(frozen=True, slots=True)
class WalletGroup:
    """A group that has a seed."""

    group_no: int
    seed: SealedSeed
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks that addresses are written for: names, and a decimal chain id for Ethereum. A
    stage without Tron or Solana has no addresses there.
    """

    bitcoin: str
    ethereum: str
    tron: str | None = None
    solana: str | None = None

    @classmethod
    def read(cls, document: Mapping[str, object]) -> "Networks":
        """From the parameter `chains/networks`. Raises UnusableNetworks."""
        named = {}
        for chain in ("bitcoin", "ethereum", "tron", "solana"):
            network = document.get(chain)
            if isinstance(network, str) and network:
                named[chain] = network
            elif chain in document or chain not in ("tron", "solana"):
                raise UnusableNetworks("a chain has no network", parameter="chains/networks")
        return cls(**named)

    def by_chain(self) -> Mapping[str, str]:
        """The chains that wallets have an address on, each with its network."""
        optional = {"tron": self.tron, "solana": self.solana}
        present = {chain: network for chain, network in optional.items() if network is not None}
        return {"bitcoin": self.bitcoin, "ethereum": self.ethereum, **present}

    def identity(self) -> Sequence[str]:
        """What names these networks in an event's identity. With Tron or Solana a range is another
        event than without, and the identities of a stage with two chains are what they were.
        """
        present = self.by_chain()
        added = [f"{chain}:{present[chain]}" for chain in ("tron", "solana") if chain in present]
        return [self.bitcoin, self.ethereum, *added]


@dataclass(frozen=True, slots=True)
class PoolRequest:
    """Derive these wallets of this group."""

    group_no: int
    wallets: WalletRange
    trace_id: str


@dataclass(frozen=True, slots=True)
class Message:
    """A record for a topic, with the identity that makes its repetition one event."""

    topic: str
    key: str
    body: Mapping[str, object]
    event_id: bytes


def secret_context(group_no: int, purpose: str, stage: str) -> Mapping[str, str]:
    """What a secret's ciphertext is bound to (encryption context): exactly these three pairs."""
    return {"group": str(group_no), "purpose": purpose, "stage": stage}


def seed_context(group_no: int, stage: str) -> Mapping[str, str]:
    """The context of a group's seed."""
    return secret_context(group_no, SEED_PURPOSE, stage)


def chain_key_names(chains: Collection[str]) -> Sequence[str]:
    """The chain keys that a group has: one a chain, and one more on Tron."""
    return [*chains, *([TRON_CUSTODY] if "tron" in chains else [])]


def chain_key_purpose(name: str) -> str:
    """`purpose` in the context of a chain key: `sweep-<chain>`, or `tron-custody`."""
    return TRON_CUSTODY if name == TRON_CUSTODY else f"sweep-{name}"


def chain_key_alias(name: str) -> str:
    """Whose KMS key a chain key is under: that of its chain's sweep signer."""
    return "sweep-tron" if name == TRON_CUSTODY else f"sweep-{name}"


def check_group(value: object) -> int:
    """A group's number, 0 to 2^31 - 1. Raises MalformedRequest."""
    number = _whole(value, "group")
    if number > MAX_GROUP:
        raise MalformedRequest(f"groups are 0 to {MAX_GROUP}", field="group")
    return number


def check_trace(value: object) -> str:
    """A trace id, 32 hexadecimal digits. Raises MalformedRequest."""
    if not isinstance(value, str) or not _TRACE.match(value):
        raise MalformedRequest("a trace id is 32 hexadecimal digits", field="trace_id")
    return value


def extend_pool_request(body: Mapping[str, object]) -> PoolRequest:
    """Read a record of `wallet.requests`. Raises MalformedRequest, IndexOutOfRange."""
    if set(body) != _EXTEND_FIELDS or body["v"] != 1 or body["kind"] != "extend_pool":
        raise MalformedRequest("not an extend_pool request of version 1")
    return _pool_request(body, body["trace_id"])


def pool_call(body: Mapping[str, object]) -> PoolRequest:
    """Read a state machine's call: group, first_index, count, and trace_id if it has one.

    Raises MalformedRequest, IndexOutOfRange.
    """
    if not _CALL_FIELDS - {"trace_id"} <= set(body) <= _CALL_FIELDS:
        raise MalformedRequest("a call has the fields group, first_index, count")
    return _pool_request(body, body.get("trace_id", NO_TRACE))


def address_messages(
    request: PoolRequest, wallets: Sequence[WalletAddresses], networks: Networks
) -> Iterator[Message]:
    """Records of `wallet.addresses`, at most 500 wallets each.

    The identity names group, indexes, networks and the asking: a request that is delivered twice is
    answered once, and a range that is asked for again, because its answer was lost, is told again.
    """
    for start in range(0, len(wallets), WALLETS_A_RECORD):
        part = wallets[start : start + WALLETS_A_RECORD]
        yield Message(
            topic="wallet.addresses",
            key=str(request.group_no),
            body={
                "v": 1,
                "trace_id": request.trace_id,
                "kind": "addresses",
                "group": request.group_no,
                "wallets": [
                    {"index": wallet.index, "addresses": dict(wallet.addresses)} for wallet in part
                ],
            },
            event_id=fact_id(
                "wallet.addresses",
                request.group_no,
                part[0].index,
                len(part),
                request.trace_id,
                *networks.identity(),
            ),
        )


def group_created(
    group_no: int, key_arn: str, sets: Mapping[str, int], trace_id: str, at: datetime
) -> Message:
    """The audit event of a new group; a group is created once, so its number is the identity."""
    return Message(
        topic="audit.events",
        key="kms",
        body={
            "v": 1,
            "trace_id": trace_id,
            "module": "kms",
            "action": "wallet_group.created",
            "at": at.isoformat(),
            "actor": "kms",
            "subject": f"group:{group_no}",
            "details": {"group": group_no, "key_arn": key_arn, "custody_sets": dict(sets)},
        },
        event_id=fact_id("audit.wallet_group.created", group_no),
    )


def _pool_request(body: Mapping[str, object], trace_id: object) -> PoolRequest:
    wallets = WalletRange(
        _whole(body["first_index"], "first_index"), _whole(body["count"], "count")
    )
    return PoolRequest(check_group(body["group"]), wallets, check_trace(trace_id))


def _whole(value: object, field: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise MalformedRequest(f"{field} is a whole number, not negative", field=field)
    return value
