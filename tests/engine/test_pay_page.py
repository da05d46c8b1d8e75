"""The page of a payment link over HTTP and in a real browser: without script, by keyboard alone,
one invoice a visitor, and every refusal a page.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from demos.first_light.browser import chromium
from infra.setup.tools import TOOLS
from orion import i18n
from orion.billing.payment_links.model import UNPAID_MAX
from orion.billing.payment_links.service import LinkChange
from orion.ids import public_id
from tests.engine.billing_scene import MERCHANT, TRACE
from tests.engine.checkout_scene import ROOT
from tests.engine.pay_scene import ask, empty, pay_stage, served
from tests.engine.sales_scene import SalesScene

pytestmark = pytest.mark.engine
FORMS_A_MINUTE = 5
_KEYED, _OPEN = {"window_s": 60, "key": 99, "merchant": 99}, {"window_s": 60, "address": 99}
QUOTAS = {
    "standard": {
        "read": _KEYED,
        "write": _KEYED,
        "expensive": _KEYED,
        "open_read": _OPEN,
        "open_write": {"window_s": 60, "address": FORMS_A_MINUTE},
        "refused": _OPEN,
    }
}
# Kept after the run, for people to look at.
PICTURES = ROOT / "var" / "pay-pages"
LOCATION = re.compile(r"\.\./checkout/(inv_[0-9A-Z]{26})\?lang=(en|zh|ja|nl)")


@pytest.fixture(scope="module")
def stage(mysql_admin: Any, aws_engine: Any, memcached_server: Any) -> Iterator[SalesScene]:
    with pay_stage(mysql_admin, aws_engine, memcached_server.servers, QUOTAS) as found:
        yield found


@pytest.fixture
def scene(stage: SalesScene) -> SalesScene:
    empty(stage)
    return stage


def path_of(link_id: bytes) -> str:
    return f"/pay/{public_id('pl', link_id)}"


def form(visitor: str, amount: str = "") -> str:
    return f"visitor={visitor}&amount={amount}"


def test_a_form_makes_an_invoice_and_leads_to_its_page(scene: SalesScene) -> None:
    path = path_of(scene.link())
    page = ask("GET", path, Accept_Language="nl")
    assert page.status == 200
    assert page.headers["Content-Language"] == "nl"
    found = ask("POST", f"{path}?lang=ja", form(page.visitor))
    assert found.status == 303
    match = LOCATION.fullmatch(found.headers["Location"])
    assert match is not None
    assert match[2] == "ja"
    checkout = ask("GET", f"/checkout/{match[1]}?lang=ja")
    assert checkout.status == 200
    assert (
        ask("POST", path, form(page.visitor))
        .headers["Location"]
        .startswith(f"../checkout/{match[1]}")
    )
    assert scene.invoices() == 1


def test_a_link_of_which_too_many_invoices_wait_says_when_to_come_again(
    scene: SalesScene,
) -> None:
    link_id = scene.link()
    first = ask("GET", path_of(link_id))
    assert ask("POST", path_of(link_id), form(first.visitor)).status == 303
    scene.billing.rows("UPDATE orion_billing.payment_link SET unpaid = %s", UNPAID_MAX)
    visitor = ask("GET", path_of(link_id)).visitor
    refused = ask("POST", path_of(link_id), form(visitor))
    assert (refused.status, refused.headers["Retry-After"]) == (429, "60")
    assert i18n.texts("pay", "en")["unpayable"] in refused.text
    assert ask("POST", path_of(link_id), form(first.visitor)).status == 303, "who has one keeps it"
    assert scene.invoices() == 1


def test_a_cookie_brings_the_visitor_back_to_the_open_invoice(scene: SalesScene) -> None:
    path = path_of(scene.link())
    page = ask("GET", path)
    cookie = page.headers["Set-Cookie"]
    assert re.fullmatch(
        rf"visitor-{path[5:]}={page.visitor}; Max-Age=86400; HttpOnly; SameSite=Lax; Secure", cookie
    )
    pair = cookie.partition(";")[0]
    invoice = LOCATION.fullmatch(ask("POST", path, form(page.visitor)).headers["Location"])
    assert invoice is not None
    again = ask("GET", path, Cookie=f"other=1; {pair}")
    assert again.visitor == page.visitor
    assert f"../checkout/{invoice[1]}" in again.text
    scene.billing.rows("UPDATE orion_billing.invoice SET status = 'settled'")
    after = ask("GET", path, Cookie=pair)
    assert after.visitor != page.visitor
    assert invoice[1] not in after.text
    for nonsense in ("x", pair[:-1], f"{pair}0", pair.replace("visitor-", "other-")):
        assert ask("GET", path, Cookie=nonsense).visitor != page.visitor


def test_the_page_lets_nothing_run_and_nobody_frame_it(scene: SalesScene) -> None:
    path = path_of(scene.link())
    for page in (ask("GET", path), ask("POST", path, "x=1"), ask("GET", "/pay/pl_none")):
        assert page.headers["Content-Security-Policy"] == (
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
            " base-uri 'none'; frame-ancestors 'none'"
        )
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["X-Content-Type-Options"] == "nosniff"


def test_every_refusal_is_a_page_in_the_visitors_language(scene: SalesScene) -> None:
    link_id = scene.link(min_amount="5", max_amount="50", use_limit=1)
    path, visitor = path_of(link_id), "ab" * 16

    def shown(status: int, text: str, body: str | None, where: str = path) -> None:
        found = ask("GET" if body is None else "POST", where, body, Accept_Language="zh")
        assert (found.status, found.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
        assert text in found.text
        assert found.headers["Content-Language"] == "zh"

    texts = i18n.texts("pay", "zh")
    shown(422, texts["wrong_form"], form(visitor, "1,000"))
    shown(422, "5.00 至 50.00 EUR", form(visitor, "4.99"))
    shown(400, "<main", "amount=5")
    shown(400, "<main", form("xyz", "5"))
    shown(413, "<main", form(visitor, "5" * 5_000))
    shown(404, "<main", None, "/pay/pl_00000000000000000000000000")
    shown(404, "<main", form(visitor, "5"), "/pay/x")
    assert scene.invoices() == 0
    assert ask("POST", path, form(visitor, "5")).status == 303
    shown(409, texts["used_up"], form("cd" * 16, "5"))
    shown(409, texts["used_up"], None)
    change = LinkChange(frozenset({"active"}), active=False)
    scene.links().change(MERCHANT, link_id, change, trace_id=TRACE)
    shown(410, texts["inactive"], None)
    shown(410, texts["inactive"], form("cd" * 16, "5"))
    assert ask("POST", path, form(visitor, "5.00")).status == 303


def test_what_is_not_a_form_is_refused(scene: SalesScene) -> None:
    path = path_of(scene.link())
    found = ask("POST", path, form("ab" * 16), form=False, Content_Type="text/plain")
    assert found.status == 400
    assert ask("POST", path, form("ab" * 16) + "&a=1" * 9).status == 400
    assert ask("POST", path, "visitor=%ff").status == 400
    assert scene.invoices() == 0


def test_a_missing_rate_is_a_page_that_says_nothing_was_charged(scene: SalesScene) -> None:
    path = path_of(scene.link())
    scene.billing.rows("DELETE FROM orion_billing.rate")
    found = ask("POST", path, form("ab" * 16))
    try:
        assert found.status == 422
        assert i18n.texts("pay", "en")["unpayable"] in found.text
    finally:
        for code in ("BTC.bitcoin", "ETH.ethereum", "USDT.ethereum"):
            scene.billing.rates().put_rate(MERCHANT, code, "EUR", "60000.00", trace_id=TRACE)


def test_too_many_forms_of_one_address_are_a_page_to_wait_for(scene: SalesScene) -> None:
    path = path_of(scene.link())
    # A window may end in the middle.
    asked = (ask("POST", path, "visitor=", limited=True) for _ in range(2 * FORMS_A_MINUTE + 1))
    found = next(answer for answer in asked if answer.status == 429)
    assert found.headers["Content-Type"] == "text/html; charset=utf-8"
    assert 1 <= int(found.headers["Retry-After"]) <= 60
    assert "RateLimit-Policy" in found.headers


@pytest.fixture(scope="module")
def axe() -> str:
    return (TOOLS / "npm" / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    with served() as base_url:
        yield base_url


def complaints_of(page: Page, axe: str) -> list[str]:
    """What axe-core finds, in words."""
    # Evaluated by the debugger, so the page's own policy stays as it is.
    page.evaluate(axe)
    found = page.evaluate("axe.run()")
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found["violations"]]


def test_a_visitor_without_script_pays_by_keyboard_alone(
    scene: SalesScene, browser: Browser, gateway: str
) -> None:
    path = path_of(scene.link(min_amount="5", max_amount="50"))
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(f"{gateway}{path}?lang=en")
        page.keyboard.press("Tab")
        page.keyboard.type("4,99")
        page.keyboard.press("Enter")
        field = page.get_by_label("Amount")
        expect(field).to_be_focused()
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(page.get_by_role("alert")).to_have_text("From 5.00 to 50.00 EUR.")
        page.keyboard.press("Control+A")
        page.keyboard.type("12,5")
        page.keyboard.press("Enter")
        page.wait_for_url("**/checkout/inv_*")
        assert scene.billing.one("SELECT price_units FROM orion_billing.invoice") == 1250
        # Once more to the link: the payment is offered, and the same form leads to it.
        page.goto(f"{gateway}{path}?lang=en")
        expect(page.get_by_role("link", name="Go on with it")).to_be_visible()
        page.get_by_label("Amount").fill("12.50")
        page.get_by_role("button").press("Enter")
        page.wait_for_url("**/checkout/inv_*")
        assert scene.invoices() == 1
    finally:
        context.close()


@pytest.mark.parametrize(
    "scheme, width, languages", [("light", 320, i18n.LANGUAGES), ("dark", 1280, ("en",))]
)
def test_the_page_is_accessible_in_every_language_and_state(
    scene: SalesScene,
    browser: Browser,
    gateway: str,
    axe: str,
    scheme: Any,
    width: int,
    languages: tuple[str, ...],
) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    free, used_up = scene.link(min_amount="5"), scene.link(use_limit=1)
    scene.pay(used_up, b"a" * 16)
    states = {"fixed": scene.link(), "free": free, "used-up": used_up}
    context = browser.new_context(viewport={"width": width, "height": 700}, color_scheme=scheme)
    try:
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda line: said.append(line.text))
        for language in languages:
            for name, link_id in states.items() if language == "en" else ():
                page.goto(f"{gateway}{path_of(link_id)}?lang={language}")
                assert complaints_of(page, axe) == [], (name, language)
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                page.screenshot(path=str(PICTURES / f"{name}-{language}-{scheme}.png"))
            page.goto(f"{gateway}{path_of(free)}?lang={language}")
            page.get_by_role("textbox").fill("1")
            page.get_by_role("button").click()
            expect(page.get_by_role("alert")).to_be_visible()
            assert complaints_of(page, axe) == []
            page.screenshot(path=str(PICTURES / f"refused-{language}-{scheme}.png"))
        # A browser calls every answer of 4xx an error; nothing else may be one.
        assert all("Failed to load resource" in line for line in said), said
    finally:
        context.close()
