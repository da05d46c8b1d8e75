"""Composition of the log module (`orion.runtime.log` is every process's logger)."""

import logging
import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache

import boto3

from orion.adapters.aws.segments import S3SegmentStore
from orion.log.service import AuditBook
from orion.runtime.kafka import partitions
from orion.runtime.log import logger
from orion.runtime.settings import AWS_CLIENT, MissingSetting

_log = logging.getLogger(__name__)


@cache
def book() -> AuditBook:
    """The audit book in the bucket that the deployment names, built once a process."""
    bucket = os.environ.get("ORION_AUDIT_BUCKET")
    if not bucket:
        raise MissingSetting("the environment variable ORION_AUDIT_BUCKET is not set")
    return AuditBook(S3SegmentStore(boto3.client("s3", config=AWS_CLIENT), bucket))


def write_audit(event: Mapping[str, object]) -> Mapping[str, int]:
    """Keep the records of `audit.events`, each partition by itself; one log line a batch.

    Refused records are kept with their reason, counted in the answer and logged as an error.
    """
    logger()
    new = refused = 0
    for records in partitions(event):
        written = book().record(records)
        new += written.new
        refused += written.refused
        level = logging.ERROR if written.refused else logging.INFO
        _log.log(level, "audit batch kept", extra=asdict(written))
    return {"new": new, "refused": refused}
