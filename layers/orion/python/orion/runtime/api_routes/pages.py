"""Pages for people, and what they load."""

from orion.runtime.api_routes.invoices import INVOICE_STATUS
from orion.runtime.api_schema.kinds import (
    AnyObject,
    Choice,
    Media,
    Member,
    Object,
    Parameter,
    Text,
)
from orion.runtime.route import RateClass, Route

HTML = Media("text/html; charset=utf-8")
# Any text is taken: what is no language of ours gives the browser's, never a refusal.
LANGUAGE = Parameter("lang", Text(max_length=16, min_length=0), "`en`, `zh`, `ja` or `nl`.")
_HEALTH = Object(
    "Health",
    (
        Member("status", Choice(("ok", "ill"))),
        Member("checks", AnyObject("What each dependency says: `ok`, or the code of its problem.")),
        Member("trace_id", Text()),
    ),
)

ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/checkout/{invoice_id}",
        "billing/checkout",
        None,
        summary="The page on which a customer pays",
        answers={200: HTML},
        refuses=("invoice_not_found", "not_found"),
    ),
    Route(
        "GET",
        "/checkout/{invoice_id}/status",
        "billing/checkout",
        None,
        summary="What the customer's page shows, with an ETag",
        answers={200: INVOICE_STATUS, 304: None},
        refuses=("invoice_not_found", "not_found"),
    ),
    Route(
        "GET",
        "/checkout/assets/{file}",
        "billing/checkout",
        None,
        summary="Styles and programs of the checkout page",
        answers={200: Media("*/*")},
        refuses=("not_found",),
        counted_in=RateClass.NONE,
    ),
    Route(
        "GET",
        "/merchant",
        "billing/merchant_pages",
        None,
        summary="Leads to the merchant pages",
        answers={302: None},
        counted_in=RateClass.NONE,
    ),
    Route(
        "GET",
        "/merchant/{page}",
        "billing/merchant_pages",
        None,
        summary="A page for merchants, without anything of any merchant",
        answers={200: HTML},
        refuses=("not_found",),
        counted_in=RateClass.NONE,
    ),
    Route(
        "GET",
        "/merchant/assets/{version}/{file}",
        "billing/merchant_pages",
        None,
        summary="Styles, programs and texts of the merchant pages",
        answers={200: Media("*/*")},
        refuses=("not_found",),
        counted_in=RateClass.NONE,
    ),
    Route(
        "GET",
        "/health",
        "system_doctor/health",
        None,
        summary="Whether the system is well",
        answers={200: _HEALTH, 503: _HEALTH},
        counted_in=RateClass.NONE,
    ),
)
