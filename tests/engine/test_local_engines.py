"""Every engine of the local stack serves its own protocol, privately."""

import pymysql
import pytest

from infra.local.anvil import Anvil
from infra.local.btcd import Btcd
from infra.local.kafka import Kafka
from infra.local.mariadb import MariaDb
from infra.local.memcached import Memcached
from infra.local.ministack import MiniStack
from infra.local.postgres import Postgres

pytestmark = pytest.mark.engine


def test_the_system_of_record_is_durable_strict_and_in_utc(mysql_server: MariaDb) -> None:
    names = (
        "sync_binlog",
        "innodb_flush_log_at_trx_commit",
        "binlog_format",
        "time_zone",
        "character_set_server",
        "require_secure_transport",
        "local_infile",
        "log_bin",
    )
    with mysql_server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join('@@global.' + name for name in names)}, @@global.sql_mode"
        )
        row = cursor.fetchone()
    assert row is not None
    assert row[:-1] == (1, 1, "ROW", "+00:00", "utf8mb4", 1, 1, 1)
    assert {"STRICT_TRANS_TABLES", "ONLY_FULL_GROUP_BY"} <= set(row[-1].split(","))


def test_the_system_of_record_refuses_a_connection_without_tls(mysql_server: MariaDb) -> None:
    admin = mysql_server.admin
    with pytest.raises(pymysql.err.OperationalError, match=r"denied|secure"):
        pymysql.connect(
            host=mysql_server.host,
            port=mysql_server.port,
            user=admin.username,
            password=admin.password,
            ssl_disabled=True,
        )


def test_no_user_of_the_database_lacks_our_password(mysql_server: MariaDb) -> None:
    for user in ("root", "admin", ""):
        with pytest.raises(pymysql.err.OperationalError):
            pymysql.connect(
                host=mysql_server.host,
                port=mysql_server.port,
                user=user,
                password="",
                ssl_ca=mysql_server.ca_path,
            )


def test_start(
    kafka_cluster: Kafka,
    memcached_server: Memcached,
    postgres_server: Postgres,
    anvil_node: Anvil,
    btcd_node: Btcd,
    aws_engine: MiniStack,
) -> None:
    pass
