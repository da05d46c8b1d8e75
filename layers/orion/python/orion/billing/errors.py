"""Conditions of billing that a caller can act on. Amounts have theirs in `orion.money`."""

from orion.errors import OrionError, Retry


class UnknownCurrency(OrionError):
    """Not a fiat currency of the registry."""

    code = "unknown_currency"


class RateUnavailable(OrionError):
    """The merchant has no rate for an asset in the invoice's currency. Nothing is guessed."""

    code = "rate_unavailable"


class NoAddressAvailable(OrionError):
    """The pool of wallets is empty for the moment."""

    code = "no_address_available"
    retry = Retry.LATER


class InvoiceNotFound(OrionError):
    """No invoice of this id, or not this merchant's."""

    code = "invoice_not_found"


class LimitOutOfRange(OrionError):
    """A page size, a length or a duration outside its bounds."""

    code = "limit_out_of_range"


class CursorMalformed(OrionError):
    """A cursor that no page of this API ended with."""

    code = "cursor_malformed"


class WebhookUrlRefused(OrionError):
    """A URL that the sender would not call."""

    code = "webhook_url_refused"


class UnknownEventType(OrionError):
    """An event type that no invoice causes."""

    code = "unknown_event_type"


class TooManyEndpoints(OrionError):
    """The merchant has as many webhook endpoints as are served."""

    code = "webhook_endpoint_limit"


class DepositOfUnknownInvoice(OrionError):
    """A deposit event names an invoice that is not stored: two databases disagree."""

    code = "deposit_of_unknown_invoice"


class RefundOfUnknownInvoice(OrionError):
    """A posted refund names an invoice that is not stored: two databases disagree."""

    code = "refund_of_unknown_invoice"


class InvoiceNotCancellable(OrionError):
    """Something was paid already, or the invoice's time is over."""

    code = "invoice_not_cancellable"


class IllegalTransition(OrionError):
    """A change of status that no sequence of facts can cause."""

    code = "illegal_transition"


class UnknownDelivery(OrionError):
    """The sender answered about a delivery that is not stored."""

    code = "unknown_delivery"


class EndpointNotFound(OrionError):
    """No webhook endpoint of this id, or not this merchant's."""

    code = "webhook_endpoint_not_found"


class EndpointDisabled(OrionError):
    """Nothing is sent to an endpoint that is disabled or deleted."""

    code = "webhook_endpoint_disabled"


class EndpointClosing(OrionError):
    """What waited when the endpoint was disabled is still being given up. Retry in a minute."""

    code = "webhook_endpoint_closing"
    retry = Retry.LATER


class DeliveryNotFound(OrionError):
    """No delivery of this id, or not this merchant's."""

    code = "webhook_delivery_not_found"


class DeliveryUnderWay(OrionError):
    """The delivery is with the sender, or held behind an earlier one."""

    code = "webhook_delivery_under_way"


class AttemptLimit(OrionError):
    """A delivery that was tried as often as one may be."""

    code = "webhook_attempt_limit"


class EventNotFound(OrionError):
    """No event of this id, or not this merchant's."""

    code = "event_not_found"
