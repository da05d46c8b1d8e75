"""What fees need from the transaction that they take part in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from orion.billing.fees.model import Assessment, Terms
from orion.billing.quote import Rate
from orion.billing.rates.model import RateLock


@dataclass(frozen=True, slots=True)
class Assignment:
    """The plan in force for a merchant on a lane: row `number` of `subject`. `body` is the plan's
    canonical JSON.
    """

    subject: str
    number: int
    plan_id: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class AgreedFee:
    """What an invoice agreed on, as it is stored. `asked_units` is the price with the customer's
    part, `volume_units` None where the plan has one tier.
    """

    plan_id: bytes
    subject: str
    assignment: int
    terms: Terms
    referrer_id: bytes | None
    volume_units: int | None
    asked_units: int


@dataclass(frozen=True, slots=True)
class FeeOfInvoice:
    """What a payment of an invoice is assessed by: `rates` are those of the house that were locked
    with it, by asset.
    """

    merchant_id: bytes
    currency: str
    terms: Terms
    referrer_id: bytes | None
    rates: Mapping[str, Rate]


FeeKey = tuple[bytes, int]
"""A deposit and one of its credit epochs."""


@dataclass(frozen=True, slots=True)
class FeeFact:
    """What is known of one final credit: the deposit's own event names the invoice, the ledger what
    it posted and to whom.
    """

    deposit_id: bytes
    epoch: int
    invoice_id: bytes | None = None
    merchant_id: bytes | None = None
    asset: str | None = None
    units: int | None = None
    reversed: bool = False

    @property
    def key(self) -> FeeKey:
        return self.deposit_id, self.epoch


@dataclass(frozen=True, slots=True)
class Assessed:
    """One assessment as it is stored, with its inputs. `number` and `returned_number` count the
    invoice's assessments and returns together.
    """

    deposit_id: bytes
    epoch: int
    invoice_id: bytes
    number: int
    asset: str
    units: int
    rate: Rate | None
    open_before: int
    fee: Assessment
    assessed_at: datetime
    trace_id: str
    returned_number: int | None = None
    returned_at: datetime | None = None

    @property
    def key(self) -> FeeKey:
        return self.deposit_id, self.epoch


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a (locked) invoice stands: its last number, and what of its fixed part is paid."""

    last_number: int = 0
    taken_units: int = 0


@dataclass(frozen=True, slots=True)
class Volume:
    """What one currency's payments of a merchant on one UTC day are worth, and how many have an
    unknown value; less where returned.
    """

    merchant_id: bytes
    day: date
    currency: str
    units: int
    unvalued: int = 0


@dataclass(frozen=True, slots=True)
class Counted:
    """The volumes of some days by currency, and how many payments these leave out because their
    value is not known.
    """

    units: Mapping[str, int]
    unvalued: int


@dataclass(frozen=True, slots=True)
class Written:
    """Who stored a plan's assignment or a referral, why and when."""

    by: str
    reason: str
    trace_id: str
    at: datetime


class FeeTransaction(Protocol):
    """The part of billing's transaction that fees need."""

    def lock_fees(self) -> None:
        """Wait until nobody else assigns a plan or adds a referral, and keep others out."""
        ...

    def newest_assignment(self, subject: str) -> tuple[int, bytes | None]:
        """Number and plan of the subject's newest assignment; 0 and None where it has none."""
        ...

    def put_plan(self, plan_id: bytes, name: str, body: bytes, now: datetime) -> None:
        """Store a plan; one that is stored already stays as it is."""
        ...

    def add_assignment(
        self, subject: str, number: int, plan_id: bytes | None, entry: Written
    ) -> None:
        """Store the next assignment of a subject."""
        ...

    def add_referral(self, merchant_id: bytes, referrer_id: bytes, entry: Written) -> None:
        """Store who referred a merchant whom nobody referred before."""
        ...

    def plan_in_force(self, merchant_id: bytes, lane: str) -> Assignment | None:
        """The merchant's own plan, else that of the lane, else none."""
        ...

    def referrer(self, merchant_id: bytes) -> bytes | None:
        """Who referred the merchant."""
        ...

    def known_merchants(self, merchant_ids: Sequence[bytes]) -> frozenset[bytes]:
        """Those of at least one id that a merchant has; nobody's are absent."""
        ...

    def volumes(self, merchant_id: bytes, first: date, last: date) -> Counted:
        """What the merchant's payments count over these days, both included."""
        ...

    def put_invoice_fee(
        self,
        invoice_id: bytes,
        agreed: AgreedFee,
        house: Mapping[str, RateLock],
        now: datetime,
    ) -> None:
        """Store what a new invoice agreed on, with the rates of the house by asset."""
        ...

    def fee_facts(self, deposit_ids: Sequence[bytes]) -> Mapping[FeeKey, FeeFact]:
        """What is known of these (locked) deposits' final credits."""
        ...

    def put_fee_facts(self, facts: Sequence[FeeFact]) -> None:
        """Replace what is known of locked deposits' final credits."""
        ...

    def invoice_fees(self, invoice_ids: Sequence[bytes]) -> Mapping[bytes, FeeOfInvoice]:
        """What these invoices agreed on; those without a fee are absent."""
        ...

    def assessments(self, deposit_ids: Sequence[bytes]) -> Mapping[FeeKey, Assessed]:
        """The assessments of these locked deposits."""
        ...

    def standings(self, invoice_ids: Sequence[bytes]) -> Mapping[bytes, Standing]:
        """Where these locked invoices stand; those without an assessment are absent."""
        ...

    def add_assessments(self, assessed: Sequence[Assessed]) -> None:
        """Store new assessments."""
        ...

    def return_assessments(self, returned: Sequence[Assessed]) -> None:
        """Store the returns of stored assessments."""
        ...

    def add_volumes(self, volumes: Sequence[Volume]) -> None:
        """Add to days, in ascending order of merchant, day and currency."""
        ...
