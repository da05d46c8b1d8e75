"""Keeps the records of `audit.events` in the audit book."""

from collections.abc import Mapping

from orion.runtime.log_module import write_audit


def handler(event: Mapping[str, object], context: object) -> Mapping[str, int]:
    """Lambda entry."""
    return write_audit(event)
