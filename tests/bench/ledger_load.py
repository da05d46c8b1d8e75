"""Transfers for the ledger's bench: records of `ledger.transfers` as moneyin's relay sends them."""

import hashlib
import random
from collections.abc import Iterator, Sequence

from orion.ledger.model import bucket
from orion.records import Record, canonical_json

TOPIC = "ledger.transfers"
# Two accounts each: 10,000 accounts is what comparable ledgers are measured over.
MERCHANTS = 5_000
FUNDS = 10**18
_OFFSETS_A_RUN = 10**9
_ASSET = "BTC.bitcoin"
_CUSTODY = {"owner": "system:bitcoin", "purpose": "custody"}
Content = dict[str, object]


def owners(buckets: range) -> Sequence[str]:
    """MERCHANTS merchants whose buckets lie in `buckets`, always the same."""
    found: list[str] = []
    number = 0
    while len(found) < MERCHANTS:
        owner = f"merchant:{hashlib.sha256(b'bench %d' % number).hexdigest()[:32]}"
        if bucket(owner) in buckets:
            found.append(owner)
        number += 1
    return found


class Load:
    """Endless traffic for one partition: every transfer is new, and none is refused.

    `hot`: deposits are credited, so the one custody account is in every transfer. Else they become
    final, which moves two accounts of one merchant and shares none.
    """

    def __init__(self, partition: int, buckets: range, *, seed: int = 1) -> None:
        self._partition = partition
        self._owners = owners(buckets)
        self._random = random.Random(seed * 1_000 + partition)  # noqa: S311 - a load, no secret
        self._offset = 0

    def skip(self, run: int) -> None:
        """Begin at offsets above those of the runs before."""
        self._offset = run * _OFFSETS_A_RUN

    def funding(self) -> Sequence[Record]:
        """So much for every merchant that no batch uses it up; all accounts exist afterwards."""
        funds = [self._credit(owner, FUNDS) for owner in self._owners]
        finals = [self._final(owner, 1) for owner in self._owners]
        return [*self._records(funds, 1_000), *self._records(finals, 1_000)]

    def batch(self, transfers: int, *, hot: bool, a_record: int) -> Sequence[Record]:
        """So many transfers over random merchants, in records of `a_record` at most."""
        make = self._credit if hot else self._final
        chosen = self._random.choices(self._owners, k=transfers)
        return list(
            self._records([make(owner, self._random.randrange(1, 10**6)) for owner in chosen],
                          a_record)
        )  # fmt: skip

    def _records(self, transfers: Sequence[Content], a_record: int) -> Iterator[Record]:
        for start in range(0, len(transfers), a_record):
            body = {
                "v": 1,
                "trace_id": self._id(),
                "transfers": transfers[start : start + a_record],
            }
            value = canonical_json(body)
            yield Record(TOPIC, self._partition, self._offset, b"", value, {}, self._offset)
            self._offset += 1

    def _credit(self, owner: str, units: int) -> Content:
        return self._transfer("deposit_credit", units, _CUSTODY, _side(owner, "settling"))

    def _final(self, owner: str, units: int) -> Content:
        return self._transfer(
            "deposit_final", units, _side(owner, "settling"), _side(owner, "available")
        )

    def _transfer(
        self, code: str, units: int, debit: dict[str, str], credit: dict[str, str]
    ) -> Content:
        return {
            "id": self._id(),
            "kind": "direct",
            "code": code,
            "asset": _ASSET,
            "units": str(units),
            "debit": debit,
            "credit": credit,
            "cause": {"type": "deposit", "deposit_id": self._id(), "credit_epoch": 0},
            "linked": False,
        }

    def _id(self) -> str:
        return f"{self._random.getrandbits(128):032x}"


def _side(owner: str, purpose: str) -> dict[str, str]:
    return {"owner": owner, "purpose": purpose}
