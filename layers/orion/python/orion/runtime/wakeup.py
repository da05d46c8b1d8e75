"""The empty message that tells a relay to look at its outbox. A lost one costs only delay."""

import logging
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from orion.runtime.settings import AWS_CLIENT, stage

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

_log = logging.getLogger(__name__)


@cache
def sqs() -> "SQSClient":
    """One client a process."""
    return boto3.client("sqs", config=AWS_CLIENT)


@cache
def queue_url(purpose: str) -> str:
    """The URL of `orion-<stage>-<purpose>`."""
    return sqs().get_queue_url(QueueName=f"orion-{stage()}-{purpose}")["QueueUrl"]


def wake(module: str) -> None:
    """Wake the relay of `module`. Never fails: the rows are stored, and the schedule finds them
    within a minute.
    """
    try:
        sqs().send_message(QueueUrl=queue_url(f"outbox-{module}"), MessageBody="{}")
    except (BotoCoreError, ClientError) as exc:
        _log.warning("wake-up lost", extra={"woken": module, "error": type(exc).__name__})
