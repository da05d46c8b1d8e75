"""One custodian's memory in a DynamoDB table of its own (docs/custody.md, "What is stored").

Items by `pk`, each with the fixed `sk` of its kind; nothing is ever deleted:

    set#7               set          purpose, secp256k1, ed25519: enrolled once
    key#<hex>           key          purpose: no key in a hot and a warm set
    effect#<hex>        effect       members, claims of the first version, versions, expiries
    instruction#pay_…   instruction  effect, digest
    claim#<chain>#…     claim        effect
    version#<chain>#…   version      effect, recorded_at, signatures once they are made
    velocity#hot#<a>    velocity     revision, units by hour

Everything about one decision is written by one TransactWriteItems with a condition on each item, so
that of two requests that exclude each other one changes nothing.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from orion.chains.spend import CustodyKeys, WalletKind
from orion.errors import OrionError
from orion.kms.custody.errors import (
    ConflictRefused,
    CustodianStoreUnavailable,
    CustodySetRefused,
    StateChanged,
)
from orion.kms.custody.model import (
    RecordedEffect,
    RecordedVersion,
    Remembered,
    SignDecision,
    Step,
)
from orion.kms.custody.request import EnrolledSet
from orion.kms.custody.velocity import Window

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_READS = 4
BATCH_KEYS = 100  # Amazon DynamoDB, "BatchGetItem".
_CONDITION = "ConditionalCheckFailed"
# Reasons for which the same items may be written a moment later.
_PASSING = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
_NEW = "attribute_not_exists(pk)"
_NEW_OR_OWN = "attribute_not_exists(pk) OR effect = :effect"

Item = dict[str, Any]
Version = tuple[str, str, str]


class DynamoCustodianStore:
    """`CustodianStore` over one table with the keys `pk` and `sk`, both text."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def enrolled(self, set_no: int) -> EnrolledSet | None:
        """As the port says."""
        item = self._one("set", str(set_no))
        return None if item is None else _set_of(set_no, item)

    def enrol(self, proposed: EnrolledSet) -> EnrolledSet:
        """As the port says."""
        purpose = _text(proposed.purpose.value)
        kept = {
            "purpose": purpose,
            "secp256k1": _texts(key.hex() for key in proposed.keys.secp256k1),
            "ed25519": _texts(key.hex() for key in proposed.keys.ed25519),
        }
        writes = [("set", self._put(_key("set", str(proposed.set_no)) | kept, _NEW))]
        for key in (*proposed.keys.secp256k1, *proposed.keys.ed25519):
            item = _key("key", key.hex()) | {"purpose": purpose}
            condition = "attribute_not_exists(pk) OR purpose = :purpose"
            writes.append(("key", self._put(item, condition, {":purpose": purpose})))
        failed = self._transact(writes)
        if "set" in failed:
            known = self.enrolled(proposed.set_no)
            if known is not None:
                return known
        if "key" in failed:
            raise CustodySetRefused(
                "a key belongs to a set of the other purpose",
                reason="key_of_other_purpose",
                part="set",
                set=proposed.set_no,
            )
        if failed:
            raise StateChanged("the set was being enrolled", set=proposed.set_no)
        return proposed

    def remembered(
        self,
        effect: str,
        version: Version,
        wallet: WalletKind,
        assets: Sequence[str],
        claims: Sequence[str] = (),
    ) -> Remembered:
        """As the port says, in one call unless there are very many claims."""
        wanted = [_key("effect", effect), _key("version", *version)]
        wanted += [_key("velocity", wallet.value, asset) for asset in assets]
        claim_keys = {claim: _key("claim", *version[:2], claim) for claim in claims}
        wanted += claim_keys.values()
        found = {item["pk"]["S"]: item for item in self._several(wanted)}
        effect_item = found.get(wanted[0]["pk"]["S"])
        version_item = found.get(wanted[1]["pk"]["S"])
        windows = {
            asset: _window_of(found.get(key["pk"]["S"]))
            for asset, key in zip(assets, wanted[2 : 2 + len(assets)], strict=True)
        }
        return Remembered(
            effect=None if effect_item is None else _effect_of(effect_item),
            version=None if version_item is None else _version_of(version_item),
            windows=windows,
            holders={
                claim: found[key["pk"]["S"]]["effect"]["S"]
                for claim, key in claim_keys.items()
                if key["pk"]["S"] in found
            },
        )

    def record(self, decision: SignDecision, at: datetime) -> None:
        """As the port says."""
        failed = self._transact(list(self._writes(decision, at)))
        if not failed:
            return
        # An effect or window that moved says: decide again. Only when those stand as they were
        # does an instruction, claim or version that is taken say that another effect has it.
        if not failed & {"effect", "velocity", "passing"}:
            # A void leaves claims and versions to others: it looks again and takes what is left.
            exclusive = ("instruction",) if decision.void else ("instruction", "claim", "version")
            for taken in exclusive:
                if taken in failed:
                    raise ConflictRefused(
                        f"this {taken} belongs to another effect",
                        reason=f"{taken}_of_other_effect",
                        part="instructions" if taken == "instruction" else "unsigned",
                    )
        raise StateChanged("the decision rested on something that has changed")

    def keep_signatures(self, version: Version, signatures: Sequence[bytes]) -> tuple[bytes, ...]:
        """As the port says."""
        key = _key("version", *version)
        try:
            with _translated():
                self._dynamodb.update_item(
                    TableName=self._table,
                    Key=key,
                    UpdateExpression="SET signatures = :signatures",
                    ConditionExpression="attribute_exists(pk) AND attribute_not_exists(signatures)",
                    ExpressionAttributeValues={
                        ":signatures": {"L": [{"B": bytes(each)} for each in signatures]}
                    },
                )
            return tuple(signatures)
        except StateChanged:
            item = self._one("version", *version)
            kept = None if item is None else _version_of(item).signatures
            if kept is None:
                raise CustodianStoreUnavailable("the version is not recorded") from None
            return kept

    def _writes(self, decision: SignDecision, at: datetime) -> Iterator[tuple[str, Item]]:
        """The items of one decision, each with the word that names it when its condition fails."""
        effect, first = _text(decision.effect), decision.step is Step.FIRST
        own = {":effect": effect}
        yield "effect", self._effect_write(decision)
        if not decision.recorded:
            yield "version", self._version_write(decision, at)
        for claim in decision.taken:
            item = _key("claim", decision.chain, decision.network, claim)
            yield "claim", self._put(item | {"effect": effect}, _NEW_OR_OWN, own)
        for identity, digest in decision.members if first else ():
            item = _key("instruction", identity)
            yield "instruction", self._put(item | {"effect": effect, "digest": _text(digest)}, _NEW)
        for asset, units in decision.counted.items():
            window = decision.windows[asset].added(units, at)
            yield "velocity", self._window_write(decision.wallet, asset, window)

    def _version_write(self, decision: SignDecision, at: datetime) -> Item:
        key = _key("version", decision.chain, decision.network, decision.version)
        recorded_at = _text(at.astimezone(UTC).isoformat())
        kept = {"effect": _text(decision.effect), "recorded_at": recorded_at}
        return self._put(key | kept, _NEW)

    def _effect_write(self, decision: SignDecision) -> Item:
        key = _key("effect", decision.effect)
        version = _text(decision.version)
        expiry = {"N": str(decision.expires_at_ms)} if decision.expires_at_ms is not None else None
        if decision.step is Step.FIRST:
            kept = {
                "members": _texts(digest for _, digest in decision.members),
                "claims": _texts(decision.claims),
                "versions": {"L": [version]},
                "expiries": {"M": {decision.version: expiry} if expiry else {}},
            }
            return self._put(key | kept, _NEW)
        update: Item = {
            "TableName": self._table,
            "Key": key,
            "UpdateExpression": "SET versions = list_append(versions, :version)",
            "ConditionExpression": "versions = :before",
            "ExpressionAttributeValues": {
                ":version": {"L": [version]},
                ":before": _texts(decision.versions),
            },
        }
        if expiry is not None:
            update["UpdateExpression"] += ", expiries.#version = :expiry"
            update["ExpressionAttributeNames"] = {"#version": decision.version}
            update["ExpressionAttributeValues"][":expiry"] = expiry
        return {"Update": update}

    def _window_write(self, wallet: WalletKind, asset: str, window: Window) -> Item:
        item = _key("velocity", wallet.value, asset) | {
            "revision": {"N": str(window.revision)},
            # As text: a DynamoDB number has 38 digits, a uint256 has 78.
            "hours": {"M": {str(hour): _text(str(units)) for hour, units in window.hours.items()}},
        }
        if window.revision == 1:
            return self._put(item, _NEW)
        before = {":revision": {"N": str(window.revision - 1)}}
        return self._put(item, "revision = :revision", before)

    def _put(self, item: Item, condition: str, values: Mapping[str, Item] | None = None) -> Item:
        put: Item = {"TableName": self._table, "Item": item, "ConditionExpression": condition}
        if values:
            put["ExpressionAttributeValues"] = dict(values)
        return {"Put": put}

    def _transact(self, writes: Sequence[tuple[str, Item]]) -> frozenset[str]:
        """Write all, or answer the names of the items whose conditions failed, with `passing` for
        what other transactions were busy with.

        The token names the content, so the client's own retries of one call cannot act twice.
        """
        items: Any = [item for _, item in writes]
        try:
            with _translated():
                self._dynamodb.transact_write_items(
                    TransactItems=items, ClientRequestToken=_token(items)
                )
        except _Cancelled as cancelled:
            failed = set()
            for (name, _), reason in zip(writes, cancelled.reasons, strict=True):
                if reason == _CONDITION:
                    failed.add(name)
                elif reason in _PASSING:
                    failed.add("passing")
                elif reason != "None":
                    raise CustodianStoreUnavailable(
                        "the store cannot keep this", reason=reason
                    ) from None
            return frozenset(failed or {"passing"})
        except StateChanged:
            return frozenset({"passing"})
        return frozenset()

    def _one(self, kind: str, *name: str) -> Item | None:
        with _translated():
            answer = self._dynamodb.get_item(
                TableName=self._table, Key=_key(kind, *name), ConsistentRead=True
            )
        return answer.get("Item")

    def _several(self, keys: Sequence[Item]) -> list[Item]:
        return [
            item
            for start in range(0, len(keys), BATCH_KEYS)
            for item in self._batch(keys[start : start + BATCH_KEYS])
        ]

    def _batch(self, keys: Sequence[Item]) -> list[Item]:
        wanted: Any = {self._table: {"Keys": list(keys), "ConsistentRead": True}}
        found: list[Item] = []
        for _ in range(MAX_READS):
            with _translated():
                answer = self._dynamodb.batch_get_item(RequestItems=wanted)
            found += answer["Responses"].get(self._table, [])
            wanted = answer.get("UnprocessedKeys")
            if not wanted:
                return found
        raise CustodianStoreUnavailable("the store left keys unread")


