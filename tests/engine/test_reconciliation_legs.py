"""Which entries a leg sums: those between its two places that stand in clearing for its account."""

from collections.abc import Iterator

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql.reconciled_causes import MySqlCauseReader
from orion.adapters.mysql.session import Cursor, Database, MySqlConfig
from orion.ids import fact_id
from orion.ledger.codes import Purpose
from orion.ledger.model import AccountKey, clearing
from orion.log.reconciliation.causes import LegCause, Wanted
from tests.engine.external_book_scene import NOON

pytestmark = pytest.mark.engine

ASSET = "BTC.bitcoin"
SHARD = 2
CUSTODY = AccountKey("system:bitcoin", Purpose.CUSTODY, ASSET)
ETHER = AccountKey("system:ethereum", Purpose.CUSTODY, "ETH.ethereum")
SETTLING = AccountKey("merchant:" + "1" * 32, Purpose.SETTLING, ASSET)
HERE = clearing(SHARD, ASSET)


class Entries:
    """Rows of the ledger, each of other units, so that a sum says which rows are in it."""

    def __init__(self, cursor: Cursor, log: Database) -> None:
        self._cursor = cursor
        self._reader = MySqlCauseReader(log)
        for table in ("transfer", "account"):
            cursor.execute(f"DELETE FROM orion_ledger.{table}")
        for key in (CUSTODY, ETHER, SETTLING, HERE, clearing(1, ASSET)):
            cursor.execute(
                "INSERT INTO orion_ledger.account VALUES (%s, %s, %s, %s, 0, 0, 0, 0, 0, %s, %s)",
                (key.id, key.owner, key.purpose.value, key.asset, "2026-11-23", "2026-11-23"),
            )

    def add(
        self,
        number: int,
        position: int,
        units: int,
        *,
        shard: int = SHARD,
        kind: str = "direct",
        debit: AccountKey = HERE,
        credit: AccountKey = SETTLING,
        counterpart: AccountKey | None = CUSTODY,
    ) -> None:
        identity = fact_id("entry", shard, number, position)
        self._cursor.execute(
            "INSERT INTO orion_ledger.transfer (shard_no, number, position, id, digest, kind, code,"
            " linked, debit_account, credit_account, counterpart, units, cause, trace_id,"
            " posted_at) VALUES (%s, %s, %s, %s, %s, %s, 'deposit_credit', 0, %s, %s, %s, %s,"
            " '{}', %s, %s)",
            (shard, number, position, identity, identity, kind, debit.id, credit.id,
             counterpart.id if counterpart else None, units, identity, NOON.replace(tzinfo=None)),
        )  # fmt: skip

    def summed(self, side: str = "debit") -> int | None:
        leg = LegCause(SHARD, 9, (4, 3), (6, 5), CUSTODY.id, side)
        return self._reader.facts(Wanted(legs=frozenset({leg})), NOON).legs.get(leg)


@pytest.fixture
def entries(mysql_admin: MariaDb) -> Iterator[Entries]:
    login = mysql_admin.credentials("log")
    admin = mysql_admin.connect()
    admin.autocommit(True)
    log = Database(
        MySqlConfig(
            mysql_admin.host, mysql_admin.port, login.username, login.password, "orion_log",
            mysql_admin.ca_pem,
        )
    )  # fmt: skip
    yield Entries(admin.cursor(), log)
    log.close()
    admin.close()


def test_a_leg_sums_from_its_first_place_to_its_last_and_no_further(entries: Entries) -> None:
    assert entries.summed() is None
    for number, position, units in (
        (3, 9, 1), (4, 2, 2), (4, 3, 10), (4, 4, 20), (5, 0, 40), (5, 699, 80), (6, 4, 100),
        (6, 5, 200), (6, 6, 1_000), (6, 699, 2_000), (7, 0, 4_000),
    ):  # fmt: skip
        entries.add(number, position, units)
    assert entries.summed() == 450
    assert entries.summed("credit") is None


def test_a_leg_sums_only_what_moved_its_clearing_account_on_its_side(entries: Entries) -> None:
    entries.add(5, 0, 7)
    # Taken from the account instead of given to it: another leg's.
    entries.add(5, 1, 10, debit=SETTLING, credit=HERE)
    # Beside another account than this shard's own clearing.
    entries.add(5, 2, 100, debit=CUSTODY)
    entries.add(5, 3, 200, debit=clearing(1, ASSET))
    entries.add(5, 4, 400, counterpart=ETHER)
    entries.add(5, 5, 800, counterpart=None)
    entries.add(5, 6, 1_600, shard=1)
    assert entries.summed() == 7
    assert entries.summed("credit") == 10


def test_a_leg_sums_only_what_was_posted(entries: Entries) -> None:
    kinds = ("direct", "pending", "signed", "post", "void", "timeout")
    for position, kind in enumerate(kinds):
        entries.add(5, position, 10**position, kind=kind)
    assert entries.summed() == 1 + 1_000
