"""Moments, periods and cursors as people and programs write them."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.billing.errors import CursorMalformed
from orion.billing.moments import MomentMalformed, Period, PeriodRefused, read_moment, read_period
from orion.billing.places import Place, place_cursor, read_place
from orion.runtime import billing, reports
from orion.runtime.request import Handler
from tests.unit.http_scene import answer_of, event

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text, moment",
    [
        ("2026-01-02T12:00:00Z", NOON),
        ("2026-01-02t12:00:00z", NOON),
        ("2026-01-02T13:00:00+01:00", NOON),
        ("2026-01-02T13:00:00 01:00", NOON),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("9998-12-31T23:59:59.9999999Z", datetime(9998, 12, 31, 23, 59, 59, 999_999, UTC)),
        ("2026-01-02T12:00:00.5Z", NOON + timedelta(milliseconds=500)),
        ("2026-01-02T12:00:00.123456789Z", NOON + timedelta(microseconds=123_456)),
    ],
)
def test_a_moment_is_rfc_3339_with_its_offset(text: str, moment: datetime) -> None:
    assert read_moment(text, "from") == moment


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02T12:00:00",
        "2026-01-02",
        "2026-01-02 12:00:00Z",
        "2026-13-02T12:00:00Z",
        "2026-01-02T25:00:00Z",
        "2026-01-02T12:00:00+25:00",
        "0001-01-01T00:00:00+01:00",
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00+00:01",
        "9999-01-01T00:00:00Z",
        "9998-12-31T23:59:59-00:01",
        "9999-12-31T23:59:59.9999999Z",
        "2026-W01-5T12:00:00Z",
        "20260102T120000Z",
        "now",
        "",
        "\uff12026-01-02T12:00:00Z",
    ],
)
def test_what_could_be_another_moment_is_refused(text: str) -> None:
    with pytest.raises(MomentMalformed) as refusal:
        read_moment(text, "to")
    assert refusal.value.fields == {"field": "to"}


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00Z", "1960-01-01T00:00:00Z", "9999-12-31T23:59:59.9999999Z"]
)
@pytest.mark.parametrize(
    "handlers, route, name",
    [
        (billing.HANDLERS, "/v1/invoices", "created_from"),
        (billing.HANDLERS, "/v1/invoices", "created_to"),
        (reports.HANDLERS, "/v1/statements/{asset}", "from"),
        (reports.HANDLERS, "/v1/statements/{asset}", "to"),
    ],
)
def test_a_moment_that_nothing_can_be_reckoned_from_is_the_callers_mistake(
    handlers: Mapping[tuple[str, str], Handler], route: str, name: str, moment: str
) -> None:
    asked = event(
        "GET",
        route,
        scopes="invoices:read statements:read",
        queryStringParameters={name: moment},
        pathParameters={"asset": "BTC.bitcoin"},
    )
    answer = answer_of(asked, handlers)
    problem = json.loads(answer["body"])
    assert (answer["statusCode"], problem["code"]) == (400, "moment_malformed")
    assert problem["field"] == name


def test_a_period_has_a_beginning_before_its_end() -> None:
    early, late = "2026-01-02T12:00:00Z", "2026-01-02T12:00:01Z"
    assert read_period(None, None) == Period(None, None)
    assert read_period(early, late) == Period(NOON, NOON + timedelta(seconds=1))
    for end in (early, "2026-01-02T11:59:59Z"):
        with pytest.raises(PeriodRefused):
            read_period(early, end)


@settings(max_examples=40)
@given(
    st.datetimes(timezones=st.just(UTC)).filter(lambda at: at.year >= 1970),
    st.binary(min_size=16, max_size=16),
)
def test_a_place_is_read_back_from_its_cursor(at: datetime, identity: bytes) -> None:
    place = Place(at, identity)
    assert read_place(place_cursor(place)) == place


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "A" * 34,
        "ä" * 34,
        place_cursor(Place(NOON, b"i" * 16)) + "A",
        place_cursor(Place(NOON, b"i" * 16))[:-1] + "*",
        base64.urlsafe_b64encode(b"\x02" + b"\x7f" * 24).decode().rstrip("="),
        base64.urlsafe_b64encode(b"\x01" + b"\x00" * 24).decode().rstrip("="),
    ],
)
def test_a_cursor_that_no_page_ended_with_is_refused(text: str) -> None:
    with pytest.raises(CursorMalformed):
        read_place(text)