class _Cancelled(Exception):
    """A transaction that changed nothing; one reason for each item, `None` where it was content."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("cancelled")
        self.reasons = reasons


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of DynamoDB in the words of the port."""
    try:
        yield
    except ClientError as exc:
        code = exc.response.get("Error", {}).get("Code", "")
        if code == "TransactionCanceledException":
            response: Mapping[str, Any] = exc.response
            reasons = response.get("CancellationReasons", [])
            raise _Cancelled([reason.get("Code", "None") for reason in reasons]) from exc
        if code in ("ConditionalCheckFailedException", "TransactionConflictException"):
            raise StateChanged("an item changed") from exc
        raise _unavailable(code) from exc
    except BotoCoreError as exc:
        raise _unavailable(type(exc).__name__) from exc


def _unavailable(why: str) -> OrionError:
    return CustodianStoreUnavailable("the custodian's store does not answer", error=why)


def _token(items: Sequence[Item]) -> str:
    """36 characters at most (Amazon DynamoDB, "TransactWriteItems")."""
    return hashlib.sha256(json.dumps(items, sort_keys=True).encode()).hexdigest()[:36]


def _key(kind: str, *name: str) -> Item:
    return {"pk": _text("#".join((kind, *name))), "sk": _text(kind)}


def _text(value: str) -> Item:
    return {"S": value}


