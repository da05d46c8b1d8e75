"""Composition of the log book: its writer, its readers, and the proofs that come out of it."""

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache

import boto3

from orion.adapters.aws.ledger_book import S3LedgerBook
from orion.adapters.aws.p256_signer import KmsP256Signer
from orion.adapters.mysql.ledger_places import MySqlTransferPlaces
from orion.adapters.mysql.session import Database
from orion.log.ledger_book.proving import NotInLogBook, prove
from orion.log.ledger_book.reading import LedgerBookReader
from orion.log.ledger_book.service import LedgerBook
from orion.runtime.body import Body, MalformedField, UnknownField
from orion.runtime.kafka import each_partition
from orion.runtime.log import logger
from orion.runtime.operator_calls import Answer, typed
from orion.runtime.settings import AWS_CLIENT, MissingSetting, mysql_config, stage

_TRANSFER_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_log = logging.getLogger(__name__)


@cache
def segments() -> S3LedgerBook:
    """The segments in the bucket that the deployment names."""
    bucket = os.environ.get("ORION_LEDGER_BOOK_BUCKET")
    if not bucket:
        raise MissingSetting("the environment variable ORION_LEDGER_BOOK_BUCKET is not set")
    return S3LedgerBook(boto3.client("s3", config=AWS_CLIENT), bucket)


@cache
def root_key() -> KmsP256Signer:
    """The key of the stage that signs roots. Whoever only reads may ask for its public half."""
    kms = boto3.client("kms", config=AWS_CLIENT)
    return KmsP256Signer(kms, f"alias/orion/{stage()}/ledger-roots")


@cache
def reader() -> LedgerBookReader:
    """The log book for reading, built once a process."""
    return LedgerBookReader(stage(), segments(), root_key())


@cache
def _book() -> LedgerBook:
    return LedgerBook(stage(), segments(), root_key())


@cache
def _places() -> MySqlTransferPlaces:
    return MySqlTransferPlaces(Database(mysql_config("log", "orion_log", direct=False)))


def write_segments(event: Mapping[str, object]) -> Mapping[str, int]:
    """Keep the records of `ledger.posted`, one log line a shard. What fails stops its partition
    alone, and only after the others were written.
    """
    logger()
    written = [kept for batch in each_partition(event, _book().record) for kept in batch]
    for kept in written:
        _log.info("segments kept", extra=asdict(kept))
    return {
        "new": sum(kept.new for kept in written),
        "entries": sum(kept.entries for kept in written),
        "segments": sum(kept.segments for kept in written),
    }


def prove_transfer(event: Mapping[str, object]) -> Mapping[str, object]:
    """Answer `{"transfer_id": "32 hex"}`: `{"outcome": "proven", "proof": {…}}`.

    What the same call gets again now comes back as `refused` with its code; what may pass at once
    is raised.
    """
    return typed("proof", lambda: _proven(event), refusals=(NotInLogBook,))


def _proven(event: Mapping[str, object]) -> Answer:
    for name in event:
        if name != "transfer_id":
            raise UnknownField("this request has no such field", field=name[:80])
    identity = Body(event).text("transfer_id", max_length=32)
    if not _TRANSFER_ID.fullmatch(identity):
        raise MalformedField("an id is 32 hexadecimal digits", field="transfer_id")
    proof = prove(reader(), root_key(), _places(), bytes.fromhex(identity))
    _log.info("transfer proven", extra={"transfer": identity})
    return {"outcome": "proven", "proof": proof.body()}
