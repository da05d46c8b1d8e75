"""Real engines for tests: one private stack a session, each started when a test first asks."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# Imported by the fixtures that need them: unit tests ask for none and start at once.
if TYPE_CHECKING:
    from infra.local.anvil import Anvil
    from infra.local.btcd import Btcd
    from infra.local.kafka import Kafka
    from infra.local.mariadb import MariaDb
    from infra.local.memcached import Memcached
    from infra.local.ministack import MiniStack
    from infra.local.postgres import Postgres
    from infra.local.solana_node import Solana
    from infra.local.stack import Stack
    from infra.local.ticker import Ticker


@pytest.fixture(scope="session")
def stack_folders() -> Iterator[Path]:
    """A folder for stacks, short enough for sockets' paths; gone at the end.

    With ORION_TEST_KEEP=1 it stays, for looking at the logs.
    """
    # Not pytest's own folder: the database servers run as another user, who must reach theirs.
    folder = Path(tempfile.mkdtemp(prefix="orion-test-"))
    folder.chmod(0o711)
    yield folder
    if os.environ.get("ORION_TEST_KEEP") != "1":
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def engines(stack_folders: Path) -> Iterator[Stack]:
    """The session's stack, with nothing started; everything stops at the end."""
    from infra.local.stack import Stack

    stack = Stack(stack_folders / "engines")
    yield stack
    stack.down()


@pytest.fixture(scope="session")
def running_stack(stack_folders: Path) -> Iterator[Stack]:
    """The whole system, deployed: engines, steps of infra.local.steps, pollers and agents."""
    from infra.local.steps import stack_down, stack_up

    var = stack_folders / "whole"
    yield stack_up(var)
    stack_down(var)


@pytest.fixture(scope="session")
def mysql_server(engines: Stack) -> MariaDb:
    """A running MariaDB, without schemas unless a test asked for `mysql_admin`."""
    engines.start("mariadb")
    return engines.mariadb


@pytest.fixture(scope="session")
def mysql_admin(mysql_server: MariaDb) -> MariaDb:
    """A running MariaDB with all migrations, users and grants.

    `.host .port .admin.username .admin.password .ca_path .ca_pem .connect()`, and
    `.credentials(principal)` of each module's user.
    """
    from infra.local.migrations import migrate

    migrate(mysql_server, None)
    return mysql_server


@pytest.fixture(scope="session")
def kafka_cluster(engines: Stack) -> Kafka:
    """A running broker with all topics, users and access lists.

    `.bootstrap_servers .ca_path .ca_pem .admin .credentials(principal)`.
    """
    engines.start("kafka")
    return engines.kafka


@pytest.fixture(scope="session")
def memcached_server(engines: Stack) -> Memcached:
    """A running memcached: `.host .port .servers`."""
    engines.start("memcached")
    return engines.memcached


@pytest.fixture(scope="session")
def postgres_server(engines: Stack) -> Postgres:
    """A running PostgreSQL with an empty database `orion`.

    `.host .port .admin .ca_path .ca_pem .database .connect()`.
    """
    engines.start("postgres")
    return engines.postgres


@pytest.fixture(scope="session")
def anvil_node(engines: Stack) -> Anvil:
    """A running Ethereum node.

    `.http_url .ws_url .ipc_path .chain_id .faucet_address .faucet_private_key .rpc.call(…)`.
    """
    engines.start("anvil")
    return engines.anvil


@pytest.fixture(scope="session")
def btcd_node(engines: Stack) -> Btcd:
    """A running Bitcoin node on a regtest chain.

    `.host .port .rpc_url .ws_url .rpc.username .rpc.password .client.call(…)`.
    """
    engines.start("btcd")
    return engines.btcd


@pytest.fixture(scope="session")
def solana_node(engines: Stack) -> Solana:
    """A running Solana stand-in whose slots close on request: `.http_url .ws_url .rpc.call(…)`."""
    engines.start("solana")
    engines.solana.rpc.call("local_clock", 0)
    return engines.solana


@pytest.fixture(scope="session")
def ticker_server(engines: Stack) -> Ticker:
    """The exchanges' tickers, without faults: `.base_urls .fault(…) .prices(…) .clear()`."""
    engines.start("ticker")
    engines.ticker.clear()
    return engines.ticker


@pytest.fixture(scope="session")
def aws_engine(engines: Stack) -> MiniStack:
    """A running AWS engine with nothing deployed: `.url .region .account_id .environment()`."""
    engines.start("ministack")
    return engines.ministack
