"""The status read through memcached: never older than the commit before the question."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from orion.ids import public_id
from orion.runtime import billing
from orion.runtime import http as entry
from orion.runtime.status_cache import statuses
from tests.engine.checkout_scene import (
    HANDLERS,
    UNLIMITED,
    CheckoutScene,
    checkout_stage,
    event_of,
)

pytestmark = pytest.mark.engine


@pytest.fixture
def scene(
    mysql_admin: Any, aws_engine: Any, memcached_server: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CheckoutScene]:
    with checkout_stage(
        mysql_admin, aws_engine, memcached_server.servers, monkeypatch.setenv
    ) as found:
        yield found


def ask(invoice_id: bytes, etag: str | None = None) -> tuple[int, str, str]:
    """Status code, ETag and the invoice's status."""
    path = f"/checkout/{public_id('inv', invoice_id)}/status"
    headers = {"If-None-Match": etag} if etag else {}
    answer: Any = entry.serve(event_of(path, headers), HANDLERS, UNLIMITED)
    status = json.loads(answer["body"])["status"] if answer["body"] else ""
    return answer["statusCode"], answer["headers"]["ETag"], status


def rename_unseen(scene: CheckoutScene, invoice_id: bytes) -> None:
    """A change that nobody tells the cache of."""
    scene.billing.rows(
        "UPDATE orion_billing.invoice SET status = 'cancelled' WHERE invoice_id = %s", invoice_id
    )


def test_an_unchanged_status_is_answered_without_the_database(scene: CheckoutScene) -> None:
    invoice_id, _ = scene.invoice("BTC.bitcoin")
    status, etag, shown = ask(invoice_id)
    assert (status, shown) == (200, "new")
    rename_unseen(scene, invoice_id)
    assert ask(invoice_id)[2] == "new"
    assert ask(invoice_id, etag) == (304, etag, "")


def test_a_committed_change_shows_at_the_next_question(scene: CheckoutScene) -> None:
    invoice_id, _ = scene.invoice("BTC.bitcoin")
    before = ask(invoice_id)[1]
    scene.pay(invoice_id)
    status, etag, shown = ask(invoice_id, before)
    assert (status, shown) == (200, "confirming")
    assert etag != before


def test_who_read_before_a_commit_cannot_bring_the_old_status_back(scene: CheckoutScene) -> None:
    invoice_id, _ = scene.invoice("BTC.bitcoin")
    old = billing.invoices().public_status(invoice_id).body
    scene.pay(invoice_id)
    statuses().fill(invoice_id, old)
    assert ask(invoice_id)[2] == "confirming"


def test_a_change_that_was_rolled_back_may_cost_a_read_and_shows_nothing(
    scene: CheckoutScene,
) -> None:
    invoice_id, _ = scene.invoice("BTC.bitcoin")
    ask(invoice_id)

    def fail(tx: Any) -> None:
        tx.lock_invoices([invoice_id])
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError):
        billing.billing_store(direct=True).transact(fail)
    assert ask(invoice_id)[2] == "new"


def test_without_memcached_the_status_is_the_databases(
    mysql_admin: Any, aws_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with checkout_stage(mysql_admin, aws_engine, "127.0.0.1:9", monkeypatch.setenv) as scene:
        invoice_id, _ = scene.invoice("BTC.bitcoin")
        assert ask(invoice_id)[2] == "new"
        scene.pay(invoice_id)
        assert ask(invoice_id)[2] == "confirming"


def test_an_unknown_invoice_is_no_invoice_and_is_not_kept(scene: CheckoutScene) -> None:
    path = f"/checkout/{public_id('inv', b'0' * 16)}/status"
    answer: Any = entry.serve(event_of(path, {}), HANDLERS, UNLIMITED)
    assert answer["statusCode"] == 404
    assert statuses().get(b"0" * 16) is None
