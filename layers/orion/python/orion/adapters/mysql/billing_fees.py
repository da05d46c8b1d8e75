"""Fees on MySQL: plans, what invoices agreed on, what payments cost (docs/fees.md)."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from orion.adapters.mysql.billing_rows import BillingCursor, marks, read, stored
from orion.adapters.mysql.one_trip import Columns, Question
from orion.billing.fees.house import read_house, write_house
from orion.billing.fees.model import Assessment, Payer, Terms
from orion.billing.fees.plan import lane_subject, merchant_subject
from orion.billing.fees.ports import (
    AgreedFee,
    Assessed,
    Assignment,
    Counted,
    FeeFact,
    FeeKey,
    FeeOfInvoice,
    Standing,
    Volume,
    Written,
)
from orion.billing.quote import Rate
from orion.billing.rates.model import RateLock

_ASSIGNMENT = Columns({"a.subject": str, "a.number": int, "a.plan_id": bytes, "p.body": bytes})
_IN_FORCE = """
FROM fee_assignment a JOIN fee_plan p ON p.plan_id = a.plan_id
WHERE a.subject IN (%s, %s)
  AND a.number = (SELECT MAX(b.number) FROM fee_assignment b WHERE b.subject = a.subject)
"""
_ASSESSMENT = """
SELECT deposit_id, credit_epoch, invoice_id, number, asset, units, rate_units, open_before,
  percent_units, fixed_taken, fixed_coins, share_units, value_units, assessed_at, trace_id,
  returned_number, returned_at
