"""The checkout page: right in four languages and every status, and nothing of an invoice becomes
markup.
"""

import json
import re

import pytest

from orion import i18n
from orion.billing.checkout_page import policy
from orion.billing.checkout_state import SCENES, return_link
from orion.billing.model import DepositState, InvoiceStatus
from tests.unit.checkout_views import (
    BITCOIN,
    PAGE,
    TRON,
    WEB,
    a_deposit,
    an_invoice,
    an_option,
    rendered,
)

STATUSES = [status.value for status in InvoiceStatus]
PAYABLE = {"new", "partially_paid"}


def test_every_language_says_the_same_things() -> None:
    keys = {language: set(i18n.texts("checkout", language)) for language in i18n.LANGUAGES}
    assert all(keys[language] == keys["en"] for language in i18n.LANGUAGES)
    words = {f"{kind}_{status}" for status in STATUSES for kind in ("status", "help")}
    assert words | {f"state_{state.value}" for state in DepositState} <= keys["en"]


def test_every_language_fills_the_same_places() -> None:
    for key, english in i18n.texts("checkout", "en").items():
        places = sorted(re.findall(r"\{(\w+)\}", english))
        for language in i18n.LANGUAGES:
            text = i18n.texts("checkout", language)[key]
            assert sorted(re.findall(r"\{(\w+)\}", text)) == places, (language, key)


def test_every_status_has_a_scene() -> None:
    assert set(SCENES) == set(STATUSES)
    assert {name for name, scene in SCENES.items() if scene.pays} == PAYABLE


@pytest.mark.parametrize("language", i18n.LANGUAGES)
@pytest.mark.parametrize("status", STATUSES)
def test_the_page_says_what_to_do_and_offers_to_pay_only_while_that_helps(
    language: str, status: str
) -> None:
    page = rendered(language, status=status)
    texts = i18n.texts("checkout", language)
    assert f'<html lang="{language}">' in page
    assert texts[f"status_{status}"] in page
    assert texts[f"help_{status}"] in page
    title = texts["pay" if status in PAYABLE else "paying"]
    assert title.format(amount="25.00", currency="EUR") in page
    assert (BITCOIN in page) == ('class="wallet' in page or "<svg" in page) == (status in PAYABLE)


def test_a_hostile_value_stays_text() -> None:
    hostile = "\"><script>alert(1)</script>'${id}"
    options = [an_option("BTC.bitcoin", "0.00041667", hostile, f"bitcoin:{hostile}")]
    page = rendered(
        id=hostile,
        currency=hostile,
        customer_fee=hostile,
        payment_options=options,
        deposits=[a_deposit(txid=hostile, state=hostile)],
        cancel_url=f"https://shop.example/{hostile}",
    )
    assert "<script>alert" not in page
    assert "'${id}" not in page.replace("&#x27;${id}", "")
    assert page.count("<script") == 2
    assert json.loads(re.findall(r'id="texts">(.*?)</script>', page)[0])["copy"] == "Copy"


def test_nothing_runs_or_is_styled_inside_the_document() -> None:
    for status in STATUSES:
        page = rendered(status=status, deposits=[a_deposit()])
        assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:", page), status
        assert set(re.findall(r'(?:src|href)="(https?:[^"]*)"', page)) == set()


def test_the_policy_names_the_sockets_origin_and_no_other() -> None:
    assert "connect-src 'self';" in policy(None)
    named = policy("wss://sockets.example:8443/live")
    assert "connect-src 'self' wss://sockets.example:8443;" in named
    assert "unsafe" not in named


def test_what_is_left_is_asked_for_in_amount_code_and_link() -> None:
    option = an_option(
        "BTC.bitcoin",
        "0.00041667",
        BITCOIN,
        f"bitcoin:{BITCOIN}?amount=0.00041667",
        paid="0.00020000",
        remaining="0.00021667",
    )
    page = rendered(status="partially_paid", payment_options=[option])
    assert "Still to pay: 0.00021667 BTC on Bitcoin" in page
    assert f'href="bitcoin:{BITCOIN}?amount=0.00021667"' in page
    assert "amount=0.00041667" not in page


