"""The checkout page: right in four languages, and nothing of an invoice becomes markup."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from orion import i18n
from orion.billing.checkout_page import Page

PAGE = Page(Path(__file__).parents[2] / "web" / "checkout")
STATUSES = (
    "new",
    "partially_paid",
    "confirming",
    "settled",
    "overpaid",
    "expired",
    "underpaid",
    "paid_late",
)


def an_invoice(**more: object) -> dict[str, Any]:
    options = [
        {
            "asset": "BTC.bitcoin",
            "chain": "bitcoin",
            "amount": "0.00041667",
            "address": "bcrt1qx",
            "payment_link": "bitcoin:bcrt1qx?amount=0.00041667",
        },
        {
            "asset": "ETH.ethereum",
            "chain": "ethereum",
            "amount": "0.01000000",
            "address": "0xAb",
            "payment_link": "ethereum:0xAb@1?value=1e16",
        },
    ]
    return {
        "id": "inv_0",
        "status": "new",
        "amount": "25.00",
        "currency": "EUR",
        "expires_at": "2026-01-02T03:04:05Z",
        "payment_options": options,
        "deposits": [],
        **more,
    }


def test_every_language_says_the_same_things() -> None:
    keys = {language: set(i18n.texts("checkout", language)) for language in i18n.LANGUAGES}
    assert all(keys[language] == keys["en"] for language in i18n.LANGUAGES)
    assert {f"status_{status}" for status in STATUSES} <= keys["en"]


@pytest.mark.parametrize("language", i18n.LANGUAGES)
@pytest.mark.parametrize("status", STATUSES)
def test_the_page_shows_amount_address_and_status(language: str, status: str) -> None:
    page = PAGE.render(an_invoice(status=status), language).decode()
    texts = i18n.texts("checkout", language)
    assert f'<html lang="{language}">' in page
    assert texts[f"status_{status}"] in page
    assert texts["pay"].format(amount="25.00", currency="EUR") in page
    assert page.count("<svg") == 2
    for piece in ("0.00041667", "bcrt1qx", "0.01000000", "0xAb", "2026-01-02T03:04:05Z"):
        assert piece in page


def test_a_hostile_value_stays_text() -> None:
    hostile = '"><script>alert(1)</script>${id}'
    invoice = an_invoice(id=hostile, currency=hostile)
    invoice["payment_options"][0].update(address=hostile, payment_link=f"bitcoin:{hostile}")
    page = PAGE.render(invoice, "en").decode()
    assert "<script>alert" not in page
    assert page.count("<script") == 2
    assert json.loads(re.findall(r'id="texts">(.*?)</script>', page)[0])["copy"] == "Copy"


def test_the_page_and_its_files_stay_under_60_kilobytes() -> None:
    files = sum(len(PAGE.asset(name)[1]) for name in ("checkout.css", "checkout.js"))
    assert files + len(PAGE.render(an_invoice(), "ja")) < 60_000


@pytest.mark.parametrize(
    "wanted, header, chosen",
    [
        ("nl", "ja", "nl"),
        ("xx", "ja", "ja"),
        (None, None, "en"),
        (None, "de, zh-CN;q=0.5, nl;q=0.7", "nl"),
        (None, "ja;q=0", "en"),
        (None, "ja;q=x, zh;q=0.1", "zh"),
        (None, "fr", "en"),
    ],
)
def test_the_language_is_the_one_asked_for_else_the_browsers(
    wanted: str | None, header: str | None, chosen: str
) -> None:
    assert i18n.choose(wanted, header) == chosen
