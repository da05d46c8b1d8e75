"""The page of a payment link: right in four languages, a form without script, nothing of a link
becomes markup.
"""

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from orion import i18n
from orion.billing.payment_links.model import LinkStatus, PaymentLink, Price
from orion.billing.payment_links.page import LinkPage, NoSuchFile, Refused
from orion.billing.payment_links.visiting import Visit
from orion.money import Amount, asset

WEB = Path(__file__).parents[2] / "web"
PAGE = LinkPage(WEB / "pay", WEB / "shared")
EUR = asset("EUR")
NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
FIXED = Price(EUR, Amount(2500, EUR), None, None)
FREE = Price(EUR, None, Amount(500, EUR), Amount(5000, EUR))


def a_visit(price: Price = FIXED, **more: object) -> Visit:
    link = PaymentLink(
        link_id=b"l" * 16,
        merchant_id=b"m" * 16,
        lane="standard",
        title="Coffee & cake",
        price=price,
        assets=("BTC.bitcoin", "USDT.ethereum"),
        expires_in_s=None,
        use_limit=None,
        ends_at=None,
        active=True,
        success_url=None,
        metadata={},
        created_at=NOW,
        updated_at=NOW,
    )
    visit = Visit(link, LinkStatus.ACTIVE, b"\xab" * 16, None)
    return replace(visit, **more)  # type: ignore[arg-type]


class Elements(HTMLParser):
    """All start tags of a page with their attributes, and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_every_language_says_the_same_things() -> None:
    keys = {language: set(i18n.texts("pay", language)) for language in i18n.LANGUAGES}
    assert all(keys[language] == keys["en"] for language in i18n.LANGUAGES)
    braces = re.compile(r"\{[a-z]+\}")
    for name in keys["en"]:
        found = {
            tuple(sorted(braces.findall(i18n.texts("pay", language)[name])))
            for language in i18n.LANGUAGES
        }
        assert len(found) == 1, name


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_a_fixed_price_is_shown_and_paid_by_a_form_without_script(language: str) -> None:
    page = Elements(PAGE.render(a_visit(), language))
    (form,) = page.all("form")
    assert (form["method"], form["action"]) == ("post", f"?lang={language}")
    assert [field["name"] for field in page.all("input")] == ["visitor"]
    assert page.all("input")[0]["value"] == "ab" * 16
    assert "Coffee & cake" in page.text
    assert "25.00 EUR" in page.text
    assert "BTC (Bitcoin), USDT (Ethereum)" in page.text
    assert page.all("html")[0]["lang"] == language
    assert page.all("script") == []
    assert not any("style" in attributes for _, attributes in page.tags)


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_a_free_amount_has_a_label_its_bounds_and_its_currency(language: str) -> None:
    page = Elements(PAGE.render(a_visit(FREE), language))
    field = next(field for field in page.all("input") if field["name"] == "amount")
    assert page.all("label")[0]["for"] == field["id"] == "amount"
    assert field["inputmode"] == "decimal"
    described = str(field["aria-describedby"]).split()
    identities = {attributes.get("id") for _, attributes in page.tags}
    assert described == ["amount-currency", "amount-hint"]
    assert set(described) <= identities
    assert "5.00" in page.text
    assert "50.00" in page.text
    assert "aria-invalid" not in field


@pytest.mark.parametrize(
    "code",
    [
        "malformed_amount",
        "inexact_amount",
        "amount_not_positive",
        "amount_too_large",
        "amount_out_of_bounds",
    ],
)
def test_what_is_wrong_stands_at_the_field_and_is_announced(code: str) -> None:
    for language in i18n.LANGUAGES:
        page = Elements(PAGE.render(a_visit(FREE), language, Refused('1,000"><b>', code)))
        field = next(field for field in page.all("input") if field["name"] == "amount")
        assert field["aria-invalid"] == "true"
        assert "autofocus" in field
        assert "amount-error" in str(field["aria-describedby"]).split()
        assert field["value"] == '1,000"><b>'
        assert page.text.count("50.00") == 1
        (alert,) = [row for _, row in page.tags if row.get("role") == "alert"]
        assert alert["id"] == "amount-error"
        assert page.all("b") == []


def test_what_is_not_about_the_amount_is_said_above_the_form() -> None:
    for price in (FIXED, FREE):
        page = Elements(PAGE.render(a_visit(price), "en", Refused("5", "rate_unavailable")))
        assert i18n.texts("pay", "en")["unpayable"] in page.text
        assert len(page.all("form")) == 1
        assert not any("aria-invalid" in field for field in page.all("input"))
    page = Elements(PAGE.render(a_visit(), "en", Refused("", "amount_too_large")))
    assert i18n.texts("pay", "en")["unpayable"] in page.text


@pytest.mark.parametrize("status", [s for s in LinkStatus if s is not LinkStatus.ACTIVE])
def test_a_link_that_makes_no_invoices_says_why_and_has_no_form(status: LinkStatus) -> None:
    for language in i18n.LANGUAGES:
        page = Elements(PAGE.render(a_visit(status=status), language))
        assert page.all("form") == []
        assert i18n.texts("pay", language)[status.value] in page.text


def test_an_unfinished_payment_is_offered_whatever_became_of_the_link() -> None:
    for status in LinkStatus:
        page = Elements(PAGE.render(a_visit(status=status, waiting=b"\x01" * 16), "nl"))
        links = [str(row["href"]) for row in page.all("a")]
        (found,) = [link for link in links if "checkout" in link]
        assert re.fullmatch(r"\.\./checkout/inv_[0-9A-Z]{26}\?lang=nl", found)


def test_a_hostile_title_stays_text() -> None:
    hostile = '"><script>alert(1)</script>${visitor}$content'
    visit = a_visit()
    page = Elements(PAGE.render(replace(visit, link=replace(visit.link, title=hostile)), "en"))
    assert page.all("script") == []
    assert page.text.count(hostile) == 2


def test_only_the_pages_own_files_are_served() -> None:
    for name in ("shared.css", "pay.css"):
        content_type, body = PAGE.file(name)
        assert content_type == "text/css; charset=utf-8"
        assert body
    for name in ("page.html", "../checkout/checkout.css", "none.css"):
        with pytest.raises(NoSuchFile):
            PAGE.file(name)


def test_the_page_and_its_styles_stay_small() -> None:
    files = sum(len(PAGE.file(name)[1]) for name in ("shared.css", "pay.css"))
    assert files + len(PAGE.render(a_visit(FREE), "ja")) < 20_000
