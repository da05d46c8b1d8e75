"""Composition of the user module: its HTTP handlers and the authorizer of both lanes."""

from collections.abc import Callable, Mapping
from functools import cache

from orion.adapters.mysql import idempotency
from orion.adapters.mysql.idempotency import Answer
from orion.adapters.mysql.session import Cursor, Database
from orion.adapters.mysql.user_store import MySqlUserStore, MySqlUserTransaction
from orion.ids import MalformedId, parse_public_id, public_id
from orion.runtime import clock
from orion.runtime.idempotency import fingerprint, key_of, scope_of
from orion.runtime.request import Handler, Request, Response, answered_once, json_response
from orion.runtime.settings import mysql_config
from orion.runtime.wakeup import wake
from orion.user import model, service
from orion.user.model import ApiKey, KeyNotFound, Principal


@cache
def _database() -> Database:
    return Database(mysql_config("user", "orion_user", direct=False))


def _answer_once(
    request: Request,
    work: Callable[[MySqlUserTransaction], tuple[Mapping[str, object], Mapping[str, object]]],
) -> Response:
    """201 with what `work` gives, once for the request's idempotency key.

    `work` returns the body and what a replay may see of it: the same without secrets.
    """
    key, now = key_of(request), clock.now()

    def in_transaction(cursor: Cursor) -> Answer:
        def answer() -> Answer:
            body, kept = work(MySqlUserTransaction(cursor, now))
            return Answer(201, json_response(201, body).body, json_response(201, kept).body)

        return idempotency.once(
            cursor,
            scope=scope_of(request),
            key=key,
            route=f"{request.method} {request.route}",
            request_hash=fingerprint(request),
            now=now,
            work=answer,
        )

    result = _database().run(in_transaction)
    wake("user")
    return answered_once(result.status, result.body, replayed=result.replayed)


def create_merchant(request: Request) -> Response:
    """POST /v1/merchants"""
    name = request.fields.text("name")

    def work(
        transaction: MySqlUserTransaction,
    ) -> tuple[Mapping[str, object], Mapping[str, object]]:
        merchant, key_text = service.register(transaction, name, clock.now(), request.trace_id)
        kept = {
            "id": public_id("mer", merchant.id),
            "name": merchant.name,
            "lane": merchant.lane,
            "api_key": None,
        }
        return {**kept, "api_key": key_text}, kept

    return _answer_once(request, work)


def create_key(request: Request) -> Response:
    """POST /v1/api-keys"""
    name, wanted = request.fields.text("name"), request.fields.texts("scopes")

    def work(
        transaction: MySqlUserTransaction,
    ) -> tuple[Mapping[str, object], Mapping[str, object]]:
        key, key_text = service.make_key(
            transaction, request.merchant(), name, wanted, clock.now(), request.trace_id
        )
        kept = {**_describe(key), "api_key": None}
        return {**kept, "api_key": key_text}, kept

    return _answer_once(request, work)


def list_keys(request: Request) -> Response:
    """GET /v1/api-keys"""
    keys = _database().run(
        lambda cursor: MySqlUserTransaction(cursor, clock.now()).keys(
            request.merchant(), model.MAX_KEYS
        )
    )
    return json_response(200, {"data": [_describe(key) for key in keys]})


def delete_key(request: Request) -> Response:
    """DELETE /v1/api-keys/{key_id}"""
    try:
        key_id = parse_public_id("key", request.path_params.get("key_id", ""))
    except MalformedId as exc:
        raise KeyNotFound("no such key") from exc
    now = clock.now()
    _database().run(
        lambda cursor: service.revoke_key(
            MySqlUserTransaction(cursor, now), request.merchant(), key_id, now, request.trace_id
        )
    )
    wake("user")
    return Response(204)


HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("POST", "/v1/merchants"): create_merchant,
    ("POST", "/v1/api-keys"): create_key,
    ("GET", "/v1/api-keys"): list_keys,
    ("DELETE", "/v1/api-keys/{key_id}"): delete_key,
}


def _describe(key: ApiKey) -> Mapping[str, object]:
    return {
        "id": public_id("key", key.id),
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at.isoformat().replace("+00:00", "Z"),
    }


def principal(authorization: str) -> Principal | None:
    """Whom the header `Authorization: Bearer ok_…` speaks for; None for every wrong one alike."""
    word, _, key_text = authorization.partition(" ")
    read = model.read_key(key_text) if word.lower() == "bearer" else None
    if read is None:
        return None
    key_id, secret = read
    found = MySqlUserStore(_database()).find_key(key_id)
    if found is None or not model.proves(found[0], secret):
        return None
    key, lane = found
    return Principal(key.merchant_id, key.id, key.scopes, lane)
