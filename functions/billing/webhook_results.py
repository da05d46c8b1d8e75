"""Records what the webhook sender answered."""

from collections.abc import Mapping

from orion.runtime import billing


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """One batch of the queue `webhook-results`; failed messages are named
    (ReportBatchItemFailures).
    """
    return billing.webhook_results(event)
