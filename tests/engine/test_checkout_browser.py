"""The checkout page in a real browser: accessible in every status, language and size, by keyboard
alone, light to load, and live without a reload.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from demos.first_light.browser import chromium
from infra.setup.tools import TOOLS
from orion import i18n
from orion.billing.model import InvoiceStatus
from tests.engine.checkout_scene import ROOT, CheckoutScene, checkout_stage, served

pytestmark = pytest.mark.engine
PHONE, NARROW, DESKTOP = (390, 844), (320, 640), (1280, 900)
ASSETS = ("BTC.bitcoin", "ETH.ethereum", "USDT.ethereum")
# Kept after the run, for people to look at.
PICTURES = ROOT / "var" / "checkout-pages"
TIMEOUT_MS = 20_000


@pytest.fixture(scope="module")
def axe() -> str:
    return (TOOLS / "npm" / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def scene(mysql_admin: Any, aws_engine: Any, memcached_server: Any) -> Iterator[CheckoutScene]:
    with pytest.MonkeyPatch.context() as patch:
        stage = checkout_stage(mysql_admin, aws_engine, memcached_server.servers, patch.setenv)
        with stage as found, served() as found.base_url:
            yield found


@pytest.fixture(autouse=True)
def nothing_yet(scene: CheckoutScene) -> None:
    for table in ("deposit", "invoice", "payment_option", "invoice_change", "idempotency"):
        scene.billing.rows(f"DELETE FROM orion_billing.{table}")
    # Browsers live now, so invoices do too.
    scene.billing.now = datetime.now(UTC)


def context_of(browser: Browser, size: tuple[int, int] = PHONE, **more: Any) -> BrowserContext:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **more)
    context.set_default_timeout(TIMEOUT_MS)
    return context


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = context_of(browser, permissions=["clipboard-read", "clipboard-write"])
    found = context.new_page()
    complaints: list[str] = []
    found.on("pageerror", lambda error: complaints.append(str(error)))
    found.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    yield found
    context.close()
    assert not complaints


def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(PICTURES / f"{name}.png"), full_page=True)


def complaints_of(page: Page, axe: str) -> list[str]:
    """What axe-core finds, in words."""
    # Evaluated by the debugger, so the page's own policy stays as it is.
    page.evaluate(axe)
    found = page.evaluate("axe.run()")
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found["violations"]]


@pytest.mark.parametrize("language", i18n.LANGUAGES)
@pytest.mark.parametrize("size, scheme", [(PHONE, "light"), (DESKTOP, "dark")])
def test_axe_finds_nothing_in_any_language_size_and_scheme(
    browser: Browser,
    scene: CheckoutScene,
    axe: str,
    language: str,
    size: tuple[int, int],
    scheme: str,
) -> None:
    invoice_id, url = scene.invoice(*ASSETS)
    context = context_of(browser, size, color_scheme=scheme)
    page = context.new_page()
    for status in ("new", "partially_paid", "settled"):
        if status == "partially_paid":
            scene.pay(invoice_id, units="20000")
        elif status == "settled":
            scene.force(invoice_id, status)
        page.goto(f"{url}?lang={language}")
        expect(page.locator("main")).to_have_attribute("data-status", status)
        if status == "new":
            page.locator("summary").first.click()
        picture(page, f"{status}-{language}-{size[0]}-{scheme}")
        assert complaints_of(page, axe) == []
    context.close()


def test_axe_finds_nothing_in_any_status(page: Page, scene: CheckoutScene, axe: str) -> None:
    invoice_id, url = scene.invoice(*ASSETS)
    scene.pay(invoice_id, units="20000")
    for status in InvoiceStatus:
        scene.force(invoice_id, status.value)
        page.goto(url)
        picture(page, f"status-{status.value}")
        assert complaints_of(page, axe) == [], status


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_a_narrow_phone_never_scrolls_sideways(
    browser: Browser, scene: CheckoutScene, language: str
) -> None:
    _, url = scene.invoice(*ASSETS)
    context = context_of(browser, NARROW)
    page = context.new_page()
    page.goto(f"{url}?lang={language}")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]
    context.close()


def test_the_first_visit_costs_less_than_60_kilobytes_and_asks_nobody_else(
    browser: Browser, scene: CheckoutScene
) -> None:
    _, url = scene.invoice(*ASSETS)
    context = context_of(browser)
    page = context.new_page()
    sizes: list[float] = []
    asked: list[str] = []
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url, wait_until="networkidle")
    first = [place for place in asked if "/status" not in place]
    assert len(first) == 5
    assert all(place.startswith(scene.base_url) for place in asked)
    assert 10_000 < sum(sizes) < 60_000, "bytes over the wire, headers included"
    context.close()


def test_everything_works_by_keyboard_and_what_is_copied_is_spoken(
    page: Page, scene: CheckoutScene
) -> None:
    _, url = scene.invoice(*ASSETS)
    page.goto(url)
    page.keyboard.press("Tab")
    expect(page.locator("#way-0")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#option-1")).to_be_visible()
    expect(page.locator("#option-0")).to_be_hidden()
    option = page.locator("#option-1")
    page.keyboard.press("Tab")
    expect(option.locator("a.wallet")).to_be_focused()
    for what in ("amount", "address"):
        page.keyboard.press("Tab")
        expect(option.locator(f'[data-copy="{what}-1"]')).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#spoken")).to_have_text(f"{what.capitalize()} copied")
        shown = page.locator(f"#{what}-1").inner_text()
        assert page.evaluate("navigator.clipboard.readText()") == shown
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#second-1 .qr")).to_be_visible()
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid", "one sees where one is"


def test_a_page_learns_of_a_payment_without_a_reload_and_keeps_the_choice(
    page: Page, scene: CheckoutScene
) -> None:
    invoice_id, url = scene.invoice(*ASSETS)
    page.goto(url)
    page.evaluate("window.before = true")
    page.locator("#way-1").check()
    page.locator('[data-copy="address-1"]').focus()
    assert scene.pay(invoice_id, units="20000") == 1
    expect(page.locator("main")).to_have_attribute("data-status", "partially_paid")
    expect(page.locator("#status strong")).to_have_text("Part of the amount has arrived")
    expect(page.locator("#send-1")).to_contain_text("Still to pay")
    expect(page.locator("#way-1")).to_be_checked()
    expect(page.locator('[data-copy="address-1"]')).to_be_focused()
    assert page.evaluate("window.before")


def test_a_page_without_a_connection_says_so_and_recovers(
    browser: Browser, scene: CheckoutScene
) -> None:
    _, url = scene.invoice(*ASSETS)
    context = context_of(browser)
    page = context.new_page()
    page.clock.install()
    page.goto(url)
    expect(page.locator("#countdown")).to_contain_text("00:")
    context.set_offline(True)
    # One failure may be a change of network; two are told.
    for _ in range(2):
        with page.expect_event("requestfailed"):
            page.clock.fast_forward(31_000)
    expect(page.locator("#offline")).to_be_visible()
    context.set_offline(False)
    page.clock.fast_forward(31_000)
    expect(page.locator("#offline")).to_be_hidden()
    context.close()


def test_the_end_of_the_time_is_announced_and_the_countdown_itself_is_silent(
    page: Page, scene: CheckoutScene
) -> None:
    _, url = scene.invoice(*ASSETS)
    page.clock.install()
    page.goto(url)
    expect(page.locator("#countdown")).to_have_attribute("aria-live", "off")
    expect(page.locator("#spoken")).to_be_empty()
    page.clock.fast_forward("10:30")
    expect(page.locator("#spoken")).to_have_text("5 minutes left to pay")
    page.clock.fast_forward("04:00")
    expect(page.locator("#spoken")).to_have_text("1 minute left to pay")


def test_without_its_script_the_page_still_takes_a_payment(
    browser: Browser, scene: CheckoutScene
) -> None:
    _, url = scene.invoice(*ASSETS)
    context = context_of(browser, java_script_enabled=False)
    page = context.new_page()
    page.goto(url)
    expect(page.locator("#amount-0")).to_be_visible()
    page.locator("#way-1").check()
    expect(page.locator("#amount-1")).to_be_visible()
    expect(page.locator("#amount-0")).to_be_hidden()
    expect(page.locator("#option-1 .qr svg").first).to_be_visible()
    context.close()


def test_a_receipt_prints_without_what_is_only_for_screens(
    page: Page, scene: CheckoutScene
) -> None:
    invoice_id, url = scene.invoice(*ASSETS)
    scene.pay(invoice_id, units="41667")
    scene.force(invoice_id, "settled")
    page.goto(url)
    page.emulate_media(media="print")
    expect(page.locator("#receipt")).to_be_visible()
    expect(page.locator("#deposits code")).to_be_visible()
    for hidden in ("#print", "footer nav"):
        expect(page.locator(hidden)).to_be_hidden()
    picture(page, "receipt-printed")
    assert page.pdf(path=str(PICTURES / "receipt.pdf")).startswith(b"%PDF")
