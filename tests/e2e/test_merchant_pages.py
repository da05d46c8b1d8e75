"""The merchant pages in real Chromium: signing in, what each page shows, and what stays text."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from demos.first_light.merchant import Api
from orion import i18n
from orion.runtime.merchant_pages import PAGES
from tests.e2e.merchant_browser import (
    DESKTOP,
    PHONE,
    Merchant,
    an_invoice,
    key_of,
    merchant_at,
)

pytestmark = pytest.mark.e2e

MARKUP = '<img src=x onerror="window.planted=1"><script>window.planted=1</script>'


@pytest.fixture
def person(browser: Browser, merchant_api: Api) -> Iterator[Merchant]:
    """Somebody at a desk, not signed in; nothing may have gone wrong unseen at the end."""
    with merchant_at(browser, merchant_api.base_url) as found:
        yield found
        assert found.complaints == []


def test_a_wrong_key_is_refused_with_a_word_and_a_right_one_opens_the_page(
    person: Merchant, merchant_api: Api
) -> None:
    person.open()
    person.picture("sign-in")
    assert person.accessibility() == []
    for wrong in ("ok_nonsense", key_of(merchant_api)[:-2] + "AA", "ключ"):
        person.sign_in(wrong)
        expect(person.page.get_by_role("alert")).to_contain_text("This key is not known")
        assert person.page.evaluate("sessionStorage.length") == 0
    person.sign_in(key_of(merchant_api))
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Overview")


def test_the_key_stays_in_its_tab_and_is_gone_after_signing_out(
    person: Merchant, merchant_api: Api
) -> None:
    person.signed_in(key_of(merchant_api), "keys")
    assert person.page.evaluate("Object.values(sessionStorage)") == [key_of(merchant_api)]
    assert person.page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    assert person.page.context.cookies() == []
    assert all(key_of(merchant_api) not in request.url for request in person.requests)
    other = person.page.context.new_page()
    other.goto(f"{merchant_api.base_url}/merchant/keys")
    expect(other.locator("input[name=key]")).to_be_visible()
    person.page.get_by_role("button", name="Sign out").click()
    expect(person.page.locator("input[name=key]")).to_be_visible()
    assert person.page.evaluate("sessionStorage.length") == 0
    expect(person.main()).not_to_contain_text("invoices:write")


def test_a_key_that_is_refused_in_the_middle_leads_back_to_signing_in(
    person: Merchant, merchant_api: Api
) -> None:
    person.signed_in(key_of(merchant_api))
    person.page.evaluate("sessionStorage.setItem(Object.keys(sessionStorage)[0], 'ok_revoked')")
    person.page.reload()
    expect(person.main()).to_contain_text("not accepted any more")
    expect(person.page.locator("input[name=key]")).to_be_visible()


def test_nobody_else_is_asked_anything_and_the_policy_is_the_pages_own(
    person: Merchant, merchant_api: Api
) -> None:
    person.signed_in(key_of(merchant_api))
    assert len(person.hosts()) == 1
    answer = person.page.request.get(f"{merchant_api.base_url}/merchant/overview")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    # The policy is one that the browser enforces, not only a header.
    blocked = person.page.evaluate(
        "() => { try { document.body.innerHTML = '<b>x</b>'; return false }"
        " catch (error) { return error instanceof TypeError } }"
    )
    assert blocked
    assert ["TrustedHTML" in line for line in person.complaints] == [True]
    person.complaints.clear()


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_every_page_is_readable_in_every_language_on_phone_and_desk(
    browser: Browser, merchant_api: Api, language: str
) -> None:
    made = an_invoice(merchant_api, "tea")
    merchant_api.call(
        "POST", "/v1/payment-links", {"title": "Tea", "currency": "EUR", "assets": ["BTC.bitcoin"]}
    )
    texts = i18n.texts("merchant", language)
    places = {name: name for name in PAGES} | {"invoice": f"invoice#{made}"}
    for size, name in ((PHONE, "phone"), (DESKTOP, "desk")):
        dark = (name == "phone") == (language in {"en", "ja"})
        with merchant_at(
            browser, merchant_api.base_url, size=size, locale=language, dark=dark
        ) as person:
            person.signed_in(key_of(merchant_api))
            for page, place in places.items():
                person.open(place)
                heading = person.page.get_by_role("heading", level=1)
                expect(heading).to_have_text(texts[f"title_{page}"])
                assert person.page.locator("html").get_attribute("lang") == language
                assert person.page.get_by_role("alert").count() == 0, (
                    page,
                    person.main().inner_text(),
                )
                assert person.accessibility() == [], (page, size)
                wide = person.page.evaluate("document.documentElement.scrollWidth")
                assert wide <= size[0], (page, "scrolls sideways")
                person.picture(f"{page}-{name}-{language}")
            assert person.complaints == []


def test_a_language_that_was_chosen_stays_from_page_to_page(
    person: Merchant, merchant_api: Api
) -> None:
    person.signed_in(key_of(merchant_api))
    person.page.get_by_role("link", name="Nederlands").click()
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Overzicht")
    person.page.get_by_role("link", name="API-sleutels").click()
    expect(person.page.locator("html")).to_have_attribute("lang", "nl")


def test_everything_goes_by_keyboard_alone(person: Merchant, merchant_api: Api) -> None:
    person.open()
    keyboard = person.page.keyboard

    def focused() -> str:
        return str(
            person.page.evaluate(
                "document.activeElement.name || document.activeElement.textContent"
            )
        )

    def press_until(name: str) -> None:
        for _ in range(40):
            if focused().strip() == name:
                return
            keyboard.press("Tab")
        raise AssertionError(f"the keyboard does not reach {name}; it stands on {focused()}")

    keyboard.press("Tab")
    assert focused() == "To the content"
    press_until("key")
    keyboard.type(key_of(merchant_api))
    keyboard.press("Enter")
    person.page.locator("#top nav").wait_for()
    person.settled()
    press_until("Invoices")
    keyboard.press("Enter")
    person.page.wait_for_url("**/merchant/invoices")
    person.settled()
    press_until("New invoice")
    keyboard.press("Enter")
    press_until("amount")
    keyboard.type("12.50")
    press_until("reference")
    keyboard.type("by keyboard")
    keyboard.press("Enter")
    person.page.wait_for_url("**/merchant/invoice#inv_*")
    expect(person.main()).to_contain_text("12.50 EUR")
    expect(person.main()).to_contain_text("by keyboard")


def test_markup_in_texts_of_people_stays_text(person: Merchant, merchant_api: Api) -> None:
    made = an_invoice(merchant_api, MARKUP)
    merchant_api.call("POST", "/v1/api-keys", {"name": MARKUP[:80], "scopes": ["invoices:read"]})
    link = {"title": MARKUP, "currency": "EUR", "assets": ["BTC.bitcoin"]}
    merchant_api.call("POST", "/v1/payment-links", link)
    person.signed_in(key_of(merchant_api))
    for place in (f"invoice#{made}", "invoices", "keys", "links"):
        person.open(place)
        expect(person.main()).to_contain_text("<img src=x onerror=")
        assert person.page.locator("main img, main script").count() == 0, place
        assert person.page.evaluate("window.planted") is None, place
