"""Questions to one provider over HTTP(S): its own host only, little time, few bytes.

Nothing is followed: a redirect is an answer like any other, which says nothing of a price.
"""

import http.client
import ipaddress
import logging
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from orion.adapters.webhook.deadline import Deadline, DeadlineSocket
from orion.billing.rates.model import TickerRefusal
from orion.billing.rates.providers.answer import Answer
from orion.errors import OrionError

CONNECT_TIMEOUT_S = 3.0
QUESTION_TIMEOUT_S = 5.0
ROUND_TIMEOUT_S = 20.0
BODY_MAX_BYTES = 64 * 1024
_AGE_MAX_DIGITS = 9
_USER_AGENT = "Orion-Pay-Rates/1"

_log = logging.getLogger(__name__)


class ProviderUrlRefused(OrionError):
    """A base URL that would send questions in the clear over a network, or is no URL of a host."""

    code = "internal"


@dataclass(frozen=True, slots=True)
class _Base:
    secure: bool
    host: str
    port: int
    path: str


class ProviderHttp:
    """One round of questions to the provider at `base_url`, ended after ROUND_TIMEOUT_S.

    https with the certificate checked; http only to this machine itself. Raises ProviderUrlRefused.
    """

    def __init__(self, base_url: str, trust: ssl.SSLContext) -> None:
        self._base = _read(base_url)
        self._trust = trust
        self._round = Deadline(ROUND_TIMEOUT_S)

    def get(self, target: str) -> Answer | TickerRefusal:
        """The port `Get`: an answer of any status with its moment, or why there is none."""
        try:
            return self._get(target)
        except TimeoutError:
            return TickerRefusal.TIMED_OUT
        except (http.client.HTTPException, OSError) as exc:
            _log.info(
                "provider unreachable", extra={"host": self._base.host, "error": type(exc).__name__}
            )
            return TickerRefusal.UNREACHABLE

    def _get(self, target: str) -> Answer | TickerRefusal:
        deadline = Deadline(min(QUESTION_TIMEOUT_S, self._round.remaining_s()))
        sock = self._connect(deadline)
        try:
            connection = http.client.HTTPConnection(self._base.host, self._base.port)
            # http.client asks no more of its socket than DeadlineSocket has.
            connection.sock = DeadlineSocket(sock, deadline)
            headers = {
                "Accept": "application/json",
                "User-Agent": _USER_AGENT,
                "Connection": "close",
            }
            connection.request("GET", self._base.path + target, headers=headers)
            answer = connection.getresponse()
            body = answer.read(BODY_MAX_BYTES + 1)
            if len(body) > BODY_MAX_BYTES:
                return TickerRefusal.TOO_LARGE
            if 300 <= answer.status < 400:
                return TickerRefusal.REDIRECTED
            at = moment(answer.getheader("Date"), answer.getheader("Age"))
            return TickerRefusal.NO_TIME if at is None else Answer(answer.status, body, at)
        finally:
            sock.close()

    def _connect(self, deadline: Deadline) -> socket.socket:
        timeout_s = min(CONNECT_TIMEOUT_S, deadline.remaining_s())
        sock = socket.create_connection((self._base.host, self._base.port), timeout=timeout_s)
        if not self._base.secure:
            return sock
        try:
            sock.settimeout(min(CONNECT_TIMEOUT_S, deadline.remaining_s()))
            return self._trust.wrap_socket(sock, server_hostname=self._base.host)
        except BaseException:
            sock.close()
            raise


def moment(date: str | None, age: str | None) -> datetime | None:
    """When an answer was made: its Date (RFC 9110, 6.6.1) less its Age (RFC 9111, 5.1). At worst
    too early: a cache may say both. None where either cannot be read.
    """
    age = age or "0"
    if date is None or not (age.isascii() and age.isdigit() and len(age) <= _AGE_MAX_DIGITS):
        return None
    try:
        at = parsedate_to_datetime(date)
        if at.tzinfo is None:
            return None
        return at.astimezone(UTC) - timedelta(seconds=int(age))
    except ValueError:
        return None


def _read(base_url: str) -> _Base:
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError as exc:
        raise ProviderUrlRefused("a provider's base URL is malformed") from exc
    host = parts.hostname or ""
    plain = parts.username is None and not parts.query and not parts.fragment
    if not host or not plain or parts.scheme not in ("http", "https"):
        raise ProviderUrlRefused("a provider's base URL is malformed")
    secure = parts.scheme == "https"
    if not secure and not _this_machine(host):
        raise ProviderUrlRefused("a provider is asked by https", host=host)
    return _Base(secure, host, port or (443 if secure else 80), parts.path.rstrip("/"))


def _this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
