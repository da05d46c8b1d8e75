"""Who may do what in the external book, on a real PostgreSQL: exactly what is documented."""

from collections.abc import Iterator
from contextlib import closing
from itertools import product

import psycopg
import pytest

from infra.local.postgres import Postgres
from orion.ids import fact_id
from orion.ledger.model import AccountKey, Purpose
from tests.engine.external_book_scene import AUDITOR, WRITER, Book, dropped, made

TABLES = ("account", "entry", "cursor")
PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
DOCUMENTED = {
    WRITER: {
        ("account", "SELECT"), ("account", "INSERT"), ("entry", "SELECT"), ("entry", "INSERT"),
        ("cursor", "SELECT"), ("cursor", "INSERT"), ("cursor", "UPDATE"),
    },
    AUDITOR: {("account", "SELECT"), ("entry", "SELECT"), ("cursor", "SELECT")},
}  # fmt: skip
CHANGES = (
    "UPDATE external_book.{} SET {} = {}",
    "DELETE FROM external_book.{}",
    "TRUNCATE external_book.{}",
)


@pytest.fixture(scope="module")
def book(postgres_server: Postgres) -> Iterator[Book]:
    opened = made(postgres_server)
    yield opened
    dropped(opened)


@pytest.fixture(scope="module")
def written(book: Book) -> Book:
    """One account and one entry."""
    account = AccountKey("system:bitcoin", Purpose.CUSTODY, "BTC.bitcoin")
    book.ask(
        "INSERT INTO external_book.account VALUES (%s, %s, %s, %s)",
        account.id, account.owner, str(account.purpose), account.asset,
    )  # fmt: skip
    book.ask(
        "INSERT INTO external_book.entry VALUES (0, 1, 0, %s, %s, 'direct', 'deposit_credit',"
        " false, NULL, %s, %s, NULL, 5, '{}', %s, now())",
        b"i" * 16, b"d" * 16, account.id, account.id, b"t" * 16,
    )  # fmt: skip
    return book


@pytest.mark.parametrize("principal", DOCUMENTED)
def test_a_principal_has_the_documented_rights_and_no_others(book: Book, principal: str) -> None:
    found = {
        (table, privilege)
        for table, privilege in product(TABLES, PRIVILEGES)
        if book.ask(
            "SELECT has_table_privilege(%s, 'external_book.' || %s, %s)",
            principal, table, privilege,
        ) == [(True,)]
    }  # fmt: skip
    assert found == DOCUMENTED[principal]
    for schema, privilege in product(("external_book", "public", "orion_migrations"),
                                     ("USAGE", "CREATE")):  # fmt: skip
        allowed = book.ask("SELECT has_schema_privilege(%s, %s, %s)", principal, schema, privilege)
        assert allowed == [((schema, privilege) == ("external_book", "USAGE"),)]
    for privilege in ("CONNECT", "CREATE", "TEMPORARY"):
        allowed = book.ask(
            "SELECT has_database_privilege(%s, current_database(), %s)", principal, privilege
        )
        assert allowed == [(privilege == "CONNECT",)]


@pytest.mark.parametrize("principal", DOCUMENTED)
def test_a_principal_is_no_administrator_and_comes_in_by_tls_only(
    book: Book, principal: str
) -> None:
    assert book.ask(
        "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
        " FROM pg_roles WHERE rolname = %s",
        principal,
    ) == [(False,) * 5]
    config = book.config(principal)
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(
            host=config.host, port=config.port, user=config.user, password=config.password,
            dbname=config.database, sslmode="disable",
        )  # fmt: skip


def test_rights_that_nobody_wrote_down_are_taken_by_the_next_run(book: Book) -> None:
    book.ask(f'GRANT UPDATE (units) ON external_book.entry TO "{AUDITOR}"')
    book.ask(f'GRANT DELETE ON external_book.cursor TO "{WRITER}" WITH GRANT OPTION')
    book.ask(f'GRANT CREATE ON SCHEMA external_book TO "{WRITER}"')
    book.ask(f'GRANT TEMPORARY ON DATABASE "{book.database}" TO "{WRITER}"')
    book.ask(f'GRANT pg_read_all_data TO "{AUDITOR}"')
    book.ask(f'REVOKE INSERT ON external_book.entry FROM "{WRITER}"')

    assert sorted(book.set_up()) == sorted(
        [
            f"{AUDITOR}: revoked UPDATE (units) on table external_book.entry",
            f"{AUDITOR}: revoked MEMBER on role pg_read_all_data",
            f"{WRITER}: revoked DELETE on table external_book.cursor",
            f"{WRITER}: revoked CREATE on schema external_book",
            f"{WRITER}: revoked TEMPORARY on database {book.database}",
            f"{WRITER}: granted INSERT on table external_book.entry",
        ]
    )
    assert book.set_up() == []


def test_a_new_password_is_set_by_the_next_run(book: Book) -> None:
    book.ask(f"ALTER ROLE \"{AUDITOR}\" PASSWORD 'another'")
    with pytest.raises(psycopg.OperationalError, match="password"):
        book.connection(AUDITOR)
    book.set_up()
    book.connection(AUDITOR).close()


