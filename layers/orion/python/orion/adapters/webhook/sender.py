"""One attempt to deliver one webhook over HTTP(S), safe against the URL's owner.

The name is resolved here and the connection goes to an address that was checked, so that a name
cannot change between
the check and the call (DNS rebinding). Nothing is followed: a redirect is a failed attempt.
Headers and signature: Standard Webhooks 1.0.0, "Signature scheme" and "Webhook headers".
"""

import base64
import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread

from orion.adapters.webhook.deadline import Deadline, DeadlineSocket
from orion.billing.delivery import Outcome
from orion.billing.errors import WebhookUrlRefused
from orion.billing.webhook_target import (
    HTTP_PORT,
    HTTPS_PORT,
    Address,
    Network,
    Target,
    address_allowed,
    check_url,
)

CONNECT_TIMEOUT_S = 3.0
TOTAL_TIMEOUT_S = 8.0
ANSWER_MAX_BYTES = 16 * 1024
KEPT_BYTES = 1_024
_MAX_ADDRESSES = 4
_USER_AGENT = "Orion-Pay-Webhooks/1"

Resolver = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one attempt came to. `error` is a stable word, None for a success; `answer` is the
    beginning of the receiver's body as text, None where there was none.
    """

    outcome: Outcome
    status: int | None
    error: str | None
    duration_ms: int
    answer: str | None = None


def system_resolver(host: str, port: int) -> Sequence[str]:
    """Addresses of a name, as the host's resolver has them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def signature(secret: bytes, webhook_id: str, timestamp_s: int, body: bytes) -> str:
    """The value of `webhook-signature`: HMAC-SHA256 over `id.timestamp.body`."""
    signed = f"{webhook_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def signatures(secrets: Sequence[bytes], webhook_id: str, timestamp_s: int, body: bytes) -> str:
    """One signature a secret, separated by spaces (Standard Webhooks, "Zero downtime secret
    rotation").
    """
    return " ".join(signature(secret, webhook_id, timestamp_s, body) for secret in secrets)


def kept_text(body: bytes) -> str | None:
    """The first KEPT_BYTES of an answer as text that can be stored and shown: what is not UTF-8 is
    replaced, what is not printable is a blank.
    """
    text = body[:KEPT_BYTES].decode("utf-8", "replace")
    shown = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return shown or None