def _texts(values: Iterator[str] | Sequence[str]) -> Item:
    return {"L": [_text(value) for value in values]}


def _read_texts(item: Item) -> tuple[str, ...]:
    return tuple(each["S"] for each in item["L"])


def _set_of(set_no: int, item: Item) -> EnrolledSet:
    return EnrolledSet(
        set_no,
        WalletKind(item["purpose"]["S"]),
        CustodyKeys(
            secp256k1=tuple(bytes.fromhex(key) for key in _read_texts(item["secp256k1"])),
            ed25519=tuple(bytes.fromhex(key) for key in _read_texts(item["ed25519"])),
        ),
    )


def _effect_of(item: Item) -> RecordedEffect:
    return RecordedEffect(
        claims=_read_texts(item["claims"]),
        versions=_read_texts(item["versions"]),
        expiries={name: int(at["N"]) for name, at in item["expiries"]["M"].items()},
    )


def _version_of(item: Item) -> RecordedVersion:
    kept = item.get("signatures")
    return RecordedVersion(
        effect=item["effect"]["S"],
        recorded_at=datetime.fromisoformat(item["recorded_at"]["S"]),
        signatures=None if kept is None else tuple(bytes(each["B"]) for each in kept["L"]),
    )


def _window_of(item: Item | None) -> Window:
    if item is None:
        return Window()
    return Window(
        revision=int(item["revision"]["N"]),
        hours={int(hour): int(units["S"]) for hour, units in item["hours"]["M"].items()},
    )
