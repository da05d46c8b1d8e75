"""Records what the webhook senders answered."""

from collections.abc import Mapping

from orion.runtime import webhooks


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """One batch of the queue `webhook-results`; failed messages are named
    (ReportBatchItemFailures).
    """
    return webhooks.results(event)
