"""A million posted transfers in three books, by bulk means: no writer decides them."""

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from infra.local.stack import Stack
from orion.adapters.aws.ledger_book import S3LedgerBook
from orion.adapters.aws.p256_signer import KmsP256Signer
from orion.adapters.mysql.session import MySqlConfig
from orion.adapters.postgres.config import PostgresConfig
from orion.adapters.postgres.external_book import PostgresExternalBook
from orion.adapters.postgres.session import Database as ExternalDatabase
from orion.ledger.model import AccountKey, Code, Entry, Kind, Purpose, Transfer, bucket
from orion.ledger.posted_record import PostedRecord
from orion.log.external_book.model import Told
from orion.log.ledger_book.service import LedgerBook
from orion.records import canonical_json
from tests.bench.figures import progress

NAME = "reconciliation"
STAGE = "bench"
RECORD_ENTRIES = 700
MERCHANTS = 1_000
ASSET = "BTC.bitcoin"
_AT_ONCE = 10  # Records of one bulk statement: 7,000 rows.
_CUSTODY = AccountKey("system:bitcoin", Purpose.CUSTODY, ASSET)
_COLUMNS = (
    "shard_no, number, position, id, digest, kind, code, linked, pending_id, debit_account,"
    " credit_account, counterpart, units, cause, trace_id, posted_at"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the books are; what a process of its own needs to read one."""

    mysql: MySqlConfig
    postgres: PostgresConfig
    aws: Mapping[str, str]
    bucket: str
    key: str

    def client(self, service: str) -> Any:
        return boto3.client(service, **self.aws)  # type: ignore[call-overload]  # By its name.

    def signer(self) -> KmsP256Signer:
        return KmsP256Signer(self.client("kms"), self.key)

    def archive(self) -> S3LedgerBook:
        return S3LedgerBook(self.client("s3"), self.bucket)


def place(stack: Stack) -> Place:
    """The started engines, with a bucket and a key of their own."""
    mariadb, postgres, aws = stack.mariadb, stack.postgres, stack.ministack
    keys = aws.environment()
    session = {
        "endpoint_url": aws.url,
        "region_name": aws.region,
        "aws_access_key_id": keys["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": keys["AWS_SECRET_ACCESS_KEY"],
    }
    s3: Any = boto3.client("s3", **session)  # type: ignore[call-overload]  # Four texts.
    kms: Any = boto3.client("kms", **session)  # type: ignore[call-overload]
    name = f"book-{secrets.token_hex(6)}"
    where: Any = {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
    s3.create_bucket(Bucket=name, **(where if aws.region != "us-east-1" else {}))
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    log, auditor = mariadb.credentials("log"), postgres.credentials("book-auditor")
    return Place(
        MySqlConfig(
            mariadb.host, mariadb.port, log.username, log.password, "orion_log", mariadb.ca_pem
        ),
        PostgresConfig(
            postgres.host, postgres.port, auditor.username, auditor.password, postgres.database,
            postgres.ca_pem,
        ),
        session,
        name,
        key,
    )  # fmt: skip


def records(transfers: int) -> Iterator[PostedRecord]:
    """Credits of many merchants, 700 a record, ten records a minute."""
    merchants = [
        AccountKey(f"merchant:{number:032x}", Purpose.SETTLING, ASSET)
        for number in range(MERCHANTS)
    ]
    begun = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=12)
    for number, first in enumerate(range(0, transfers, RECORD_ENTRIES), start=1):
        entries = [
            _entry(seed, merchants[seed % MERCHANTS])
            for seed in range(first, min(first + RECORD_ENTRIES, transfers))
        ]
        moment = begun + timedelta(seconds=6 * number)
        yield PostedRecord(0, number, secrets.token_bytes(16), moment, tuple(entries))


def _entry(seed: int, merchant: AccountKey) -> Entry:
    identity = hashlib.sha256(b"%d" % seed).digest()
    cause = canonical_json(
        {"type": "deposit", "deposit_id": identity[16:].hex(), "credit_epoch": 0}
    )
    transfer = Transfer(
        identity[:16], Kind.DIRECT, Code.DEPOSIT_CREDIT, seed + 1, _CUSTODY, merchant, cause,
        identity[8:24],
    )  # fmt: skip
    return Entry(transfer, transfer.digest)


def fill(stack: Stack, where: Place, transfers: int) -> None:
    """All three books, and the ledger's counters."""
    login = stack.postgres.credentials("external-book")
    config = replace(where.postgres, user=login.username, password=login.password)
    external = PostgresExternalBook(ExternalDatabase(config))
    segments = LedgerBook(STAGE, where.archive(), where.signer())
    connection = stack.mariadb.connect()
    cursor = connection.cursor()
    cursor.execute("USE orion_ledger")
    counters: dict[AccountKey, list[int]] = {}
    waiting: list[PostedRecord] = []
    done = 0
    for record in records(transfers):
        waiting.append(record)
        for entry in record.entries:
            counters.setdefault(entry.transfer.debit, [0, 0])[0] += entry.transfer.units
            counters.setdefault(entry.transfer.credit, [0, 0])[1] += entry.transfer.units
        done += len(record.entries)
        if len(waiting) == _AT_ONCE or done == transfers:
            cursor.execute(_insert(waiting))
            connection.commit()
            external.append("ledger.posted", 0, [Told(r.number - 1, r) for r in waiting])
            segments.write(0, waiting)
            waiting = []
            if done % (20 * _AT_ONCE * RECORD_ENTRIES) == 0:
                progress(NAME, f"{done:,} transfers in three books")
    for account, (debits, credited) in counters.items():
        cursor.execute(
            "INSERT INTO account (id, owner, purpose, asset, bucket, debits_posted,"
            " debits_pending, credits_posted, credits_pending, created_at, updated_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, 0, %s, 0, NOW(6), NOW(6))",
            (account.id, account.owner, account.purpose.value, account.asset,
             bucket(account.owner), debits, credited),
        )  # fmt: skip
    cursor.execute("UPDATE shard SET next_posted = %s WHERE shard_no = 0", (record.number + 1,))
    connection.commit()
    connection.close()


def _insert(batch: Sequence[PostedRecord]) -> str:
    """One INSERT of literals that need no quoting."""
    rows = ",".join(
        f"(0,{record.number},{position},x'{entry.transfer.id.hex()}',x'{entry.digest.hex()}',"
        f"'direct','deposit_credit',0,NULL,x'{entry.transfer.debit.id.hex()}',"
        f"x'{entry.transfer.credit.id.hex()}',NULL,{entry.transfer.units},"
        f"x'{entry.transfer.cause.hex()}',x'{entry.transfer.trace_id.hex()}',"
        f"'{record.posted_at:%Y-%m-%d %H:%M:%S.%f}')"
        for record in batch
        for position, entry in enumerate(record.entries)
    )
    return f"INSERT INTO transfer ({_COLUMNS}) VALUES {rows}"
