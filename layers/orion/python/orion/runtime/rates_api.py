"""Rates over HTTP: what an invoice would lock, the merchant's own, and the choice of sources."""

from collections.abc import Mapping

from orion.runtime.billing import rate_desk
from orion.runtime.body import MalformedParameter
from orion.runtime.request import Handler, Request, Response, json_response
from orion.runtime.wakeup import wake

_MODULE = "billing"


def get_rates(request: Request) -> Response:
    """GET /v1/rates?currency=&assets="""
    currency = request.parameters.optional_text("currency")
    if currency is None:
        raise MalformedParameter("say the currency", field="currency")
    assets = request.parameters.optional_texts("assets")
    shown = rate_desk().show(request.merchant(), request.lane, currency, assets)
    return json_response(200, shown)


def put_rate(request: Request) -> Response:
    """PUT /v1/rates/{asset}/{currency}"""
    stored = rate_desk().put_rate(
        request.merchant(), *_pair(request), request.fields.text("rate"), trace_id=request.trace_id
    )
    wake(_MODULE)
    return json_response(200, stored)


def delete_rate(request: Request) -> Response:
    """DELETE /v1/rates/{asset}/{currency}"""
    rate_desk().delete_rate(request.merchant(), *_pair(request), trace_id=request.trace_id)
    wake(_MODULE)
    return Response(204)


def get_choice(request: Request) -> Response:
    """GET /v1/rate-settings"""
    return json_response(200, rate_desk().choice(request.merchant()))


def put_choice(request: Request) -> Response:
    """PUT /v1/rate-settings"""
    stored = rate_desk().put_choice(
        request.merchant(),
        request.fields.texts("sources"),
        request.fields.optional_whole("spread_bps") or 0,
        trace_id=request.trace_id,
    )
    wake(_MODULE)
    return json_response(200, stored)


def _pair(request: Request) -> tuple[str, str]:
    return request.path_params.get("asset", ""), request.path_params.get("currency", "")


HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("GET", "/v1/rates"): get_rates,
    ("PUT", "/v1/rates/{asset}/{currency}"): put_rate,
    ("DELETE", "/v1/rates/{asset}/{currency}"): delete_rate,
    ("GET", "/v1/rate-settings"): get_choice,
    ("PUT", "/v1/rate-settings"): put_choice,
}
