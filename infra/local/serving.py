"""The last steps to a system that serves: an agent beside each node, and a filled pool."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.cloud.names import ROOT
from infra.local.failure import StackFailure
from infra.local.programs import Program
from infra.local.seed import STAGE, agent_state
from infra.local.stack import Stack

AGENT_READY = "resumed"
CHAINS = ("bitcoin", "ethereum")
_READY_TIMEOUT_S = 60.0
_POOL_TIMEOUT_S = 60.0
_STARTING_TOGETHER = 4


def agents(stack: Stack) -> None:
    """One agent beside each node."""
    _start_all(
        stack,
        [
            _program(
                stack,
                f"agent-{chain}",
                (
                    "node_stacks.agent",
                    "--node",
                    str(ROOT / "node_stacks" / chain / "node.toml"),
                    "--state",
                    str(agent_state(stack, chain)),
                ),
                AGENT_READY,
            )
            for chain in CHAINS
        ],
    )


def pool(stack: Stack) -> None:
    """Wait until an invoice could get a wallet, which shows that kms, Kafka and moneyin meet."""
    deadline = time.monotonic() + _POOL_TIMEOUT_S
    connection = stack.mariadb.connect()
    try:
        connection.autocommit(True)
        while True:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM orion_moneyin.wallet WHERE state = 'free' LIMIT 1")
                if cursor.fetchone() is not None:
                    return
            if time.monotonic() > deadline:
                raise StackFailure(
                    "no wallet reached the pool; to mend: read the logs of"
                    f" poller-moneyin-addresses and of the AWS engine in {stack.var}/logs"
                )
            time.sleep(0.1)
    finally:
        connection.close()


def _start_all(stack: Stack, programs: list[Program]) -> None:
    with ThreadPoolExecutor(_STARTING_TOGETHER) as starters:
        list(starters.map(stack.run_program, programs))


def _program(stack: Stack, name: str, arguments: tuple[str, ...], ready: str) -> Program:
    paths = os.pathsep.join((str(ROOT / "layers" / "orion" / "python"), str(ROOT)))
    environment = {
        **stack.ministack.environment(),
        "ORION_STAGE": STAGE,
        "PYTHONPATH": paths,
        "PYTHONUNBUFFERED": "1",
    }
    return Program(
        name,
        (sys.executable, "-m", *arguments),
        environment,
        Path(ROOT),
        ready=ready,
        ready_timeout_s=_READY_TIMEOUT_S,
    )
