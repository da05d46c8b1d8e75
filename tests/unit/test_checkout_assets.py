"""Files of the checkout page are kept only under the version of exactly their bytes."""

import re
from typing import Any

import pytest

from orion.runtime.checkout import handlers
from tests.unit.checkout_views import WEB, rendered
from tests.unit.http_scene import answer_of, event

PLACE = ("GET", "/checkout/assets/{file}")
HANDLERS = handlers(WEB / "checkout", WEB / "shared")


def kept(name: str, query: dict[str, str] | None) -> str:
    asked = event(*PLACE, pathParameters={"file": name}, queryStringParameters=query)
    answer: Any = answer_of(asked, HANDLERS)
    assert answer["statusCode"] == 200
    return str(answer["headers"]["Cache-Control"])


def test_what_the_document_names_is_kept_for_good() -> None:
    named = re.findall(r'"assets/([\w.]+)\?v=([0-9a-f]{12})"', rendered())
    assert {kept(name, {"v": version}) for name, version in named} == {
        "public, max-age=31536000, immutable"
    }


@pytest.mark.parametrize("query", [None, {"v": ""}, {"v": "0" * 12}, {"w": "1"}])
def test_another_version_of_a_file_is_not_stored(query: dict[str, str] | None) -> None:
    assert kept("checkout.js", query) == "no-store"


def test_the_version_of_another_file_is_not_this_ones() -> None:
    versions = dict(re.findall(r'"assets/([\w.]+)\?v=([0-9a-f]{12})"', rendered()))
    assert kept("shared.css", {"v": versions["checkout.css"]}) == "no-store"
