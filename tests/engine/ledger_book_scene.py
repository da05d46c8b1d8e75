"""A log book on a real S3 and KMS API: a versioned bucket under Object Lock, and a key."""

import http.client
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import boto3

from orion.adapters.aws.ledger_book import S3LedgerBook
from orion.adapters.aws.p256_signer import KmsP256Signer
from orion.ledger.transfer_record import PostedRecord
from orion.log.ledger_book.checking import Fault
from orion.log.ledger_book.model import segment_key
from orion.log.ledger_book.reading import Checked, LedgerBookReader
from orion.log.ledger_book.service import LedgerBook, Written
from orion.records import Record
from tests.unit.ledger_book_records import value

TOPIC = "ledger.posted"


@dataclass
class Scene:
    """One stage: its bucket and its key."""

    engine: Any
    s3: Any
    kms: Any
    stage: str = field(default_factory=lambda: f"t{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        self.bucket = f"orion-{self.stage}-ledger-book"
        where = {"LocationConstraint": self.engine.region}
        elsewhere = self.engine.region != "us-east-1"  # The one region that must not be named.
        self.s3.create_bucket(
            Bucket=self.bucket,
            ObjectLockEnabledForBucket=True,
            **({"CreateBucketConfiguration": where} if elsewhere else {}),
        )
        rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3_653}}
        self.s3.put_object_lock_configuration(
            Bucket=self.bucket,
            ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule},
        )
        self.alias = f"alias/orion/{self.stage}/ledger-roots"
        self.new_key("ECC_NIST_P256", self.alias)

    def new_key(self, spec: str, alias: str) -> None:
        made = self.kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
        self.kms.create_alias(AliasName=alias, TargetKeyId=made)

    def store(self, names_a_call: int = 1_000) -> S3LedgerBook:
        return S3LedgerBook(self.s3, self.bucket, names_a_call=names_a_call)

    def signer(self) -> KmsP256Signer:
        return KmsP256Signer(self.kms, self.alias)

    def book(self) -> LedgerBook:
        """A writer that remembers nothing yet, as a new process has it."""
        return LedgerBook(self.stage, self.store(), self.signer())

    def reader(self, names_a_call: int = 1_000) -> LedgerBookReader:
        return LedgerBookReader(self.stage, self.store(names_a_call), self.signer())

    def write(self, records: Sequence[PostedRecord], *, shard: int = 0) -> Written:
        return self.book().write(shard, records)

    def read(self, first: int = 1, last: int = 10_000, *, shard: int = 0) -> list[Checked]:
        return list(self.reader().read(shard, first, last))

    def faults(self, first: int = 1, last: int = 10_000, *, shard: int = 0) -> list[Fault]:
        return [fault for row in self.read(first, last, shard=shard) for fault in row.faults]

    def kinds(self, **where: int) -> set[str]:
        return {fault.kind.value for fault in self.faults(**where)}

    def lines(self, *, shard: int = 0) -> list[bytes]:
        """Every line of a shard's book, in order; the book must have no fault."""
        read = self.read(shard=shard)
        assert [fault for row in read for fault in row.faults] == []
        return [line for row in read if row.segment for line in row.segment.lines]

    def keys(self) -> list[str]:
        rows = self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return [row["Key"] for row in rows]

    def versions(self, first: int, shard: int = 0) -> list[str]:
        """Version ids of a segment, the newest first."""
        key = segment_key(shard, first)
        rows = self.s3.list_object_versions(Bucket=self.bucket, Prefix=key).get("Versions", [])
        return [row["VersionId"] for row in rows]

    def body(self, first: int, shard: int = 0) -> bytes:
        answer = self.s3.get_object(Bucket=self.bucket, Key=segment_key(shard, first))
        return cast(bytes, answer["Body"].read())

    def put(self, first: int, body: bytes, last: int | None = None) -> None:
        """A plain put, as nobody of the product does it."""
        key = segment_key(0, first)
        if last is None:
            head = self.s3.head_object(Bucket=self.bucket, Key=key)
            last = int(head["Metadata"]["last-number"])
        metadata = {"last-number": str(last)}
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, Metadata=metadata)

    def remove(self, first: int) -> None:
        """All versions gone, by somebody who may bypass the lock."""
        for version in self.versions(first):
            self.s3.delete_object(
                Bucket=self.bucket,
                Key=segment_key(0, first),
                VersionId=version,
                BypassGovernanceRetention=True,
            )

    def replace(self, first: int, body: bytes) -> None:
        """Another object in a segment's place, by somebody who may bypass the lock."""
        head = self.s3.head_object(Bucket=self.bucket, Key=segment_key(0, first))
        self.remove(first)
        self.put(first, body, int(head["Metadata"]["last-number"]))


def scene(engine: Any) -> Scene:
    given = engine.environment()
    login = {
        "endpoint_url": engine.url,
        "region_name": engine.region,
        "aws_access_key_id": given["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": given["AWS_SECRET_ACCESS_KEY"],
    }
    return Scene(engine, boto3.client("s3", **login), boto3.client("kms", **login))


def kafka_records(records: Sequence[PostedRecord], offset: int = 0) -> list[Record]:
    return [
        Record(TOPIC, record.shard, offset + at, str(record.shard).encode(), value(record))
        for at, record in enumerate(records)
    ]


class HoldingProxy(ThreadingHTTPServer):
    """Forwards to AWS; holds the first PUT of a segment, before AWS sees it or before its answer
    is passed on, until it is let go.
    """

    daemon_threads = True

    def __init__(self, aws_url: str, *, after: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.upstream = aws_url.removeprefix("http://")
        self.after = after
        self.reached, self.released = threading.Event(), threading.Event()
        self.signed = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def hold(self) -> None:
        self.reached.set()
        self.released.wait(timeout=30)


class _Forward(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # Else a client waits a second for "100 Continue".

    def _forward(self) -> None:
        proxy = cast(HoldingProxy, self.server)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        proxy.signed += self.headers.get("X-Amz-Target") == "TrentService.Sign"
        held = self.command == "PUT" and "/segments/" in self.path
        if held and not proxy.after:
            proxy.hold()
            self.close_connection = True
            return
        upstream = http.client.HTTPConnection(proxy.upstream, timeout=20)
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        if held:
            proxy.hold()
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, given in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, given)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = _forward  # noqa: N815 - As http.server wants them named.
    do_POST = _forward  # noqa: N815
    do_PUT = _forward  # noqa: N815
    do_HEAD = _forward  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Nothing: the test looks at what was held."""


@contextmanager
def holding(aws_url: str, *, after: bool) -> Iterator[HoldingProxy]:
    proxy = HoldingProxy(aws_url, after=after)
    try:
        yield proxy
    finally:
        proxy.released.set()
        proxy.shutdown()
        proxy.server_close()
