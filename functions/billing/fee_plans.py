"""Invoked by operators: fee plans of merchants and lanes, and who referred whom."""

from collections.abc import Mapping

from orion.runtime.fees import fee_plans


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return fee_plans(event)
