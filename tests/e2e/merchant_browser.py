"""A merchant's browser: real Chromium on the running stack's merchant pages."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Locator, Page, Request, expect

from demos.first_light.merchant import Api
from orion.scopes import Scope

TIMEOUT_MS = 20_000
expect.set_options(timeout=TIMEOUT_MS)
PHONE = (390, 844)
DESKTOP = (1280, 900)
ROOT = Path(__file__).parents[2]
# Kept after the run, to be looked at.
SCREENSHOTS = ROOT / "var" / "screenshots" / "merchant"
AXE = ROOT / ".tools" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
# Rules of WCAG 2.2 A and AA, and what axe-core calls best practices.
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@dataclass  # Without slots: Playwright marks the owner of a listener.
class Merchant:
    """One person at one screen, signed in or not."""

    base_url: str
    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def open(self, place: str = "overview") -> None:
        """A page by its name, with what stands behind `?` or `#`."""
        self.page.goto(f"{self.base_url}/merchant/{place}")
        self.settled()

    def settled(self) -> None:
        """Nothing on the page is loading."""
        self.page.wait_for_function(
            "() => document.querySelector('#bottom nav')"
            " && !document.querySelector('[aria-busy=\"true\"]')"
        )

    def sign_in(self, key: str) -> None:
        """Through the form, as a person does."""
        self.page.locator("input[name=key]").fill(key)
        self.page.locator("main form button[type=submit]").click()

    def signed_in(self, key: str, place: str = "overview") -> None:
        """Open a page, sign in there, and wait for what it shows."""
        self.open(place)
        self.sign_in(key)
        self.page.locator("#top nav").wait_for()
        self.settled()

    def picture(self, name: str) -> None:
        """Keep what the person sees."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(SCREENSHOTS / f"{name}.png"), full_page=True)

    def main(self) -> Locator:
        return self.page.locator("main")

    def note(self, request: Request) -> None:
        """Remember whom the browser asked what."""
        self.requests.append(request)

    def hosts(self) -> set[str]:
        """Everybody whom the browser asked anything."""
        return {urlsplit(request.url).netloc for request in self.requests}

    def accessibility(self) -> list[str]:
        """What axe-core finds, one line each."""
        # The policy of the page lets no script in; the judge comes by the debugger's door.
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found: dict[str, Any] = self.page.evaluate(
            "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", _TAGS
        )
        return [
            f"{item['id']}: {json.dumps([node['html'] for node in item['nodes']])[:300]}"
            for item in found["violations"]
        ]


def merchant_with_all_scopes(base_url: str) -> Api:
    """A new merchant's key of every scope, with a rate, so that invoices can be made."""
    merchant = Api(base_url).call("POST", "/v1/merchants", {"name": "Pages"})
    first = Api(base_url, str(merchant["api_key"]))
    scopes = [scope.value for scope in Scope]
    made = first.call("POST", "/v1/api-keys", {"name": "pages", "scopes": scopes})
    api = Api(base_url, str(made["api_key"]))
    api.call("PUT", "/v1/rates/BTC.bitcoin/EUR", {"rate": "60000.00"})
    return api


def key_of(api: Api) -> str:
    """The key, which is there."""
    assert api.key is not None
    return api.key


def an_invoice(api: Api, reference: str) -> str:
    """The id of a new invoice of 25.00 EUR."""
    body = {"amount": "25.00", "currency": "EUR", "assets": ["BTC.bitcoin"], "reference": reference}
    return str(api.call("POST", "/v1/invoices", body)["id"])


@contextmanager
def merchant_at(
    browser: Browser,
    base_url: str,
    *,
    size: tuple[int, int] = DESKTOP,
    locale: str = "en",
    dark: bool = False,
) -> Iterator[Merchant]:
    """A new person: nothing kept from anybody before."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=locale,
        color_scheme="dark" if dark else "light",
    )
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    merchant = Merchant(base_url, page)
    page.on("pageerror", lambda error: merchant.complaints.append(str(error)))
    page.on(
        "console",
        # A refused request is a line of its own in the console; the page shows it to the person.
        lambda message: (
            merchant.complaints.append(message.text)
            if message.type == "error" and "Failed to load resource" not in message.text
            else None
        ),
    )
    page.on("request", merchant.note)
    try:
        yield merchant
    finally:
        context.close()
