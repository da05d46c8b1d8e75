"""What billing and moneyin know of fees, for the reconciliation: docs/books.md, "Rules of causes".

The invoice that a final credit pays is billing's word, and moneyin's where billing lost it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orion.adapters.mysql.session import Cursor
from orion.log.reconciliation.fees import AgreedFact, AssessedFact, FeeFacts, FeeKey, MarketOption

_LIST_SIZE = 900
_INVOICE = """
SELECT d.deposit_id, f.credit_epoch, f.invoice_id, d.credit_epoch, d.invoice_id
FROM orion_moneyin.deposit d LEFT JOIN orion_billing.fee_fact f ON f.deposit_id = d.deposit_id
WHERE d.deposit_id IN ({marks})
"""
_AGREED = """
SELECT f.invoice_id, i.merchant_id, i.currency, i.price_units, f.plan_id, p.body, f.subject,
  a.plan_id, f.bps, f.fixed_units, f.payer, f.referral_bps, f.referrer_id, f.volume_units,
  f.asked_units, r.referrer_id, f.house_rates
FROM orion_billing.invoice_fee f
JOIN orion_billing.invoice i ON i.invoice_id = f.invoice_id
LEFT JOIN orion_billing.fee_plan p ON p.plan_id = f.plan_id
LEFT JOIN orion_billing.fee_assignment a ON a.subject = f.subject AND a.number = f.assignment
LEFT JOIN orion_billing.referral r ON r.merchant_id = i.merchant_id
WHERE f.invoice_id IN ({marks})
"""
_OPTIONS = """
SELECT invoice_id, asset, rate_units, rate_spread_bps FROM orion_billing.payment_option
WHERE rate_source = 'market' AND invoice_id IN ({marks})
"""
_ASSESSED = """
SELECT a.deposit_id, a.credit_epoch, a.invoice_id, a.units, a.asset, a.rate_units, a.value_units,
  (SELECT COALESCE(SUM(b.fixed_taken), 0) FROM orion_billing.fee_assessment b
   WHERE b.invoice_id = a.invoice_id AND b.number < a.number
     AND (b.returned_number IS NULL OR b.returned_number > a.number)),
  a.returned_number IS NOT NULL
FROM orion_billing.fee_assessment a WHERE a.deposit_id IN ({marks})
"""


def fee_facts(cursor: Cursor, keys: Sequence[FeeKey]) -> Mapping[FeeKey, FeeFacts]:
    """What is known of these final credits; one whose invoice agreed on no fee is absent."""
    wanted = set(keys)
    deposits = sorted({deposit for deposit, _ in keys})
    invoices: dict[FeeKey, bytes] = {}
    assessed: dict[FeeKey, AssessedFact] = {}
    for row in _found(cursor, _INVOICE, deposits):
        deposit, epoch, of_billing, present, of_moneyin = row
        if of_moneyin is not None:
            invoices.setdefault((deposit, present), of_moneyin)
        if of_billing is not None:
            invoices[deposit, epoch] = of_billing
    for deposit, epoch, *rest in _found(cursor, _ASSESSED, deposits):
        assessed[deposit, epoch] = _assessed(rest)
        invoices[deposit, epoch] = rest[0]
    agreed = _agreed(cursor, sorted({invoices[key] for key in wanted & invoices.keys()}))
    return {
        key: FeeFacts(agreed[invoice], assessed.get(key))
        for key, invoice in invoices.items()
        if key in wanted and invoice in agreed
    }


def _agreed(cursor: Cursor, invoices: Sequence[bytes]) -> Mapping[bytes, AgreedFact]:
    options: dict[bytes, dict[str, MarketOption]] = {}
    rows = list(_found(cursor, _AGREED, invoices))
    for invoice, asset, units, spread_bps in _found(cursor, _OPTIONS, [row[0] for row in rows]):
        options.setdefault(invoice, {})[asset] = MarketOption(int(units), int(spread_bps))
    return {row[0]: _fact(row, options.get(row[0], {})) for row in rows}


def _assessed(row: Sequence[Any]) -> AssessedFact:
    invoice, units, asset, rate, value, before, returned = row
    return AssessedFact(
        invoice, int(units), asset, _whole(rate), _whole(value), int(before), bool(returned)
    )


def _fact(row: tuple[Any, ...], options: Mapping[str, MarketOption]) -> AgreedFact:
    return AgreedFact(
        merchant_id=row[1],
        currency=row[2],
        price_units=int(row[3]),
        plan_id=row[4],
        plan=row[5] or b"",
        subject=row[6],
        assigned_plan=row[7],
        bps=int(row[8]),
        fixed_units=int(row[9]),
        payer=row[10],
        referral_bps=int(row[11]),
        referrer_id=row[12],
        volume_units=None if row[13] is None else int(row[13]),
        asked_units=int(row[14]),
        referred_by=row[15],
        house_rates=row[16],
        options=options,
    )


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _found(cursor: Cursor, statement: str, ids: Sequence[bytes]) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(ids), _LIST_SIZE):
        some = ids[start : start + _LIST_SIZE]
        cursor.execute(statement.format(marks=",".join(["%s"] * len(some))), tuple(some))
        yield from cursor.fetchall()
