"""The functions of billing that merchants, customers and their invoices need."""

from infra.cloud.function_row import (
    API_TIMEOUT_S,
    FunctionRow,
    KafkaTrigger,
    Layer,
    QueueTrigger,
    api,
    in_stack,
    relay,
)

# What writes an invoice's addresses and payment links needs each chain's own encoding.
INVOICES: tuple[Layer, ...] = ("orion", "base", "ethereum")
# An attempt ends after 8 s; the queue's visibility follows from this, and from both how long an
# answer may take (orion.billing.delivery, ANSWER_WITHIN).
WEBHOOK_TIMEOUT_S = 20

# From the event that is committed to the answer of a merchant's server.
WEBHOOKS: tuple[FunctionRow, ...] = in_stack(
    "webhooks",
    # Talks to strangers: no VPC, no database, no Kafka.
    FunctionRow(
        "billing",
        "webhook_sender",
        in_vpc=False,
        timeout_s=WEBHOOK_TIMEOUT_S,
        sends=("webhook-results",),
        decrypts=("webhook-secrets",),
        queue=QueueTrigger("webhooks", 1, 100),
    ),
    FunctionRow(
        "billing",
        "webhook_sender_slow",
        in_vpc=False,
        timeout_s=WEBHOOK_TIMEOUT_S,
        sends=("webhook-results",),
        decrypts=("webhook-secrets",),
        queue=QueueTrigger("webhooks-slow", 1, 50),
    ),
    FunctionRow(
        "billing",
        "webhook_dispatch",
        mysql=("billing",),
        sends=("outbox-billing",),
        queue=QueueTrigger("webhook-dispatch", 10, 5, reports_item_failures=True),
    ),
    FunctionRow("billing", "event_positions", mysql=("billing",), every_minute=True),
    FunctionRow(
        "billing",
        "webhook_results",
        mysql=("billing",),
        sends=("outbox-billing",),
        queue=QueueTrigger("webhook-results", 10, 5, reports_item_failures=True),
    ),
    FunctionRow(
        "billing", "webhook_due", mysql=("billing",), sends=("outbox-billing",), every_minute=True
    ),
)

# The WebSocket API's functions; the API itself is in the same stack (infra/cloud/sockets.py).
SOCKETS: tuple[FunctionRow, ...] = in_stack(
    "sockets",
    # Called by the WebSocket API when a page connects or leaves: anybody may, so what is reserved
    # keeps it from using up what consumers and relays need.
    FunctionRow(
        "billing",
        "sockets",
        timeout_s=API_TIMEOUT_S,
        reserved={None: 30},
        mysql=("billing",),
    ),
    # Calls the gateway's public side: no VPC, no database, no Kafka.
    FunctionRow(
        "billing",
        "socket_poster",
        in_vpc=False,
        timeout_s=30,
        sends=("socket-gone",),
        posts_to_sockets=True,
        queue=QueueTrigger("socket-messages", 10, 20, reports_item_failures=True),
    ),
    FunctionRow(
        "billing",
        "socket_gone",
        mysql=("billing",),
        queue=QueueTrigger("socket-gone", 10, 2, reports_item_failures=True),
        every_minute=True,
    ),
)

BILLING: tuple[FunctionRow, ...] = (
    api(
        "billing",
        "api",
        layers=INVOICES,
        standard=120,
        vip=60,
        mysql=("billing",),
        sends=("outbox-billing",),
        encrypts=("webhook-secrets",),
    ),
    api(
        "billing",
        "checkout",
        layers=INVOICES,
        standard=60,
        vip=30,
        mysql=("billing",),
        carries=("web/checkout", "web/shared"),
    ),
    # Visitors of payment links: a form, and the invoice that it makes.
    api(
        "billing",
        "pay",
        layers=INVOICES,
        standard=40,
        vip=20,
        mysql=("billing",),
        sends=("outbox-billing",),
        carries=("web/pay", "web/shared"),
    ),
    # Long answers that only read, apart from those that make: neither starves the other.
    api(
        "billing",
        "reports",
        standard=20,
        vip=10,
        memory_mb=1024,
        mysql=("billing", "statements"),
    ),
    # Files only: no database, no network of ours.
    api(
        "billing",
        "merchant_pages",
        standard=20,
        vip=10,
        in_vpc=False,
        carries=("web/merchant", "web/shared"),
    ),
    FunctionRow(
        "billing",
        "deposits",
        layers=INVOICES,
        mysql=("billing",),
        sends=("outbox-billing",),
        topics=(KafkaTrigger("moneyin.deposits", "billing", 100),),
    ),
    FunctionRow(
        "billing",
        "ledger_posted",
        layers=INVOICES,
        mysql=("billing",),
        sends=("outbox-billing",),
        topics=(KafkaTrigger("ledger.posted", "billing", 10),),
    ),
    *WEBHOOKS,
    FunctionRow(
        "billing",
        "expiry",
        layers=INVOICES,
        mysql=("billing",),
        sends=("outbox-billing",),
        every_minute=True,
    ),
    # Asks exchanges, strangers: no VPC, no database, no Kafka.
    FunctionRow("billing", "rates_fetch", in_vpc=False, sends=("rate-results",), every_minute=True),
    FunctionRow(
        "billing",
        "rate_results",
        mysql=("billing",),
        queue=QueueTrigger("rate-results", 10, 2, reports_item_failures=True),
    ),
    *SOCKETS,
    # Plans and referrals, set by operators.
    FunctionRow("billing", "fee_plans", mysql=("billing",), sends=("outbox-billing",)),
    relay(
        "billing",
        "outbox_relay",
        "billing",
        sends=("webhooks", "webhooks-slow", "webhook-dispatch", "socket-messages"),
    ),
)
