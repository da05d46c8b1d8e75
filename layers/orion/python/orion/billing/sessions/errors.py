"""Conditions of checkout sessions that a merchant can act on."""

from orion.errors import OrionError


class CheckoutSessionNotFound(OrionError):
    """No checkout session of this id, or not this merchant's."""

    code = "checkout_session_not_found"