def test_an_option_of_which_nothing_is_left_is_not_offered() -> None:
    paid = [{**option, "remaining": "0"} for option in an_invoice()["payment_options"]]
    assert "<svg" not in rendered(status="partially_paid", payment_options=paid)


def test_a_tron_code_is_the_bare_address_and_says_so() -> None:
    tron = [option for option in an_invoice()["payment_options"] if option["chain"] == "tron"]
    page = rendered(payment_options=tron)
    assert i18n.texts("checkout", "en")["code_is_address"] in page
    assert i18n.texts("checkout", "en")["qr_address"] in page
    assert f'href="tron:{TRON}?amount=26.881721&amp;token=' in page


def test_a_token_warns_that_wallets_may_take_the_contract_for_the_coin() -> None:
    options = {option["asset"]: option for option in an_invoice()["payment_options"]}
    warning = i18n.texts("checkout", "en")["token_warning"].format(symbol="USDT")
    assert warning in rendered(payment_options=[options["USDT.ethereum"]])
    assert warning not in rendered(payment_options=[options["BTC.bitcoin"]])


@pytest.mark.parametrize("status", STATUSES)
def test_the_way_back_follows_how_it_ended(status: str) -> None:
    page = rendered(
        status=status, success_url="https://shop.example/thanks", cancel_url="https://shop.example/"
    )
    paid = status in {"settled", "overpaid"}
    assert ('href="https://shop.example/thanks"' in page) == paid
    assert ('href="https://shop.example/"' in page) == (not paid)


@pytest.mark.parametrize(
    "url, led",
    [
        ("https://shop.example/a?b=c", True),
        ("http://127.0.0.1:8080/a", True),
        ("http://[::1]/a", True),
        ("http://shop.example/a", False),
        ("http://127.0.0.1.shop.example/a", False),
        ("https:///a", False),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//shop.example/a", False),
        ("https://shöp.example/a", False),
        ("https://[shop/a", False),
        (None, False),
    ],
)
def test_only_a_safe_address_becomes_the_button(url: object, led: bool) -> None:
    assert return_link(url) == (url if led else None)


def test_payments_show_how_far_they_are_and_a_refund_is_on_the_receipt() -> None:
    page = rendered(
        status="partially_refunded",
        deposits=[a_deposit(), a_deposit(state="final", txid="ab" * 32)],
        refunds=[{"asset": "BTC.bitcoin", "amount": "0.0001", "at": "2026-01-03T00:00:00.000Z"}],
    )
    assert "1 of 2 confirmations" in page
    assert "Final" in page
    assert "0.0001 BTC, 2026-01-03 00:00 UTC" in page


def test_an_amount_has_no_zeros_that_nobody_types() -> None:
    option = an_option("ETH.ethereum", "0.010000000000000000", "0x5aAe", "ethereum:0x5aAe?value=1")
    assert ">0.01</output>" in rendered(payment_options=[option])


def test_a_fee_of_the_payers_is_named_beside_the_amount() -> None:
    assert "+ 0.30 EUR payment fee" in rendered(customer_fee="0.30")
    assert "payment fee" not in rendered(customer_fee="0.00")


def test_the_document_names_its_assets_by_their_content() -> None:
    named = re.findall(r'"assets/([\w.]+)\?v=([0-9a-f]{12})"', rendered())
    assert {name for name, _ in named} == {"shared.css", "checkout.css", "checkout.js", "icon.svg"}
    assert len({digest for _, digest in named}) == 4


def test_the_page_and_its_files_stay_under_60_kilobytes() -> None:
    names = ("shared.css", "checkout.css", "checkout.js", "icon.svg")
    files = sum(len(PAGE.asset(name)[1]) for name in names)
    assert files + len(rendered("ja").encode()) < 60_000
    assert sum(path.stat().st_size for path in (WEB / "shared").iterdir()) < 10_000


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
