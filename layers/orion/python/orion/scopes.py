"""What an API key may be allowed to do. Routes ask for one of these, keys carry some of them."""

from enum import StrEnum


class Scope(StrEnum):
    """The name is `<thing>:<deed>`; a key without the scope of a route is refused with
    `forbidden_scope`.
    """

    KEYS_WRITE = "keys:write"
    RATES_WRITE = "rates:write"
    WEBHOOKS_WRITE = "webhooks:write"
    INVOICES_WRITE = "invoices:write"
    INVOICES_READ = "invoices:read"
    BALANCES_READ = "balances:read"
