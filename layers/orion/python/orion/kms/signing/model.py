"""What the signers are asked and what they remember."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from orion.chains.spend import CUSTODIANS, CustodyAccount, CustodyKeys, WalletKind
from orion.kms.errors import MalformedRequest
from orion.kms.groups import CustodySet
from orion.kms.model import check_group, check_trace
from orion.wallet.addresses import GROUP_WALLETS

# A Bitcoin sweep carries the whole previous transaction of each input; Lambda takes 6 MB, and
# base 64 adds a third.
UNSIGNED_BYTES_MAX = 4_000_000
OWNERS_MAX = 200
GROUPS_MAX = 50
SETS_MAX = 50
SAFE_NONCE_MAX = 2**64 - 1
PAGE_MAX = 500
# Solana makes its accounts of sets 1 to 1,000 (orion.chains.solana.account).
SET_NO_MIN, SET_NO_MAX = 1, 1_000
_UNITS = re.compile(r"(?:0|[1-9][0-9]{0,59})\Z", re.ASCII)
_REFILL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z", re.ASCII)
_SET_FIELDS = frozenset({"set", "purpose", "secp256k1", "ed25519", "evidence"})
_KEY_BYTES = {"secp256k1": 33, "ed25519": 32}


class Signer(StrEnum):
    """The keys with a float, by the names that their KMS aliases and tables use."""

    ETHEREUM = "executor-ethereum"
    SOLANA = "fee-payer-solana"


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """Pay these wallets' money to their group's custody. `indexes` names the owner of each input
    (Bitcoin) or the owners (elsewhere), in the transaction's order.
    """

    group_no: int
    unsigned: bytes
    indexes: tuple[int, ...]
    trace_id: str


@dataclass(frozen=True, slots=True)
class ExecutionRequest:
    """Bear the fee of this transaction of custody accounts of `groups`. `safe_nonce` is what three
    custodians signed for on Ethereum; None where nobody signed (a Safe is made) and on Solana.
    """

    unsigned: bytes
    groups: tuple[int, ...]
    trace_id: str
    safe_nonce: int | None = None


@dataclass(frozen=True, slots=True)
class Refill:
    """`units` came back to the float; `refill_id` makes the telling idempotent."""

    refill_id: str
    units: int
    trace_id: str


@dataclass(frozen=True, slots=True)
class HandoverRequest:
    """Hand a Tron account that the group's own key named to its custody set."""

    group_no: int
    kind: WalletKind
    unsigned: bytes
    trace_id: str


@dataclass(frozen=True, slots=True)
class ProposedSet:
    """A set, and the approvals of it as they came: `orion.kms.custody.statements` reads them."""

    found: CustodySet
    evidence: object


