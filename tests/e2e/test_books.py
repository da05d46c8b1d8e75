"""A payment stands in three books, an operator can check, prove and show it, and one changed byte
is named.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from demos.first_light.customers import BitcoinCustomer
from infra.local import Stack
from infra.local.deploy_aws import Account
from orion.ids import parse_public_id
from orion.records import canonical_json
from tests.bench.chaos_verdict import Books
from tests.e2e.scene import Shop, pay, rows, transfers_of, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

ROOT = Path(__file__).parents[2]
ASSET = "BTC.bitcoin"
FINAL_BLOCKS = 3
COMMAND_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Booked:
    """A payment that is final. `transfer` is the id of its credit, `place` where it stands."""

    stack: Stack
    transfer: str
    place: tuple[int, int, int]
    units: int
    available: str


def orion(
    stack: Stack, *words: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The operators' command, as whoever has the stage's credentials."""
    known = stack.ministack.environment() if environment is None else environment
    paths = os.pathsep.join((str(ROOT / "layers" / "orion" / "python"), str(ROOT)))
    return subprocess.run(
        [sys.executable, "-m", "clients.operator", *words],
        cwd=stack.var,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": paths, "ORION_STAGE": "local", **known},
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )


@pytest.fixture(scope="module")
def books(running_stack: Stack) -> Books:
    return Books(running_stack)


@pytest.fixture(scope="module")
def booked(shop: Shop, running_stack: Stack, books: Books) -> Booked:
    """Paid, final, and followed by everybody."""
    customer = BitcoinCustomer(running_stack)
    invoice = shop.invoice(ASSET)
    pay(customer, invoice)
    customer.mine(FINAL_BLOCKS)
    shop.wait_for(invoice, "settled")
    wait_until(
        lambda: transfers_of(running_stack, invoice) == ["deposit_credit", "deposit_final"],
        "the deposit to be final in the ledger",
    )
    wait_until(lambda: not books.behind(), "every book to have what was posted")
    [(transfer, shard, number, position, units, owner)] = rows(
        running_stack,
        "SELECT t.id, t.shard_no, t.number, t.position, t.units, a.owner"
        " FROM orion_ledger.transfer t JOIN orion_ledger.account a ON a.id = t.credit_account"
        " JOIN orion_moneyin.deposit d"
        " ON JSON_VALUE(t.cause, '$.deposit_id') = LOWER(HEX(d.deposit_id))"
        " WHERE t.code = 'deposit_credit' AND d.invoice_id = %s",
        (parse_public_id("inv", str(invoice["id"])),),
    )
    return Booked(
        running_stack,
        bytes(transfer).hex(),
        (int(shard), int(number), int(position)),
        int(units),
        f"{owner}/available/{ASSET}",
    )


def test_a_payment_stands_in_all_three_books_under_one_place(booked: Booked, books: Books) -> None:
    shard, number, position = booked.place
    [line] = [
        line
        for line in books.lines(shard)
        if (line["number"], line["position"]) == (number, position)
    ]
    assert (line["id"], line["code"], line["units"]) == (
        booked.transfer,
        "deposit_credit",
        str(booked.units),
    )
    with booked.stack.postgres.connect() as connection:
        [(units, code)] = connection.execute(
            "SELECT units, code FROM external_book.entry"
            " WHERE shard_no = %s AND number = %s AND position = %s AND id = %s",
            (*booked.place, bytes.fromhex(booked.transfer)),
        ).fetchall()
    assert (int(str(units)), code) == (booked.units, "deposit_credit")


