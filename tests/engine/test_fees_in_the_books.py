"""Fees from the invoice to the ledger and back: the rule of fees over what really was stored."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orion.adapters.mysql.ledger_store import MySqlLedgerStore
from orion.adapters.mysql.reconciled_causes import MySqlCauseReader
from orion.adapters.mysql.session import Database, MySqlConfig
from orion.ledger.transfer_record import read_posted
from orion.log.reconciliation import rules
from orion.log.reconciliation.planning import Span
from orion.records import Record, canonical_json
from tests.engine.billing_scene import MERCHANT, TRACE, scene_of
from tests.engine.fees_scene import FeesScene, fees_scene_of
from tests.engine.reconciliation_scene import Deposit, empty_books, know_deposits

pytestmark = pytest.mark.engine

NUMBER = int.from_bytes(MERCHANT)
POSTED = "SELECT payload FROM orion_ledger.outbox WHERE destination = 'kafka:ledger.posted'"
ASKED = "SELECT payload FROM orion_billing.outbox WHERE destination = 'kafka:ledger.transfers'"
EVERY = {"fee", "referral_share", "deposit_final"}
NAMES = {f"merchant:{MERCHANT.hex()}": "mine", "system:bitcoin": "house"}


class Paid:
    """A merchant with a plan, a referrer and an invoice, beside a real ledger of one shard."""

    def __init__(self, mysql: Any, fees: FeesScene) -> None:
        self.mysql = mysql
        self.fees = fees
        self.admin = mysql.connect()
        self.admin.autocommit(True)
        self.cursor = self.admin.cursor()
        empty_books(self.cursor)
        fees.prepare(wallets=2)
        fees.assign()
        fees.refer()
        self.invoice_id = fees.invoice()
        self.opened: list[Database] = []
        self.ledger = MySqlLedgerStore(self.database("ledger", "orion_ledger"))
        self.reader = MySqlCauseReader(self.database("log", "orion_log"))
        # Days ago, so that what is missing is late.
        self.posted_at = datetime.now(UTC) - timedelta(days=3)
        self.asked = self.heard = self.sent = 0

    def database(self, principal: str, schema: str) -> Database:
        login, server = self.mysql.credentials(principal), self.mysql
        config = MySqlConfig(
            server.host, server.port, login.username, login.password, schema, server.ca_pem
        )
        self.opened.append(Database(config))
        return self.opened[-1]

    def close(self) -> None:
        self.fees.close()
        self.admin.close()
        for database in self.opened:
            database.close()

    def post(self, body: bytes) -> None:
        """One record reaches the ledger's writer."""
        record = Record("ledger.transfers", 0, self.asked, b"0", body)
        self.asked += 1
        self.posted_at += timedelta(seconds=1)
        result = self.ledger.post([record], self.posted_at)
        assert result.refused == 0

    def tell(self, deposit: Deposit, code: str, epoch: int | None = None) -> None:
        """moneyin asks for a transfer of its deposit."""
        transfers = [deposit.transfer(code, epoch)]
        self.post(canonical_json({"v": 1, "trace_id": TRACE, "transfers": transfers}))

    def hear(self) -> None:
        """Billing reads the ledger's very bytes."""
        self.cursor.execute(f"{POSTED} ORDER BY seq")
        told = [payload for (payload,) in self.cursor.fetchall()]
        records = [
            Record("ledger.posted", 0, place, b"0", payload) for place, payload in enumerate(told)
        ]
        self.fees.progress().apply_posted(records[self.heard :])
        self.heard = len(records)

    def take(self, deposit: Deposit) -> None:
        """moneyin tells billing that the deposit is final for the invoice."""
        event = self.fees.deposit(
            self.invoice_id,
            9 + deposit.epoch,
            deposit_id=deposit.id.hex(),
            state="final",
            units=str(deposit.units),
            credit_epoch=deposit.epoch,
        )
        self.fees.progress().apply_deposits([event])

    def send(self) -> None:
        """What billing's relay does."""
        rows = self.fees.rows(f"{ASKED} ORDER BY seq")
        for (payload,) in rows[self.sent :]:
            self.post(payload)
        self.sent = len(rows)

    def final(self, number: int = 100, units: int = 41_667) -> Deposit:
        """A deposit that became final, in the ledger and for moneyin."""
        deposit = Deposit(number, NUMBER, units)
        for state, code in (("included", "deposit_credit"), ("final", "deposit_final")):
            deposit.becomes(state)
            self.tell(deposit, code)
        return deposit

    def codes(self) -> list[tuple[str, int]]:
        self.cursor.execute(f"{POSTED} ORDER BY seq")
        return [
            (entry.transfer.code.value, entry.transfer.units)
            for (payload,) in self.cursor.fetchall()
            for entry in read_posted(payload).entries
        ]

    def balances(self) -> dict[tuple[str, str], int]:
        self.cursor.execute(
            "SELECT owner, purpose, credits_posted - debits_posted FROM orion_ledger.account"
        )
        return {
            (NAMES.get(owner, "theirs"), purpose): int(units)
            for owner, purpose, units in self.cursor.fetchall()
            if units
        }

    def untrue(self) -> list[tuple[str, str, str]]:
        """As the reconciliation's step of causes finds them: kind, code's place, expectation."""
        found: list[tuple[str, str, str]] = []
        for piece in self.reader.entries(0, Span(1, 1_000)):
            facts = self.reader.facts(rules.wanted(piece), datetime.now(UTC))
            codes = {entry.id: entry.code for entry in piece}
            found += [
                (str(one.kind), codes[one.transfer_id or b""], one.expected or "")
                for one in rules.untrue(piece, facts)
            ]
        return found

    def change(self, statement: str) -> None:
        self.cursor.execute(statement)


