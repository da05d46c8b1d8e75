"""The merchant pages as files: strict, cached by content, the same words in four languages."""

import json
import re
import string
from collections.abc import Mapping
from pathlib import Path

import pytest

from orion import i18n
from orion.billing.model import CauseType, DepositState, InvoiceStatus
from orion.runtime.http import serve as answer_event
from orion.runtime.merchant_pages import PAGES, MerchantFiles, handlers
from orion.runtime.routes import ROUTES
from orion.scopes import Scope

WEB = Path(__file__).parents[2] / "web"
FOLDERS = (WEB / "merchant", WEB / "shared")
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in FOLDERS[0].glob("*.js")}
FILES = MerchantFiles(FOLDERS)
HANDLERS = handlers(*FOLDERS)


def ask(
    resource: str, headers: Mapping[str, str] | None = None, **params: str
) -> Mapping[str, object]:
    event = {
        "httpMethod": "GET",
        "resource": resource,
        "pathParameters": params,
        "queryStringParameters": None,
        "headers": dict(headers or {}),
        "requestContext": {"identity": {"sourceIp": "192.0.2.1"}},
    }
    return answer_event(event, handlers(*FOLDERS))


def header(answer: Mapping[str, object], name: str) -> str:
    headers = answer["headers"]
    assert isinstance(headers, dict)
    return str(headers[name])


