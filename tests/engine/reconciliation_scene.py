"""Three books of one test, filled by their own writers, with the causes that stand behind them."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

import boto3

from infra.local.mariadb import MariaDb
from infra.local.postgres import Postgres
from orion.adapters.aws.ledger_book import S3LedgerBook
from orion.adapters.aws.p256_signer import KmsP256Signer
from orion.adapters.aws.reconciled_segments import S3ReportStore, S3SegmentBook
from orion.adapters.mysql.ledger_store import MySqlLedgerStore
from orion.adapters.mysql.reconciled_causes import MySqlCauseReader
from orion.adapters.mysql.reconciled_ledger import MySqlLedgerReader
from orion.adapters.mysql.reconciled_statements import MySqlStatementRows
from orion.adapters.mysql.reconciled_sums import MySqlLedgerSums
from orion.adapters.mysql.reconciliation_runs import MySqlRunStore
from orion.adapters.mysql.session import Database, MySqlConfig
from orion.adapters.postgres.external_book import PostgresExternalBook
from orion.adapters.postgres.reconciled_book import PostgresBookReader
from orion.adapters.postgres.session import Database as ExternalDatabase
from orion.ids import fact_id
from orion.ledger.model import bucket
from orion.ledger.transfer_record import PostedRecord, read_posted
from orion.log.external_book.model import Told
from orion.log.ledger_book.reading import LedgerBookReader
from orion.log.ledger_book.service import LedgerBook
from orion.log.reconciliation import service
from orion.log.reconciliation.model import Book, Difference, Step, run_id
from orion.log.reconciliation.planning import Scope
from orion.log.reconciliation.report import Findings
from orion.records import Record, canonical_json
from tests.engine import external_book_scene as external_scene

ASSET = "BTC.bitcoin"
STAGE = "test"
LEDGER_TABLES = (
    "transfer", "refusal", "account", "outbox", "consumer_offset", "pending", "leg", "held",
    "asset_freeze", "entry", "statement_account", "statement_cursor",
)  # fmt: skip
LOG_TABLES = (
    "run", "run_shard", "run_range", "range_book", "hour_root", "checked", "difference",
    "difference_count", "purpose_total", "incident", "outbox", "piece_read",
)  # fmt: skip
MONEYIN_TABLES = ("deposit", "deposit_history", "address", "wallet")


def merchant(number: int) -> str:
    return f"merchant:{number:032x}"


@dataclass
class Deposit:
    """A payment of `units` to a merchant's wallet, as moneyin knows it."""

    number: int
    merchant: int
    units: int
    epoch: int = 0
    state: str = "included"
    history: list[tuple[str, int, int]] = field(default_factory=list)

    @property
    def id(self) -> bytes:
        return fact_id("deposit", "bitcoin", self.txid, "out:0")

    @property
    def txid(self) -> str:
        return f"{self.number:064x}"

    def transfer(self, code: str, epoch: int | None = None) -> dict[str, object]:
        epoch = self.epoch if epoch is None else epoch
        owner = merchant(self.merchant)
        settling = {"owner": owner, "purpose": "settling"}
        available = {"owner": owner, "purpose": "available"}
        custody = {"owner": "system:bitcoin", "purpose": "custody"}
        debit, credit = {
            "deposit_credit": (custody, settling),
            "deposit_final": (settling, available),
            "deposit_reversal": (settling, custody),
            "deposit_reversal_final": (available, custody),
        }[code]
        return {
            "id": fact_id(code, "bitcoin", self.txid, "out:0", epoch).hex(),
            "kind": "direct",
            "code": code,
            "asset": ASSET,
            "units": str(self.units),
            "debit": debit,
            "credit": credit,
            "cause": {"type": "deposit", "deposit_id": self.id.hex(), "credit_epoch": epoch},
            "linked": False,
        }

    def becomes(self, state: str) -> None:
        """As moneyin writes it: a reversal raises the epoch in its own change."""
        self.epoch += state == "reversed"
        self.state = state
        self.history.append((state, self.epoch, self.units))


