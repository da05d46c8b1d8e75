"""An executor that is killed half-way: one record, one signature, counted once."""

import base64
import http.client
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.engine import kms_signing_processes as processes
from tests.engine import kms_signing_scene as scene
from tests.engine import kms_signing_transactions as transactions
from tests.engine.kms_scene import rows
from tests.engine.kms_signing_scene import TRACE, Rows, Stage, committed, told

pytestmark = pytest.mark.engine
GROUP, OTHER = 31, 32
SEED = secrets.token_bytes(32)
EXECUTOR, FEE_PAYER = "executor-ethereum", "fee-payer-solana"
# 100,000 gas at 10 gwei.
FEE = 10**15


@pytest.fixture(scope="module")
def planted(aws_engine: Any, mysql_admin: Any) -> Iterator[tuple[Stage, Rows]]:
    """Two groups under sets of their own, and their rows."""
    seeds = {GROUP: SEED, OTHER: secrets.token_bytes(32)}
    yield from scene.planted_stage(aws_engine, mysql_admin, seeds)


@pytest.fixture
def stage(planted: tuple[Stage, Rows]) -> Stage:
    """The planted stage as it was, with full floats."""
    found, known = planted
    known.put_back(found.database)
    return found


@contextmanager
def kms_that_waits(aws_engine: Any, before_signing: Callable[[], bool]) -> Iterator[str]:
    """An endpoint that hands every call on to KMS; a Sign only when `before_signing` says so, else
    its caller waits for ever.
    """
    over = threading.Event()

    class Forward(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["X-Amz-Target"] == "TrentService.Sign" and not before_signing():
                over.wait(60)
                return
            connection = http.client.HTTPConnection(aws_engine.host, aws_engine.port, timeout=20)
            connection.request("POST", self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.getheader("Content-Type", ""))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing: the test's output is its own."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Forward)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.mark.parametrize("dies", ["before KMS answers", "before the signature is stored"])
def test_an_executor_that_is_killed_half_way_signs_once_and_counts_once(
    stage: Stage, aws_engine: Any, mysql_admin: Any, dies: str
) -> None:
    environment = processes.deployed(stage, aws_engine, mysql_admin)
    unsigned = transactions.execution(stage.account(GROUP, "ethereum"))
    call = {
        "v": 1,
        "trace_id": TRACE,
        "unsigned": base64.b64encode(unsigned).decode(),
        "groups": [GROUP],
        "safe_nonce": "0",
    }
    calls = [("functions/kms/executor_ethereum.py", call)]
    reached = threading.Event()
    holder = mysql_admin.connect()
    held = holder.cursor()

    def before_signing() -> bool:
        # The record is committed before KMS is asked: it can be locked here.
        holder.begin()
        found = held.execute(
            "SELECT * FROM orion_kms.signer_version WHERE signature IS NULL FOR UPDATE"
        )
        assert found == 1
        reached.set()
        return dies == "before the signature is stored"

    with kms_that_waits(aws_engine, before_signing) as endpoint:
        process = processes.started({**environment, "AWS_ENDPOINT_URL_KMS": endpoint}, calls)
        assert reached.wait(30)
        if dies == "before the signature is stored":
            # It has its signature and waits for the row.
            waiting_for(mysql_admin, "UPDATE signer_version")
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=20)
    holder.rollback()
    holder.close()
    assert process.returncode == -signal.SIGKILL
    assert rows(stage.database, "SELECT signature FROM signer_version") == [(None,)]
    assert committed(stage) == FEE

    first, again = processes.answers(processes.ran(environment, calls * 2))
    assert first["outcome"] == "signed"
    assert first == again
    assert committed(stage) == FEE
    assert told(stage, "fee.signed") == 1


def waiting_for(mysql_admin: Any, statement: str) -> None:
    """Return once some connection runs a statement that begins so."""
    connection = mysql_admin.connect()
    pause = threading.Event()
    with connection, connection.cursor() as cursor:
        for _ in range(600):
            cursor.execute(
                "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE %s",
                (statement + "%",),
            )
            if cursor.fetchone()[0]:
                return
            pause.wait(0.02)
    raise AssertionError("nobody runs that statement")