@dataclass(frozen=True, slots=True)
class SetsRequest:
    """Register these sets."""

    sets: tuple[ProposedSet, ...]
    trace_id: str


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A custody account was seen on its chain; `statement` says which, and is read as above."""

    statement: object
    trace_id: str


@dataclass(frozen=True, slots=True)
class RotatedRequest:
    """A rotation of a wallet to `target_set` is final; `statements` are read as above."""

    group_no: int
    kind: WalletKind
    target_set: int
    statements: object
    trace_id: str


@dataclass(frozen=True, slots=True)
class Rotation:
    """A wallet leaves `from_set` for `target_set`, whose `accounts` are new. `final_at` has the
    final block of each chain where somebody saw that the target set holds its account.
    """

    group_no: int
    kind: WalletKind
    from_set: int
    target_set: int
    accounts: tuple[CustodyAccount, ...]
    final_at: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of the export begins: after this account."""

    group_no: int
    kind: str
    chain: str
    set_no: int


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Custody accounts of groups `first_group` to `last_group`, at most `limit`, after `after`."""

    first_group: int
    last_group: int
    limit: int
    after: Place | None
    trace_id: str


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A custody account as it is stored, with the set that founded it and the set that holds the
    wallet now. Times are ISO 8601, `on_chain_at` None before the first use.
    """

    account: CustodyAccount
    holding_set_no: int | None
    created_at: str
    on_chain_at: str | None

    def place(self) -> Place:
        """Where it stands in the export's order."""
        place = self.account.place
        return Place(place.group_no, place.kind.value, place.chain, place.set_no)


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a signer with a float remembers before it signs.

    `slot` is what only one body can ever have: a nonce of the chain, or, where each message can be
    paid for by itself, the message. `version` is the message's identity, `fee_max_units` the most
    that it can cost the signer.
    """

    signer: str
    slot: str
    version: bytes
    body_digest: bytes
    fee_max_units: int


@dataclass(frozen=True, slots=True)
class SlotState:
    """What is remembered of a slot: its body and the highest fee of all versions signed."""

    body_digest: bytes
    fee_max_units: int


def sweep_request(body: Mapping[str, object]) -> SweepRequest:
    """Read a call of a sweep signer. Raises MalformedRequest."""
    trace_id = _checked(body, "group", "unsigned", "indexes")
    indexes = _numbers(body["indexes"], "indexes", OWNERS_MAX, GROUP_WALLETS - 1)
    return SweepRequest(check_group(body["group"]), _unsigned(body["unsigned"]), indexes, trace_id)


def execution_request(body: Mapping[str, object]) -> ExecutionRequest:
    """Read a call of the fee payer. Raises MalformedRequest."""
    trace_id = _checked(body, "unsigned", "groups")
    return ExecutionRequest(_unsigned(body["unsigned"]), _groups(body["groups"]), trace_id)


def safe_request(body: Mapping[str, object]) -> ExecutionRequest:
    """Read a call of the executor, which says the Safe's nonce or null. Raises MalformedRequest."""
    trace_id = _checked(body, "unsigned", "groups", "safe_nonce")
    nonce = None
    if body["safe_nonce"] is not None:
        nonce = whole_units(body["safe_nonce"])
        if nonce is None or nonce > SAFE_NONCE_MAX:
            raise MalformedRequest("a nonce is a decimal text, or null", field="safe_nonce")
    return ExecutionRequest(_unsigned(body["unsigned"]), _groups(body["groups"]), trace_id, nonce)


def _groups(given: object) -> tuple[int, ...]:
    groups = tuple(check_group(group) for group in _list(given, "groups", GROUPS_MAX))
    if len(set(groups)) != len(groups):
        raise MalformedRequest("a group stands twice", field="groups")
    return groups


def refill(body: Mapping[str, object]) -> Refill:
    """Read `{"operation": "refilled", "id", "units"}`. Raises MalformedRequest."""
    trace_id = _checked(body, "operation", "id", "units")
    refill_id = body["id"]
    if not isinstance(refill_id, str) or not _REFILL_ID.match(refill_id):
        raise MalformedRequest("an id has 1 to 64 letters, digits, - or _", field="id")
    units = whole_units(body["units"])
    if units is None or units == 0:
        raise MalformedRequest("units are a decimal text above zero", field="units")
    return Refill(refill_id, units, trace_id)


def handover_request(body: Mapping[str, object]) -> HandoverRequest:
    """Read a call of the Tron handover. Raises MalformedRequest."""
    trace_id = _checked(body, "group", "wallet", "unsigned")
    return HandoverRequest(
        check_group(body["group"]),
        _kind(body["wallet"], "wallet"),
        _unsigned(body["unsigned"]),
        trace_id,
    )


def sets_request(body: Mapping[str, object]) -> SetsRequest:
    """Read a registration of custody sets. Whether keys are points and approvals good is judged
    later. Raises MalformedRequest.
    """
    trace_id = _checked(body, "sets")
    sets = tuple(_custody_set(row) for row in _list(body["sets"], "sets", SETS_MAX))
    if len({proposed.found.set_no for proposed in sets}) != len(sets):
        raise MalformedRequest("a set stands twice", field="sets")
    return SetsRequest(sets, trace_id)


def seen_request(body: Mapping[str, object]) -> SeenRequest:
    """Read `{"statement"}`. Raises MalformedRequest."""
    trace_id = _checked(body, "statement")
    return SeenRequest(body["statement"], trace_id)