def know_deposits(cursor: Any, deposits: Sequence[Deposit]) -> None:
    """moneyin's rows of deposits, their wallets and histories."""
    for d in deposits:
        owner = bytes.fromhex(f"{d.merchant:032x}")
        cursor.execute(
            "INSERT INTO orion_moneyin.wallet (group_no, wallet_index, state, merchant_id)"
            " VALUES (0, %s, 'assigned', %s)",
            (d.number, owner),
        )
        cursor.execute(
            "INSERT INTO orion_moneyin.address (chain, address, group_no, wallet_index)"
            " VALUES ('bitcoin', %s, 0, %s)",
            (f"address{d.number}", d.number),
        )
        cursor.execute(
            "INSERT INTO orion_moneyin.deposit (deposit_id, chain, asset, units, txid,"
            " tx_position, address, group_no, wallet_index, merchant_id, invoice_id, state,"
            " height, block_hash, block_time, confirmations_settled, confirmations_final,"
            " settled_height, final_height, credit_epoch, version, created_at, updated_at)"
            " VALUES (%s, 'bitcoin', %s, %s, %s, 'out:0', %s, 0, %s, %s, %s, %s, 7, 'hash', 1,"
            " 1, 6, 7, 12, %s, 1, NOW(6), NOW(6))",
            (d.id, ASSET, str(d.units), d.txid, f"address{d.number}", d.number, owner,
             secrets.token_bytes(16), d.state, d.epoch),
        )  # fmt: skip
        for version, (state, epoch, units) in enumerate(d.history):
            cursor.execute(
                "INSERT INTO orion_moneyin.deposit_history VALUES"
                " (%s, %s, %s, 'test', %s, 7, 'hash', 7, %s, %s, NOW(6))",
                (d.id, version, state, str(units), epoch, bytes(16)),
            )


def empty_books(cursor: Any) -> None:
    """No ledger, no runs, no deposits."""
    for schema, tables in (
        ("orion_ledger", LEDGER_TABLES),
        ("orion_log", LOG_TABLES),
        ("orion_moneyin", MONEYIN_TABLES),
    ):
        for table in tables:
            cursor.execute(f"DELETE FROM {schema}.{table}")
    cursor.execute("DELETE FROM orion_ledger.shard WHERE shard_no > 0")
    cursor.execute(
        "UPDATE orion_ledger.shard SET next_posted = 1, next_refused = 1, version = 0,"
        " next_leg = 1, last_posted_at = '1970-01-01'"
    )
    cursor.execute("UPDATE orion_ledger.bucket SET shard_no = 0, taken = 1")