def test_an_operator_is_told_that_the_books_are_equal(booked: Booked) -> None:
    checked = orion(booked.stack, "books", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "The three books are equal." in checked.stdout


def test_a_statement_shows_the_payment_and_its_balance(booked: Booked) -> None:
    shown = orion(booked.stack, "books", "statement", booked.available)
    assert shown.returncode == 0, shown.stderr
    amount = f"{booked.units // 10**8}.{booked.units % 10**8:08}".rstrip("0")
    assert "deposit_final" in shown.stdout
    assert amount in shown.stdout, shown.stdout


def test_a_proof_is_verified_by_whoever_has_it_and_the_key_and_nothing_else(
    booked: Booked, tmp_path: Path
) -> None:
    proof, key = tmp_path / "proof.json", tmp_path / "ledger-roots.pem"
    proven = orion(booked.stack, "books", "prove", booked.transfer, "--out", str(proof))
    assert proven.returncode == 0, proven.stderr
    key.write_text(published_key(booked.stack))
    # Neither region nor credentials nor an endpoint that answers.
    offline = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_EC2_METADATA_DISABLED": "true"}
    words = ("books", "verify", str(proof), "--key", str(key))
    verified = orion(booked.stack, *words, environment=offline)
    assert verified.returncode == 0, verified.stderr
    assert booked.transfer in verified.stdout

    body = json.loads(proof.read_text())
    body["line"] = body["line"].replace(
        f'"units":"{booked.units}"', f'"units":"{booked.units + 1}"'
    )
    proof.write_bytes(canonical_json(body))
    forged = orion(booked.stack, *words, environment=offline)
    assert forged.returncode == 1
    assert "proves nothing" in forged.stderr


def published_key(stack: Stack) -> str:
    """The key that signs roots, in PEM (RFC 7468)."""
    session = boto3.Session("test", "test", region_name=stack.ministack.region)
    kms = session.client("kms", endpoint_url=stack.ministack.url)
    der = kms.get_public_key(KeyId="alias/orion/local/ledger-roots")["PublicKey"]
    text = base64.b64encode(der).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


@contextmanager
def changed_digest(booked: Booked) -> Iterator[None]:
    """One byte of one entry of the external book is another, changed by its superuser, who alone
    can silence the trigger that refuses it.
    """
    digest = _digest(booked)
    other = bytes([digest[0] ^ 1]) + digest[1:]
    _overwrite(booked, other)
    try:
        yield
    finally:
        _overwrite(booked, digest)


def _digest(booked: Booked) -> bytes:
    with booked.stack.postgres.connect() as connection:
        [(found,)] = connection.execute(
            "SELECT digest FROM external_book.entry WHERE id = %s",
            (bytes.fromhex(booked.transfer),),
        ).fetchall()
    assert isinstance(found, bytes)
    return found


def _overwrite(booked: Booked, digest: bytes) -> None:
    with booked.stack.postgres.connect() as connection:
        connection.execute("ALTER TABLE external_book.entry DISABLE TRIGGER only_grows")
        connection.execute(
            "UPDATE external_book.entry SET digest = %s WHERE id = %s",
            (digest, bytes.fromhex(booked.transfer)),
        )
        connection.execute("ALTER TABLE external_book.entry ENABLE ALWAYS TRIGGER only_grows")


def test_one_changed_byte_is_named_freezes_its_asset_and_is_forgiven_only_by_people(
    booked: Booked,
) -> None:
    stack = booked.stack
    with changed_digest(booked):
        checked = orion(stack, "books", "check", "--all")
    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert "The books differ." in checked.stdout
    found = rows(
        stack,
        "SELECT d.kind, d.wrong, d.shard_no, d.number, d.position, LOWER(HEX(d.transfer_id)),"
        " d.asset FROM orion_log.difference d JOIN orion_log.run r USING (run_id)"
        " WHERE r.started_at = (SELECT MAX(started_at) FROM orion_log.run)",
    )
    assert found == [("entry_differs", "external", *booked.place, booked.transfer, ASSET)]
    [incident] = open_incidents(stack)
    assert freezes(stack) == [(ASSET, incident)]

    again = orion(stack, "books", "check", "--all")
    assert again.returncode == 0, again.stdout + again.stderr
    assert freezes(stack) == [(ASSET, incident)], "nobody but a person lifts a freeze"
    forgive(stack, incident)
    assert freezes(stack) == []
    assert open_incidents(stack) == []


def open_incidents(stack: Stack) -> Sequence[str]:
    found = rows(
        stack,
        "SELECT LOWER(HEX(incident_id)) FROM orion_log.incident"
        " WHERE closed_at IS NULL AND freezes",
    )
    return [str(each) for (each,) in found]


def freezes(stack: Stack) -> Sequence[tuple[Any, ...]]:
    return rows(
        stack,
        "SELECT asset, LOWER(HEX(incident_id)) FROM orion_ledger.asset_freeze"
        " WHERE lifted_at IS NULL",
    )


def forgive(stack: Stack, incident: str) -> None:
    """As two operators do, with a reason on record."""
    aws = stack.ministack
    account = Account(aws.url, aws.region, aws.environment())
    why = {"incident_id": incident, "by": "operator", "reason": "a byte was put back"}
    closed = account.invoke("orion-local-log-incident", {"action": "close", **why})
    assert closed["outcome"] == "closed", closed
    lifted = account.invoke(
        "orion-local-billing-asset-freeze", {"action": "lift", "asset": ASSET, **why}
    )
    assert lifted["outcome"] == "lifted", lifted
