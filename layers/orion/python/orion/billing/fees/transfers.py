"""The transfers that take fees and give them back, in the form of docs/contracts.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orion.ids import fact_id
from orion.ledger.codes import CODES, OF_THE_CHAIN, OWNERS, Code, Purpose
from orion.ledger.model import bucket
from orion.money import asset

MAX_TRANSFERS_A_RECORD = 1_000


@dataclass(frozen=True, slots=True)
class FeeTransfer:
    """`units` of `asset_code` between a merchant and the house, because of one final credit."""

    code: Code
    merchant_id: bytes
    asset_code: str
    units: int
    deposit_id: bytes
    epoch: int

    @property
    def id(self) -> bytes:
        return fact_id(self.code.value, self.deposit_id, self.epoch)

    @property
    def merchant(self) -> str:
        return OWNERS[Purpose.AVAILABLE] + self.merchant_id.hex()

    def body(self) -> Mapping[str, object]:
        """One transfer of a record."""
        rule = CODES[self.code]
        return {
            "id": self.id.hex(),
            "kind": "direct",
            "code": self.code.value,
            "asset": self.asset_code,
            "units": str(self.units),
            "debit": self._side(rule.debit),
            "credit": self._side(rule.credit),
            "cause": {
                "type": "fee",
                "deposit_id": self.deposit_id.hex(),
                "credit_epoch": self.epoch,
            },
            "linked": False,
        }

    def _side(self, purpose: Purpose) -> Mapping[str, str]:
        chain = asset(self.asset_code).chain or ""
        owner = OWNERS[purpose] + chain if purpose in OF_THE_CHAIN else self.merchant
        return {"owner": owner, "purpose": purpose.value}


@dataclass(frozen=True, slots=True)
class TransfersRecord:
    """A record for `ledger.transfers`: `key` names the bucket of the merchant who decides."""

    key: str
    body: Mapping[str, object]
    event_id: bytes


def records(transfers: Sequence[FeeTransfer], trace_id: str) -> Sequence[TransfersRecord]:
    """The transfers by bucket, in their order."""
    by_bucket: dict[int, list[FeeTransfer]] = {}
    for transfer in transfers:
        by_bucket.setdefault(bucket(transfer.merchant), []).append(transfer)
    return [
        TransfersRecord(
            key=f"bucket:{number}",
            body={"v": 1, "trace_id": trace_id, "transfers": [one.body() for one in some]},
            event_id=fact_id("ledger_transfers", b"".join(one.id for one in some)),
        )
        for number, group in by_bucket.items()
        for start in range(0, len(group), MAX_TRANSFERS_A_RECORD)
        if (some := group[start : start + MAX_TRANSFERS_A_RECORD])
    ]