FROM fee_assessment WHERE deposit_id IN ({marks})
"""


def plan_question(merchant_id: bytes, lane: str) -> Question:
    """The newest assignments of a merchant and of a lane, where they are to a plan."""
    return Question(_ASSIGNMENT, _IN_FORCE, (merchant_subject(merchant_id), lane_subject(lane)))


class BillingFees(BillingCursor):
    """The port `FeeTransaction`."""

    def plan_in_force(self, merchant_id: bytes, lane: str) -> Assignment | None:
        question = plan_question(merchant_id, lane)
        rows: Any = self._ask(question)
        found = {row[0]: Assignment(*row) for row in rows}
        own, of_lane = question.values
        return found.get(own) or found.get(of_lane)

    def referrer(self, merchant_id: bytes) -> bytes | None:
        rows = self._rows("SELECT referrer_id FROM referral WHERE merchant_id = %s", [merchant_id])
        for (referrer_id,) in rows:
            return bytes(referrer_id) if isinstance(referrer_id, bytes) else None
        return None

    def lock_fees(self) -> None:
        self._cursor.execute(
            "INSERT INTO fee_lock (one) VALUES (1) ON DUPLICATE KEY UPDATE one = one"
        )

    def newest_assignment(self, subject: str) -> tuple[int, bytes | None]:
        self._cursor.execute(
            "SELECT number, plan_id FROM fee_assignment WHERE subject = %s"
            " ORDER BY number DESC LIMIT 1",
            (subject,),
        )
        found = self._cursor.fetchone()
        return (0, None) if found is None else (int(found[0]), found[1])

    def put_plan(self, plan_id: bytes, name: str, body: bytes, now: datetime) -> None:
        self._cursor.execute(
            "INSERT INTO fee_plan (plan_id, name, body, created_at) VALUES (%s, %s, %s, %s)"
            " ON DUPLICATE KEY UPDATE name = name",
            (plan_id, name, body, stored(now)),
        )

    def add_assignment(
        self, subject: str, number: int, plan_id: bytes | None, entry: Written
    ) -> None:
        self._cursor.execute(
            "INSERT INTO fee_assignment (subject, number, plan_id, set_at, set_by, reason,"
            " trace_id) VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (subject, number, plan_id, stored(entry.at), entry.by, entry.reason, entry.trace_id),
        )

    def add_referral(self, merchant_id: bytes, referrer_id: bytes, entry: Written) -> None:
        self._cursor.execute(
            "INSERT INTO referral (merchant_id, referrer_id, stored_at, stored_by, reason,"
            " trace_id) VALUES (%s, %s, %s, %s, %s, %s)",
            (
                merchant_id,
                referrer_id,
                stored(entry.at),
                entry.by,
                entry.reason,
                entry.trace_id,
            ),
        )

    def known_merchants(self, merchant_ids: Sequence[bytes]) -> frozenset[bytes]:
        self._cursor.execute(
            "SELECT merchant_id FROM orion_user.merchant"  # noqa: S608 - only placeholders
            f" WHERE merchant_id IN ({marks(merchant_ids)})",
            merchant_ids,
        )
        return frozenset(row[0] for row in self._cursor.fetchall())

    def volumes(self, merchant_id: bytes, first: date, last: date) -> Counted:
        self._cursor.execute(
            "SELECT currency, SUM(units), SUM(unvalued) FROM fee_volume"
            " WHERE merchant_id = %s AND day BETWEEN %s AND %s GROUP BY currency",
            (merchant_id, first, last),
        )
        rows: Sequence[tuple[Any, ...]] = self._cursor.fetchall()
        units = {currency: int(counted) for currency, counted, _ in rows}
        return Counted(units, sum(int(row[2]) for row in rows))

    def put_invoice_fee(
        self,
        invoice_id: bytes,
        agreed: AgreedFee,
        house: Mapping[str, RateLock],
        now: datetime,
    ) -> None:
        terms = agreed.terms
        self._cursor.execute(
            "INSERT INTO invoice_fee (invoice_id, plan_id, subject, assignment, bps, fixed_units,"
            " payer, referral_bps, referrer_id, volume_units, asked_units, house_rates, created_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                invoice_id,
                agreed.plan_id,
                agreed.subject,
                agreed.assignment,
                terms.bps,
                terms.fixed_units,
                terms.payer.value,
                terms.referral_bps,
                agreed.referrer_id,
                agreed.volume_units,
                agreed.asked_units,
                write_house(house),
                stored(now),
            ),
        )

    def fee_facts(self, deposit_ids: Sequence[bytes]) -> Mapping[FeeKey, FeeFact]:
        if not deposit_ids:
            return {}
        self._cursor.execute(
            "SELECT deposit_id, credit_epoch, invoice_id, merchant_id, asset, units, reversed"  # noqa: S608 - only placeholders
            f" FROM fee_fact WHERE deposit_id IN ({marks(deposit_ids)})",
            deposit_ids,
        )
        facts = [
            FeeFact(
                deposit_id, int(epoch), invoice_id, merchant_id, coin, _whole(units), bool(gone)
            )
            for deposit_id, epoch, invoice_id, merchant_id, coin, units, gone in (
                self._cursor.fetchall()
            )
        ]
        return {fact.key: fact for fact in facts}

    def put_fee_facts(self, facts: Sequence[FeeFact]) -> None:
        self._cursor.executemany(
            "INSERT INTO fee_fact (deposit_id, credit_epoch, invoice_id, merchant_id, asset, units,"
            " reversed) VALUES (%s, %s, %s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE"
            " invoice_id = VALUES(invoice_id), merchant_id = VALUES(merchant_id),"
            " asset = VALUES(asset), units = VALUES(units), reversed = VALUES(reversed)",
            [
                (f.deposit_id, f.epoch, f.invoice_id, f.merchant_id, f.asset, f.units, f.reversed)
                for f in facts
            ],
        )

    def invoice_fees(self, invoice_ids: Sequence[bytes]) -> Mapping[bytes, FeeOfInvoice]:
        if not invoice_ids:
            return {}
        self._cursor.execute(
            "SELECT f.invoice_id, i.merchant_id, i.currency, f.bps, f.fixed_units, f.payer,"  # noqa: S608 - only placeholders
            " f.referral_bps, f.referrer_id, f.house_rates"
            " FROM invoice_fee f JOIN invoice i ON i.invoice_id = f.invoice_id"
            f" WHERE f.invoice_id IN ({marks(invoice_ids)})",
            invoice_ids,
        )
        rows: Sequence[tuple[Any, ...]] = self._cursor.fetchall()
        return {
            row[0]: FeeOfInvoice(
                merchant_id=row[1],
                currency=row[2],
                terms=Terms(int(row[3]), int(row[4]), Payer(row[5]), int(row[6])),
                referrer_id=row[7],
                rates=read_house(row[8]),
            )
            for row in rows
        }

    def assessments(self, deposit_ids: Sequence[bytes]) -> Mapping[FeeKey, Assessed]:
        if not deposit_ids:
            return {}
        self._cursor.execute(_ASSESSMENT.format(marks=marks(deposit_ids)), deposit_ids)
        found = [_assessed(row) for row in self._cursor.fetchall()]
        return {assessed.key: assessed for assessed in found}

    def standings(self, invoice_ids: Sequence[bytes]) -> Mapping[bytes, Standing]:
        if not invoice_ids:
            return {}
        self._cursor.execute(
            "SELECT invoice_id, MAX(GREATEST(number, COALESCE(returned_number, 0))),"  # noqa: S608 - only placeholders
            " SUM(IF(returned_number IS NULL, fixed_taken, 0)) FROM fee_assessment"
            f" WHERE invoice_id IN ({marks(invoice_ids)}) GROUP BY invoice_id",
            invoice_ids,
        )
        return {row[0]: Standing(int(row[1]), int(row[2])) for row in self._cursor.fetchall()}

    def add_assessments(self, assessed: Sequence[Assessed]) -> None:
        self._cursor.executemany(
            "INSERT INTO fee_assessment (deposit_id, credit_epoch, invoice_id, number, asset,"
            " units, rate_units, percent_units, open_before, fixed_taken, fixed_coins, fee_units,"
            " share_units, value_units, assessed_at, trace_id)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    one.deposit_id,
                    one.epoch,
                    one.invoice_id,
                    one.number,
                    one.asset,
                    one.units,
                    None if one.rate is None else one.rate.units,
                    one.fee.percent_units,
                    one.open_before,
                    one.fee.fixed_taken,
                    one.fee.fixed_coins,
                    one.fee.fee_units,
                    one.fee.share_units,
                    one.fee.value_units,
                    stored(one.assessed_at),
                    one.trace_id,
                )
                for one in assessed
            ],
        )

    def return_assessments(self, returned: Sequence[Assessed]) -> None:
        for one in returned:
            self._cursor.execute(
                "UPDATE fee_assessment SET returned_number = %s, returned_at = %s"
                " WHERE deposit_id = %s AND credit_epoch = %s",
                (
                    one.returned_number,
                    None if one.returned_at is None else stored(one.returned_at),
                    one.deposit_id,
                    one.epoch,
                ),
            )

    def add_volumes(self, volumes: Sequence[Volume]) -> None:
        self._cursor.executemany(
            "INSERT INTO fee_volume (merchant_id, day, currency, units, unvalued)"
            " VALUES (%s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE"
            " units = units + VALUES(units), unvalued = unvalued + VALUES(unvalued)",
            [(one.merchant_id, one.day, one.currency, one.units, one.unvalued) for one in volumes],
        )


def _assessed(row: tuple[Any, ...]) -> Assessed:
    return Assessed(
        deposit_id=row[0],
        epoch=int(row[1]),
        invoice_id=row[2],
        number=int(row[3]),
        asset=row[4],
        units=int(row[5]),
        rate=None if row[6] is None else Rate(int(row[6])),
        open_before=int(row[7]),
        fee=Assessment(int(row[8]), int(row[9]), int(row[10]), int(row[11]), _whole(row[12])),
        assessed_at=read(row[13]),
        trace_id=row[14],
        returned_number=_whole(row[15]),
        returned_at=None if row[16] is None else read(row[16]),
    )


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
