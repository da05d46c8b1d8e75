"""Every Lambda function but the custodians', one row each: what runs, in which stack, what starts
it, what it may touch.

A row is the whole truth about a function's permissions: its role grants what stands here and
nothing else.
"""

from infra.cloud.function_row import (
    BASE,
    FunctionRow,
    FunctionStackName,
    KafkaTrigger,
    api,
    in_stack,
    relay,
)
from infra.cloud.function_table_billing import BILLING
from infra.cloud.function_table_books import BOOKS

MYSQL_PRINCIPALS = (
    "user",
    "billing",
    "moneyin",
    "kms",
    "log",
    "ledger",
    "statements",
    "system-doctor",
    "arch",
)
POSTGRES_PRINCIPALS = ("arch", "external-book", "book-auditor")


def _kms(
    file: str,
    *,
    decrypts: tuple[str, ...] = (),
    signs: tuple[str, ...] = (),
    sends: tuple[str, ...] = ("outbox-kms",),
) -> FunctionRow:
    return FunctionRow(
        "kms",
        file,
        # Only what opens chain keys carries the code that derives private ones.
        layers=("orion_kms" if decrypts else "orion", "base", "ethereum", "keys"),
        timeout_s=30,
        mysql=("kms",),
        sends=sends,
        decrypts=decrypts,
        signs=signs,
    )


# All that holds, opens or watches over wallets' seeds and keys; the layer that derives private keys
# is in no other stack.
WALLETS: tuple[FunctionRow, ...] = in_stack(
    "wallets",
    FunctionRow(
        "kms",
        "create_group",
        layers=("orion_kms", "base", "ethereum", "keys"),
        mysql=("kms",),
        sends=("outbox-kms",),
        # A group's chain keys leave its seed once, each under the key of its own sweep signer.
        encrypts=(
            "wallet-seeds",
            "sweep-bitcoin",
            "sweep-ethereum",
            "sweep-tron",
            "sweep-solana",
        ),
        decrypts=("wallet-seeds",),
        makes_seeds=True,
        # A second reader of the requests, so that a new group is there when address_pool needs it.
        topics=(KafkaTrigger("wallet.requests", "kms", 10),),
    ),
    FunctionRow(
        "kms",
        "address_pool",
        layers=("orion_kms", "base", "ethereum", "keys"),
        memory_mb=1024,
        mysql=("kms",),
        sends=("outbox-kms",),
        decrypts=("wallet-seeds",),
        topics=(KafkaTrigger("wallet.requests", "kms", 10),),
    ),
    FunctionRow("kms", "plan_batch", layers=("orion", "base", "ethereum", "keys"), mysql=("kms",)),
    *(
        _kms(f"sweep_{chain}", decrypts=(f"sweep-{chain}",))
        for chain in ("bitcoin", "ethereum", "tron", "solana")
    ),
    _kms("tron_handover", decrypts=("sweep-tron",)),
    _kms("executor_ethereum", signs=("executor-ethereum",)),
    _kms("fee_payer_solana", signs=("fee-payer-solana",)),
    _kms("custody_sets"),
    _kms("custody_on_chain"),
    _kms("custody_rotated"),
    _kms("custody_export", sends=()),
    relay("kms", "outbox_relay", "kms"),
)

FUNCTIONS: tuple[FunctionRow, ...] = (
    api("user", "api", standard=40, vip=20, mysql=("user",), sends=("outbox-user",)),
    api("user", "authorizer", standard=60, vip=30, mysql=("user",)),
    relay("user", "outbox_relay", "user"),
    *BILLING,
    FunctionRow(
        "moneyin",
        "blocks",
        mysql=("moneyin",),
        sends=("outbox-moneyin",),
        topics=(
            KafkaTrigger("chain.blocks.bitcoin", "moneyin", 10, part="bitcoin"),
            KafkaTrigger("chain.blocks.ethereum", "moneyin", 10, part="ethereum"),
        ),
    ),
    FunctionRow(
        "moneyin",
        "node_answers",
        mysql=("moneyin",),
        sends=("outbox-moneyin",),
        topics=(KafkaTrigger("node.answers", "moneyin", 100),),
    ),
    FunctionRow(
        "moneyin",
        "addresses",
        mysql=("moneyin",),
        sends=("outbox-moneyin",),
        topics=(KafkaTrigger("wallet.addresses", "moneyin", 20),),
    ),
    FunctionRow(
        "moneyin", "pool_level", mysql=("moneyin",), sends=("outbox-moneyin",), every_minute=True
    ),
    relay("moneyin", "outbox_relay", "moneyin"),
    *WALLETS,
    FunctionRow(
        "log",
        "audit_writer",
        writes_audit=True,
        topics=(KafkaTrigger("audit.events", "log", 500),),
    ),
    *BOOKS,
    api("system_doctor", "health", standard=5, vip=5, mysql=("system-doctor",)),
    api("system_doctor", "reference", standard=5, vip=5, carries=("web/problems", "web/shared")),
    # Creates the other principals' users, so it reads every database secret; it runs once a deploy,
    # before the other stacks of functions are deployed, and needs nothing that one of them makes.
    FunctionRow(
        "arch",
        "migrate",
        layers=("orion", "base", "postgres"),
        timeout_s=900,
        mysql=MYSQL_PRINCIPALS,
        postgres=POSTGRES_PRINCIPALS,
        carries=("infra/migrations",),
        stack=BASE,
    ),
)

# Of no stack of the table: infra/cloud/custodian.py deploys it five times. Without the
# layer that derives private keys: a custodian never sees a seed.
CUSTODIAN = FunctionRow(
    "kms",
    "custodian",
    layers=("orion", "base", "ethereum", "keys"),
    in_vpc=False,
    memory_mb=1024,
    timeout_s=30,
)
DEPLOYED = (*FUNCTIONS, CUSTODIAN)


def function_row(name: str) -> FunctionRow:
    """The row of `module/file`; KeyError when there is none."""
    for row in DEPLOYED:
        if row.name == name:
            return row
    raise KeyError(name)


def rows_of(stack: FunctionStackName) -> tuple[FunctionRow, ...]:
    """The rows of one stack, in the table's order."""
    return tuple(row for row in FUNCTIONS if row.stack == stack)


def queues() -> tuple[str, ...]:
    """Purposes of all queues, in the order of first mention."""
    return tuple(dict.fromkeys(row.queue.queue for row in FUNCTIONS if row.queue is not None))


def queue_consumer(purpose: str) -> FunctionRow:
    """The one function that a queue feeds; KeyError when there is none."""
    for row in FUNCTIONS:
        if row.queue is not None and row.queue.queue == purpose:
            return row
    raise KeyError(purpose)


def topic_principals() -> tuple[str, ...]:
    """Kafka principals whose credentials an event source mapping uses."""
    return tuple(dict.fromkeys(t.principal for row in FUNCTIONS for t in row.topics))
