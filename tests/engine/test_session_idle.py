"""A single writer that stops inside its transaction keeps nothing locked: the server ends its
session.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from infra.local.mariadb import MariaDb
from infra.local.ministack import MiniStack
from orion.adapters.mysql.fence import fresh
from orion.adapters.mysql.session import Cursor, Database, DatabaseUnavailable
from orion.ledger.service import post_partition
from orion.runtime.settings import DIRECT_IDLE_S
from tests.engine.ledger_store_scene import (
    NOW,
    config,
    credit,
    empty_ledger,
    record,
    rows,
    until,
    writer,
)

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
SHOW_IDLE = """
import json
from orion.adapters.mysql.session import Database
from orion.runtime.settings import mysql_config
def idle(direct):
    with Database(mysql_config("ledger", "orion_ledger", direct=direct)).transaction() as cursor:
        cursor.execute("SELECT @@SESSION.wait_timeout, @@GLOBAL.wait_timeout")
        return cursor.fetchone()
print(json.dumps({"direct": idle(True), "proxied": idle(False)}))
"""


@pytest.fixture
def admin(mysql_admin: MariaDb) -> Iterator[Cursor]:
    with empty_ledger(mysql_admin) as cursor:
        yield cursor


def test_a_writer_that_idles_inside_its_transaction_is_ended_and_the_next_delivery_goes_on(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    batch = [record(0, credit(5))]
    frozen = Database(replace(config(mysql_admin), idle_s=1))

    def stop_inside(cursor: Cursor) -> None:
        assert fresh(cursor, batch) == batch
        cursor.execute("SELECT CONNECTION_ID()")
        ((thread,),) = cursor.fetchall()
        alive = f"SELECT id FROM information_schema.processlist WHERE id = {thread:d}"
        assert rows(admin, alive)
        until(lambda: not rows(admin, alive))
        post_partition(writer(mysql_admin), batch, NOW)
        cursor.execute("SELECT 1")

    with pytest.raises(DatabaseUnavailable):
        frozen.run(stop_inside)
    assert rows(admin, "SELECT COUNT(*) FROM transfer") == [(1,)]
    assert rows(admin, "SELECT next_offset FROM consumer_offset") == [(1,)]
    frozen.run(lambda cursor: fresh(cursor, batch))
    frozen.close()


def test_direct_sessions_end_when_they_idle_and_proxied_ones_set_nothing(
    mysql_admin: MariaDb, aws_engine: MiniStack
) -> None:
    stage, login = f"t{secrets.token_hex(4)}", mysql_admin.credentials("ledger")
    ssm = aws_engine.client("ssm")
    for host in ("writer", "proxy"):
        for name, value in (
            ("host", mysql_admin.host),
            ("port", str(mysql_admin.port)),
            ("ca-pem", mysql_admin.ca_pem),
        ):
            ssm.put_parameter(
                Name=f"/orion/{stage}/mysql/{host}-{name}", Value=value, Type="String"
            )
    aws_engine.client("secretsmanager").create_secret(
        Name=f"orion/{stage}/mysql/ledger",
        SecretString=json.dumps({"username": login.username, "password": login.password}),
    )
    shown = subprocess.run(
        [sys.executable, "-c", SHOW_IDLE],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "layers/orion/python"),
            "ORION_STAGE": stage,
            **aws_engine.environment(),
        },
        check=True,
        capture_output=True,
    )
    idle = json.loads(shown.stdout)
    server = idle["proxied"][1]
    assert idle == {"direct": [DIRECT_IDLE_S, server], "proxied": [server, server]}