@pytest.fixture
def paid(mysql_admin: Any) -> Iterator[Paid]:
    found = Paid(mysql_admin, fees_scene_of(mysql_admin, scene_of(mysql_admin)))
    yield found
    found.close()


def whole(paid: Paid) -> Deposit:
    """A payment with its fee and its share, as all rooms together make it."""
    deposit = paid.final()
    paid.hear()
    paid.take(deposit)
    paid.send()
    know_deposits(paid.cursor, [deposit])
    return deposit


def test_a_fee_and_a_share_reach_the_ledger_and_bear_their_rule(paid: Paid) -> None:
    whole(paid)
    assert paid.codes()[2:] == [("fee", 582), ("referral_share", 116)]
    assert paid.balances() == {
        ("house", "custody"): -41_667,
        ("mine", "available"): 41_085,
        ("house", "fee_income"): 466,
        ("theirs", "available"): 116,
    }
    assert paid.untrue() == []


def test_what_is_repeated_after_a_crash_changes_nothing(paid: Paid) -> None:
    deposit = whole(paid)
    before = paid.codes()
    paid.sent = paid.heard = 0
    paid.send()
    paid.hear()
    paid.take(deposit)
    paid.send()
    assert paid.codes() == before


def test_a_short_balance_owes_the_fee_and_the_next_deposit_pays_it_back(paid: Paid) -> None:
    deposit = paid.final()
    # Everything was paid out before the fee came.
    available = {"owner": f"merchant:{MERCHANT.hex()}", "purpose": "available"}
    payout = {
        "id": "0e" * 16,
        "kind": "pending",
        "code": "payout",
        "asset": "BTC.bitcoin",
        "units": "41500",
        "debit": available,
        "credit": {"owner": "system:bitcoin", "purpose": "custody"},
        "cause": {"type": "payout"},
        "linked": False,
    }
    done = payout | {"id": "0f" * 16, "kind": "post", "pending_id": "0e" * 16}
    paid.post(canonical_json({"v": 1, "trace_id": TRACE, "transfers": [payout, done]}))
    paid.hear()
    paid.take(deposit)
    paid.send()
    next_one = paid.final(101, 1_000)
    know_deposits(paid.cursor, [deposit, next_one])
    assert paid.codes()[4:] == [
        ("fee", 167),
        ("fee_shortfall", 415),
        ("referral_share", 116),
        ("deposit_credit", 1_000),
        ("deposit_final", 1_000),
        ("reversal_repaid", 415),
    ]
    assert paid.balances()["mine", "available"] == 585
    # Payouts get their rule with their module; every other entry bears its own.
    assert {(kind, code) for kind, code, _ in paid.untrue()} == {("cause_without_rule", "payout")}


def test_a_reversal_after_finality_leaves_nobody_with_anything(paid: Paid) -> None:
    deposit = whole(paid)
    epoch = deposit.epoch
    deposit.becomes("reversed")
    paid.tell(deposit, "deposit_reversal_final", epoch)
    paid.hear()
    paid.send()
    empty_rows = ("deposit", "deposit_history", "address", "wallet")
    for table in empty_rows:
        paid.change(f"DELETE FROM orion_moneyin.{table}")
    know_deposits(paid.cursor, [deposit])
    assert paid.codes()[4:] == [
        ("deposit_reversal_final", 41_085),
        ("reversal_shortfall", 582),
        ("fee_returned", 582),
        ("reversal_repaid", 582),
        ("referral_returned", 116),
    ]
    assert paid.balances() == {}
    assert paid.untrue() == []
    # Mined again, it pays the fixed part again: what was returned is open.
    for state, code in (("included", "deposit_credit"), ("final", "deposit_final")):
        deposit.becomes(state)
        paid.tell(deposit, code)
    paid.hear()
    paid.take(deposit)
    paid.send()
    for table in empty_rows:
        paid.change(f"DELETE FROM orion_moneyin.{table}")
    know_deposits(paid.cursor, [deposit])
    assert paid.codes()[-2:] == [("fee", 582), ("referral_share", 116)]
    assert paid.untrue() == []