def rotated_request(body: Mapping[str, object]) -> RotatedRequest:
    """Read a call that records a rotation. Raises MalformedRequest."""
    trace_id = _checked(body, "group", "wallet", "target_set", "statements")
    return RotatedRequest(
        check_group(body["group"]),
        _kind(body["wallet"], "wallet"),
        _number(body["target_set"], "target_set", SET_NO_MAX, SET_NO_MIN),
        body["statements"],
        trace_id,
    )


def export_request(body: Mapping[str, object]) -> ExportRequest:
    """Read a call of the export. Raises MalformedRequest."""
    trace_id = _checked(body, "first_group", "last_group", "limit", "after")
    first, last = check_group(body["first_group"]), check_group(body["last_group"])
    limit = _number(body["limit"], "limit", PAGE_MAX, 1)
    if first > last:
        raise MalformedRequest("the last group comes before the first", field="last_group")
    return ExportRequest(first, last, limit, _place(body["after"]), trace_id)


def whole_units(value: object) -> int | None:
    """An amount of smallest units as decimal text; None when `value` is something else."""
    return int(value) if isinstance(value, str) and _UNITS.match(value) else None


def _checked(body: Mapping[str, object], *fields: str) -> str:
    if set(body) != {"v", "trace_id", *fields}:
        raise MalformedRequest("a field is missing or unknown", field=",".join(fields))
    if body["v"] != 1 or isinstance(body["v"], bool):
        raise MalformedRequest("this signer speaks version 1", field="v")
    return check_trace(body["trace_id"])


def _unsigned(value: object) -> bytes:
    if not isinstance(value, str) or len(value) > UNSIGNED_BYTES_MAX * 4 // 3 + 4:
        raise MalformedRequest("unsigned is base 64 of at most 4 MB", field="unsigned")
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedRequest("unsigned is not base 64", field="unsigned") from None
    if not data:
        raise MalformedRequest("unsigned is empty", field="unsigned")
    return data


def _list(value: object, field: str, most: int) -> Sequence[object]:
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise MalformedRequest(f"a list of 1 to {most}", field=field)
    return value


def _numbers(value: object, field: str, most: int, highest: int) -> tuple[int, ...]:
    return tuple(_number(item, field, highest) for item in _list(value, field, most))


def _number(value: object, field: str, highest: int, lowest: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise MalformedRequest(f"a whole number, {lowest} to {highest}", field=field)
    return value


def _kind(value: object, field: str) -> WalletKind:
    if value not in tuple(WalletKind):
        raise MalformedRequest("a wallet is hot or warm", field=field)
    return WalletKind(str(value))


def _custody_set(row: object) -> ProposedSet:
    if not isinstance(row, dict) or set(row) != _SET_FIELDS:
        raise MalformedRequest("a set has set, purpose, secp256k1, ed25519, evidence", field="sets")
    keys = CustodyKeys(
        _keys(row["secp256k1"], "secp256k1"),
        _keys(row["ed25519"], "ed25519"),
    )
    set_no = _number(row["set"], "set", SET_NO_MAX, SET_NO_MIN)
    found = CustodySet(set_no, _kind(row["purpose"], "purpose"), keys)
    return ProposedSet(found, row["evidence"])


def _keys(value: object, curve: str) -> tuple[bytes, ...]:
    rows = _list(value, curve, CUSTODIANS)
    size = _KEY_BYTES[curve]
    form = re.compile(rf"[0-9a-f]{{{2 * size}}}\Z", re.ASCII)
    found = [bytes.fromhex(row) for row in rows if isinstance(row, str) and form.match(row)]
    if len(found) != CUSTODIANS or len(rows) != CUSTODIANS:
        raise MalformedRequest(f"five keys of {size} bytes in lower case hex", field=curve)
    return tuple(found)


def _place(value: object) -> Place | None:
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) != {"group", "wallet", "chain", "set"}:
        raise MalformedRequest("a place has group, wallet, chain, set", field="after")
    chain = value["chain"]
    if not isinstance(chain, str) or not 1 <= len(chain) <= 16:
        raise MalformedRequest("a chain is named by a word", field="after")
    return Place(
        check_group(value["group"]),
        _kind(value["wallet"], "after"),
        chain,
        _number(value["set"], "after", SET_NO_MAX),
    )
