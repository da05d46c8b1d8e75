"""A merchant's statements, read through the ledger's."""

from collections.abc import Mapping

from orion.billing.statements.model import Asked, lines_question, opening_question, statement_view
from orion.ledger.model import Counters
from orion.ledger.statement import Statements


class MerchantStatements:
    """`statements` reads the ledger with a login of its own that changes nothing."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def page(self, asked: Asked) -> Mapping[str, object]:
        """One page with the balances around it. What lies at or before `complete_through` never
        changes, so the two readings agree. Raises UnknownAccount, or Unavailable.
        """
        page = self._statements.page(lines_question(asked))
        before = opening_question(asked)
        opening: Counters | None = Counters()
        if before is not None:
            opening = self._statements.page(before).counters
        return statement_view(asked, page, opening)
