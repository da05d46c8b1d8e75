"""The operators' command on the running stack: prove, verify, show, check."""

import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from demos.first_light.customers import BitcoinCustomer
from infra.local import Stack
from infra.local.deployed import STAGE
from orion.ids import parse_public_id
from tests.e2e.scene import Shop, pay, rows, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[2]
OFFLINE = {
    "PYTHONPATH": f"{ROOT}:{ROOT / 'layers/orion/python'}",
    "PATH": os.environ["PATH"],
}


def orion(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "clients.operator", "books", *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=400
    )


def operator(stack: Stack) -> dict[str, str]:
    return {**OFFLINE, **stack.ministack.environment(), "ORION_STAGE": STAGE}


@pytest.fixture(scope="module")
def paid(shop: Shop) -> tuple[str, str]:
    """A credit's transfer id, and the merchant's settling account."""
    invoice = shop.invoice("BTC.bitcoin")
    customer = BitcoinCustomer(shop.stack)
    pay(customer, invoice)
    customer.mine(1)
    find = (
        "SELECT LOWER(HEX(t.id)), a.owner FROM orion_ledger.transfer t JOIN orion_ledger.account a"
        " ON a.id = t.credit_account JOIN orion_moneyin.deposit d"
        " ON JSON_VALUE(t.cause, '$.deposit_id') = LOWER(HEX(d.deposit_id))"
        " WHERE d.invoice_id = %s AND t.code = 'deposit_credit'"
    )
    wanted = (parse_public_id("inv", str(invoice["id"])),)
    wait_until(lambda: bool(rows(shop.stack, find, wanted)), "the payment to be credited")
    ((transfer, owner),) = rows(shop.stack, find, wanted)
    return str(transfer), f"{owner}/settling/BTC.bitcoin"


def test_a_payment_is_proven_from_the_log_book_and_verified_offline(
    running_stack: Stack, paid: tuple[str, str], tmp_path: Path
) -> None:
    transfer, file = paid[0], tmp_path / "proof.json"

    def proves() -> bool:
        return orion(operator(running_stack), "prove", transfer, "--out", str(file)).returncode == 0

    wait_until(proves, "the payment to be in the log book")
    verified = orion(OFFLINE, "verify", str(file))
    assert verified.returncode == 0, verified.stderr
    assert transfer in verified.stdout
    assert "deposit_credit" in verified.stdout

    file.write_bytes(file.read_bytes().replace(b'\\"v\\":1}"', b'\\"v\\":2}"'))
    assert orion(OFFLINE, "verify", str(file)).returncode == 1
    again = orion(operator(running_stack), "prove", transfer, "--out", str(file))
    assert (again.returncode, "exists already" in again.stderr) == (3, True)


def test_what_was_never_posted_is_not_proven(running_stack: Stack) -> None:
    refused = orion(operator(running_stack), "prove", "00" * 16)

    assert refused.returncode == 3
    assert "transfer_not_posted" in refused.stderr


def test_a_statement_shows_the_payment_with_its_balance(
    running_stack: Stack, paid: tuple[str, str]
) -> None:
    transfer, account = paid

    def shown() -> str:
        return orion(operator(running_stack), "statement", account, "--limit", "5").stdout

    wait_until(lambda: transfer in shown(), "the statement to have the payment")
    told = shown().splitlines()
    assert told[0].startswith(account)
    assert any(line.startswith("balance at ") for line in told)
    unknown = orion(operator(running_stack), "statement", "merchant:" + "00" * 16 + "/settling/X")
    assert unknown.returncode == 3
    assert "unknown_account" in unknown.stderr


def test_a_check_ends_as_its_execution_did_and_shows_its_report(running_stack: Stack) -> None:
    checked = orion(operator(running_stack), "check")
    arn = checked.stderr.splitlines()[0].removeprefix("started ")
    given = running_stack.ministack.environment()
    machine = boto3.client(
        "stepfunctions",
        endpoint_url=running_stack.ministack.url,
        region_name=given["AWS_DEFAULT_REGION"],
        aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
    )
    ended = machine.describe_execution(executionArn=arn)
    outcome = {"SUCCEEDED": "equal", "BooksDiffer": "different", "NotChecked": "not_checked"}[
        ended.get("error") or ended["status"]
    ]

    assert json.loads(ended["input"]) == {"scope": "recent"}
    assert checked.returncode == {"equal": 0, "different": 1, "not_checked": 3}[outcome]
    assert f"outcome           {outcome}" in checked.stdout
    assert "report: s3://" in checked.stdout