class WebhookSender:
    """Sends to public addresses by https, and to `allowed_private` networks. Safe for several
    threads.
    """

    def __init__(
        self,
        allowed_private: Sequence[Network],
        trust: ssl.SSLContext,
        resolver: Resolver = system_resolver,
    ) -> None:
        self._allowed_private = allowed_private
        self._trust = trust
        self._resolver = resolver

    def send(
        self, url: str, webhook_id: str, body: bytes, secrets: Sequence[bytes], timestamp_s: int
    ) -> Attempt:
        """One attempt within TOTAL_TIMEOUT_S, signed by each of `secrets`. Never raises for what
        the other side does.
        """
        started = time.monotonic()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": _USER_AGENT,
            "webhook-id": webhook_id,
            "webhook-timestamp": str(timestamp_s),
            "webhook-signature": signatures(secrets, webhook_id, timestamp_s, body),
        }
        outcome, status, error, answer = self._try(url, headers, body)
        duration_ms = int((time.monotonic() - started) * 1000)
        return Attempt(outcome, status, error, duration_ms, answer)

    def _try(
        self, url: str, headers: dict[str, str], body: bytes
    ) -> tuple[Outcome, int | None, str | None, str | None]:
        try:
            status, start = self._post(url, headers, body)
        except WebhookUrlRefused:
            return Outcome.REFUSED, None, "url_refused", None
        except ssl.SSLCertVerificationError:
            return Outcome.FAILED, None, "certificate_refused", None
        except ssl.SSLError:
            return Outcome.FAILED, None, "tls_failed", None
        except TimeoutError:
            return Outcome.FAILED, None, "timed_out", None
        except socket.gaierror:
            return Outcome.FAILED, None, "name_not_found", None
        except ConnectionRefusedError:
            return Outcome.FAILED, None, "connection_refused", None
        except ConnectionError:
            return Outcome.FAILED, None, "connection_lost", None
        except http.client.HTTPException:
            return Outcome.FAILED, None, "not_http", None
        except OSError:
            return Outcome.FAILED, None, "unreachable", None
        if 200 <= status < 300:
            return Outcome.DELIVERED, status, None, kept_text(start)
        error = "redirect_refused" if 300 <= status < 400 else "status"
        return Outcome.FAILED, status, error, kept_text(start)

    def _post(self, url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        target = check_url(url, self._allowed_private)
        deadline = Deadline(TOTAL_TIMEOUT_S)
        addresses = self._addresses(target, deadline)
        connection = http.client.HTTPConnection(_bracketed(target.host), target.port)
        sock = self._connect(target, addresses, deadline)
        try:
            # http.client asks no more of its socket than DeadlineSocket has.
            connection.sock = DeadlineSocket(sock, deadline)
            sent = {"Host": _host(target), **headers, "Connection": "close"}
            connection.request("POST", target.path, body, sent)
            answer = connection.getresponse()
            # Read a little, so that a well-behaved server sees its answer taken; then close
            # whatever follows.
            return answer.status, answer.read(ANSWER_MAX_BYTES)
        finally:
            sock.close()

    def _addresses(self, target: Target, deadline: Deadline) -> Sequence[Address]:
        found = [ipaddress.ip_address(text) for text in self._resolve(target, deadline)]
        allowed = [
            address
            for address in found
            if address_allowed(address, secure=target.secure, allowed_private=self._allowed_private)
        ]
        if not allowed:
            raise WebhookUrlRefused("the name leads to no address that may be called")
        return allowed[:_MAX_ADDRESSES]

    def _resolve(self, target: Target, deadline: Deadline) -> Sequence[str]:
        """getaddrinfo knows no time-out, so a thread waits for it that nobody else waits for."""
        try:
            return [str(ipaddress.ip_address(target.host))]
        except ValueError:
            answers: SimpleQueue[Sequence[str] | OSError] = SimpleQueue()

        def resolve() -> None:
            try:
                answers.put(self._resolver(target.host, target.port))
            except OSError as exc:
                answers.put(exc)

        Thread(target=resolve, daemon=True).start()
        try:
            found = answers.get(timeout=min(CONNECT_TIMEOUT_S, deadline.remaining_s()))
        except Empty:
            raise TimeoutError("the name was not resolved in time") from None
        if isinstance(found, OSError):
            raise found
        return found

    def _connect(
        self, target: Target, addresses: Sequence[Address], deadline: Deadline
    ) -> socket.socket:
        # One allowance for all addresses together.
        connecting = Deadline(min(CONNECT_TIMEOUT_S, deadline.remaining_s()))
        last: OSError = OSError("no address")
        for address in addresses:
            try:
                sock = socket.create_connection(
                    (str(address), target.port), timeout=connecting.remaining_s()
                )
            except OSError as exc:
                last = exc
                continue
            return self._secured(sock, target, connecting)
        raise last

    def _secured(self, sock: socket.socket, target: Target, connecting: Deadline) -> socket.socket:
        if not target.secure:
            return sock
        try:
            sock.settimeout(connecting.remaining_s())
            return self._trust.wrap_socket(sock, server_hostname=target.host)
        except BaseException:
            sock.close()
            raise


def _host(target: Target) -> str:
    """The Host header: without the port where it is the scheme's own (RFC 9110, 4.2.3 and 7.2), as
    receivers compare it. http.client knows nothing of the TLS below it, so it would say 443.
    """
    own = target.port == (HTTPS_PORT if target.secure else HTTP_PORT)
    return _bracketed(target.host) + ("" if own else f":{target.port}")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
