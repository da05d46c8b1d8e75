"""Fills the address pool with what kms derived."""

from collections.abc import Mapping

from orion.runtime import moneyin


def handler(event: Mapping[str, object], context: object) -> Mapping[str, int]:
    """One batch of the event source mapping of `wallet.addresses`."""
    return moneyin.addresses(event)
