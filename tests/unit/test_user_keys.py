"""API keys: only their owner's text proves them."""

import dataclasses
import secrets
from datetime import UTC, datetime

import pytest

from orion.ids import random_id
from orion.runtime import routes
from orion.scopes import Scope
from orion.user import model
from orion.user.model import ApiKey, UnknownScope

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def a_key(secret: bytes) -> ApiKey:
    return ApiKey(
        random_id(),
        random_id(),
        "shop",
        frozenset({Scope.INVOICES_READ}),
        model.secret_hash(secret),
        NOW,
    )


def test_a_key_reads_back_and_proves_itself() -> None:
    secret = secrets.token_bytes(model.SECRET_BYTES)
    key = a_key(secret)
    assert model.read_key(model.write_key(key.id, secret)) == (key.id, secret)
    assert model.proves(key, secret)


def test_another_secret_or_a_revoked_key_proves_nothing() -> None:
    secret = secrets.token_bytes(model.SECRET_BYTES)
    key = a_key(secret)
    assert not model.proves(key, secrets.token_bytes(model.SECRET_BYTES))
    assert not model.proves(dataclasses.replace(key, revoked_at=NOW), secret)


def test_what_is_kept_does_not_hold_the_secret() -> None:
    secret = secrets.token_bytes(model.SECRET_BYTES)
    assert secret not in repr(a_key(secret)).encode()
    assert secret.hex() not in a_key(secret).secret_hash.hex()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ok_",
        "ok_x_y",
        "ok_" + "0" * 26 + "_" + "!" * 43,
        "ok_" + "Z" * 26 + "_" + "A" * 43,
        "ok_" + "0" * 26 + "_" + "A" * 44,
    ],
)
def test_other_text_is_no_key(text: str) -> None:
    assert model.read_key(text) is None


def test_a_scope_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownScope):
        model.scopes(["invoices:read", "everything"])


def test_what_is_open_to_everyone_only_reads_but_the_first_step_and_the_form_of_a_link() -> None:
    open_to_all = [route for route in routes.ROUTES if route.scope is None]
    assert {(route.method, route.path) for route in open_to_all if route.method != "GET"} == {
        ("POST", "/v1/merchants"),
        ("POST", "/pay/{link_id}"),
    }
    under_v1 = {route.path for route in open_to_all if route.path.startswith("/v1/")}
    assert under_v1 <= {"/v1/merchants", "/v1/openapi.json"}
