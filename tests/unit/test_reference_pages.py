"""Pages of problems: every code in every language, plain HTML under a strict policy."""

from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

from orion import i18n
from orion.runtime import problems
from orion.runtime.reference import handlers
from tests.unit.http_scene import answer_of, event

_WEB = Path(__file__).parents[2] / "web"
HANDLERS = handlers(_WEB / "problems", _WEB / "shared")
BASE = "https://api.example.com/live"


class Page(HTMLParser):
    """What a page names: its language, elements, addresses and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.language: str | None = None
        self.elements: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        found = dict(attrs)
        if tag == "html":
            self.language = found.get("lang")
        assert not any(name.startswith("on") or name == "style" for name in found)
        link = found.get("href") or found.get("src")
        if link is not None:
            self.links.append(link)

    def handle_data(self, data: str) -> None:
        self.text += data


def get(route: str, language: str = "en", **parameters: str) -> Mapping[str, Any]:
    return answer_of(
        event(
            "GET",
            route,
            requestContext={},
            pathParameters=parameters,
            queryStringParameters={"lang": language},
        ),
        HANDLERS,
    )


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_every_problem_has_a_page_in_every_language(language: str) -> None:
    for code, text in problems.texts(language).items():
        answer = get("/problems/{code}", language, code=code)
        page = Page(answer["body"])
        assert answer["statusCode"] == 200
        assert (page.language, answer["headers"]["Content-Language"]) == (language, language)
        assert text.title in page.text
        assert text.meaning.replace("`", "") in page.text
        assert str(problems.STATUS[code]) in page.text


def test_the_list_leads_to_every_page() -> None:
    page = Page(get("/problems")["body"])
    reached = {urlsplit(urljoin(f"{BASE}/problems", link)).path for link in page.links}
    assert {f"/live/problems/{code}" for code in problems.STATUS} <= reached


def test_a_page_finds_its_sheets_and_the_list_from_where_it_lies() -> None:
    for place, answer in (
        (f"{BASE}/problems", get("/problems")),
        (f"{BASE}/problems/not_found", get("/problems/{code}", code="not_found")),
    ):
        reached = [urlsplit(urljoin(place, link)).path for link in Page(answer["body"]).links]
        for name in ("shared.css", "problems.css"):
            assert f"/live/problems/assets/{name}" in reached
            sheet = get("/problems/assets/{file}", file=name)
            assert sheet["headers"]["Content-Type"] == "text/css; charset=utf-8"
        assert "/live/problems" in reached or place.endswith("/problems")


def test_a_page_runs_nothing_and_loads_nothing_from_elsewhere() -> None:
    answer = get("/problems/{code}", code="not_found")
    page = Page(answer["body"])
    assert not {"script", "iframe", "img", "form"} & set(page.elements)
    assert all(not urlsplit(link).netloc for link in page.links)
    policy = answer["headers"]["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


@pytest.mark.parametrize("code", ["", "nothing", "<script>", "../x"])
def test_a_code_that_nobody_has_has_no_page(code: str) -> None:
    assert get("/problems/{code}", code=code)["statusCode"] == 404
    assert get("/problems/assets/{file}", file=code)["statusCode"] == 404