@pytest.mark.parametrize(
    "statement, codes",
    [
        ("UPDATE {b}.invoice_fee SET bps = 99", {"fee", "referral_share"}),
        ("UPDATE {b}.invoice_fee SET referral_bps = 2001", {"fee", "referral_share"}),
        ("UPDATE {b}.invoice_fee SET fixed_units = 11", {"fee", "referral_share"}),
        ("UPDATE {b}.invoice_fee SET asked_units = asked_units + 1", {"fee", "referral_share"}),
        ("UPDATE {b}.invoice_fee SET volume_units = 1000000", {"fee", "referral_share"}),
        ("UPDATE {b}.invoice_fee SET house_rates = REPLACE(house_rates, '6', '7')",
         EVERY),
        ("UPDATE {b}.invoice_fee SET house_rates = '{{}}'", EVERY),
        ("UPDATE {b}.fee_assessment SET rate_units = rate_units + 1", EVERY),
        ("UPDATE {b}.fee_assessment SET value_units = 10000000", EVERY),
        ("UPDATE {b}.fee_assessment SET value_units = NULL", EVERY),
        ("UPDATE {b}.fee_plan SET body = REPLACE(body, '0.10', '0.20')",
         {"fee", "referral_share"}),
        ("DELETE FROM {b}.fee_assignment", {"fee", "referral_share"}),
        ("DELETE FROM {b}.referral", {"fee", "referral_share"}),
        ("UPDATE {b}.fee_assessment SET units = units + 100",
         EVERY),
        ("DELETE FROM {b}.fee_assessment", {"fee", "referral_share", "deposit_final"}),
        ("DELETE FROM {b}.invoice_fee", {"fee", "referral_share"}),
        ("UPDATE {l}.transfer SET units = units - 1 WHERE code = 'fee'", {"fee"}),
        ("UPDATE {l}.transfer SET units = units + 1 WHERE code = 'referral_share'",
         {"referral_share"}),
        ("DELETE FROM {l}.transfer WHERE code = 'fee'", {"deposit_final"}),
        ("DELETE FROM {l}.transfer WHERE code = 'referral_share'", {"deposit_final"}),
    ],
)  # fmt: skip
def test_what_somebody_changed_is_found_where_it_shows(
    paid: Paid, statement: str, codes: set[str]
) -> None:
    whole(paid)
    paid.change(statement.format(b="orion_billing", l="orion_ledger"))
    assert {code for _, code, _ in paid.untrue()} == codes


OF_HIS_OWN = 600_000_000 * 10**12


def test_a_fee_and_a_volume_that_were_computed_by_the_merchants_own_rate_are_found(
    paid: Paid,
) -> None:
    """As a taker that believed the option's rate would have left everything behind, the ledger
    among it.
    """
    paid.change(
        f"UPDATE orion_billing.payment_option SET rate_source = 'fixed', rate_units = {OF_HIS_OWN}"
    )
    of_house = paid.fees.one("SELECT house_rates FROM orion_billing.invoice_fee")
    forged = of_house.replace(str(60_000 * 10**12), str(OF_HIS_OWN))
    paid.fees.rows("UPDATE orion_billing.invoice_fee SET house_rates = %s", forged)
    whole(paid)
    assert paid.codes()[2:] == [("fee", 416), ("referral_share", 83)]
    paid.fees.rows("UPDATE orion_billing.invoice_fee SET house_rates = %s", of_house)
    expected = f"rate assessed {60_000 * 10**12}"
    assert sorted(paid.untrue()) == [
        ("cause_differs", "deposit_final", expected),
        ("cause_differs", "fee", expected),
        ("cause_differs", "referral_share", expected),
    ]
    # Were the assessment put right too, the ledger alone would tell.
    paid.change(
        f"UPDATE orion_billing.fee_assessment SET rate_units = {60_000 * 10**12},"
        " value_units = 2500"
    )
    assert sorted(paid.untrue()) == [
        ("cause_differs", "fee", "units 582"),
        ("cause_differs", "referral_share", "units 116"),
    ]


def test_the_rate_of_an_option_of_the_market_is_the_houses_less_the_spread(paid: Paid) -> None:
    whole(paid)
    option = "UPDATE orion_billing.payment_option SET rate_source = 'market', rate_spread_bps = 50"
    paid.change(f"{option}, rate_units = {59_700 * 10**12}")
    assert paid.untrue() == []
    paid.change(f"{option}, rate_units = {59_700 * 10**12 + 1}")
    assert {code for _, code, _ in paid.untrue()} == {"fee", "referral_share"}


def test_a_final_deposit_that_billing_never_heard_of_is_found(paid: Paid) -> None:
    deposit = paid.final()
    know_deposits(paid.cursor, [deposit])
    paid.fees.rows("UPDATE orion_moneyin.deposit SET invoice_id = %s", paid.invoice_id)
    [(kind, code, expected)] = paid.untrue()
    assert (kind, code) == ("cause_not_found", "deposit_final")
    assert expected == "assessment of the deposit under epoch 0"
