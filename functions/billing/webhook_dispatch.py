"""Hands webhooks to the senders as far as their endpoints' shares allow."""

from collections.abc import Mapping

from orion.runtime import webhooks


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """One batch of the queue `webhook-dispatch`; failed messages are named
    (ReportBatchItemFailures).
    """
    return webhooks.dispatch(event)
