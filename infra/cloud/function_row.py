"""What a row of the function table says, and the two kinds of rows that many modules have."""

from dataclasses import dataclass, field, replace
from typing import Literal

LANES = ("standard", "vip")

# Which stack a function lives in (docs/decisions/0063). The first is deployed before the others,
# and the migrations run before any of them is.
FunctionStackName = Literal["base", "serverless", "webhooks", "sockets", "books", "wallets"]
BASE: FunctionStackName = "base"
SERVERLESS: FunctionStackName = "serverless"
FUNCTION_STACKS: tuple[FunctionStackName, ...] = (
    BASE,
    SERVERLESS,
    "webhooks",
    "sockets",
    "books",
    "wallets",
)

Layer = Literal["orion", "orion_kms", "base", "kafka", "postgres", "ethereum", "keys"]

API_TIMEOUT_S = 10  # Nothing synchronous takes longer: longer work answers 202.
CONSUMER_TIMEOUT_S = 60
RELAY_CONCURRENCY = 2
RELAY_QUEUE_BATCH = 10


@dataclass(frozen=True, slots=True)
class KafkaTrigger:
    """One event source mapping. A topic of `chain.`, `moneyin.` or `ledger.` never skips a record:
    what it says of money is said once, and its mapping's alarms tell people.

    `window_s`: how long records may wait for others. 0 hands a record on at once, which in
    provisioned mode must be said: unset it is 500 ms a hop (AWS Lambda, "Low latency processing
    for Kafka event sources").
    """

    topic: str
    principal: str
    batch_size: int
    part: str | None = None
    pollers_max: int = 2
    window_s: int = 0

    @property
    def never_skips(self) -> bool:
        return self.topic.startswith(("chain.", "moneyin.", "ledger."))


@dataclass(frozen=True, slots=True)
class QueueTrigger:
    queue: str
    batch_size: int
    concurrency_max: int
    reports_item_failures: bool = False


@dataclass(frozen=True, slots=True)
class FunctionRow:
    """`reserved` is per lane, by None in a row without lanes: it caps the function and keeps that
    much of the account for it.

    `reads_keys` are signing keys of which it reads the public half. Of the ledger book,
    `writes_ledger_book` puts and reads segments, `reads_ledger_book` reads them in all their
    versions, `writes_reports` puts what lies under `reports/`.
    """

    module: str
    file: str
    layers: tuple[Layer, ...] = ("orion", "base")
    lanes: tuple[str, ...] = ()
    in_vpc: bool = True
    memory_mb: int = 512
    timeout_s: int = CONSUMER_TIMEOUT_S
    reserved: dict[str | None, int] = field(default_factory=dict)
    mysql: tuple[str, ...] = ()
    postgres: tuple[str, ...] = ()
    kafka: tuple[str, ...] = ()
    sends: tuple[str, ...] = ()
    encrypts: tuple[str, ...] = ()
    decrypts: tuple[str, ...] = ()
    signs: tuple[str, ...] = ()
    reads_keys: tuple[str, ...] = ()
    writes_audit: bool = False
    writes_ledger_book: bool = False
    reads_ledger_book: bool = False
    writes_reports: bool = False
    makes_seeds: bool = False
    posts_to_sockets: bool = False
    # Folders of the repository that lie beside the handler, each under its own last name.
    carries: tuple[str, ...] = ()
    topics: tuple[KafkaTrigger, ...] = ()
    queue: QueueTrigger | None = None
    every_minute: bool = False
    stack: FunctionStackName = SERVERLESS

    @property
    def name(self) -> str:
        return f"{self.module}/{self.file}"

    @property
    def uses_ledger_book(self) -> bool:
        return self.writes_ledger_book or self.reads_ledger_book or self.writes_reports


def in_stack(stack: FunctionStackName, *rows: FunctionRow) -> tuple[FunctionRow, ...]:
    """`rows` in a stack of their own, with the queues that they consume and what starts them."""
    return tuple(replace(row, stack=stack) for row in rows)


def api(module: str, file: str, *, standard: int, vip: int, **more: object) -> FunctionRow:
    return FunctionRow(
        module,
        file,
        lanes=LANES,
        timeout_s=API_TIMEOUT_S,
        reserved={"standard": standard, "vip": vip},
        **more,  # type: ignore[arg-type]  # The rows below are the only callers.
    )


def relay(module: str, file: str, outbox: str, *, sends: tuple[str, ...] = ()) -> FunctionRow:
    return FunctionRow(
        module,
        file,
        layers=("orion", "base", "kafka"),
        mysql=(outbox,),
        kafka=(outbox,),
        sends=sends,
        queue=QueueTrigger(f"outbox-{outbox}", RELAY_QUEUE_BATCH, RELAY_CONCURRENCY),
        every_minute=True,
    )
