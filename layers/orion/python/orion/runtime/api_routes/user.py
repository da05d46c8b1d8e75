"""Merchants and their API keys."""

from orion.runtime.api_schema.kinds import MOMENT, Listing, Member, Object, Text, public_id
from orion.runtime.api_schema.paging import list_of
from orion.runtime.route import Route
from orion.scopes import Scope
from orion.user.model import LANES, MAX_KEYS, MAX_NAME, MAX_SCOPES

_NAME = Text(max_length=MAX_NAME)
_SCOPES = Listing(
    Text(max_length=40, form="|".join(sorted(Scope))), min_items=1, max_items=MAX_SCOPES
)
_SECRET = Text(max_length=80)
_SHOWN_ONCE = "Shown in this answer only; null when the answer is repeated."

_KEY = (
    Member("id", public_id("key")),
    Member("name", _NAME),
    Member("scopes", _SCOPES),
    Member("created_at", MOMENT),
)
API_KEY = Object("ApiKey", _KEY)

_MERCHANT_ASKED = Object("MerchantAsked", (Member("name", _NAME),))
_MERCHANT_MADE = Object(
    "MerchantMade",
    (
        Member("id", public_id("mer")),
        Member("name", _NAME),
        Member("lane", Text(form="|".join(LANES)), note="Which of the two hosts serves it."),
        Member("api_key", _SECRET, nullable=True, note=f"May make keys only. {_SHOWN_ONCE}"),
    ),
)
_KEY_ASKED = Object("ApiKeyAsked", (Member("name", _NAME), Member("scopes", _SCOPES)))
_KEY_MADE = Object(
    "ApiKeyMade", (*_KEY, Member("api_key", _SECRET, nullable=True, note=_SHOWN_ONCE))
)

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/merchants",
        "user/api",
        None,
        summary="Register a merchant",
        request=_MERCHANT_ASKED,
        answers={201: _MERCHANT_MADE},
    ),
    Route(
        "POST",
        "/v1/api-keys",
        "user/api",
        Scope.KEYS_WRITE,
        summary="Make an API key",
        request=_KEY_ASKED,
        answers={201: _KEY_MADE},
        refuses=("unknown_scope", "too_many_keys"),
    ),
    Route(
        "GET",
        "/v1/api-keys",
        "user/api",
        Scope.KEYS_WRITE,
        summary="List the API keys that hold",
        query=(),
        answers={200: list_of(API_KEY, max_items=MAX_KEYS)},
    ),
    Route(
        "DELETE",
        "/v1/api-keys/{key_id}",
        "user/api",
        Scope.KEYS_WRITE,
        summary="Revoke an API key",
        answers={204: None},
        refuses=("key_not_found",),
    ),
)
