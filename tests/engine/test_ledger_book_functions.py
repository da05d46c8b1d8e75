"""The functions of statements and of the external book as Lambda runs them, on what the ledger's
writer has sent.
"""

import base64
import importlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest

from infra.local.mariadb import MariaDb
from infra.local.postgres import Postgres
from orion.ledger.model import Purpose
from orion.ledger.statement import UnknownAccount
from orion.log.external_book.errors import BookDiffers
from orion.runtime import external_book, ledger_statements, settings
from tests.engine.external_book_scene import WRITER, Book, dropped, made
from tests.engine.statement_scene import History, account, empty_ledger

STAGE = "books"
CACHED = (
    settings.settings,
    settings._secret,
    external_book._book,
    ledger_statements._database,
    ledger_statements._read_only,
)


@pytest.fixture
def book(
    mysql_admin: MariaDb,
    postgres_server: Postgres,
    aws_engine: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Book]:
    """A stage with its parameters and secrets, an empty ledger and an empty external book."""
    opened = made(postgres_server)
    environment = {**aws_engine.environment(), "ORION_STAGE": STAGE, "ORION_MODULE": "log"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(settings, "POSTGRES_DATABASE", opened.database)
    ssm, vault = boto3.client("ssm"), boto3.client("secretsmanager")
    parameters = {
        "mysql/writer-host": mysql_admin.host,
        "mysql/writer-port": str(mysql_admin.port),
        "mysql/writer-ca-pem": mysql_admin.ca_pem,
        "postgres/host": postgres_server.host,
        "postgres/port": str(postgres_server.port),
        "postgres/ca-pem": postgres_server.ca_pem,
    }
    for name, value in parameters.items():
        ssm.put_parameter(Name=f"/orion/{STAGE}/{name}", Value=value, Type="String", Overwrite=True)
    logins = {
        "mysql/ledger": mysql_admin.credentials("ledger"),
        "mysql/statements": mysql_admin.credentials("statements"),
        f"postgres/{WRITER}": postgres_server.credentials(WRITER),
    }
    for name, login in logins.items():
        content = json.dumps({"username": login.username, "password": login.password})
        vault.create_secret(Name=f"orion/{STAGE}/{name}", SecretString=content)
    for cached in CACHED:
        cached.cache_clear()
    with empty_ledger(mysql_admin):
        yield opened
    for cached in CACHED:
        cached.cache_clear()
    for name in logins:
        vault.delete_secret(SecretId=f"orion/{STAGE}/{name}", ForceDeleteWithoutRecovery=True)
    dropped(opened)


def handler(name: str) -> Any:
    return importlib.import_module(f"functions.{name}").handler


def posted(mysql: MariaDb, changed: Mapping[bytes, bytes] | None = None) -> dict[str, object]:
    """What the outbox holds for `ledger.posted`, as the event source mapping delivers it."""
    connection = mysql.connect()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT payload FROM orion_ledger.outbox WHERE destination = 'kafka:ledger.posted'"
            " ORDER BY seq"
        )
        payloads = [bytes(payload) for (payload,) in cursor.fetchall()]
    connection.close()
    for old, new in (changed or {}).items():
        payloads = [payload.replace(old, new) for payload in payloads]
    rows = [
        {"topic": "ledger.posted", "partition": 0, "offset": offset, "timestamp": 1,
         "key": base64.b64encode(b"0").decode(), "value": base64.b64encode(payload).decode(),
         "headers": []}
        for offset, payload in enumerate(payloads)
    ]  # fmt: skip
    return {"eventSource": "aws:kafka", "records": {"ledger.posted-0": rows}}


def test_what_the_ledger_sends_is_entered_in_both_and_shown(
    book: Book, mysql_admin: MariaDb
) -> None:
    history = History(mysql_admin, 1)
    history.batch(20)
    history.batch(0)
    event = posted(mysql_admin)

    written = handler("log.external_book")(event, None)
    assert written["records"] == 2
    assert handler("log.external_book")(event, None) == {
        "records": 0, "entries": 0, "repeated": 2,
    }  # fmt: skip
    assert handler("billing.ledger_statements")(event, None) == {"records": 2}
    connection = mysql_admin.connect()
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, digest FROM orion_ledger.transfer ORDER BY id")
        log = cursor.fetchall()
    connection.close()
    assert len(log) == written["entries"]
    assert book.ask("SELECT id, digest FROM external_book.entry ORDER BY id") == list(log)

    name = f"{account(9).owner}/settling/BTC.bitcoin"
    page = handler("billing.statement")({"account": name, "limit": 1}, None)
    assert json.loads(json.dumps(page)) == page
    assert page["balance"] == page["lines"][0]["balance"] | {"at": page["complete_through"]}
    assert page["account"]["id"] == account(9, Purpose.SETTLING).id.hex()
    assert page["next_cursor"] is not None
    with pytest.raises(UnknownAccount):
        handler("billing.statement")({"account": "0" * 32}, None)


def test_a_record_that_tells_otherwise_stops_the_external_book_only(
    book: Book, mysql_admin: MariaDb
) -> None:
    History(mysql_admin, 2).batch(3)
    handler("log.external_book")(posted(mysql_admin), None)
    lie = posted(mysql_admin, {b'"units":"100"': b'"units":"101"'})
    with pytest.raises(BookDiffers):
        handler("log.external_book")(lie, None)
    assert handler("billing.ledger_statements")(lie, None) == {"records": 1}
    assert book.ask("SELECT count(*) FROM external_book.entry WHERE units = 101") == [(0,)]
