"""What answers hold, as plain dictionaries with types. Money and rates are decimal text: read them
with `decimal.Decimal`, never with `float`. Moments are RFC 3339 texts in UTC.

Members that this version does not know yet are in the dictionaries too.
"""

from typing import Any, Generic, TypedDict, TypeVar

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


class RateLock(TypedDict):
    """Where a rate came from, and when it was observed."""

    source: str
    providers: list[str]
    path: list[str]
    spread_bps: int
    observed_at: str


class PaymentOption(TypedDict):
    """One way to pay an invoice: amounts in coins, `rate` in the invoice's currency. `paid` is in
    blocks, `unconfirmed` is not, `remaining` is what is still asked for.
    """

    asset: str
    chain: str
    address: str
    amount: str
    paid: str
    unconfirmed: str
    remaining: str
    rate: str
    rate_lock: RateLock | None
    payment_link: str


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


class Refund(TypedDict):
    """What was sent back."""

    id: str
    asset: str
    amount: str
    at: str


class Invoice(TypedDict):
    """An invoice as its merchant sees it."""

    id: str
    status: str
    amount: str
    currency: str
    customer_fee: str
    reference: str | None
    metadata: dict[str, str]
    tolerance_bps: int
    created_at: str
    expires_at: str
    cancelled_at: str | None
    success_url: str | None
    cancel_url: str | None
    language: str | None
    checkout_url: str
    payment_options: list[PaymentOption]
    deposits: list[Deposit]
    deposits_count: int
    refunds: list[Refund]
    refunds_count: int
    cause: Cause
    payment_link_id: str | None
    session_id: str | None


class FixedRate(TypedDict):
    """Your own price of one whole coin."""

    asset: str
    currency: str
    rate: str


class Rate(TypedDict):
    """What an invoice made now would lock; without a rate `code` and `reason` say why."""

    asset: str
    currency: str
    rate: str | None
    rate_lock: RateLock | None
    house_rate: str | None
    code: str | None
    reason: str | None


class RateSettings(TypedDict):
    """Sources in the order in which they are asked, and the spread on the market's rate."""

    sources: list[str]
    spread_bps: int


class Settings(TypedDict):
    """What new invoices take where their request says nothing."""

    tolerance_bps: int
    expires_in_s: int


class InvoiceChange(TypedDict):
    """One step of an invoice, numbered from 1; equal statuses report a further payment."""

    number: int
    from_status: str | None
    to_status: str
    cause: Cause


# Written as calls: `from` is a word of Python's own.
FeeTier = TypedDict("FeeTier", {"from": str, "bps": int})
FeeTier.__doc__ = "From which volume on, which part of a payment."


class FeePlan(TypedDict):
    """What a payment costs, and who pays it."""

    v: int
    name: str
    currency: str
    tiers: list[FeeTier]
    fixed: dict[str, Any]
    payer: str
    referral_bps: int
    reporting: dict[str, Any]


Fees = TypedDict(
    "Fees",
    {
        "plan": FeePlan | None,
        "subject": str | None,
        "bps": int | None,
        "volume": str | None,
        "unvalued": int | None,
        "currency": str | None,
        "from": str | None,
        "to": str | None,
        "referred_by": str | None,
    },
)
Fees.__doc__ = "The plan in force, and the volume that chose its tier; None is unknown, not zero."


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
    lane: str
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
    outcome: str
    status: int | None
    error: str | None
    answer: str | None


class Delivery(TypedDict):
    """One event on its way to one endpoint."""

    id: str
    event_id: str
    event_type: str
    endpoint_id: str
    state: str
    attempt: int
    next_attempt_at: str | None
    last_status: int | None
    last_error: str | None
    created_at: str
    finished_at: str | None


class LoggedDelivery(Delivery):
    """A delivery with its attempts, the last 30 days of them."""

    attempts: list[Attempt]


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
    expires_in_s: int | None
    use_limit: int | None
    uses: int | None
    ends_at: str | None
    active: bool
    status: str
    success_url: str | None
    metadata: dict[str, str]
    created_at: str
    updated_at: str


class CheckoutSession(TypedDict):
    """One purchase: an invoice, and where the customer goes afterwards."""

    id: str
    status: str
    url: str
    invoice_id: str
    invoice_status: str
    amount: str
    currency: str
    assets: list[str]
    success_url: str | None
    cancel_url: str | None
    client_reference: str | None
    metadata: dict[str, str]
    created_at: str
    expires_at: str


class Payment(TypedDict):
    """A deposit to one of the merchant's invoices."""

    id: str
    invoice_id: str
    reference: str | None
    asset: str
    chain: str
    amount: str
    currency: str
    rate: str | None
    txid: str
    state: str
    confirmations: int
    confirmations_required: int
    credited: bool
    first_seen_at: str
    block_time: str | None


class StatementLine(TypedDict):
    """One posted change of an account's balance."""

    posted_at: str
    transfer_id: str
    code: str
    kind: str
    direction: str
    amount: str
    balance_before: str
    balance_after: str
    movable_after: str
    cause: dict[str, Any]


class Statement(TypedDict):
    """A page of lines; balances are None where nothing of the log is known."""

    asset: str
    account: str
    order: str
    complete_through: str | None
    opening_balance: str | None
    closing_balance: str | None
    data: list[StatementLine]
    next_cursor: str | None
