"""An open checkout page learns of a payment: through its WebSocket, and without it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, WebSocket, WebSocketRoute

from demos.first_light.browser import TIMEOUT_MS, chromium
from demos.first_light.customers import BitcoinCustomer
from infra.local import Stack
from infra.local.deployed import parameter
from orion.ids import parse_public_id
from tests.e2e.scene import Shop, pay, rows, wait_until

pytestmark = pytest.mark.e2e
GONE = "Z29uZQ="


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def connections(stack: Stack, invoice_id: bytes) -> list[str]:
    found = rows(
        stack,
        "SELECT connection_id FROM orion_billing.socket_connection WHERE invoice_id = %s",
        (invoice_id,),
    )
    return [str(row[0]) for row in found]


def test_an_open_page_is_told_of_a_payment_and_forgotten_when_it_closes(
    running_stack: Stack, shop: Shop, page: Page
) -> None:
    invoice = shop.invoice("BTC.bitcoin")
    invoice_id = parse_public_id("inv", str(invoice["id"]))
    told: list[str] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: told.append(str(frame)))

    page.on("websocket", listen)
    page.goto(str(invoice["checkout_url"]), timeout=TIMEOUT_MS)
    page.locator('main[data-live="socket"]').wait_for(timeout=TIMEOUT_MS)
    [connection] = connections(running_stack, invoice_id)
    # One that API Gateway does not know: its page went away and nobody said so.
    administrator = running_stack.mariadb.connect()
    with administrator.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orion_billing.socket_connection SELECT %s, invoice_id, opened_at,"
            " expires_at FROM orion_billing.socket_connection WHERE connection_id = %s",
            (GONE, connection),
        )
    administrator.commit()
    administrator.close()

    customer = BitcoinCustomer(running_stack)
    pay(customer, invoice)
    customer.mine(1)
    page.locator('main[data-status="confirming"]').wait_for(timeout=TIMEOUT_MS)
    assert told, "the page was told, it did not only ask"
    assert all("changed" in frame and str(invoice["id"]) not in frame for frame in told)
    wait_until(
        lambda: connections(running_stack, invoice_id) == [connection], "the gone page forgotten"
    )
    customer.mine(shop.settled_count("BTC.bitcoin") - 1)
    page.locator('main[data-status="settled"]').wait_for(timeout=TIMEOUT_MS)
    assert page.locator("#receipt").is_visible()
    page.close()
    wait_until(lambda: not connections(running_stack, invoice_id), "the closed page forgotten")


def test_a_page_whose_socket_is_refused_learns_of_a_payment_all_the_same(
    running_stack: Stack, shop: Shop, page: Page
) -> None:
    def refuse(socket: WebSocketRoute) -> None:
        socket.close()

    page.route_web_socket(f"{parameter(running_stack, 'sockets/url')}**", refuse)
    invoice = shop.invoice("BTC.bitcoin")
    page.goto(str(invoice["checkout_url"]), timeout=TIMEOUT_MS)
    customer = BitcoinCustomer(running_stack)
    pay(customer, invoice)
    customer.mine(1)
    page.locator('main[data-status="confirming"]').wait_for(timeout=TIMEOUT_MS)
    assert page.locator('main[data-live="socket"]').count() == 0
    assert not connections(running_stack, parse_public_id("inv", str(invoice["id"])))
