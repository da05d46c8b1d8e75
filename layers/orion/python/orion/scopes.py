"""What an API key may be allowed to do. Routes ask for one of these, keys carry some of them."""

from enum import StrEnum


class Scope(StrEnum):
    """The name is `<thing>:<deed>`; a key without the scope of a route is refused with
    `forbidden_scope`.
    """

    KEYS_WRITE = "keys:write"
    RATES_WRITE = "rates:write"
    RATES_READ = "rates:read"
    WEBHOOKS_WRITE = "webhooks:write"
    WEBHOOKS_READ = "webhooks:read"
    EVENTS_READ = "events:read"
    INVOICES_WRITE = "invoices:write"
    INVOICES_READ = "invoices:read"
    PAYMENTS_READ = "payments:read"
    LINKS_WRITE = "links:write"
    LINKS_READ = "links:read"
    BALANCES_READ = "balances:read"
    STATEMENTS_READ = "statements:read"
    EXPORTS_READ = "exports:read"
    SETTINGS_WRITE = "settings:write"
    SETTINGS_READ = "settings:read"
