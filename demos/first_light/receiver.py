"""The shop's webhook endpoint: verifies every message with the `standardwebhooks` package and keeps
it.
"""

import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

MAX_BODY_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Received:
    """One verified message. `at` is time.monotonic() of its arrival."""

    at: float
    webhook_id: str
    type: str
    invoice_id: str
    body: dict[str, Any]


class Receiver:
    """Listens on a free port of 127.0.0.1 until closed."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.refused: list[str] = []
        self._secret: str | None = None
        receiver = self

        class Endpoint(BaseHTTPRequestHandler):
            """One request."""

            def do_POST(self) -> None:
                length = min(int(self.headers.get("content-length") or 0), MAX_BODY_BYTES)
                status = receiver.take(self.rfile.read(length), dict(self.headers.items()))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                """Keep the story's own output readable."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where to send webhooks."""
        return f"http://127.0.0.1:{self._server.server_port}/webhooks"

    def trust(self, secret: str) -> None:
        """The `whsec_…` secret that the API showed for this endpoint."""
        self._secret = secret

    def take(self, body: bytes, headers: dict[str, str]) -> int:
        """Status of one message: 204 when its signature holds, else 401."""
        at = time.monotonic()
        if self._secret is None:
            return 503
        lower = {name.lower(): value for name, value in headers.items()}
        try:
            message = Webhook(self._secret).verify(body, lower)
        except WebhookVerificationError as exc:
            self.refused.append(str(exc))
            return 401
        self.received.append(
            Received(at, lower["webhook-id"], message["type"], message["data"]["id"], message)
        )
        return 204

    def find(self, invoice_id: str, event_type: str) -> Received | None:
        """The first message of this type about this invoice."""
        return next(
            (m for m in list(self.received) if (m.invoice_id, m.type) == (invoice_id, event_type)),
            None,
        )

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)
