"""The sender against real receivers on loopback: what is signed, what is refused, what ends in
time.
"""

import base64
import ipaddress
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook

from orion.adapters.webhook import sender as sender_module
from orion.adapters.webhook.sender import Attempt, WebhookSender
from orion.billing.delivery import Outcome
from orion.billing.webhook_target import Network
from tests.engine.raw_receiver import hear, raw_receiver

SECRET = bytes(range(32))
BODY = json.dumps({"type": "invoice.settled", "data": {"reference": "caf\u00e9"}}).encode()
EVENT = "evt_00000000000000000000000001"
LOOPBACK: list[Network] = [ipaddress.ip_network("127.0.0.0/8")]
NAME = "shop.example.com"


@dataclass
class Seen:
    """What a receiver got."""

    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


def receiver_class(seen: Seen, status: int, location: str | None) -> type[BaseHTTPRequestHandler]:
    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.requests.append((self.path, dict(self.headers.items()), body))
            self.send_response(status)
            if location is not None:
                self.send_header("Location", location)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Quiet."""

    return Receiver


@contextmanager
def receiver(
    seen: Seen,
    *,
    status: int = 204,
    location: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[int]:
    """The port of a receiver that answers every POST with `status`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), receiver_class(seen, status, location))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def authority(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Trust of a sender, and the identity of a receiver named NAME."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = tmp_path / "receiver.pem"
    file.write_bytes(pem + private)
    identity = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    identity.load_cert_chain(file)
    return ssl.create_default_context(cadata=pem.decode()), identity


def sender(
    allowed: Sequence[Network] = LOOPBACK,
    trust: ssl.SSLContext | None = None,
    addresses: Sequence[str] = ("127.0.0.1",),
) -> WebhookSender:
    """A sender for which every name has `addresses`."""
    context = trust or ssl.create_default_context()
    return WebhookSender(list(allowed), context, lambda _host, _port: addresses)


def post(one: WebhookSender, url: str) -> Attempt:
    return one.send(url, EVENT, BODY, [SECRET], int(time.time()))


def test_a_receiver_verifies_the_signature_with_the_published_package() -> None:
    seen = Seen()
    with receiver(seen) as port:
        attempt = post(sender(), f"http://127.0.0.1:{port}/hooks?shop=1")
    assert (attempt.outcome, attempt.status, attempt.error) == (Outcome.DELIVERED, 204, None)
    path, headers, body = seen.requests[0]
    assert (path, body) == ("/hooks?shop=1", BODY)
    lower = {name.lower(): value for name, value in headers.items()}
    assert lower["webhook-id"] == EVENT
    assert lower["content-type"] == "application/json"
    assert Webhook(SECRET).verify(body, lower) == json.loads(BODY)


def test_https_is_verified_by_the_name_while_the_checked_address_is_called(
    authority: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    trust, identity = authority
    seen = Seen()
    with receiver(seen, tls=identity) as port:
        assert post(sender(trust=trust), f"https://{NAME}:{port}/h").outcome == Outcome.DELIVERED
        assert seen.requests[0][1]["Host"] == f"{NAME}:{port}"
        other = post(sender(trust=trust), f"https://other.example.com:{port}/h")
        stranger = post(sender(), f"https://{NAME}:{port}/h")
    assert other.error == stranger.error == "certificate_refused"
    assert len(seen.requests) == 1


@pytest.mark.parametrize(
    "url, host",
    [
        (f"https://{NAME}/h", NAME),
        ("http://127.0.0.1:443/h", "127.0.0.1:443"),
        ("http://[::ffff:127.0.0.1]:80/h", "[::ffff:127.0.0.1]"),
    ],
)
def test_the_host_names_no_port_that_is_the_schemes_own(
    url: str,
    host: str,
    authority: tuple[ssl.SSLContext, ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen, (trust, identity), connect = Seen(), authority, socket.create_connection
    with receiver(seen, tls=identity if url.startswith("https") else None) as port:
        # The low ports are the system's: whoever is called there, this receiver answers.
        at = ("127.0.0.1", port)
        monkeypatch.setattr(socket, "create_connection", lambda _, timeout: connect(at, timeout))
        assert post(sender(trust=trust), url).outcome == Outcome.DELIVERED
    assert seen.requests[0][1]["Host"] == host


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    inside, outside = Seen(), Seen()
    with ExitStack() as stack:
        target = stack.enter_context(receiver(inside))
        location = f"http://127.0.0.1:{target}/internal"
        port = stack.enter_context(receiver(outside, status=status, location=location))
        attempt = post(sender(), f"http://127.0.0.1:{port}/h")
    assert (attempt.outcome, attempt.error) == (Outcome.FAILED, "redirect_refused")
    assert len(outside.requests) == 1
    assert not inside.requests


def test_a_private_address_is_refused_where_no_parameter_allows_it() -> None:
    seen = Seen()
    with receiver(seen) as port:
        literal = post(sender(allowed=()), f"http://127.0.0.1:{port}/h")
        named = post(sender(allowed=()), f"https://{NAME}:{port}/h")
    assert literal.outcome == named.outcome == Outcome.REFUSED
    assert not seen.requests


def test_a_name_that_resolves_to_the_inside_is_refused_at_every_attempt() -> None:
    inside = ("127.0.0.1", "::1", "169.254.169.254", "10.0.0.1", "::ffff:127.0.0.1")
    for address in inside:
        attempt = post(sender(allowed=(), addresses=[address]), f"https://{NAME}/h")
        assert (attempt.outcome, attempt.error) == (Outcome.REFUSED, "url_refused")


def test_a_name_is_asked_once_an_attempt_and_the_checked_address_is_called() -> None:
    seen, asked = Seen(), []

    def changing(host: str, _port: int) -> Sequence[str]:
        """A name that leads outside when it is checked and inside afterwards."""
        asked.append(host)
        return ["127.0.0.2"] if len(asked) == 1 else ["127.0.0.1"]

    only_second = [ipaddress.ip_network("127.0.0.2/32")]
    with receiver(seen) as port:
        one = WebhookSender(only_second, ssl.create_default_context(), changing)
        first, second = (post(one, f"https://{NAME}:{port}/h") for _ in range(2))
    assert (first.outcome, first.error) == (Outcome.FAILED, "connection_refused")
    assert (second.outcome, second.error) == (Outcome.REFUSED, "url_refused")
    assert len(asked) == 2, "once for each attempt"
    assert not seen.requests


def test_the_beginning_of_an_answer_is_kept_as_text_and_nothing_that_was_sent() -> None:
    def answer_with(body: bytes) -> Attempt:
        def behave(connection: socket.socket) -> None:
            hear(connection)
            connection.sendall(b"HTTP/1.1 500 No\r\nConnection: close\r\n\r\n" + body)

        with raw_receiver(behave) as port:
            return post(sender(), f"http://127.0.0.1:{port}/h")

    assert answer_with(b"").answer is None
    assert answer_with(b"out of\r\n\x00order \xff").answer == "out of   order \ufffd"
    assert answer_with(b"x" * 5_000).answer == "x" * 1_024


def test_one_signature_a_secret_stands_in_the_header() -> None:
    seen, other = Seen(), bytes(range(1, 33))
    with receiver(seen) as port:
        url = f"http://127.0.0.1:{port}/h"
        sender().send(url, EVENT, BODY, [SECRET, other], int(time.time()))
    headers = {name.lower(): value for name, value in seen.requests[0][1].items()}
    for secret in (SECRET, other):
        assert Webhook(secret).verify(BODY, headers) == json.loads(BODY)


def test_the_published_vector_gives_the_published_signature() -> None:
    # Standard Webhooks, libraries/python/tests: the id, moment, body and secret of its own test.
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = sender_module.signature(
        secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    moment = datetime.fromtimestamp(1_614_265_330, UTC)
    theirs = Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").sign(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", moment, '{"test": 2432232314}'
    )
    assert signed == theirs


def test_the_systems_own_name_of_loopback_is_refused_too() -> None:
    real = WebhookSender([], ssl.create_default_context())
    assert post(real, "https://localhost/h").outcome == Outcome.REFUSED


def test_of_a_names_addresses_only_the_allowed_ones_are_called() -> None:
    seen = Seen()
    with receiver(seen) as port:
        one = sender(addresses=["10.0.0.1", "127.0.0.1"])
        attempt = post(one, f"https://{NAME}:{port}/h")
    # The receiver speaks no TLS, but it was the one that was called, and at once.
    assert attempt.error == "tls_failed"
    assert not seen.requests


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
def test_any_other_status_is_a_failure(status: int) -> None:
    with receiver(Seen(), status=status) as port:
        attempt = post(sender(), f"http://127.0.0.1:{port}/h")
    assert (attempt.outcome, attempt.status) == (Outcome.FAILED, status)


def test_a_connection_reset_is_a_failure() -> None:
    def reset(connection: socket.socket) -> None:
        connection.recv(1)
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    with raw_receiver(reset) as port:
        attempt = post(sender(), f"http://127.0.0.1:{port}/h")
    assert (attempt.outcome, attempt.error) == (Outcome.FAILED, "connection_lost")


def test_a_closed_port_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    attempt = post(sender(), f"http://127.0.0.1:{port}/h")
    assert (attempt.outcome, attempt.error) == (Outcome.FAILED, "connection_refused")


def test_what_is_not_http_is_a_failure() -> None:
    def chat(connection: socket.socket) -> None:
        hear(connection)
        connection.sendall(b"220 mail.example.com ready\r\n")

    with raw_receiver(chat) as port:
        attempt = post(sender(), f"http://127.0.0.1:{port}/h")
    assert (attempt.outcome, attempt.error) == (Outcome.FAILED, "not_http")


def drip(head: bytes) -> Callable[[socket.socket], None]:
    """A receiver that sends `head` and then a byte now and then, for ever."""

    def behave(connection: socket.socket) -> None:
        hear(connection)
        connection.sendall(head)
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    return behave


@pytest.mark.parametrize(
    "head",
    [b"", b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"],
)
def test_a_receiver_that_drips_for_ever_ends_at_the_deadline(
    head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Shorter than in the product: the rule is that the whole ends, not when.
    monkeypatch.setattr(sender_module, "TOTAL_TIMEOUT_S", 0.6)
    with raw_receiver(drip(head)) as port:
        attempt = post(sender(), f"http://127.0.0.1:{port}/h")
    assert (attempt.outcome, attempt.error) == (Outcome.FAILED, "timed_out")


def test_an_endless_body_is_read_only_up_to_its_limit() -> None:
    sent = []

    def flood(connection: socket.socket) -> None:
        hear(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            sent.append(connection.send(b"x" * 65_536))

    with raw_receiver(flood) as port:
        attempt = post(sender(), f"http://127.0.0.1:{port}/h")
    assert attempt.outcome == Outcome.DELIVERED
    assert sum(sent) < 64 * 1024 * 1024


def test_a_resolver_that_hangs_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "CONNECT_TIMEOUT_S", 0.2)
    over = threading.Event()

    def hang(_host: str, _port: int) -> Sequence[str]:
        over.wait(20)
        return []

    one = WebhookSender(LOOPBACK, ssl.create_default_context(), hang)
    attempt = post(one, f"https://{NAME}/h")
    over.set()
    assert (attempt.outcome, attempt.error) == (Outcome.FAILED, "timed_out")


def test_a_name_that_does_not_exist_is_a_failure() -> None:
    def missing(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    one = WebhookSender(LOOPBACK, ssl.create_default_context(), missing)
    assert post(one, f"https://{NAME}/h").error == "name_not_found"
