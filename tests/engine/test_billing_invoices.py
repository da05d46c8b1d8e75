"""Creating and reading invoices on a real database: once, whole, and never two on one wallet."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orion.billing.errors import InvoiceNotFound, NoAddressAvailable, RateUnavailable
from orion.billing.ports import Answer
from orion.errors import OrionError
from orion.ids import parse_public_id
from tests.engine.billing_scene import (
    BILLING_TABLES,
    MERCHANT,
    STRANGER,
    TRACE,
    BillingScene,
    asked,
    keyed,
    scene_of,
)

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[2]


@pytest.fixture
def scene(mysql_admin: Any) -> Iterator[BillingScene]:
    found = scene_of(mysql_admin)
    found.prepare()
    yield found
    found.close()


def body_of(answer: Answer) -> dict[str, Any]:
    found = json.loads(answer.body)
    assert isinstance(found, dict)
    return found


def assigned(scene: BillingScene) -> int:
    return int(scene.one("SELECT COUNT(*) FROM orion_moneyin.wallet WHERE state = 'assigned'"))


@contextmanager
def locked(scene: BillingScene, table: str) -> Iterator[None]:
    """Whoever writes to `table` waits until the end."""
    connection = scene.admin.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLES orion_billing.{table} WRITE")
            yield
            cursor.execute("UNLOCK TABLES")
    finally:
        connection.close()


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "waited 20 s for nothing"
        time.sleep(0.02)


def waiting(scene: BillingScene, words: str) -> bool:
    """Whether a connection of billing runs a statement that starts like this for over 0.1 s."""
    sql = (
        "SELECT COUNT(*) FROM information_schema.processlist WHERE user = %s"
        " AND info LIKE %s AND time_ms > 100"
    )
    return bool(scene.one(sql, scene.config.user, f"{words}%"))


def test_an_invoice_locks_rates_takes_a_wallet_and_tells_why(scene: BillingScene) -> None:
    invoice = body_of(scene.create("k1", "BTC.bitcoin", "ETH.ethereum", "USDT.ethereum"))
    amounts = {option["asset"]: option["amount"] for option in invoice["payment_options"]}
    assert amounts == {
        "BTC.bitcoin": "0.00041667",
        "ETH.ethereum": "0.010000000000000000",
        "USDT.ethereum": "26.881721",
    }
    links = [option["payment_link"] for option in invoice["payment_options"]]
    assert re.fullmatch(r"bitcoin:bcrt1[a-z0-9]+\?amount=0\.00041667", links[0])
    assert "@31337?value=10000000000000000" in links[1]
    assert re.search(r"/transfer\?address=0x[0-9a-fA-F]{40}&uint256=26881721$", links[2])
    assert (invoice["status"], invoice["amount"], invoice["currency"]) == ("new", "25.00", "EUR")
    assert invoice["cause"]["type"] == "created"
    assert assigned(scene) == 1
    change = scene.rows(
        "SELECT number, from_status, to_status, cause_type, trace_id"
        " FROM orion_billing.invoice_change"
    )
    assert change == [(1, None, "new", "created", TRACE)]
    assert [row["action"] for row in scene.outbox("kafka:audit.events")][-1] == "invoice.created"


def test_a_replay_gives_the_stored_answer_byte_for_byte(scene: BillingScene) -> None:
    first = scene.create()
    scene.rates().put_rate(MERCHANT, "BTC.bitcoin", "EUR", "1.00", trace_id=TRACE)
    assert scene.create() == replace(first, replayed=True)
    assert assigned(scene) == 1


def test_a_key_with_another_payload_is_refused(scene: BillingScene) -> None:
    scene.create()
    with pytest.raises(OrionError) as refusal:
        scene.billing().create_invoice(
            keyed("k1", b"two"), asked(), lane="standard", trace_id=TRACE
        )
    assert refusal.value.code == "idempotency_key_reused"
    assert assigned(scene) == 1


def test_another_merchant_may_use_the_same_key(scene: BillingScene) -> None:
    scene.create()
    with pytest.raises(RateUnavailable):
        scene.billing().create_invoice(
            keyed("k1", merchant=STRANGER), asked(), lane="standard", trace_id=TRACE
        )


def test_two_concurrent_creates_with_one_key_make_one_invoice(scene: BillingScene) -> None:
    with ThreadPoolExecutor(2) as pool:
        with locked(scene, "invoice_change"):
            first = pool.submit(scene.create)
            wait_until(lambda: waiting(scene, "INSERT INTO invoice_change"))
            second = pool.submit(scene.create)
            wait_until(lambda: waiting(scene, "INSERT INTO idempotency"))
        assert replace(first.result(), replayed=True) == second.result()
    assert scene.one("SELECT COUNT(*) FROM orion_billing.invoice") == 1
    assert assigned(scene) == 1


def test_a_second_request_does_not_wait_for_ever_for_the_first(scene: BillingScene) -> None:
    with ThreadPoolExecutor(1) as pool:
        with locked(scene, "invoice_change"):
            first = pool.submit(scene.create)
            wait_until(lambda: waiting(scene, "INSERT INTO invoice_change"))
            with pytest.raises(OrionError) as refusal:
                scene.create()
            assert refusal.value.code == "idempotency_key_in_flight"
        assert first.result().status == 201


def test_a_request_repeated_while_the_first_takes_the_last_wallet_gets_the_firsts_answer(
    scene: BillingScene,
) -> None:
    scene.rows("UPDATE orion_moneyin.wallet SET state = 'assigned' WHERE wallet_index > 0")
    taken = assigned(scene)
    with ThreadPoolExecutor(2) as pool:
        with locked(scene, "invoice_change"):
            first = pool.submit(scene.create)
            wait_until(lambda: waiting(scene, "INSERT INTO invoice_change"))
            second = pool.submit(scene.create)
            wait_until(lambda: waiting(scene, "INSERT INTO idempotency"))
        assert replace(first.result(), replayed=True) == second.result()
    assert assigned(scene) == taken + 1


def test_unlocked_reading_would_give_two_invoices_one_wallet(scene: BillingScene) -> None:
    unguarded = (
        "SELECT group_no, wallet_index FROM orion_moneyin.wallet WHERE state = 'free'"
        " ORDER BY group_no, wallet_index LIMIT 1"
    )
    with scene.database().transaction() as one, scene.database().transaction() as two:
        one.execute(unguarded)
        two.execute(unguarded)
        assert one.fetchone() == two.fetchone()


def test_concurrent_creates_never_share_a_wallet(scene: BillingScene) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: scene.create(f"k{number}"), range(40)))
    addresses = {body_of(answer)["payment_options"][0]["address"] for answer in answers}
    assert len(addresses) == 40
    assert assigned(scene) == 40


def test_an_empty_pool_is_an_error_to_retry_and_leaves_no_key_behind(scene: BillingScene) -> None:
    scene.rows("UPDATE orion_moneyin.wallet SET state = 'assigned'")
    with pytest.raises(NoAddressAvailable):
        scene.create()
    assert scene.one("SELECT COUNT(*) FROM orion_billing.idempotency") == 0
    scene.add_wallets(1, group=1)
    assert scene.create().status == 201


@pytest.mark.parametrize(
    "amount,currency,assets,code",
    [
        ("1e3", "EUR", ("BTC.bitcoin",), "malformed_amount"),
        ("25,00", "EUR", ("BTC.bitcoin",), "malformed_amount"),
        ("25.001", "EUR", ("BTC.bitcoin",), "inexact_amount"),
        ("-1", "EUR", ("BTC.bitcoin",), "amount_not_positive"),
        ("0.00", "EUR", ("BTC.bitcoin",), "amount_not_positive"),
        ("1" + "0" * 40, "EUR", ("BTC.bitcoin",), "amount_too_large"),
        ("25.00", "XXX", ("BTC.bitcoin",), "unknown_currency"),
        ("25.00", "BTC.bitcoin", ("BTC.bitcoin",), "unknown_currency"),
        ("25.00", "EUR", ("DOGE.dogecoin",), "unknown_asset"),
        ("25.00", "EUR", ("EUR",), "unknown_asset"),
        ("25.00", "EUR", ("USDC.ethereum",), "unknown_asset"),
        ("25.00", "USD", ("BTC.bitcoin",), "rate_unavailable"),
    ],
)
def test_a_refused_invoice_writes_nothing(
    scene: BillingScene, amount: str, currency: str, assets: tuple[str, ...], code: str
) -> None:
    before = counts(scene)
    with pytest.raises(OrionError) as refusal:
        scene.billing().create_invoice(
            keyed("k1"),
            type(asked())(amount, currency, assets, None, 900),
            lane="standard",
            trace_id=TRACE,
        )
    assert refusal.value.code == code
    assert counts(scene) == before


def counts(scene: BillingScene) -> list[int]:
    tables = [scene.one(f"SELECT COUNT(*) FROM orion_billing.{name}") for name in BILLING_TABLES]
    return [*tables, assigned(scene)]


def test_a_merchant_sees_only_its_own_invoices(scene: BillingScene) -> None:
    invoice_id = parse_public_id("inv", body_of(scene.create())["id"])
    assert scene.billing().invoice(MERCHANT, invoice_id)["reference"] == "order 1"
    with pytest.raises(InvoiceNotFound):
        scene.billing().invoice(STRANGER, invoice_id)
    assert scene.billing().invoices(STRANGER)["data"] == []
    assert "reference" not in scene.billing().public_status(invoice_id).fields


def test_pages_list_every_invoice_once_newest_first(scene: BillingScene) -> None:
    made = [body_of(scene.create(f"k{number}"))["id"] for number in range(7)]
    found: list[str] = []
    cursor: Any = None
    while True:
        page: Any = scene.billing().invoices(MERCHANT, limit=3, cursor=cursor)
        found += [row["id"] for row in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(found) == sorted(made)
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("cursor", ["", "x", "A" * 23, "é" * 23, "A" * 5_000])
def test_a_cursor_that_no_page_ended_with_is_refused(scene: BillingScene, cursor: str) -> None:
    with pytest.raises(OrionError) as refusal:
        scene.billing().invoices(MERCHANT, cursor=cursor)
    assert refusal.value.code == "cursor_malformed"


@pytest.mark.parametrize("limit", [0, 101])
def test_a_page_size_outside_its_bounds_is_refused(scene: BillingScene, limit: int) -> None:
    with pytest.raises(OrionError) as refusal:
        scene.billing().invoices(MERCHANT, limit=limit)
    assert refusal.value.code == "limit_out_of_range"


def test_an_account_that_does_not_exist_has_no_balance_rather_than_zero(
    scene: BillingScene,
) -> None:
    assert scene.billing().balances(MERCHANT) == {"data": []}
    for number, (purpose, debits, credits_) in enumerate(
        [("settling", 5, 12), ("available", 0, 2**128 - 101), ("reversal_receivable", 3, 0)]
    ):
        scene.rows(
            "INSERT INTO orion_ledger.account (id, owner, purpose, asset, bucket, debits_posted,"
            " debits_pending, credits_posted, credits_pending, created_at, updated_at)"
            " VALUES (%s, %s, %s, 'BTC.bitcoin', 0, %s, 0, %s, 0, NOW(), NOW())",
            bytes([number]) * 16,
            f"merchant:{MERCHANT.hex()}",
            purpose,
            debits,
            credits_,
        )
    found: Any = scene.billing().balances(MERCHANT)["data"]
    (balance,) = found
    assert balance["settling"] == "0.00000007"
    assert balance["available"] == "3402823669209384634633746074317.68211355"
    assert scene.billing().balances(STRANGER) == {"data": []}


def test_a_rate_that_is_set_again_unchanged_is_told_once(scene: BillingScene) -> None:
    before = len(scene.outbox("kafka:audit.events"))
    for trace in ("01" * 16, "02" * 16):
        scene.rates().put_rate(MERCHANT, "BTC.bitcoin", "EUR", "50000", trace_id=trace)
    assert len(scene.outbox("kafka:audit.events")) == before + 1


WORKER = """
import json, sys
from orion.adapters.mysql.session import Database, MySqlConfig
from billing_scene import TRACE, asked, billing_over, keyed
from datetime import UTC, datetime
config = MySqlConfig(**json.loads(sys.stdin.readline()))
clock = lambda: datetime.now(UTC)
billing = billing_over(Database(config), clock)
billing.create_invoice(keyed("k1"), asked(), lane="standard", trace_id=TRACE)
"""


def test_a_process_killed_after_taking_a_wallet_has_taken_nothing(scene: BillingScene) -> None:
    config = scene.config
    settings = {
        "host": config.host,
        "port": config.port,
        "user": config.user,
        "password": config.password,
        "schema": config.schema,
        "ca_pem": config.ca_pem,
    }
    with locked(scene, "invoice_change"):
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            stdin=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}/tests/engine:{ROOT}/layers/orion/python"},
        )
        assert worker.stdin is not None
        worker.stdin.write(json.dumps(settings).encode() + b"\n")
        worker.stdin.flush()
        wait_until(lambda: waiting(scene, "INSERT INTO invoice_change"))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdin.close()
    # The server notices the dead client once its statement may run, and rolls back.
    wait_until(lambda: not waiting(scene, "INSERT"))
    assert scene.create().status == 201
    assert assigned(scene) == 1
    assert scene.one("SELECT COUNT(*) FROM orion_billing.invoice") == 1