@pytest.mark.parametrize("table", ["account", "entry"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("principal", ["admin", WRITER, AUDITOR])
def test_nobody_changes_or_takes_away_a_row(
    written: Book, principal: str, change: str, table: str
) -> None:
    before = written.ask(f"SELECT * FROM external_book.{table}")
    column = "owner" if table == "account" else "units"
    expected: type[psycopg.Error] = psycopg.errors.InsufficientPrivilege
    if principal == "admin":
        expected = psycopg.errors.RestrictViolation
    with closing(written.connection(principal)) as connection, pytest.raises(expected):
        connection.execute(change.format(table, column, column).encode())
    assert written.ask(f"SELECT * FROM external_book.{table}") == before != []


def test_the_triggers_alone_stop_a_writer_who_was_given_every_right(written: Book) -> None:
    written.ask(f'GRANT ALL ON external_book.entry, external_book.account TO "{WRITER}"')
    try:
        with closing(written.connection(WRITER)) as connection:
            for table, change in product(("account", "entry"), CHANGES):
                column = "owner" if table == "account" else "units"
                with pytest.raises(psycopg.errors.RestrictViolation):
                    connection.execute(change.format(table, column, column).encode())
            with pytest.raises(psycopg.errors.RestrictViolation):
                connection.execute(
                    b"INSERT INTO external_book.account SELECT * FROM external_book.account"
                    b" ON CONFLICT (id) DO UPDATE SET owner = 'merchant:0'"
                )
    finally:
        written.set_up()


def test_the_triggers_also_fire_for_a_session_that_replays_a_replica(written: Book) -> None:
    with closing(written.connection("admin")) as connection:
        connection.execute(b"SET session_replication_role = replica")
        with pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute(b"DELETE FROM external_book.entry")


def test_an_account_under_an_id_that_does_not_follow_from_its_names_is_refused(book: Book) -> None:
    account = AccountKey("merchant:" + "ab" * 16, Purpose.AVAILABLE, "USDT.ethereum")
    with pytest.raises(psycopg.errors.CheckViolation):
        book.ask(
            "INSERT INTO external_book.account VALUES (%s, %s, %s, %s)",
            account.id, account.owner, "settling", account.asset,
        )  # fmt: skip


@pytest.mark.parametrize(
    "owner, purpose, asset",
    [
        ("merchant:1", "settling", "BTC.bitcoin"),
        ("system:bitcoin ", "custody", "BTC.bitcoin"),
        ("system:bitcoin", "Custody", "BTC.bitcoin"),
        ("system:bitcoin", "custody", "\u00e9"),
        ("system:bitcoin", "custody", "BTC.bitcoin "),
        ("system:bitcoin", "custody", "BTC.bitcoin\n"),
        ("shard:01", "clearing", "BTC.bitcoin"),
    ],
)
def test_an_account_whose_names_no_ledger_has_is_refused(
    book: Book, owner: str, purpose: str, asset: str
) -> None:
    identity = fact_id("account", owner, purpose, asset)
    with pytest.raises(psycopg.errors.CheckViolation):
        book.ask(
            "INSERT INTO external_book.account VALUES (%s, %s, %s, %s)",
            identity, owner, purpose, asset,
        )  # fmt: skip


@pytest.mark.parametrize(
    "kind, code, moment",
    [
        ("direct ", "leg", "now"),
        ("direct", "L\u00e9g", "now"),
        ("direct", "leg", "infinity"),
        ("direct", "leg", "-infinity"),
        ("direct", "leg", "0044-03-15 BC"),
    ],
)
def test_an_entry_of_words_or_a_time_that_no_ledger_has_is_refused(
    written: Book, kind: str, code: str, moment: str
) -> None:
    known = AccountKey("system:bitcoin", Purpose.CUSTODY, "BTC.bitcoin").id
    with pytest.raises(psycopg.errors.CheckViolation):
        written.ask(
            "INSERT INTO external_book.entry VALUES (0, 3, 0, %s, %s, %s, %s, false, NULL,"
            " %s, %s, NULL, 5, '{}', %s, %s)",
            b"k" * 16, b"d" * 16, kind, code, known, known, b"t" * 16, moment,
        )  # fmt: skip


def test_an_entry_of_an_unknown_account_is_refused(written: Book) -> None:
    known = AccountKey("system:bitcoin", Purpose.CUSTODY, "BTC.bitcoin").id
    for debit, credit, counterpart in (
        (b"?" * 16, known, None),
        (known, b"?" * 16, None),
        (known, known, b"?" * 16),
    ):
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            written.ask(
                "INSERT INTO external_book.entry VALUES (0, 2, 0, %s, %s, 'direct',"
                " 'deposit_credit', false, NULL, %s, %s, %s, 5, '{}', %s, now())",
                b"j" * 16, b"d" * 16, debit, credit, counterpart, b"t" * 16,
            )  # fmt: skip
