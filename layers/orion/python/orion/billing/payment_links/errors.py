"""Conditions of payment links that a merchant or a visitor can act on."""

from orion.errors import OrionError, Retry


class PaymentLinkNotFound(OrionError):
    """No payment link of this id, or not this merchant's."""

    code = "payment_link_not_found"


class PaymentLinkInactive(OrionError):
    """The merchant has switched the link off."""

    code = "payment_link_inactive"


class PaymentLinkEnded(OrionError):
    """The link's last moment has passed."""

    code = "payment_link_ended"


class PaymentLinkUsedUp(OrionError):
    """All places of the link are taken. One may be given back when an invoice expires."""

    code = "payment_link_used_up"
    retry = Retry.LATER


class PaymentLinkBusy(OrionError):
    """`limit` invoices of the link wait to be paid. One may be paid, or end, within
    `retry_after_s`.
    """

    code = "payment_link_busy"
    retry = Retry.LATER


class PaymentLinkEndPassed(OrionError):
    """The end that was asked for is not in the future."""

    code = "payment_link_end_passed"


class AmountBoundsRefused(OrionError):
    """Bounds beside a fixed amount, or a minimum above the maximum."""

    code = "amount_bounds_refused"


class AmountOutOfBounds(OrionError):
    """An amount that a visitor typed lies outside the link's bounds."""

    code = "amount_out_of_bounds"
