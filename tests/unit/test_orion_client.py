"""The Python client: safe repetitions, typed errors, pages, parts, a cursor that is kept."""

from collections.abc import Iterator

import pytest

from orion_client import (
    ApiError,
    BadRequest,
    Client,
    Conflict,
    NoAnswer,
    NotFound,
    NotSent,
    RateLimited,
    RateUnavailable,
    Retries,
    ServerError,
    Unprocessable,
    UnreadableAnswer,
)
from orion_client import transport as client_transport
from orion_client.errors import api_error
from orion_client.money import next_part
from orion_client.retrying import retry_after, worth_repeating
from tests.unit.client_server import Server, Told, serving

SOON = Retries(pause_s=0.0)
INVOICE = {"amount": "25.00", "currency": "EUR", "assets": ["BTC.bitcoin"]}


def problem(status: int, code: str, retry: str = "never", **more: object) -> Told:
    body = {"code": code, "title": code, "detail": f"about {code}", "retry": retry, **more}
    return Told(status, body, {"Content-Type": "application/problem+json"})


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Server, Client]]:
    with serving() as running, Client(running.url, "ok_key", retries=SOON) as made:
        yield running, made


@pytest.fixture
def server(pair: tuple[Server, Client]) -> Server:
    pair[0].seen.clear()
    return pair[0]


@pytest.fixture
def client(pair: tuple[Server, Client]) -> Client:
    return pair[1]


def make(client: Client, key: str | None = None) -> object:
    return client.invoices.create(
        amount="25.00", currency="EUR", assets=["BTC.bitcoin"], idempotency_key=key
    )


@pytest.mark.parametrize(
    "first",
    [
        Told(0),
        problem(503, "temporarily_unavailable", "later"),
        problem(500, "internal", "same_key"),
        problem(409, "idempotency_key_in_flight", "later"),
        problem(429, "rate_limited", "later"),
        Told(502, b"<html>"),
    ],
)
def test_a_creation_keeps_its_key_over_all_repetitions(
    server: Server, client: Client, first: Told
) -> None:
    server.tell(first, first, Told(201, {"id": "inv_1"}))
    assert make(client) == {"id": "inv_1"}
    assert len(server.seen) == 3
    keys = {request.headers["idempotency-key"] for request in server.seen}
    assert len(keys) == 1
    assert {request.body for request in server.seen} == {server.seen[0].body}
    assert server.seen[0].members == INVOICE


def test_two_calls_have_two_keys_and_a_given_key_is_used(server: Server, client: Client) -> None:
    server.tell(Told(201))
    make(client)
    make(client)
    make(client, "order-17")
    keys = [request.headers["idempotency-key"] for request in server.seen]
    assert len(set(keys)) == 3
    assert keys[2] == "order-17"


def test_only_creations_carry_a_key(server: Server, client: Client) -> None:
    server.tell(Told(200, {"data": []}))
    client.balances.list()
    client.rates.set_fixed("BTC.bitcoin", "EUR", "60000.00")
    assert all("idempotency-key" not in request.headers for request in server.seen)


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256])
def test_a_key_that_no_header_carries_is_refused_before_it_is_sent(
    server: Server, client: Client, key: str
) -> None:
    with pytest.raises(NotSent):
        make(client, key)
    assert server.seen == []


@pytest.mark.parametrize(
    "refusal",
    [
        problem(422, "rate_unavailable"),
        problem(400, "missing_field", field="amount"),
        problem(500, "internal", "never"),
        problem(409, "too_many_keys"),
        Told(500, b"<html>"),
    ],
)
def test_what_repeating_cannot_change_is_not_repeated(
    server: Server, client: Client, refusal: Told
) -> None:
    server.tell(refusal)
    with pytest.raises(ApiError):
        make(client)
    assert len(server.seen) == 1


def test_attempts_end_and_the_key_is_handed_back(server: Server, client: Client) -> None:
    server.tell(Told(0))
    with pytest.raises(NoAnswer) as nothing:
        make(client)
    assert len(server.seen) == SOON.attempts
    assert nothing.value.idempotency_key == server.seen[0].headers["idempotency-key"]
    server.tell(problem(503, "temporarily_unavailable", "later"))
    with pytest.raises(ServerError) as refused:
        make(client)
    assert len(server.seen) == 2 * SOON.attempts
    assert refused.value.idempotency_key == server.seen[-1].headers["idempotency-key"]


