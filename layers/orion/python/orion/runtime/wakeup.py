"""The empty message that tells a relay to look at its outbox. A lost one costs only delay."""

import logging
from functools import cache as once
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from orion.runtime.cache import cache
from orion.runtime.settings import AWS_CLIENT, stage

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

# Modules with request functions: hundreds of commits a second, each of which is told.
_OFTEN = frozenset({"billing"})
_WAITS_S = 1
_log = logging.getLogger(__name__)


@once
def sqs() -> "SQSClient":
    """One client a process."""
    return boto3.client("sqs", config=AWS_CLIENT)


@once
def queue_url(purpose: str) -> str:
    """The URL of `orion-<stage>-<purpose>`."""
    return sqs().get_queue_url(QueueName=f"orion-{stage()}-{purpose}")["QueueUrl"]


def wake(module: str) -> None:
    """Wake the relay of `module`, after the commit. Never fails: the rows are stored, and the
    schedule finds them within a minute.

    Of a module that is woken often, one wake-up waits at a time: while one does (memcached says
    so), a second one would find nothing that the first will not. It is said before the message is
    sent and taken back by the relay before it looks (`woken`), so whoever reads it has committed
    before that look. Said in vain (its sender died), it leaves what is committed within _WAITS_S
    to the schedule; without memcached, every call sends.
    """
    often = module in _OFTEN
    if often:
        if cache().get(_waiting(module)) is not None:
            return
        cache().put(_waiting(module), b"1", _WAITS_S)
    try:
        sqs().send_message(QueueUrl=queue_url(f"outbox-{module}"), MessageBody="{}")
    except (BotoCoreError, ClientError) as exc:
        if often:
            cache().delete(_waiting(module))
        _log.warning("wake-up lost", extra={"woken": module, "error": type(exc).__name__})


def woken(module: str) -> None:
    """The relay of `module` runs and has not looked yet: later commits wake it again."""
    if module in _OFTEN:
        cache().delete(_waiting(module))


def _waiting(module: str) -> str:
    return f"wake-up:{module}"
