"""Pages of problems in a real browser: accessible in four languages, by keyboard alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from demos.first_light.browser import chromium
from infra.setup.tools import TOOLS
from orion import i18n
from orion.runtime import problems
from orion.runtime.reference import handlers
from tests.unit.http_scene import answer_of, event

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[2]
HANDLERS = handlers(ROOT / "web" / "problems", ROOT / "web" / "shared")
# Kept after the run, for people to look at.
PICTURES = ROOT / "var" / "problem-pages"
# A stage's name stands before every path where no host name of its own leads to it.
BASE = "/live"


def _event(path: str, headers: dict[str, str]) -> dict[str, object]:
    parts = urlsplit(path)
    names = parts.path.removeprefix(BASE).strip("/").split("/")
    if len(names) == 1:
        route, params = "/problems", {}
    elif names[1] == "assets":
        route, params = "/problems/assets/{file}", {"file": names[-1]}
    else:
        route, params = "/problems/{code}", {"code": names[1]}
    query = dict(parse_qsl(parts.query)) or None
    return event("GET", route, pathParameters=params, queryStringParameters=query, headers=headers)


class Gateway(BaseHTTPRequestHandler):
    """The pages over HTTP."""

    def do_GET(self) -> None:
        answer = answer_of(_event(self.path, dict(self.headers)), HANDLERS)
        body = str(answer["body"]).encode()
        self.send_response(int(answer["statusCode"]))
        for name, value in answer["headers"].items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing to say."""


@contextmanager
def served() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{BASE}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    with served() as base_url:
        yield base_url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def complaints_of(page: Page) -> list[str]:
    """What axe-core finds, in words; evaluated by the debugger, so the page's policy stays."""
    page.evaluate((TOOLS / "npm" / "node_modules" / "axe-core" / "axe.min.js").read_text())
    found = page.evaluate("axe.run()")
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found["violations"]]


@pytest.mark.parametrize("scheme, width", [("light", 320), ("dark", 1280)])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    browser: Browser, gateway: str, scheme: Any, width: int
) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    try:
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda line: said.append(line.text))
        for language in i18n.LANGUAGES:
            for place in ("problems", "problems/idempotency_key_in_flight"):
                page.goto(f"{gateway}/{place}?lang={language}")
                assert complaints_of(page) == [], (place, language)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, place
                name = f"{place.replace('/', '-')}-{language}-{scheme}.png"
                page.screenshot(path=str(PICTURES / name))
        assert said == []
    finally:
        context.close()


def test_a_problem_is_found_by_keyboard_alone(browser: Browser, gateway: str) -> None:
    context = browser.new_context(java_script_enabled=False, locale="nl-NL")
    try:
        page = context.new_page()
        page.goto(f"{gateway}/problems")
        expect(page.get_by_role("heading", level=1)).to_have_text("Alle problemen")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Naar de inhoud")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/live/problems/*?lang=nl")
        first = min(problems.STATUS, key=lambda code: (problems.STATUS[code], code))
        title = problems.texts("nl")[first].title
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
        page.get_by_role("link", name="Alle problemen").press("Enter")
        page.wait_for_url("**/live/problems?lang=nl")
        page.get_by_role("link", name="日本語").press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("問題の一覧")
    finally:
        context.close()