def test_retry_after_is_waited_for_and_a_long_one_is_not() -> None:
    def pause(after_s: float | None, attempt: int = 1) -> float | None:
        return Retries(pause_s=1.0).pause_before_next(attempt, after_s, lambda: 1.0)

    assert pause(None) == 1.0
    assert pause(None, 2) == 2.0
    assert pause(None, 3) == 4.0
    assert pause(None, 4) is None
    assert pause(7.0) == 7.0
    assert pause(31.0) is None
    assert Retries(attempts=9).pause_before_next(8, None, lambda: 1.0) == 8.0
    assert Retries().pause_before_next(1, None, lambda: 0.0) == 0.25


@pytest.mark.parametrize(
    "header, seconds",
    [("2", 2.0), (" 30 ", 30.0), (None, None), ("-1", None), ("soon", None), ("1" * 10, None)],
)
def test_only_whole_seconds_are_read_of_retry_after(
    header: str | None, seconds: float | None
) -> None:
    assert retry_after(header) == seconds


def test_the_servers_pause_reaches_the_caller(server: Server, client: Client) -> None:
    server.tell(Told(429, {"code": "rate_limited"}, {"Retry-After": "3600"}))
    with pytest.raises(RateLimited) as refused:
        client.balances.list()
    assert refused.value.retry_after_s == 3600.0
    assert len(server.seen) == 1


def test_a_removal_whose_answer_was_lost_is_a_removal(server: Server, client: Client) -> None:
    server.tell(Told(0), problem(404, "key_not_found"))
    client.api_keys.revoke("key_1")
    server.tell(problem(404, "key_not_found"))
    with pytest.raises(NotFound):
        client.api_keys.revoke("key_1")


@pytest.mark.parametrize(
    "status, code, kind",
    [
        (422, "rate_unavailable", RateUnavailable),
        (503, "rate_stale", RateUnavailable),
        (422, "a_code_of_tomorrow", Unprocessable),
        (400, "a_code_of_tomorrow", BadRequest),
        (409, "a_code_of_tomorrow", Conflict),
        (500, "internal", ServerError),
        (418, "teapot", ApiError),
    ],
)
def test_an_error_has_the_class_of_its_code_else_of_its_status(
    status: int, code: str, kind: type[ApiError]
) -> None:
    error = api_error(status, {"code": code, "detail": "why", "trace_id": "t", "field": "f"})
    assert type(error) is kind
    assert (error.status, error.code, error.detail, error.trace_id) == (status, code, "why", "t")
    assert error.fields["field"] == "f"


def test_what_is_no_problem_document_still_has_a_status() -> None:
    error = api_error(502, {"code": 7, "detail": None})
    assert (error.code, error.title, error.trace_id) == ("unknown", "status 502", None)
    assert worth_repeating(502, {})
    assert not worth_repeating(500, {})
    assert not worth_repeating(503, {"retry": "never"})


def test_every_page_is_read_once_and_the_last_one_ends_it(server: Server, client: Client) -> None:
    server.tell(
        Told(200, {"data": [{"id": "a"}, {"id": "b"}], "next_cursor": "one"}),
        Told(200, {"data": [], "next_cursor": "two"}),
        Told(200, {"data": [{"id": "c"}], "next_cursor": None}),
    )
    assert [invoice["id"] for invoice in client.invoices.each(status="settled")] == ["a", "b", "c"]
    cursors = [request.query.get("cursor") for request in server.seen]
    assert cursors == [None, ["one"], ["two"]]
    assert all(request.query["status"] == ["settled"] for request in server.seen)


def test_a_list_that_does_not_get_on_ends_with_an_error(server: Server, client: Client) -> None:
    server.tell(Told(200, {"data": [], "next_cursor": "one"}))
    with pytest.raises(UnreadableAnswer):
        list(client.invoices.each())
    assert len(server.seen) == 2


def test_the_stream_is_read_to_its_end_and_gives_the_cursor_to_keep(
    server: Server, client: Client
) -> None:
    server.tell(
        Told(200, {"data": [{"id": "evt_1"}], "next_cursor": "1", "has_more": True}),
        Told(200, {"data": [], "next_cursor": "5", "has_more": True}),
        Told(200, {"data": [{"id": "evt_6"}], "next_cursor": "6", "has_more": False}),
    )
    batches = list(client.events.read(after="0", types=["invoice.settled", "invoice.expired"]))
    assert [batch.cursor for batch in batches] == ["1", "5", "6"]
    assert [event["id"] for batch in batches for event in batch.events] == ["evt_1", "evt_6"]
    assert [request.query["after"] for request in server.seen] == [["0"], ["1"], ["5"]]
    assert server.seen[0].query["types"] == ["invoice.settled,invoice.expired"]


