"""Problems: every code has its status, its row on the page and its words in four languages."""

import json
import re
from pathlib import Path

import pytest

from orion import i18n
from orion.errors import OrionError
from orion.runtime import problems
from orion.runtime.body import MissingField
from orion.runtime.request import Request, Response
from tests.unit.http_scene import answer_of, event

_PAGE = Path(__file__).parents[2] / "docs" / "problems.md"
_NAMES = re.compile(r"`([^`]+)`")


def test_every_problem_is_documented_with_its_status_and_its_meaning() -> None:
    page = _PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+)` \| ([0-9]{3}) \| (.+) \|$", page, re.MULTILINE)
    assert {code: int(status) for code, status, _ in rows} == problems.STATUS
    meanings = {code: text.meaning for code, text in problems.texts("en").items()}
    assert {code: meaning for code, _, meaning in rows} == meanings


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_every_problem_has_its_words_in_each_language(language: str) -> None:
    found, english = problems.texts(language), problems.texts("en")
    assert set(found) == set(problems.STATUS)
    for code, text in found.items():
        assert text.title, code
        assert text.meaning, code
        # What stands in backticks are names of members: the same in every language.
        names = sorted(_NAMES.findall(text.meaning))
        assert names == sorted(_NAMES.findall(english[code].meaning)), code


def test_no_two_languages_say_the_same() -> None:
    for code in problems.STATUS:
        meanings = {problems.texts(language)[code].meaning for language in i18n.LANGUAGES}
        assert len(meanings) == len(i18n.LANGUAGES), code


def _refused(accept: str) -> tuple[dict[str, str], dict[str, str]]:
    def refuse(request: Request) -> Response:
        raise MissingField("this field is needed", field="name")

    answer = answer_of(
        event("GET", "/v1/balances", headers={"Accept-Language": accept}),
        {("GET", "/v1/balances"): refuse},
    )
    return answer["headers"], json.loads(answer["body"])


def test_a_problem_speaks_the_language_that_was_asked_for() -> None:
    for language, title in (("nl", "Veld ontbreekt"), ("ja", "フィールドの不足")):
        headers, body = _refused(f"fr, {language};q=0.5")
        assert headers["Content-Language"] == language
        assert body["title"] == title
        assert body["detail"] == problems.texts(language)["missing_field"].meaning.replace("`", "")
        assert (body["code"], body["field"]) == ("missing_field", "name")


def test_in_english_a_problem_speaks_of_its_own_case() -> None:
    headers, body = _refused("fr")
    assert headers["Content-Language"] == "en"
    assert (body["title"], body["detail"]) == ("Missing field", "this field is needed")
    assert body["type"] == "/problems/missing_field"


def test_what_is_wrong_on_our_side_says_nothing_of_it() -> None:
    class Down(OrionError):
        code = "temporarily_unavailable"

    class Disputed(OrionError):
        code = "rate_disputed"

    body = json.loads(problems.of_error(Down("db-7 refused", secret="x"), problems.Reader("0"))[1])
    assert (body["status"], body["detail"]) == (503, "something needed does not answer now")
    assert "secret" not in body
    # Some 503 are not of our making: their caller can act on the case.
    known = problems.of_error(Disputed("two differ", asset="BTC.bitcoin"), problems.Reader("0"))
    assert json.loads(known[1])["asset"] == "BTC.bitcoin"


def test_a_problem_links_to_its_page_on_the_public_host() -> None:
    class Refused(OrionError):
        code = "not_found"

    reader = problems.Reader("0" * 32, base="https://api.example.com")
    body = json.loads(problems.of_error(Refused("x"), reader)[1])
    assert body["type"] == "https://api.example.com/problems/not_found"
