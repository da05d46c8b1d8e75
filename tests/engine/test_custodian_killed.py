"""The custodian's own function, killed at every step between deciding and answering.

Between the function and AWS stands a proxy that holds one call, before AWS sees it or before the
function sees the answer; then the process is killed with SIGKILL and started again.
"""

import base64
import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from orion.adapters.aws.custodian_store import DynamoCustodianStore
from orion.chains.ethereum.safe_proposals import propose_payments
from orion.chains.spend import CustodyPlace, Payment, WalletKind, custody
from tests.engine.custodian_scene import Aws, Body, Custodians, Issuers, payout, sign_request

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[2]
SHOP, ETH = "0x" + "5a" * 20, "ETH.ethereum"
RECORD, SIGN = "DynamoDB_20120810.TransactWriteItems", "TrentService.Sign"
STORE = "DynamoDB_20120810.UpdateItem"
PROGRAM = """
import json, sys
from functions.kms.custodian import handler
print("ANSWER" + json.dumps(handler(json.load(sys.stdin), None)), flush=True)
"""


class HoldingProxy(ThreadingHTTPServer):
    """Forwards to AWS; holds the call `target` until it is let go."""

    daemon_threads = True

    def __init__(self, aws_url: str, target: str, *, after: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.upstream = aws_url.removeprefix("http://")
        self.target, self.after = target, after
        self.reached, self.released = threading.Event(), threading.Event()
        self.seen: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def hold(self) -> None:
        self.reached.set()
        self.released.wait(timeout=30)


class _Forward(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        proxy = cast(HoldingProxy, self.server)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        target = self.headers.get("X-Amz-Target", "")
        held = target == proxy.target
        proxy.seen.append(target)
        if held and not proxy.after:
            proxy.hold()
            return
        upstream = http.client.HTTPConnection(proxy.upstream, timeout=20)
        upstream.request("POST", self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        if held:
            proxy.hold()
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing: the test looks at `seen`."""


@pytest.fixture(scope="module")
def custodians(aws_engine: Any) -> Custodians:
    aws = Aws(aws_engine)
    return Custodians(aws, Issuers(now=lambda: datetime.now(UTC))).enrolled()


@pytest.fixture
def proxies() -> Iterator[list[HoldingProxy]]:
    opened: list[HoldingProxy] = []
    yield opened
    for proxy in opened:
        proxy.released.set()
        proxy.shutdown()
        proxy.server_close()


def environment(custodians: Custodians, engine: Any, number: int, url: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{ROOT / 'layers/orion/python'}",
        **engine.environment(),
        "AWS_ENDPOINT_URL": url,
        "ORION_STAGE": custodians.stage,
        "ORION_CUSTODIAN": str(number),
        "ORION_CUSTODIAN_TABLE": custodians.tables[number],
        "ORION_CUSTODIAN_SETTINGS": custodians.settings_text,
    }


def started(custodians: Custodians, engine: Any, url: str, request: Body) -> Any:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment(custodians, engine, 1, url),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(request))
    process.stdin.close()
    return process


def answered(custodians: Custodians, engine: Any, request: Body) -> tuple[Body, list[Body]]:
    """The function's answer, and the lines that it logged."""
    process = started(custodians, engine, engine.url, request)
    lines = process.stdout.read().splitlines()
    assert process.wait(timeout=60) == 0
    answers = [json.loads(line.removeprefix("ANSWER")) for line in lines if "ANSWER" in line[:6]]
    return answers[0], [json.loads(line) for line in lines if line.startswith("{")]


def ethereum_request(custodians: Custodians, nonce: int, units: int = 5) -> Body:
    place = CustodyPlace("ethereum", "31337", 7, WalletKind.HOT, 1)
    account = custody("ethereum").account(place, custodians.sets[1].keys, "")
    unsigned = propose_payments(account, nonce, [Payment(ETH, SHOP, units)], {})
    asked = custodians.issuers.asked(payout("ethereum", ETH, SHOP, units, account=account.address))
    return sign_request(unsigned, [asked])


def spent(custodians: Custodians) -> int:
    store = DynamoCustodianStore(custodians.aws.dynamodb, custodians.tables[1])
    windows = store.remembered("", ("", "", ""), WalletKind.HOT, [ETH]).windows or {}
    return windows[ETH].spent(datetime.now(UTC))


def stored(custodians: Custodians, version: str) -> tuple[bytes, ...] | None:
    store = DynamoCustodianStore(custodians.aws.dynamodb, custodians.tables[1])
    place = ("ethereum", "31337", version)
    known = store.remembered("", place, WalletKind.HOT, []).version
    return None if known is None else known.signatures


MOMENTS = {
    "before the record": (RECORD, False, 0),
    "after the record": (RECORD, True, 5),
    "before signing": (SIGN, False, 5),
    "after signing": (SIGN, True, 5),
    "before storing": (STORE, False, 5),
    "after storing": (STORE, True, 5),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_custodian_killed_at_any_step_signs_once_and_counts_once(
    custodians: Custodians, aws_engine: Any, proxies: list[HoldingProxy], moment: str
) -> None:
    target, after, counted = MOMENTS[moment]
    request = ethereum_request(custodians, nonce=list(MOMENTS).index(moment))
    before = spent(custodians)
    proxy = HoldingProxy(aws_engine.url, target, after=after)
    proxies.append(proxy)

    process = started(custodians, aws_engine, proxy.url, request)
    assert proxy.reached.wait(timeout=60), proxy.seen
    process.kill()
    assert process.wait(timeout=20) == -9
    assert "ANSWER" not in process.stdout.read()
    assert spent(custodians) == before + counted
    answer, _ = answered(custodians, aws_engine, request)
    again, _ = answered(custodians, aws_engine, request)

    assert answer["outcome"] == "signed"
    assert again == answer
    kept = stored(custodians, answer["version"])
    assert kept is not None
    assert [base64.b64encode(each).decode() for each in kept] == answer["signatures"]
    assert spent(custodians) == before + 5


def test_the_function_answers_its_three_operations_and_logs_no_contents(
    custodians: Custodians, aws_engine: Any
) -> None:
    request = ethereum_request(custodians, nonce=50)
    keys_request = {"v": 1, "trace_id": "cd" * 16, "operation": "public_keys", "set": 1}
    signed, log = answered(custodians, aws_engine, request)
    keys, _ = answered(custodians, aws_engine, keys_request)
    enrolled, _ = answered(custodians, aws_engine, custodians.enrol_request(custodians.sets[1]))
    refused, refused_log = answered(custodians, aws_engine, {**request, "anchor": 5})

    assert (signed["outcome"], signed["custodian"], len(signed["signatures"])) == ("signed", 1, 1)
    assert keys["secp256k1"] == custodians.sets[1].keys.secp256k1[0].hex()
    assert keys["ed25519"] == custodians.sets[1].keys.ed25519[0].hex()
    assert enrolled["outcome"] == "enrolled"
    assert (refused["outcome"], refused["fields"]["part"]) == ("refused", "anchor")
    assert [len(log), log[0]["trace_id"], log[0]["version"]] == [1, "ab" * 16, signed["version"]]
    assert [len(refused_log), refused_log[0]["reason"]] == [1, "not_text"]
    told = json.dumps([log, refused_log])
    for entry in request["instructions"][0]["evidence"]:
        assert entry["statement"] not in told
        assert entry["signature"] not in told
    assert signed["signatures"][0] not in told