def test_following_goes_on_from_its_own_cursor_until_told_to_end(
    server: Server, client: Client
) -> None:
    server.tell(
        Told(200, {"data": [], "next_cursor": "1", "has_more": False}),
        Told(200, {"data": [], "next_cursor": "2", "has_more": False}),
    )
    rounds = iter([True, True, False])
    found = client.events.follow(pause_s=0.0, going_on=lambda: next(rounds))
    assert [batch.cursor for batch in found] == ["1", "2"]
    assert [request.query.get("after") for request in server.seen] == [None, ["1"]]


def test_an_export_is_its_parts_in_their_order(server: Server, client: Client) -> None:
    link = {"Link": '<?from=a&to=b&cursor=x%2By>; rel="next"'}
    server.tell(Told(200, b"id\r\n1\r\n", link), Told(200, b"2\r\n"))
    assert b"".join(client.exports.invoices(from_="a", to="b")) == b"id\r\n1\r\n2\r\n"
    assert server.seen[0].query == {"from": ["a"], "to": ["b"]}
    assert server.seen[1].query == {"from": ["a"], "to": ["b"], "cursor": ["x+y"]}
    assert server.seen[1].path == "/v1/exports/invoices.csv"


def test_the_next_part_is_only_a_query_never_another_address() -> None:
    assert next_part('<https://elsewhere.example/x?cursor=1>; rel="next"') == {"cursor": "1"}
    assert next_part(None) is None
    with pytest.raises(UnreadableAnswer):
        next_part("?cursor=1")


def test_an_id_cannot_leave_its_place_in_the_path(server: Server, client: Client) -> None:
    server.tell(Told())
    client.invoices.get("../balances?x=1#y")
    assert server.seen[0].path == "/v1/invoices/..%2Fbalances%3Fx%3D1%23y"
    assert server.seen[0].query == {}


def test_a_redirect_is_not_followed(server: Server, client: Client) -> None:
    server.tell(Told(302, {}, {"Location": f"{server.url}/elsewhere"}))
    with pytest.raises(ApiError):
        client.balances.list()
    assert [request.path for request in server.seen] == ["/v1/balances"]


@pytest.mark.parametrize("body", [b"[]", b"nothing", b'"x"'])
def test_an_answer_that_is_no_object_is_an_error(
    server: Server, client: Client, body: bytes
) -> None:
    server.tell(Told(200, body))
    with pytest.raises(UnreadableAnswer):
        client.settings.get()


def test_an_answer_larger_than_any_of_the_api_is_not_read_on(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_transport, "BODY_MAX_BYTES", 1000)
    server.tell(Told(200, b" " * 1001))
    with pytest.raises(UnreadableAnswer, match="1000 bytes"):
        client.settings.get()


@pytest.mark.parametrize(
    "url",
    [
        "http://pay.example.com",
        "ftp://pay.example.com",
        "pay.example.com",
        "https://user:pass@pay.example.com",
        "https://pay.example.com?x=1",
        "http://127.0.0.1.example.com",
        "",
    ],
)
def test_a_key_goes_nowhere_in_the_clear(url: str) -> None:
    with pytest.raises(NotSent):
        Client(url, "ok_key")


@pytest.mark.parametrize("key", ["ok_a b", "ok_\n", "ok_é"])
def test_a_key_that_no_header_carries_is_none(key: str) -> None:
    with pytest.raises(NotSent):
        Client("https://pay.example.com", key)


def test_the_key_is_in_the_header_and_in_no_text_about_the_client(
    server: Server, client: Client
) -> None:
    server.tell(Told(200, {"data": []}))
    client.balances.list()
    assert server.seen[0].headers["authorization"] == "Bearer ok_key"
    assert "ok_key" not in repr(vars(client.balances))


def test_a_change_says_what_is_named_and_clears_with_none(server: Server, client: Client) -> None:
    server.tell(Told())
    client.payment_links.change("pl_1", active=False, use_limit=None)
    assert server.seen[0].members == {"active": False, "use_limit": None}
