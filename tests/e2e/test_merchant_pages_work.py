"""What merchants do on their pages: it reaches the API once, and what is unknown is never zero."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Route, expect

from demos.first_light.customers import EtherCustomer
from demos.first_light.merchant import Api
from infra.local import Stack
from infra.local.deployed import confirmations_settled
from tests.e2e.merchant_browser import Merchant, an_invoice, key_of, merchant_at
from tests.e2e.scene import pay, wait_until
from tests.unit.client_server import serving

pytestmark = pytest.mark.e2e


@pytest.fixture
def person(browser: Browser, merchant_api: Api) -> Iterator[Merchant]:
    with merchant_at(browser, merchant_api.base_url) as found:
        yield found
        assert found.complaints == []


def test_a_failure_says_what_to_do_and_shows_no_zero(person: Merchant, merchant_api: Api) -> None:
    def fail(route: Route) -> None:
        body = {
            "title": "away",
            "detail": "something needed does not answer",
            "code": "x",
            "trace_id": "t1",
        }
        route.fulfill(status=503, content_type="application/problem+json", body=json.dumps(body))

    person.signed_in(key_of(merchant_api), "keys")
    person.page.route("**/v1/balances", fail)
    person.open("overview")
    alert = person.page.get_by_role("alert")
    expect(alert).to_contain_text("something needed does not answer")
    expect(alert).to_contain_text("t1")
    expect(person.page.locator("#balances")).to_have_count(0)
    section = person.page.locator("section").filter(has_text="Balances")
    assert "0" not in section.inner_text().replace("t1", "")
    person.picture("failure")
    assert person.accessibility() == []
    person.page.unroute("**/v1/balances")
    person.page.get_by_role("button", name="Try again").click()
    person.settled()
    expect(alert).to_have_count(0)
    person.page.route("**/v1/balances", lambda route: route.abort())
    person.open("overview")
    expect(alert).to_contain_text("No answer came")


def test_a_scope_that_the_key_lacks_is_named_and_the_rest_of_the_page_stays(
    person: Merchant, merchant_api: Api
) -> None:
    body = {"name": "narrow", "scopes": ["balances:read"]}
    narrow = str(merchant_api.call("POST", "/v1/api-keys", body)["api_key"])
    person.signed_in(narrow)
    expect(person.page.get_by_role("alert")).to_have_count(1)
    expect(person.page.get_by_role("alert")).to_contain_text("invoices:read")
    expect(person.main()).to_contain_text("Nothing has been credited yet.")


def test_pressing_again_after_a_lost_answer_makes_one_invoice(
    person: Merchant, merchant_api: Api
) -> None:
    person.signed_in(key_of(merchant_api), "invoices")
    keys: list[str] = []

    def lose_first_answer(route: Route) -> None:
        if route.request.method != "POST":
            route.fallback()
            return
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()  # The API did it; only the answer is lost.
            route.abort()
        else:
            route.fallback()

    person.page.route("**/v1/invoices", lose_first_answer)
    person.page.get_by_text("New invoice").first.click()
    person.page.locator("input[name=amount]").fill("7.77")
    person.page.locator("input[name=reference]").nth(0).fill("pressed twice")
    person.page.get_by_role("button", name="Create").click()
    expect(person.page.get_by_role("alert")).to_contain_text("No answer came")
    person.page.get_by_role("button", name="Create").click()
    person.page.wait_for_url("**/merchant/invoice#inv_*")
    assert len(keys) == 2
    assert keys[0] == keys[1]
    data = merchant_api.call("GET", "/v1/invoices?limit=100")["data"]
    assert [row["reference"] for row in data].count("pressed twice") == 1


def test_a_refused_form_says_why_beside_the_field(person: Merchant, merchant_api: Api) -> None:
    person.signed_in(key_of(merchant_api), "invoices")
    person.page.get_by_text("New invoice").first.click()
    person.page.locator("input[name=amount]").fill("1e3")
    person.page.get_by_role("button", name="Create").click()
    alert = person.page.get_by_role("alert")
    expect(alert).to_be_visible()
    person.page.locator("input[name=amount]").fill("5.00")
    person.page.locator("input[name=currency]").fill("XXX")
    person.page.get_by_role("button", name="Create").click()
    expect(alert).to_contain_text("currency")
    expect(alert).to_contain_text("Trace id")
    assert person.accessibility() == []


def test_more_reads_the_next_page_and_a_filter_only_what_is_asked(
    person: Merchant, merchant_api: Api
) -> None:
    for number in range(27):
        an_invoice(merchant_api, f"page {number}")
    person.signed_in(key_of(merchant_api), "invoices")
    rows = person.page.locator("#list tbody tr")
    expect(rows).to_have_count(25)
    person.page.get_by_role("button", name="More").click()
    person.settled()
    assert rows.count() >= 27
    texts = rows.locator("th").all_inner_texts()
    assert len(texts) == len(set(texts)) or texts.count("page 0") == 1
    person.page.locator("form[data-inline] input[name=reference]").fill("page 3")
    person.page.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(1)
    person.page.locator("form[data-inline] select[name=status]").select_option("settled")
    person.page.get_by_role("button", name="Show").click()
    expect(person.main()).to_contain_text("Nothing like this.")


def test_an_invoice_is_cancelled_after_a_second_press_only(
    person: Merchant, merchant_api: Api
) -> None:
    made = an_invoice(merchant_api, "to cancel")
    person.signed_in(key_of(merchant_api), f"invoice#{made}")
    person.page.get_by_role("button", name="Cancel this invoice").click()
    assert merchant_api.call("GET", f"/v1/invoices/{made}")["status"] == "new"
    person.page.get_by_role("button", name="Really cancel it").click()
    expect(person.page.locator("[data-status=cancelled]").first).to_be_visible()
    assert merchant_api.call("GET", f"/v1/invoices/{made}")["status"] == "cancelled"
    expect(person.page.locator("#why")).to_contain_text("You cancelled it.")


def test_a_new_keys_secret_is_shown_once_and_a_revoked_key_is_gone(
    person: Merchant, merchant_api: Api
) -> None:
    person.signed_in(key_of(merchant_api), "keys")
    person.page.locator("input[name=name]").fill("for the till")
    person.page.locator("input[value='invoices:read']").check()
    person.page.get_by_role("button", name="Create").click()
    secret = person.page.locator("#secret").input_value()
    assert secret.startswith("ok_")
    till = Api(merchant_api.base_url, secret)
    assert "data" in till.call("GET", "/v1/invoices")
    person.picture("secret-once")
    assert person.accessibility() == []
    person.open("keys")
    assert secret not in person.page.content()
    row = person.page.locator("#keys tr").filter(has_text="for the till")
    expect(row).to_contain_text("invoices:read")
    row.get_by_role("button").click()
    row.get_by_role("button", name="Really revoke").click()
    expect(row).to_have_count(0)
    assert "for the till" not in json.dumps(merchant_api.call("GET", "/v1/api-keys"))


def test_a_link_is_made_and_switched_off_and_on(person: Merchant, merchant_api: Api) -> None:
    person.signed_in(key_of(merchant_api), "links")
    person.page.get_by_text("New payment link").click()
    person.page.locator("input[name=title]").fill("Concert")
    person.page.locator("input[name=amount]").fill("15.00")
    person.page.locator("input[name=use_limit]").fill("3")
    person.page.get_by_role("button", name="Create").click()
    row = person.page.locator("#list tbody tr").filter(has_text="Concert")
    expect(row).to_contain_text("15.00 EUR")
    expect(row).to_contain_text("0 / 3")
    row.get_by_role("button", name="Switch off").click()
    expect(row).to_contain_text("switched off")
    row.get_by_role("button", name="Switch on").click()
    expect(row.get_by_role("button", name="Switch off")).to_be_visible()
    href = row.get_by_role("link").get_attribute("href") or ""
    assert "/pay/pl_" in href


def test_a_webhook_is_made_tested_looked_at_and_sent_again(
    person: Merchant, merchant_api: Api
) -> None:
    with serving() as receiver:
        person.signed_in(key_of(merchant_api), "webhooks")
        person.page.get_by_text("New endpoint").first.click()
        person.page.locator("input[name=url]").fill(f"{receiver.url}/hooks")
        person.page.get_by_role("button", name="Create").click()
        assert person.page.locator("#secret").input_value().startswith("whsec_")
        card = person.page.locator("li.card").filter(has_text=receiver.url)
        card.get_by_role("button", name="Send a test event").click()
        expect(person.page.locator("#announcement")).to_contain_text("on its way")
        card.get_by_role("link", name="Deliveries").click()
        row = person.page.locator("#list tbody tr").filter(has_text="webhook_endpoint.test")
        for _ in range(60):
            person.page.get_by_role("button", name="Look again").click()
            person.settled()
            if row.count() and "delivered" in row.first.inner_text():
                break
            person.page.wait_for_timeout(500)
        row.first.get_by_role("button", name="Attempts").click()
        expect(row.first).to_contain_text("answer 200")
        person.picture("deliveries")
        assert person.accessibility() == []
        before = len(receiver.seen)
        row.first.get_by_role("button", name="Send again").click()
        for _ in range(60):
            if len(receiver.seen) > before:
                break
            person.page.wait_for_timeout(500)
        ids = {seen.headers["webhook-id"] for seen in receiver.seen}
        assert len(receiver.seen) > before
        assert len(ids) == 1


def test_settings_are_kept(person: Merchant, merchant_api: Api) -> None:
    person.signed_in(key_of(merchant_api), "settings")
    person.page.locator("input[name=tolerance_bps]").fill("50")
    # What is announced may still be the signing in: the answer itself is waited for.
    with person.page.expect_response(lambda answer: answer.request.method == "PUT") as saved:
        person.page.get_by_role("button", name="Save").click()
    assert saved.value.status == 200
    expect(person.page.locator("#announcement")).to_have_text("Done.")
    assert merchant_api.call("GET", "/v1/settings")["tolerance_bps"] == 50
    person.open("settings")
    expect(person.page.locator("input[name=tolerance_bps]")).to_have_value("50")


def test_a_paid_invoice_shows_in_balances_payments_and_the_picture(
    person: Merchant, running_stack: Stack, merchant_api: Api
) -> None:
    merchant_api.call("PUT", "/v1/rates/ETH.ethereum/EUR", {"rate": "2500.00"})
    body = {"amount": "25.00", "currency": "EUR", "assets": ["ETH.ethereum"]}
    asked = merchant_api.call("POST", "/v1/invoices", body)
    path, customer = f"/v1/invoices/{asked['id']}", EtherCustomer(running_stack)
    pay(customer, asked)
    customer.mine(confirmations_settled(running_stack, "ethereum"))
    wait_until(lambda: merchant_api.call("GET", path)["status"] == "settled", "the settlement")
    person.signed_in(key_of(merchant_api))
    row = person.page.locator("#balances tr").filter(has_text="ETH")
    balances = merchant_api.call("GET", "/v1/balances")["data"]
    total = next(item["total"] for item in balances if item["asset"] == "ETH.ethereum")
    expect(row).to_contain_text(total)
    table = person.page.locator("table[data-volume=EUR] tbody tr")
    expect(table).to_have_count(1)
    expect(table).to_contain_text("25.00 EUR")
    expect(person.page.locator("svg .bar:not([height='0'])")).to_have_count(1)
    assert person.accessibility() == []
    person.picture("overview-paid")
    person.open("payments")
    expect(person.page.locator("#list tbody tr")).to_contain_text(["0.01"])
    person.open(f"invoice#{asked['id']}")
    expect(person.page.locator("#deposits")).to_contain_text("0.01")
    expect(person.page.locator("#why")).to_contain_text("Deliver.")
    expect(person.page.locator("#changes")).to_contain_text("a payment")
    person.picture("invoice-paid")