class Scene:
    """An empty ledger, an empty external book, an empty bucket and a key of its own."""

    def __init__(self, mysql: MariaDb, postgres: Postgres, aws: Any) -> None:
        self.mysql = mysql
        self.admin = mysql.connect()
        self.admin.autocommit(True)
        self.cursor = self.admin.cursor()
        self.empty()
        self.external = external_scene.made(postgres)
        keys = aws.environment()
        session = {
            "endpoint_url": aws.url,
            "region_name": aws.region,
            "aws_access_key_id": keys["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": keys["AWS_SECRET_ACCESS_KEY"],
        }
        self.s3: Any = boto3.client("s3", **session)
        kms: Any = boto3.client("kms", **session)
        self.bucket = f"book-{secrets.token_hex(6)}"
        where: Any = {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
        self.s3.create_bucket(Bucket=self.bucket, **(where if aws.region != "us-east-1" else {}))
        self.s3.put_bucket_versioning(
            Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"}
        )
        key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"][
            "KeyId"
        ]
        self.signer = KmsP256Signer(kms, key)
        archive = S3LedgerBook(self.s3, self.bucket)
        self.segment_writer = LedgerBook(STAGE, archive, self.signer)
        self.ledger = MySqlLedgerStore(self.database("ledger", "orion_ledger"))
        self.external_writer = PostgresExternalBook(
            ExternalDatabase(self.external.config(external_scene.WRITER))
        )
        log = self.database("log", "orion_log")
        self.runs = MySqlRunStore(log)
        auditor = ExternalDatabase(self.external.config(external_scene.AUDITOR))
        self.external_reader = PostgresBookReader(auditor)
        self.books = service.Books(
            MySqlLedgerReader(log),
            S3SegmentBook(self.s3, self.bucket, LedgerBookReader(STAGE, archive, self.signer)),
            self.external_reader,
        )
        self.causes = MySqlCauseReader(log)
        self.statements = MySqlStatementRows(log)
        self.sums = MySqlLedgerSums(log)
        self.reports = S3ReportStore(self.s3, self.bucket)
        self.offsets: dict[int, int] = {}
        self.sent: set[int] = set()
        self.posted_at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=5)

    def close(self) -> None:
        self.admin.close()
        external_scene.dropped(self.external)

    def empty(self) -> None:
        empty_books(self.cursor)

    def database(self, principal: str, schema: str) -> Database:
        server, login = self.mysql, self.mysql.credentials(principal)
        return Database(
            MySqlConfig(
                server.host, server.port, login.username, login.password, schema, server.ca_pem
            )
        )

    # What happens before anything is compared

    def move_custody_to(self, shard: int) -> None:
        """A second shard, in which the chain's own accounts live: legs go there."""
        self.cursor.execute(
            "INSERT INTO orion_ledger.shard (shard_no, next_posted, next_refused)"
            " VALUES (%s, 1, 1)",
            (shard,),
        )
        self.cursor.execute(
            "UPDATE orion_ledger.bucket SET shard_no = %s WHERE bucket = %s",
            (shard, bucket("system:bitcoin")),
        )

    def post(self, *transfers: dict[str, object], shard: int = 0, hours: int = 0) -> None:
        body = {"v": 1, "trace_id": secrets.token_hex(16), "transfers": list(transfers)}
        self._post(canonical_json(body), shard, hours)

    def _post(self, body: bytes, shard: int, hours: int = 0) -> None:
        offset = self.offsets.get(shard, 0)
        self.offsets[shard] = offset + 1
        self.posted_at += timedelta(hours=hours, seconds=1)
        record = Record("ledger.transfers", shard, offset, b"0", body)
        result = self.ledger.post([record], self.posted_at)
        assert result.refused == 0, result

    def deliver_legs(self, shard: int) -> None:
        """What the relay does with rows for the other shard."""
        self.cursor.execute(
            "SELECT seq, payload FROM orion_ledger.outbox"
            " WHERE destination = 'kafka:ledger.transfers' ORDER BY seq"
        )
        for seq, payload in self.cursor.fetchall():
            if seq not in self.sent:
                self.sent.add(seq)
                self._post(payload, shard)

    def know(self, deposits: Sequence[Deposit]) -> None:
        """moneyin's rows of deposits, their wallets and histories."""
        know_deposits(self.cursor, deposits)

    def posted(self) -> list[PostedRecord]:
        self.cursor.execute(
            "SELECT payload FROM orion_ledger.outbox WHERE destination = 'kafka:ledger.posted'"
            " ORDER BY seq"
        )
        return [read_posted(payload) for (payload,) in self.cursor.fetchall()]

    def follow(self, pieces: int = 2) -> None:
        """Both other books, by their own writers; the log book in some segments a shard."""
        by_shard: dict[int, list[PostedRecord]] = {}
        for record in self.posted():
            by_shard.setdefault(record.shard, []).append(record)
        for shard, records in by_shard.items():
            told = [Told(record.number - 1, record) for record in records]
            self.external_writer.append("ledger.posted", shard, told)
            size = max(1, -(-len(records) // pieces))
            for start in range(0, len(records), size):
                self.segment_writer.write(shard, records[start : start + size])

    def story(self, *, shards: int = 2) -> list[Deposit]:
        """Deposits of each fate, over several hours: final, waiting, reversed and mined again."""
        if shards == 2:
            self.move_custody_to(1)
        final, waiting, again = Deposit(1, 1, 41_234), Deposit(2, 2, 500), Deposit(3, 1, 700)
        for each in (final, waiting, again):
            each.becomes("included")
            self.post(each.transfer("deposit_credit"), hours=1)
        self.post(final.transfer("deposit_final"), again.transfer("deposit_reversal"))
        final.becomes("final")
        again.becomes("reversed")
        again.becomes("included")
        self.post(again.transfer("deposit_credit"), hours=1)
        for number in range(10, 16):
            more = Deposit(number, number, number)
            more.becomes("included")
            self.know([more])
            self.post(more.transfer("deposit_credit"))
        if shards == 2:
            self.deliver_legs(1)
        self.know([final, waiting, again])
        self.follow()
        return [final, waiting, again]

    # A run, as the state machine makes it

    def steps(self, name: str, scope: Scope = Scope.ALL) -> Iterator[Callable[[], object]]:
        """What the machine calls, in its order, but the report."""
        now = datetime.now(UTC)
        yield lambda: service.plan(self.runs, self.books, name, scope, bytes(16), now)
        later = now + service.MAX_WAIT
        yield lambda: service.plan(self.runs, self.books, name, scope, bytes(16), later)
        for part in self.runs.ranges(run_id(name)):
            for book, reader in (
                (Book.MYSQL, self.books.ledger),
                (Book.EXTERNAL, self.books.external),
            ):
                yield partial(service.read_book, self.runs, reader, book, name, part.number)
            yield partial(service.read_segments, self.runs, self.books.segments, name, part.number)
            yield partial(service.compare, self.runs, self.books, name, part.number)
            causes = partial(service.check_causes, self.runs, self.causes, self.statements)
            yield partial(causes, name, part.number, now)
        yield lambda: service.check_sums(self.runs, self.sums, self.external_reader, name)
        yield lambda: self.runs.record(run_id(name), Step.BALANCES, "", [])

    def read(
        self, name: str, *, scope: Scope = Scope.ALL, stop_after: int | None = None
    ) -> Findings:
        """A run; with `stop_after` one that is broken off behind so many steps."""
        for step in islice(self.steps(name, scope), stop_after):
            step()
        return self.runs.findings(run_id(name))

    def differences(self, name: str = "run") -> Sequence[Difference]:
        return self.read(name).differences

    def report(self, name: str = "run") -> service.Report:
        return service.report(self.runs, self.reports, name, bytes(16), datetime.now(UTC))
