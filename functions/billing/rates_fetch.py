"""Asks the exchanges for their tickers. Runs outside the network."""

from collections.abc import Mapping

from orion.runtime import rates_fetch


def handler(event: Mapping[str, object], context: object) -> Mapping[str, int]:
    """Run by the schedule, every minute."""
    return rates_fetch.fetch()
