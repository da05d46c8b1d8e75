"""The client: one API key, one base URL, all routes."""

import ssl
from types import TracebackType
from typing import Self

import httpx

from orion_client.account import ApiKeys, Description, Merchants, Settings
from orion_client.errors import NotSent
from orion_client.events import Events, WebhookDeliveries, WebhookEndpoints
from orion_client.money import Balances, Exports, Fees, Payments, Rates, Statements
from orion_client.retrying import Retries
from orion_client.selling import CheckoutSessions, Invoices, PaymentLinks
from orion_client.transport import TIMEOUT_S, Transport, checked_base_url


class Client:
    """All routes of one Orion-Pay stage as one merchant. Close it, or use it as a context.

    `base_url` is https (http to this machine only). `language` is that of problems: en, zh, ja, nl.
    Raises NotSent for an address or key that cannot be one.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        retries: Retries | None = None,
        language: str = "en",
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        if api_key is not None and not all("!" <= letter <= "~" for letter in api_key):
            raise NotSent("an API key is visible ASCII")
        # No environment: a proxy or a .netrc must not decide where a key goes.
        self._http = httpx.Client(timeout=TIMEOUT_S, trust_env=False, verify=verify)
        transport = Transport(
            checked_base_url(base_url), api_key, retries or Retries(), self._http, language
        )
        self.merchants = Merchants(transport)
        self.api_keys = ApiKeys(transport)
        self.settings = Settings(transport)
        self.description = Description(transport)
        self.invoices = Invoices(transport)
        self.payment_links = PaymentLinks(transport)
        self.checkout_sessions = CheckoutSessions(transport)
        self.balances = Balances(transport)
        self.fees = Fees(transport)
        self.rates = Rates(transport)
        self.payments = Payments(transport)
        self.statements = Statements(transport)
        self.exports = Exports(transport)
        self.events = Events(transport)
        self.webhook_endpoints = WebhookEndpoints(transport)
        self.webhook_deliveries = WebhookDeliveries(transport)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
