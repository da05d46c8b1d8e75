"""Sends webhooks to those merchants' servers that answer slowly. Runs outside the network."""

from collections.abc import Mapping

from orion.runtime import webhook_sender


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """One batch of the queue `webhooks-slow`; failed messages are named
    (ReportBatchItemFailures).
    """
    return webhook_sender.send_batch(event)
