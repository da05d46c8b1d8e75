"""The README's promise: an invoice is paid from a foreign wallet, and books and chain agree."""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from demos.first_light import report
from demos.first_light.browser import chromium
from demos.first_light.customers import BitcoinCustomer, Customer, EtherCustomer, TetherCustomer
from demos.first_light.story import tell
from infra.local import Stack
from tests.e2e.scene import Shop

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("who", [BitcoinCustomer, EtherCustomer, TetherCustomer])
def test_a_payment_travels_from_the_page_to_a_verified_webhook(
    shop: Shop, running_stack: Stack, tmp_path: Path, who: Callable[[Stack], Customer]
) -> None:
    customer = who(running_stack)
    before = {row["asset"]: row["total"] for row in shop.api.call("GET", "/v1/balances")["data"]}
    with chromium() as browser:
        told = tell(
            shop.api, customer, shop.receiver, browser, tmp_path, shop.settled_count(customer.asset)
        )
    assert Path(told.screenshot).stat().st_size > 10_000, "the page to be more than empty"
    paid = report.difference(told.ledger_balance, str(before.get(customer.asset, "0")))
    assert paid == told.chain_balance, "the ledger to hold what the chain holds at this address"
    report.write([told], tmp_path / "report.json")
    story = json.loads((tmp_path / "report.json").read_text())["stories"][0]
    assert set(story) == {
        "asset",
        "invoice_id",
        "stages_ms",
        "ledger_balance",
        "chain_balance",
        "screenshot",
    }


def test_one_answer_opens_the_checkout_page_in_the_customers_language(shop: Shop) -> None:
    invoice = shop.invoice("BTC.bitcoin")
    request = urllib.request.Request(
        str(invoice["checkout_url"]), headers={"Accept-Language": "nl"}
    )
    with urllib.request.urlopen(request, timeout=15) as answer:
        page = answer.read().decode()
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert '<html lang="nl">' in page
    assert "Wachten op uw betaling" in page