def test_every_language_says_the_same_things_with_the_same_places() -> None:
    def places(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    english = i18n.texts("merchant", "en")
    for language in i18n.LANGUAGES:
        texts = i18n.texts("merchant", language)
        assert texts.keys() == english.keys(), language
        for name, text in texts.items():
            assert text.strip(), (language, name)
            assert places(text) == places(english[name]), (language, name)


def test_every_word_that_the_scripts_use_is_there_and_none_is_idle() -> None:
    known = set(i18n.texts("merchant", "en"))
    literal = {name for text in SCRIPTS.values() for name in re.findall(r'\bt\("(\w+)"', text)}
    assert literal <= known
    shell = {"product", "needs_script", "skip", *(f"title_{page}" for page in PAGES)}
    columns = {"available", "settling", "total"}
    settings = {
        f"{name}{end}" for name in ("tolerance_bps", "expires_in_s") for end in ("", "_hint")
    }
    words = re.compile(r"(why|status|cause|deposit|delivery|outcome|scope|link|disabled)_\w+")
    assert {
        name for name in known - literal - shell - columns - settings if not words.fullmatch(name)
    } == set()


def test_every_state_that_the_api_names_has_a_word_and_a_reason() -> None:
    known = set(i18n.texts("merchant", "en"))
    assert {f"status_{status}" for status in InvoiceStatus} <= known
    assert {f"why_{status}" for status in InvoiceStatus} <= known
    assert {f"deposit_{state}" for state in DepositState} <= known
    assert {f"cause_{cause}" for cause in CauseType} <= known
    assert {f"scope_{scope.value.replace(':', '_')}" for scope in Scope} <= known


def test_a_new_key_may_get_every_scope_and_the_list_filters_by_every_state() -> None:
    for scope in Scope:
        assert f'"{scope.value}"' in SCRIPTS["page-keys.js"]
    for status in InvoiceStatus:
        assert f'"{status.value}"' in SCRIPTS["page-invoices.js"]
    for state in DepositState:
        assert f'"{state.value}"' in SCRIPTS["page-payments.js"]


@pytest.mark.parametrize("language", i18n.LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_each_page_is_whole_without_inline_script_or_style(page: str, language: str) -> None:
    text = FILES.page(page, language).decode()
    assert f'<html lang="{language}" data-page="{page}">' in text
    assert i18n.texts("merchant", language)[f"title_{page}"] in text
    assert "$" not in text
    assert re.findall(r"<script(?![^>]*\bsrc=)", text) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", text) == []
    assert re.findall(r'(?:src|href)="(?!assets/|#content")', text) == []
    for name in re.findall(r'(?:src|href)="assets/\w+/([^"]+)"', text):
        FILES.file(name)


def test_the_policy_lets_nothing_run_that_is_not_ours() -> None:
    answer = ask("/merchant/{page}", page="keys")
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in header(answer, "Content-Security-Policy").split(";")
    )
    assert policy["default-src"] == "'none'"
    for directive in ("script-src", "style-src", "connect-src", "img-src"):
        assert policy[directive] == "'self'", directive
    for directive in ("base-uri", "form-action", "frame-ancestors"):
        assert policy[directive] == "'none'", directive
    assert policy["require-trusted-types-for"] == "'script'"
    assert policy["trusted-types"] == "'none'"
    assert header(answer, "Referrer-Policy") == "no-referrer"


def test_a_page_is_asked_again_by_its_tag_and_a_file_is_kept_under_its_versions_name() -> None:
    page = ask("/merchant/{page}", page="keys")
    assert (page["statusCode"], header(page, "Cache-Control")) == (200, "no-cache")
    again = ask("/merchant/{page}", {"If-None-Match": header(page, "ETag")}, page="keys")
    assert (again["statusCode"], again["body"]) == (304, "")
    other = ask("/merchant/{page}", {"If-None-Match": header(page, "ETag")}, page="links")
    assert other["statusCode"] == 200
    dutch = ask("/merchant/{page}", {"Accept-Language": "nl"}, page="keys")
    assert header(dutch, "ETag") != header(page, "ETag")
    place = "/merchant/assets/{version}/{file}"
    kept = ask(place, version=FILES.version, file="app.js")
    assert "immutable" in header(kept, "Cache-Control")
    assert header(kept, "Content-Type") == "text/javascript; charset=utf-8"
    old = ask(place, version="0" * 16, file="app.js")
    assert (old["statusCode"], header(old, "Cache-Control")) == (200, "no-store")


def test_the_version_changes_with_any_file(tmp_path: Path) -> None:
    for path in FOLDERS[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert MerchantFiles((tmp_path, FOLDERS[1])).version == FILES.version
    (tmp_path / "money.js").write_text(SCRIPTS["money.js"] + "\n", encoding="utf-8")
    assert MerchantFiles((tmp_path, FOLDERS[1])).version != FILES.version


@pytest.mark.parametrize("name", ["page.html", "../shared/shared.css", "texts.de.json", "", "app"])
def test_only_named_files_are_served(name: str) -> None:
    assert (
        ask("/merchant/assets/{version}/{file}", version=FILES.version, file=name)["statusCode"]
        == 404
    )
    assert ask("/merchant/{page}", page=name)["statusCode"] == 404


def test_texts_travel_as_json_of_one_language() -> None:
    answer = ask("/merchant/assets/{version}/{file}", version=FILES.version, file="texts.ja.json")
    assert json.loads(str(answer["body"])) == dict(i18n.texts("merchant", "ja"))


def test_the_start_leads_on_without_leaving_the_stages_path() -> None:
    answer = ask("/merchant")
    assert (answer["statusCode"], header(answer, "Location")) == (302, "merchant/overview")


DANGEROUS = (
    "innerHTML",
    "outerHTML",
    "insertAdjacent",
    "document.write",
    "eval(",
    "Function(",
    "localStorage",
    "document.cookie",
    "http://",
    "//cdn",
)


def test_no_script_reads_markup_or_keeps_the_key_elsewhere() -> None:
    for name, text in SCRIPTS.items():
        without_namespace = text.replace('"http://www.w3.org/2000/svg"', "")
        for word in DANGEROUS:
            assert word not in without_namespace, (name, word)
        assert ("sessionStorage" in text) == (name == "session.js"), name


def test_no_script_makes_a_number_of_money() -> None:
    for name, text in SCRIPTS.items():
        assert "parseFloat" not in text, name
        assert "toFixed" not in text or name == "volume.js", name
        for place in re.findall(r"Number\w*[.(][^;]*", text):
            assert "thousandths" in text or "bps" in text or "use_limit" in place, (name, place)


def test_the_scripts_call_only_routes_that_exist() -> None:
    known = {re.sub(r"\{\w+\}", "*", route.path) for route in ROUTES}
    asked = re.compile(r'(?:\bcall\("\w+", |(?<!\.)\bget\(|\bpath: )["`]([^"`]+)["`]')
    found = {path for text in SCRIPTS.values() for path in asked.findall(text)}
    assert len(found) >= 10
    for path in found:
        wanted = "/v1/" + re.sub(r"\$\{(?:[^{}]|\{[^{}]*\})*\}", "*", path)
        # A path in a variable is built in the same file from one of the others.
        assert wanted in known or wanted.startswith("/v1/*"), path


def test_handlers_and_routes_agree() -> None:
    ours = {
        (route.method, route.path) for route in ROUTES if route.function == "billing/merchant_pages"
    }
    made: Mapping[tuple[str, str], object] = handlers(*FOLDERS)
    assert set(made) == ours
