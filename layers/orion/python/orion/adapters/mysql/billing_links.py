"""Payment links and their visitors on MySQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from orion.adapters.mysql.billing_rows import BillingCursor, marks, read, stored
from orion.billing.payment_links.model import PaymentLink, Price
from orion.money import Amount, Asset, asset
from orion.records import canonical_json, parse_json

_COLUMNS = (
    "link_id, merchant_id, lane, title, currency, fixed_units, min_units, max_units, assets,"
    " expires_in_s, use_limit, ends_at, active, success_url, metadata, created_at, updated_at"
)
# The counters are written by BillingPlaces alone.
_LINK = f"SELECT {_COLUMNS}, held, unpaid FROM payment_link"  # noqa: S608 - only names of columns


class BillingLinks(BillingCursor):
    """The part of the port `LinkTransaction` that is about links."""

    def add_link(self, link: PaymentLink) -> None:
        price = link.price
        self._cursor.execute(
            f"INSERT INTO payment_link ({_COLUMNS}) VALUES ({marks(range(17))})",  # noqa: S608
            (
                link.link_id,
                link.merchant_id,
                link.lane,
                link.title,
                price.currency.code,
                _units(price.fixed),
                _units(price.minimum),
                _units(price.maximum),
                ",".join(link.assets),
                link.expires_in_s,
                link.use_limit,
                _stored(link.ends_at),
                link.active,
                link.success_url,
                canonical_json(link.metadata).decode(),
                stored(link.created_at),
                stored(link.updated_at),
            ),
        )

    def payment_link(self, link_id: bytes) -> PaymentLink | None:
        return self._one(f"{_LINK} WHERE link_id = %s", link_id)

    def lock_link(self, link_id: bytes) -> PaymentLink | None:
        return self._one(f"{_LINK} WHERE link_id = %s FOR UPDATE", link_id)

    def put_link(self, link: PaymentLink) -> None:
        self._cursor.execute(
            "UPDATE payment_link SET title = %s, use_limit = %s, ends_at = %s, active = %s,"
            " success_url = %s, metadata = %s, updated_at = %s WHERE link_id = %s",
            (
                link.title,
                link.use_limit,
                _stored(link.ends_at),
                link.active,
                link.success_url,
                canonical_json(link.metadata).decode(),
                stored(link.updated_at),
                link.link_id,
            ),
        )

    def links_before(
        self, merchant_id: bytes, before: bytes | None, limit: int
    ) -> Sequence[PaymentLink]:
        rows = self._rows(
            f"{_LINK} WHERE merchant_id = %s AND link_id < %s ORDER BY link_id DESC LIMIT %s",
            (merchant_id, before or b"\xff" * 16, limit),
        )
        return [_link(row) for row in rows]

    def lock_visitor(self, link_id: bytes, visitor: bytes) -> bytes | None:
        # This locks the row, also an empty one, so two forms of one visitor cannot pass each other;
        # whoever waited here reads what the other one has committed.
        self._cursor.execute(
            "INSERT INTO payment_link_visitor (link_id, visitor) VALUES (%s, %s)"
            " ON DUPLICATE KEY UPDATE invoice_id = invoice_id",
            (link_id, visitor),
        )
        return self.visitor_invoice(link_id, visitor)

    def put_visitor(self, link_id: bytes, visitor: bytes, invoice_id: bytes) -> None:
        self._cursor.execute(
            "UPDATE payment_link_visitor SET invoice_id = %s WHERE link_id = %s AND visitor = %s",
            (invoice_id, link_id, visitor),
        )

    def visitor_invoice(self, link_id: bytes, visitor: bytes) -> bytes | None:
        rows = self._rows(
            "SELECT invoice_id FROM payment_link_visitor WHERE link_id = %s AND visitor = %s",
            (link_id, visitor),
        )
        return None if not rows or rows[0][0] is None else _bytes(rows[0][0])

    def _one(self, sql: str, link_id: bytes) -> PaymentLink | None:
        rows = self._rows(sql, (link_id,))
        return _link(rows[0]) if rows else None


def _link(row: Sequence[Any]) -> PaymentLink:
    (link_id, merchant_id, lane, title, code, fixed, minimum, maximum, assets, expires_in_s,
     use_limit, ends_at, active, success_url, metadata, created_at, updated_at, held,
     unpaid) = row  # fmt: skip
    currency = asset(code)
    return PaymentLink(
        link_id=link_id,
        merchant_id=merchant_id,
        lane=lane,
        title=title,
        price=Price(
            currency,
            _amount(fixed, currency),
            _amount(minimum, currency),
            _amount(maximum, currency),
        ),
        assets=tuple(assets.split(",")),
        expires_in_s=expires_in_s,
        use_limit=use_limit,
        ends_at=None if ends_at is None else read(ends_at),
        active=bool(active),
        success_url=success_url,
        metadata={name: str(text) for name, text in parse_json(metadata.encode()).items()},
        created_at=read(created_at),
        updated_at=read(updated_at),
        held=held,
        unpaid=unpaid,
    )


def _units(amount: Amount | None) -> int | None:
    return None if amount is None else amount.units


def _amount(units: Any, currency: Asset) -> Amount | None:
    return None if units is None else Amount(int(units), currency)


def _stored(at: datetime | None) -> datetime | None:
    return None if at is None else stored(at)


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("an identity is bytes")
    return value
