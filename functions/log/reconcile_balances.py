"""Compares what the chains hold with deposits and custody accounts, a round a call."""

from collections.abc import Mapping

from orion.runtime.balances import check_balances


def handler(event: Mapping[str, object], context: object) -> Mapping[str, str]:
    """A step of the state machine `reconciliation`, called until it answers `done`."""
    return check_balances(event)
