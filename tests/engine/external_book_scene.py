"""An external book of one test: a database of its own on the session's PostgreSQL."""

import hashlib
import secrets
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from infra.local.migrations import FOLDER
from infra.local.postgres import Postgres
from orion.adapters.postgres.config import PostgresConfig
from orion.adapters.postgres.migrations import PostgresMigrations
from orion.arch.folder import read_sources
from orion.arch.model import read_folder, read_layout
from orion.arch.ports import Password
from orion.arch.service import POSTGRES_FOLDER, POSTGRES_SCHEMA
from orion.ledger.model import (
    AccountKey,
    Code,
    Entry,
    Kind,
    Purpose,
    Transfer,
    clearing,
    leg_cause,
    leg_id,
)
from orion.ledger.transfer_record import PostedRecord, posted_body
from orion.records import Record, canonical_json

WRITER, AUDITOR = "external-book", "book-auditor"
NOON = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
CUSTODY = AccountKey("system:bitcoin", Purpose.CUSTODY, "BTC.bitcoin")
TOPIC = "ledger.posted"


@dataclass(frozen=True)
class Book:
    """A migrated database with its users."""

    server: Postgres
    database: str

    def config(self, principal: str) -> PostgresConfig:
        """How a principal, or `admin`, comes in."""
        login = self.server.admin if principal == "admin" else self.server.credentials(principal)
        return PostgresConfig(
            self.server.host, self.server.port, login.username, login.password, self.database,
            self.server.ca_pem,
        )  # fmt: skip

    def connection(self, principal: str) -> "psycopg.Connection[tuple[Any, ...]]":
        """Autocommitting."""
        config = self.config(principal)
        return psycopg.connect(
            host=config.host, port=config.port, user=config.user, password=config.password,
            dbname=config.database, sslmode="verify-full", sslrootcert=self.server.ca_path,
            autocommit=True,
        )  # fmt: skip

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """As the administrator."""
        with closing(self.connection("admin")) as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def set_up(self) -> Sequence[str]:
        """Migrate and let the users in, as a deployment does; which rights changed."""
        sources = read_sources(FOLDER)
        layout = read_layout(sources.layout)
        changes: list[str] = []
        with closing(PostgresMigrations(self.config("admin"))) as runner:
            runner.create_schema(POSTGRES_SCHEMA)
            if not runner.applied(POSTGRES_SCHEMA):
                for migration in read_folder(POSTGRES_FOLDER, sources.postgres):
                    runner.apply(POSTGRES_SCHEMA, migration)
            for principal in layout.postgres_principals:
                login = self.server.credentials(principal)
                runner.create_principal(Password(login.username, login.password))
                grants = [grant for grant in layout.postgres if grant.principal == principal]
                changes += runner.set_rights(login.username, [], grants)
        return changes


def made(server: Postgres) -> Book:
    """A new empty book."""
    book = Book(server, "t" + secrets.token_hex(4))
    book.set_up()
    return book


def dropped(book: Book) -> None:
    """Its sessions end with it."""
    with closing(book.server.connect("postgres")) as connection:
        connection.execute(f'DROP DATABASE "{book.database}" WITH (FORCE)'.encode())


def merchant(number: int, purpose: Purpose = Purpose.SETTLING) -> AccountKey:
    """An account of one of many merchants."""
    return AccountKey(f"merchant:{number:032x}", purpose, "BTC.bitcoin")


def entry(seed: int, **changes: Any) -> Entry:
    """A credit of its own, reproducible."""
    asked = Transfer(
        id=hashlib.sha256(b"id%d" % seed).digest()[:16],
        kind=Kind.DIRECT,
        code=Code.DEPOSIT_CREDIT,
        units=seed + 1,
        debit=CUSTODY,
        credit=merchant(seed % 7),
        cause=canonical_json({"type": "deposit", "deposit_id": f"{seed:032x}", "credit_epoch": 0}),
        trace_id=hashlib.sha256(b"trace%d" % seed).digest()[:16],
    )
    counterpart = changes.pop("counterpart", None)
    asked = asked._replace(**changes)
    return Entry(asked, asked.digest, counterpart)


def every_kind() -> list[Entry]:
    """One of each form that a line can have."""
    names = '\u00e9\u4e2d\U0001f600 " \\ \n \u2028'
    pending = {"code": Code.PAYOUT, "debit": merchant(1, Purpose.AVAILABLE), "credit": CUSTODY}
    return [
        entry(1),
        entry(2, units=2**128 - 1),
        entry(3, linked=True),
        entry(4, credit=clearing(65535, "BTC.bitcoin"), counterpart=merchant(4)),
        entry(
            5,
            code=Code.LEG,
            id=leg_id(2, 9),
            debit=CUSTODY,
            credit=clearing(3, "BTC.bitcoin"),
            cause=leg_cause(2, 9, (4, 0), (5, 699)),
        ),
        entry(6, cause=canonical_json({"type": "manual", "note": names, "deep": {"n": [1, None]}})),
        entry(7, cause=canonical_json({"type": "x", "padding": "p" * 480})),
        *(
            entry(10 + place, kind=kind, pending_id=b"\x00\xff" * 8, **pending)
            for place, kind in enumerate((Kind.SIGNED, Kind.POST, Kind.VOID, Kind.TIMEOUT))
        ),
        entry(20, kind=Kind.PENDING, **pending),
    ]


def record(
    number: int,
    entries: Sequence[Entry],
    *,
    offset: int | None = None,
    shard: int = 0,
    posted_at: datetime = NOON,
) -> Record:
    """As the relay sends it; the offset follows the number unless it is given."""
    trace_id = entries[0].transfer.trace_id
    told = PostedRecord(shard, number, trace_id, posted_at, tuple(entries))
    place = number - 1 if offset is None else offset
    return Record(TOPIC, shard, place, str(shard).encode(), canonical_json(posted_body(told)))


def history(records: int, entries: int = 3, *, shard: int = 0, start: int = 0) -> list[Record]:
    """Records 1, 2, … of one shard."""
    return [
        record(
            number,
            [entry(start + number * entries + place) for place in range(entries)],
            shard=shard,
            posted_at=NOON + timedelta(seconds=number),
        )
        for number in range(1, records + 1)
    ]
