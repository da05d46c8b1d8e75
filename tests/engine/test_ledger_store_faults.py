"""One record that cannot be posted: those before it are, and the fault says which it was."""

from collections.abc import Iterator

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql.ledger_store import MySqlLedgerStore
from orion.adapters.mysql.ledger_store_legs import UnknownLeg
from orion.adapters.mysql.session import Cursor
from orion.errors import OrionError
from orion.ledger.model import AccountKey, Leg, Purpose, Side, leg_cause, leg_id
from orion.ledger.posting import LegNotApplied
from orion.ledger.service import post_partition
from orion.ledger.transfer_record import transfers_body
from orion.records import Record, canonical_json
from tests.engine.ledger_store_scene import (
    NOW,
    credit,
    empty_ledger,
    record,
    rows,
    settled,
    writer,
)

pytestmark = pytest.mark.engine

MANY = 37


@pytest.fixture
def admin(mysql_admin: MariaDb) -> Iterator[Cursor]:
    with empty_ledger(mysql_admin) as cursor:
        yield cursor


@pytest.fixture
def store(mysql_admin: MariaDb, admin: Cursor) -> MySqlLedgerStore:
    return writer(mysql_admin)


def unsent_leg(offset: int, owner: str) -> Record:
    """A leg that no shard sent."""
    account = AccountKey(owner, Purpose.CUSTODY, "BTC.bitcoin")
    made = Leg(
        leg_id(1, 1), 1, account, Side.DEBIT, 5, leg_cause(1, 1, (1, 0), (1, 0)), 1, b"t" * 16
    )
    body = transfers_body((made.as_transfer(),), b"t" * 16)
    return Record("ledger.transfers", 0, offset, b"", canonical_json(body))


@pytest.mark.parametrize("place", [0, 1, 17, 18, MANY - 1])
@pytest.mark.parametrize(
    "owner, kind", [("system:bitcoin", UnknownLeg), ("system:ethereum", LegNotApplied)]
)
def test_what_stands_before_a_record_that_cannot_be_posted_is_posted_and_the_fault_names_it(
    store: MySqlLedgerStore,
    admin: Cursor,
    place: int,
    owner: str,
    kind: type[OrionError],
) -> None:
    records = [record(100 + n, credit(1)) for n in range(MANY)]
    records[place] = unsent_leg(100 + place, owner)
    for _ in range(2):  # Delivered again it stops there again.
        with pytest.raises(kind) as stopped:
            post_partition(store, records, NOW)
        fields = stopped.value.fields
        assert (fields["topic"], fields["partition"]) == ("ledger.transfers", 0)
        assert fields["offset"] == 100 + place
        assert settled(admin) == place
        assert rows(admin, "SELECT version FROM shard")[0][0] <= 6
    records[place] = record(100 + place, credit(1))
    post_partition(store, records, NOW)
    assert settled(admin) == MANY


def test_of_two_records_that_cannot_be_posted_the_first_one_is_named(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    records = [record(n, credit(1)) for n in range(MANY)]
    for place in (9, 30):
        records[place] = unsent_leg(place, "system:bitcoin")
    with pytest.raises(UnknownLeg) as stopped:
        post_partition(store, records, NOW)
    assert stopped.value.fields["offset"] == 9
    assert settled(admin) == 9


def test_a_malformed_record_behind_another_that_cannot_be_posted_hides_it_not(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    bad = Record("ledger.transfers", 0, 3, b"", b"{")
    records = [record(0, credit(1)), unsent_leg(1, "system:bitcoin"), record(2, credit(1)), bad]
    with pytest.raises(UnknownLeg) as stopped:
        post_partition(store, records, NOW)
    assert stopped.value.fields["offset"] == 1
    assert settled(admin) == 1
