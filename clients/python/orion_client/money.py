"""Reading what came: balances, payments, statements, fees, rates, exports."""

from collections.abc import Iterator, Sequence
from typing import cast
from urllib.parse import parse_qsl

from orion_client.errors import UnreadableAnswer
from orion_client.resources import Resource, at, each, given
from orion_client.shapes import (
    Balance,
    FixedRate,
    Page,
    Payment,
    Rate,
    RateSettings,
    Statement,
    StatementLine,
)
from orion_client.shapes import Fees as FeesNow

_PARTS_MAX = 10_000  # Of one export: far more than 10,000 rows each.


class Balances(Resource):
    """`/v1/balances`"""

    def list(self) -> list[Balance]:
        """All assets ever credited. One that is not there has no account: unknown, not zero."""
        return cast("list[Balance]", self._json("GET", "/v1/balances")["data"])


class Fees(Resource):
    """`/v1/fees`"""

    def get(self) -> FeesNow:
        """The plan in force, and the volume that chose its tier."""
        return cast(FeesNow, self._json("GET", "/v1/fees"))


class Rates(Resource):
    """`/v1/rates`"""

    def show(self, *, currency: str, assets: Sequence[str]) -> list[Rate]:
        """What an invoice made now would lock, or why there is no rate."""
        query = {"currency": currency, "assets": list(assets)}
        return cast("list[Rate]", self._json("GET", "/v1/rates", query=query)["data"])

    def set_fixed(self, asset: str, currency: str, rate: str) -> FixedRate:
        """Your own price of one whole coin, as decimal text."""
        path = at("/v1/rates/{asset}/{currency}", asset=asset, currency=currency)
        return cast(FixedRate, self._json("PUT", path, body={"rate": rate}))

    def remove_fixed(self, asset: str, currency: str) -> None:
        """Take your own price back."""
        path = at("/v1/rates/{asset}/{currency}", asset=asset, currency=currency)
        self._transport.send("DELETE", path)

    def settings(self) -> RateSettings:
        """Which sources are asked, in which order, and the spread."""
        return cast(RateSettings, self._json("GET", "/v1/rate-settings"))

    def change_settings(
        self, *, sources: Sequence[str], spread_bps: int | None = None
    ) -> RateSettings:
        """Replace them all; a spread that is left out goes back to its default."""
        body = given(sources=list(sources), spread_bps=spread_bps)
        return cast(RateSettings, self._json("PUT", "/v1/rate-settings", body=body))


class Payments(Resource):
    """`/v1/payments`"""

    def page(
        self,
        *,
        asset: str | None = None,
        state: str | None = None,
        invoice_id: str | None = None,
        from_: str | None = None,
        to: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Payment]:
        """One page, newest first; it may be empty and still name a next one."""
        members = given(
            asset=asset, state=state, invoice_id=invoice_id, to=to, limit=limit, cursor=cursor
        )
        query = {**members, **({} if from_ is None else {"from": from_})}
        return cast(Page[Payment], self._json("GET", "/v1/payments", query=query))

    def each(
        self,
        *,
        asset: str | None = None,
        state: str | None = None,
        invoice_id: str | None = None,
        from_: str | None = None,
        to: str | None = None,
    ) -> Iterator[Payment]:
        """All of them, newest first."""
        return each(
            lambda cursor: self.page(
                asset=asset,
                state=state,
                invoice_id=invoice_id,
                from_=from_,
                to=to,
                limit=100,
                cursor=cursor,
            )
        )


class Statements(Resource):
    """`/v1/statements/{asset}`"""

    def page(
        self,
        asset: str,
        *,
        account: str | None = None,
        from_: str | None = None,
        to: str | None = None,
        order: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Statement:
        """One page of an account's lines with its opening and closing balance."""
        members = given(account=account, to=to, order=order, limit=limit, cursor=cursor)
        query = {**members, **({} if from_ is None else {"from": from_})}
        path = at("/v1/statements/{asset}", asset=asset)
        return cast(Statement, self._json("GET", path, query=query))

    def each(
        self,
        asset: str,
        *,
        account: str | None = None,
        from_: str | None = None,
        to: str | None = None,
    ) -> Iterator[StatementLine]:
        """All lines, oldest first."""
        return each(
            lambda cursor: cast(
                Page[StatementLine],
                self.page(asset, account=account, from_=from_, to=to, limit=500, cursor=cursor),
            )
        )


class Exports(Resource):
    """`/v1/exports/….csv`: parts that are the file when they are written one after another."""

    def invoices(self, *, from_: str, to: str) -> Iterator[bytes]:
        """Invoices made from `from_` (included) to `to` (excluded), oldest first."""
        return self._parts("/v1/exports/invoices.csv", {"from": from_, "to": to})

    def payments(self, *, from_: str, to: str) -> Iterator[bytes]:
        """Payments first seen in that time."""
        return self._parts("/v1/exports/payments.csv", {"from": from_, "to": to})

    def statement(
        self, *, asset: str, account: str | None = None, from_: str, to: str
    ) -> Iterator[bytes]:
        """Lines of one account posted in that time."""
        query = given(asset=asset, account=account)
        return self._parts("/v1/exports/statement.csv", {**query, "from": from_, "to": to})

    def _parts(self, path: str, query: dict[str, object]) -> Iterator[bytes]:
        for _ in range(_PARTS_MAX):
            answer = self._transport.send("GET", path, query=query)
            yield answer.body
            following = next_part(answer.headers.get("link"))
            if following is None:
                return
            query = dict(following)
        raise UnreadableAnswer(f"an export of more than {_PARTS_MAX} parts: ask for less time")


def next_part(link: str | None) -> dict[str, str] | None:
    """The query of the next part, of a header such as `<?cursor=…>; rel="next"` (RFC 8288).

    Only the query is taken from it: the key never goes to another address. Raises UnreadableAnswer.
    """
    if link is None:
        return None
    target, _, parameters = link.partition(">")
    if not target.startswith("<") or 'rel="next"' not in parameters:
        raise UnreadableAnswer("a Link header of another form")
    query = target.partition("?")[2]
    return dict(parse_qsl(query, keep_blank_values=True, max_num_fields=32))
