"""What people and programs look up: pages of problems, the OpenAPI document."""

from orion.runtime.api_schema.kinds import Media
from orion.runtime.problems import PAGES
from orion.runtime.route import RateClass, Route

_FUNCTION = "system_doctor/reference"
_HTML = Media("text/html; charset=utf-8")

ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/openapi.json",
        _FUNCTION,
        None,
        summary="This document",
        query=(),
        answers={200: Media("application/json"), 304: None},
    ),
    Route("GET", PAGES, _FUNCTION, None, summary="All problems", answers={200: _HTML}),
    Route(
        "GET",
        f"{PAGES}/{{code}}",
        _FUNCTION,
        None,
        summary="What a problem means and what to do",
        answers={200: _HTML},
        refuses=("not_found",),
    ),
    Route(
        "GET",
        f"{PAGES}/assets/{{file}}",
        _FUNCTION,
        None,
        summary="Styles of the pages of problems",
        answers={200: Media("text/css; charset=utf-8")},
        refuses=("not_found",),
        counted_in=RateClass.NONE,
    ),
)
