"""Keeps the exchanges' newest tickers."""

from collections.abc import Mapping

from orion.runtime import rates


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """One batch of the queue `rate-results`; failed messages are named
    (ReportBatchItemFailures).
    """
    return rates.results(event)
