"""What answers hold, as plain dictionaries with types. Money and rates are decimal text: read them
with `decimal.Decimal`, never with `float`. Moments are RFC 3339 texts in UTC.

Members that this version does not know yet are in the dictionaries too.
"""

from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar

T = TypeVar("T")


class Page(TypedDict, Generic[T]):
    """One page of a list; `next_cursor` is None on the last."""

    data: list[T]
    next_cursor: str | None


class Merchant(TypedDict):
    """`api_key` is None when the answer is a repeated one: it is shown once."""

    id: str
    name: str
    lane: str
    api_key: str | None


class ApiKey(TypedDict):
    """A key without its secret."""

    id: str
    name: str
    scopes: list[str]
    created_at: str


class NewApiKey(ApiKey):
    """`api_key` is None when the answer is a repeated one: it is shown once."""

    api_key: str | None


class Cause(TypedDict):
    """Why something is as it is."""

    type: str
    at: str
    trace_id: str


class PaymentOption(TypedDict):
    """One way to pay an invoice; `amount`, `paid` in coins, `rate` in the invoice's currency."""

    asset: str
    chain: str
    address: str
    amount: str
    paid: str
    rate: str
    payment_link: str
    rate_lock: NotRequired[dict[str, Any]]


class Deposit(TypedDict):
    """A payment to an invoice, as the invoice shows it."""

    id: str
    asset: str
    amount: str
    txid: str
    state: str
    confirmations: int
    confirmations_required: int
    credited: bool


class Invoice(TypedDict):
    """An invoice as its merchant sees it."""

    id: str
    status: str
    amount: str
    currency: str
    reference: str | None
    created_at: str
    expires_at: str
    checkout_url: str
    payment_options: list[PaymentOption]
    deposits: list[Deposit]
    cause: Cause


class Balance(TypedDict):
    """`settling` is credited but not final yet."""

    asset: str
    settling: str
    available: str
    total: str


class WebhookEndpoint(TypedDict):
    """Where events are sent."""

    id: str
    url: str
    events: list[str]
    enabled: bool
    disabled_reason: str | None
    disabled_at: str | None
    failing_since: str | None
    previous_secret_expires_at: str | None
    created_at: str


class NewWebhookEndpoint(WebhookEndpoint):
    """`secret` is None when the answer is a repeated one: it is shown once."""

    secret: str | None


class RotatedSecret(TypedDict):
    """Until `previous_secret_expires_at` both secrets sign; then only this one."""

    id: str
    secret: str | None
    previous_secret_expires_at: str | None


class TestEventSent(TypedDict):
    """What a test sends, and by which delivery."""

    event_id: str
    delivery_id: str


class Attempt(TypedDict):
    """One attempt of a delivery; `answer` is the beginning of what the receiver said."""

    attempt: int
    at: str
    duration_ms: int | None
    outcome: Literal["delivered", "failed", "refused"]
    status: int | None
    error: str | None
    answer: str | None


class Delivery(TypedDict):
    """One event on its way to one endpoint."""

    id: str
    event_id: str
    event_type: str
    endpoint_id: str
    state: Literal["held", "waiting", "queued", "delivered", "given_up"]
    attempt: int
    next_attempt_at: str | None
    last_status: int | None
    last_error: str | None
    created_at: str
    finished_at: str | None
    attempts: NotRequired[list[Attempt]]


class Event(TypedDict):
    """Something that happened; `data` is the object as it was then."""

    id: str
    type: str
    timestamp: str
    position: int
    data: dict[str, Any]


class EventPage(TypedDict):
    """`next_cursor` is always there: keep it, and go on from it."""

    data: list[Event]
    next_cursor: str
    has_more: bool


class PaymentLink(TypedDict):
    """A reusable address; `amount` None lets the customer choose within the bounds."""

    id: str
    url: str
    title: str
    currency: str
    assets: list[str]
    amount: str | None
    min_amount: str | None
    max_amount: str | None
    expires_in_s: int
    use_limit: int | None
    uses: int | None
    ends_at: str | None
    active: bool
    status: Literal["active", "inactive", "ended", "used_up"]
    success_url: str | None
    metadata: dict[str, str]
    created_at: str


class CheckoutSession(TypedDict):
    """One purchase: an invoice, and where the customer goes afterwards."""

    id: str
    invoice_id: str
    url: str
    status: Literal["open", "complete", "expired"]
    amount: str
    currency: str
    success_url: str
    cancel_url: str | None
    client_reference: str | None
    metadata: dict[str, str]
    created_at: str


class Payment(TypedDict):
    """A deposit to one of the merchant's invoices."""

    id: str
    invoice_id: str
    asset: str
    amount: str
    txid: str
    state: str
    first_seen_at: str


class StatementLine(TypedDict):
    """One posted change of an account's balance."""

    posted_at: str
    code: str
    direction: Literal["credit", "debit"]
    amount: str
    balance_before: str
    balance_after: str


class Statement(TypedDict):
    """A page of lines; balances are None where nothing of the log is known."""

    data: list[StatementLine]
    opening_balance: str | None
    closing_balance: str | None
    complete_through: str | None
    next_cursor: str | None
