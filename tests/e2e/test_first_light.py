"""The README's promise: invoices are paid from foreign wallets, and books and chain agree."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from decimal import Decimal
from pathlib import Path

import pytest

from infra.local import Stack
from infra.local.deployed import standard_url
from tests.e2e.scene import Shop

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
STAGES = {
    "invoice created",
    "page opened",
    "payment sent",
    "first block to page says confirming",
    "last block to webhook",
    "last block to page says settled",
    "whole story",
}


def test_the_demo_tells_three_stories_and_leaves_a_running_stack_running(
    running_stack: Stack, tmp_path: Path
) -> None:
    paths = os.pathsep.join((str(ROOT / "layers" / "orion" / "python"), str(ROOT)))
    told = subprocess.run(
        [sys.executable, "-m", "demos.first_light"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths, "ORION_VAR": str(running_stack.var)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    stories = json.loads((tmp_path / "var" / "demo" / "report.json").read_text())["stories"]
    assert [story["asset"] for story in stories] == ["BTC.bitcoin", "ETH.ethereum", "USDT.ethereum"]
    for story in stories:
        assert set(story) == {
            "asset",
            "invoice_id",
            "stages_ms",
            "ledger_balance",
            "chain_balance",
            "screenshot",
        }
        assert set(story["stages_ms"]) == STAGES
        assert story["ledger_balance"] == story["chain_balance"], story
        assert Decimal(story["ledger_balance"]) > 0
        screenshot = tmp_path / story["screenshot"]
        assert screenshot.read_bytes().startswith(b"\x89PNG"), "a picture of the page"
        assert story["asset"] in told.stdout, "the table to name the asset"
    assert f"{standard_url(running_stack)}/checkout/inv_" in told.stdout, "what to open"
    assert running_stack.alive("kafka"), "the stack to stay up"


def test_the_checkout_page_answers_in_the_customers_language(shop: Shop) -> None:
    invoice = shop.invoice("BTC.bitcoin")
    request = urllib.request.Request(
        str(invoice["checkout_url"]), headers={"Accept-Language": "nl"}
    )
    with urllib.request.urlopen(request, timeout=15) as answer:
        page = answer.read().decode()
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert '<html lang="nl">' in page
    assert "Wachten op uw betaling" in page


def test_the_status_of_an_unchanged_invoice_is_not_sent_again(shop: Shop) -> None:
    url = f"{shop.invoice('BTC.bitcoin')['checkout_url']}/status"
    with urllib.request.urlopen(url, timeout=15) as answer:
        etag = answer.headers["ETag"]
        assert json.loads(answer.read())["status"] == "new"
    request = urllib.request.Request(url, headers={"If-None-Match": etag})
    with pytest.raises(urllib.error.HTTPError) as unchanged:
        urllib.request.urlopen(request, timeout=15)
    assert unchanged.value.code == 304
