"""The customer's browser: real Chromium without a window, driven by Playwright."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Error, Page, sync_playwright

from demos.first_light.merchant import StoryFailure
from infra.setup.tools import tool

TIMEOUT_MS = 45_000
PHONE = {"width": 420, "height": 900}
ARGUMENTS = (
    "--no-sandbox",  # Chromium refuses its sandbox to root; the page is our own.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a person reads on the page."""

    amount: str
    address: str
    countdown: str
    status: str
    wallet_link: str


@contextmanager
def chromium() -> Iterator[Browser]:
    """One browser for the whole story."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(tool("chromium")), headless=True, args=list(ARGUMENTS)
        )
        try:
            yield browser
        finally:
            browser.close()


class Checkout:
    """One customer's view of one checkout page, on a phone, in one language."""

    def __init__(self, browser: Browser, url: str, language: str = "en") -> None:
        self._context = browser.new_context(viewport=PHONE, locale=language)  # type: ignore[arg-type]
        self._page: Page = self._context.new_page()
        self.complaints: list[str] = []
        self._page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self._page.on("console", self._listen)
        try:
            self._page.goto(url, timeout=TIMEOUT_MS)
            self._page.locator("section.option .qr svg").first.wait_for(timeout=TIMEOUT_MS)
        except Error as exc:
            raise StoryFailure(f"the checkout page did not open with a QR code: {exc}") from exc

    def _listen(self, message: object) -> None:
        if getattr(message, "type", "") == "error":
            self.complaints.append(str(getattr(message, "text", message)))

    def shown(self) -> Shown:
        """Amount, address, countdown, status and wallet link as they stand on the page."""
        page = self._page
        return Shown(
            amount=page.locator("#amount-0").inner_text().strip(),
            address=page.locator("#address-0").inner_text().strip(),
            countdown=page.locator("#countdown").inner_text().strip(),
            status=page.locator("main").get_attribute("data-status") or "",
            wallet_link=page.locator("a.wallet").first.get_attribute("href") or "",
        )

    def wait_for_status(self, status: str) -> None:
        """Until the page itself says so, without a reload. Raises StoryFailure."""
        try:
            self._page.locator(f'main[data-status="{status}"]').wait_for(timeout=TIMEOUT_MS)
        except Error as exc:
            seen = self.shown().status
            raise StoryFailure(
                f"expected the open page to show {status!r}; it shows {seen!r}"
            ) from exc

    def screenshot(self, path: Path) -> None:
        """Save what the customer sees."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._page.screenshot(path=str(path), full_page=True)

    def close(self) -> None:
        """Leave the page."""
        self._context.close()
