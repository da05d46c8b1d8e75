"""The Python client where the outcome is in doubt: removals, answers that cannot be read, ids that
are no place, and addresses that are another's.
"""

from collections.abc import Callable, Iterator

import pytest

from orion_client import ApiError, Client, NotFound, NotSent, Retries, UnreadableAnswer
from orion_client import transport as client_transport
from tests.unit.client_server import Server, Told, serving

GONE = Told(404, {"code": "key_not_found"})


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Server, Client]]:
    soon = Retries(pause_s=0.0)
    with serving() as running, Client(running.url, "ok_key", retries=soon) as made:
        yield running, made


@pytest.fixture
def server(pair: tuple[Server, Client]) -> Server:
    pair[0].seen.clear()
    return pair[0]


@pytest.fixture
def client(pair: tuple[Server, Client]) -> Client:
    return pair[1]


TURNED_AWAY = Told(429, {"code": "rate_limited", "retry": "later"})
LATER = Told(503, {"code": "temporarily_unavailable", "retry": "later"})
UNKNOWN = Told(500, {"code": "internal", "retry": "same_key"})
HUNG_UP = Told(0)


@pytest.mark.parametrize("before", [(TURNED_AWAY,), (LATER,), (TURNED_AWAY, LATER)])
def test_a_removal_that_was_turned_away_and_then_finds_nothing_is_not_found(
    server: Server, client: Client, before: tuple[Told, ...]
) -> None:
    server.tell(*before, GONE)
    with pytest.raises(NotFound):
        client.api_keys.revoke("key_1")
    assert len(server.seen) == len(before) + 1


@pytest.mark.parametrize(
    "before", [(HUNG_UP,), (UNKNOWN,), (HUNG_UP, TURNED_AWAY), (TURNED_AWAY, UNKNOWN)]
)
def test_a_removal_is_done_when_an_earlier_attempt_may_have_done_it(
    server: Server, client: Client, before: tuple[Told, ...]
) -> None:
    server.tell(*before, GONE)
    client.api_keys.revoke("key_1")
    assert len(server.seen) == len(before) + 1


def test_nothing_but_a_removal_takes_not_found_for_done(server: Server, client: Client) -> None:
    server.tell(HUNG_UP, GONE)
    with pytest.raises(NotFound):
        client.invoices.get("inv_1")


CALLS: list[Callable[[Client, str], object]] = [
    lambda client, text: client.invoices.get(text),
    lambda client, text: client.invoices.cancel(text),
    lambda client, text: client.api_keys.revoke(text),
    lambda client, text: client.payment_links.change(text, active=False),
    lambda client, text: client.rates.set_fixed("BTC.bitcoin", text, "1"),
    lambda client, text: client.rates.remove_fixed(text, "EUR"),
    lambda client, text: client.webhook_endpoints.delete(text),
]


@pytest.mark.parametrize("text", ["", ".", "..", "\ud800"])
@pytest.mark.parametrize("call", CALLS)
def test_an_id_that_is_no_segment_of_a_path_is_not_sent(
    server: Server, client: Client, call: Callable[[Client, str], object], text: str
) -> None:
    server.tell(Told())
    with pytest.raises(NotSent):
        call(client, text)
    assert server.seen == []


@pytest.mark.parametrize("text", ["...", "..a", "%2e%2e", " "])
def test_an_id_that_only_looks_like_a_dot_segment_keeps_its_place(
    server: Server, client: Client, text: str
) -> None:
    server.tell(Told())
    client.invoices.changes(text)
    path = server.seen[0].path
    assert path.startswith("/v1/invoices/")
    assert path.endswith("/changes")
    assert path.count("/") == 4


@pytest.mark.parametrize("body", [b"<html>", b"[]", b" " * 1001])
def test_an_unreadable_answer_hands_back_the_key_that_was_made(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(client_transport, "BODY_MAX_BYTES", 1000)
    server.tell(Told(201, body))
    with pytest.raises(UnreadableAnswer) as unreadable:
        client.invoices.create(amount="25.00", currency="EUR", assets=["BTC.bitcoin"])
    key = server.seen[0].headers["idempotency-key"]
    assert unreadable.value.idempotency_key == key
    with pytest.raises(UnreadableAnswer) as read:
        client.balances.list()
    assert read.value.idempotency_key is None


@pytest.mark.parametrize("status", [302, 307])
def test_no_redirect_is_followed_with_the_key(server: Server, client: Client, status: int) -> None:
    with serving() as stranger:
        server.tell(Told(status, {}, {"Location": f"{stranger.url}/v1/elsewhere"}))
        with pytest.raises(ApiError) as read:
            client.balances.list()
        with pytest.raises(ApiError) as made:
            client.merchants.create(name="Corner shop")
        assert stranger.seen == []
    assert read.value.status == made.value.status == status
    assert [request.method for request in server.seen] == ["GET", "POST"]
