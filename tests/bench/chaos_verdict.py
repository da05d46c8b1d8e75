"""What must hold after the last kill: nothing lost, nothing twice, and every book says the same."""

import gzip
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3

from infra.local import Stack
from infra.local.failure import StackFailure
from orion.ledger.codes import Code, Purpose
from orion.ledger.model import Counters
from tests.bench.chaos_load import Wakes
from tests.bench.chaos_traffic import Replay
from tests.e2e.scene import rows

FOLLOWED_WITHIN_S = 240.0
_LOOK_S = 0.5
_WAKE_EVERY_S = 2.0
_COUNTERS = "debits_posted, debits_pending, credits_posted, credits_pending"
_BOOK = "orion-local-ledger-book"


class NotSurvived(StackFailure):
    """Money or a record of it is not what it should be."""


@dataclass(frozen=True, slots=True)
class Base:
    """What the ledger held before the traffic: entries that are no legs, refusals, and what the
    custody account of each asset had.
    """

    entries: int
    refusals: int
    custody: Mapping[str, int] = field(default_factory=dict, compare=False)


class Books:
    """The three books and the statements, read as their administrators."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        session = boto3.Session("test", "test", region_name=stack.ministack.region)
        self._s3 = session.client("s3", endpoint_url=stack.ministack.url)
        names = [str(each["Name"]) for each in self._s3.list_buckets()["Buckets"]]
        [self._bucket] = [name for name in names if name.startswith(_BOOK)]
        self._wakes = Wakes(stack)

    def base(self) -> Base:
        """What there is now."""
        return Base(
            self._number("SELECT COUNT(*) FROM orion_ledger.transfer WHERE code <> 'leg'"),
            self._number("SELECT COUNT(*) FROM orion_ledger.refusal"),
            self._custody(),
        )

    def _custody(self) -> Mapping[str, int]:
        found = rows(
            self._stack,
            "SELECT asset, debits_posted - credits_posted FROM orion_ledger.account"
            " WHERE purpose = 'custody'",
        )
        return {str(asset): int(units) for asset, units in found}

    def _number(self, statement: str) -> int:
        [(value,)] = rows(self._stack, statement)
        return int(value)

    def await_followed(self, base: Base, *replays: Replay) -> None:
        """Until every record is decided and every book has what was posted. Raises NotSurvived."""
        wanted = Base(
            base.entries + sum(len(each.accepted) for each in replays),
            base.refusals + sum(len(each.refused) for each in replays),
        )
        begun_s, woken_s = time.monotonic(), 0.0
        while missing := self._missing(wanted):
            now_s = time.monotonic()
            if now_s - begun_s > FOLLOWED_WITHIN_S:
                raise NotSurvived(f"not followed in {FOLLOWED_WITHIN_S:.0f} s: {missing}")
            if now_s - woken_s > _WAKE_EVERY_S:
                # As the schedule does every minute.
                woken_s = now_s
                self._wakes.wake("moneyin")
                self._wakes.wake("ledger")
            time.sleep(_LOOK_S)

    def _missing(self, wanted: Base) -> str:
        """What is still under way, for people; empty when nothing is."""
        for module in ("moneyin", "ledger"):
            unsent = self._number(
                f"SELECT COUNT(*) FROM orion_{module}.outbox WHERE sent_at IS NULL"
            )
            if unsent:
                return f"{unsent} rows wait in the outbox of {module}"
        found = self.base()
        if found != wanted:
            return f"decided {found}, sent {wanted}"
        for table, what in (("leg WHERE applied_at IS NULL", "legs fly"), ("held", "are held")):
            if count := self._number(f"SELECT COUNT(*) FROM orion_ledger.{table}"):
                return f"{count} {what}"
        return self.behind()

    def behind(self) -> str:
        """Which book has not followed what was posted, for people; empty when all have."""
        posted = dict(
            rows(
                self._stack,
                "SELECT shard_no, next_posted - 1 FROM orion_ledger.shard WHERE next_posted > 1",
            )
        )
        for name, followed in (
            ("statements", self._statements()),
            ("external book", self._external()),
            ("log book", {shard: self._segments_through(shard) for shard in posted}),
        ):
            behind = {
                shard: (followed.get(shard, 0), number)
                for shard, number in posted.items()
                if followed.get(shard, 0) != number
            }
            if behind:
                return f"{name} behind: shard: (has, posted) {behind}"
        return ""

    def _statements(self) -> Mapping[int, int]:
        return dict(
            rows(self._stack, "SELECT shard_no, next_number - 1 FROM orion_ledger.statement_cursor")
        )

    def _external(self) -> Mapping[int, int]:
        with self._stack.postgres.connect() as connection:
            found = connection.execute(
                "SELECT partition_no, next_number - 1 FROM external_book.cursor"
                " WHERE topic = 'ledger.posted'"
            ).fetchall()
        return {int(str(shard)): int(str(number)) for shard, number in found}

    def _keys(self, shard: int) -> Sequence[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"segments/{shard:05d}/"
        )
        return sorted(each["Key"] for page in pages for each in page.get("Contents", []))

    def _segments_through(self, shard: int) -> int:
        keys = self._keys(shard)
        if not keys:
            return 0
        head = self._s3.head_object(Bucket=self._bucket, Key=keys[-1])
        return int(head["Metadata"]["last-number"])

    def lines(self, shard: int) -> Iterator[Mapping[str, Any]]:
        """Every entry of the log book of one shard, in order."""
        for key in self._keys(shard):
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            for line in gzip.decompress(body).splitlines()[1:-1]:
                yield json.loads(line)

    def check(self, base: Base, *replays: Replay) -> None:
        """Raises NotSurvived with the first thing that is not as it must be."""
        self._every_sent_id_once(replays)
        self._counters_as_replayed(base, replays)
        self._sums_are_zero()
        self._statements_equal_accounts()
        self._ids_once_in_every_book()

    def _every_sent_id_once(self, replays: Sequence[Replay]) -> None:
        posted = Counter(
            bytes(each) for (each,) in rows(self._stack, "SELECT id FROM orion_ledger.transfer")
        )
        refused = Counter(
            (bytes(each), bytes(digest), str(reason))
            for each, digest, reason in rows(
                self._stack, "SELECT id, digest, reason FROM orion_ledger.refusal"
            )
        )
        for replay in replays:
            for entry in replay.accepted:
                _same(f"posted {entry.hex()}", posted[entry], 1)
            for refusal in replay.refused:
                _same(f"refused {refusal[0].hex()} {refusal[2]}", refused[refusal], 1)

    def _counters_as_replayed(self, base: Base, replays: Sequence[Replay]) -> None:
        """Merchants' accounts in full; of custody what was added since, where legs add up."""
        found = {
            (str(owner), str(purpose), str(asset)): Counters(*(int(value) for value in values))
            for owner, purpose, asset, *values in rows(
                self._stack,
                f"SELECT owner, purpose, asset, {_COUNTERS} FROM orion_ledger.account",
            )
        }
        custody: Counter[str] = Counter()
        for replay in replays:
            for key, counters in replay.counters.items():
                stands = found.get((key.owner, key.purpose.value, key.asset), Counters())
                if key.purpose is Purpose.CUSTODY:
                    custody[key.asset] += counters.debits_posted - counters.credits_posted
                else:
                    _same(str(key), stands, counters)
        stands_now = self._custody()
        for asset, units in custody.items():
            added = stands_now[asset] - base.custody.get(asset, 0)
            _same(f"custody of {asset}", added, units)

    def _sums_are_zero(self) -> None:
        for asset, posted, pending in rows(
            self._stack,
            "SELECT asset, SUM(debits_posted) - SUM(credits_posted),"
            " SUM(debits_pending) - SUM(credits_pending) FROM orion_ledger.account GROUP BY asset",
        ):
            _same(f"sum of {asset}", (int(posted), int(pending)), (0, 0))
        for asset, units in rows(
            self._stack,
            "SELECT asset, SUM(debits_posted) - SUM(credits_posted) FROM orion_ledger.account"
            " WHERE purpose = 'clearing' GROUP BY asset",
        ):
            _same(f"clearing of {asset}, nothing in flight", int(units), 0)

    def _statements_equal_accounts(self) -> None:
        differing = rows(
            self._stack,
            "SELECT LOWER(HEX(a.id)) FROM orion_ledger.account a"
            " LEFT JOIN orion_ledger.statement_account s ON s.account = a.id"
            " WHERE s.account IS NULL OR s.debits_posted <> a.debits_posted"
            " OR s.debits_pending <> a.debits_pending OR s.credits_posted <> a.credits_posted"
            " OR s.credits_pending <> a.credits_pending",
        )
        _same("accounts whose statement differs", differing, [])

    def _ids_once_in_every_book(self) -> None:
        """By place and id; the reconciliation compares the rest of each line."""
        first = {
            (int(shard), int(number), int(position), bytes(each))
            for shard, number, position, each in rows(
                self._stack, "SELECT shard_no, number, position, id FROM orion_ledger.transfer"
            )
        }
        shards = {shard for shard, *_ in first}
        segments = [
            (
                int(line["shard"]),
                int(line["number"]),
                int(line["position"]),
                bytes.fromhex(line["id"]),
            )
            for shard in shards
            for line in self.lines(shard)
        ]
        with self._stack.postgres.connect() as connection:
            external = {
                (int(str(shard)), int(str(number)), int(str(position)), _bytes(each))
                for shard, number, position, each in connection.execute(
                    "SELECT shard_no, number, position, id FROM external_book.entry"
                )
            }
        _same("entries in the log book", len(segments), len(first))
        _same("entries only in the log book or the ledger", len(first ^ set(segments)), 0)
        _same("entries only in the external book or the ledger", len(first ^ external), 0)


def legs_of(stack: Stack) -> int:
    """How many legs between shards were posted."""
    [(count,)] = rows(
        stack, "SELECT COUNT(*) FROM orion_ledger.transfer WHERE code = %s", (Code.LEG.value,)
    )
    return int(count)


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes | memoryview):
        raise TypeError("an id is bytes")
    return bytes(value)


def _same(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise NotSurvived(f"{what}: found {found}, expected {wanted}")
