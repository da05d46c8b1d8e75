"""Orion-Pay's public API in Python: typed, with safe repetitions and webhook verification."""

from orion_client import shapes, webhooks
from orion_client.client import Client
from orion_client.errors import (
    ApiError,
    BadRequest,
    Conflict,
    Forbidden,
    IdempotencyKeyInFlight,
    IdempotencyKeyReused,
    InvoiceNotCancellable,
    InvoiceNotFound,
    NoAnswer,
    NotFound,
    NotSent,
    OrionError,
    RateLimited,
    RateUnavailable,
    ServerError,
    Unauthorized,
    Unprocessable,
    UnreadableAnswer,
    WebhookUrlRefused,
)
from orion_client.events import EventBatch
from orion_client.resources import UNSET
from orion_client.retrying import Retries
from orion_client.webhooks import UnusableSecret, WebhookEvent, WebhookRefused

__all__ = [
    "UNSET",
    "ApiError",
    "BadRequest",
    "Client",
    "Conflict",
    "EventBatch",
    "Forbidden",
    "IdempotencyKeyInFlight",
    "IdempotencyKeyReused",
    "InvoiceNotCancellable",
    "InvoiceNotFound",
    "NoAnswer",
    "NotFound",
    "NotSent",
    "OrionError",
    "RateLimited",
    "RateUnavailable",
    "Retries",
    "ServerError",
    "Unauthorized",
    "Unprocessable",
    "UnreadableAnswer",
    "UnusableSecret",
    "WebhookEvent",
    "WebhookRefused",
    "WebhookUrlRefused",
    "shapes",
    "webhooks",
]
