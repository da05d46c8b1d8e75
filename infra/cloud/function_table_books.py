"""The rows of the functions that keep, compare and show the three books (docs/books.md, "Who writes
and reads what").
"""

from infra.cloud.function_row import FunctionRow, KafkaTrigger, relay
from infra.cloud.names import ROOT

# Who signs the roots of the log book, and who asks the nodes' agents for balances.
LEDGER_ROOTS = "ledger-roots"
COMMANDS_OF_RECONCILIATION = "node-commands-reconciliation"

# A range is at most 100,000 entries, read from a database or unpacked from segments.
RANGE_TIMEOUT_S = 300
RANGE_MEMORY_MB = 1024
# What arrives in this time becomes one segment a shard, instead of one a record.
SEGMENT_WINDOW_S = 5


def _by_operators(file: str) -> FunctionRow:
    # What it changes it tells through the outbox.
    return FunctionRow("billing", file, mysql=("ledger",), sends=("outbox-ledger",))


def _step(file: str, *, sends: tuple[str, ...] = (), reports: bool = False) -> FunctionRow:
    """A step of the reconciliation: it reads all three books and writes none."""
    return FunctionRow(
        "log",
        file,
        layers=("orion", "base", "postgres"),
        memory_mb=RANGE_MEMORY_MB,
        timeout_s=RANGE_TIMEOUT_S,
        mysql=("log",),
        postgres=("book-auditor",),
        sends=sends,
        reads_keys=(LEDGER_ROOTS,),
        reads_ledger_book=True,
        writes_reports=reports,
    )


_ALL: tuple[FunctionRow, ...] = (
    FunctionRow(
        "billing",
        "ledger_statements",
        mysql=("ledger",),
        topics=(KafkaTrigger("ledger.posted", "ledger", 100),),
    ),
    FunctionRow("billing", "statement", mysql=("ledger",)),
    _by_operators("shard_map"),
    _by_operators("asset_freeze"),
    FunctionRow("billing", "ledger_watch", mysql=("ledger",), every_minute=True),
    FunctionRow(
        "log",
        "ledger_segments",
        memory_mb=RANGE_MEMORY_MB,
        signs=(LEDGER_ROOTS,),
        writes_ledger_book=True,
        topics=(KafkaTrigger("ledger.posted", "log", 500, window_s=SEGMENT_WINDOW_S),),
    ),
    FunctionRow(
        "log",
        "external_book",
        layers=("orion", "base", "postgres"),
        memory_mb=RANGE_MEMORY_MB,
        postgres=("external-book",),
        topics=(KafkaTrigger("ledger.posted", "external-book", 100),),
    ),
    _step("reconcile_plan"),
    _step("book_roots"),
    _step("reconcile_compare"),
    _step("reconcile_causes"),
    _step("reconcile_sums"),
    # Asks the chains, and compares with MySQL only.
    FunctionRow(
        "log",
        "reconcile_balances",
        layers=("orion", "base", "keys"),
        memory_mb=RANGE_MEMORY_MB,
        timeout_s=RANGE_TIMEOUT_S,
        mysql=("log",),
        sends=("outbox-log",),
        signs=(COMMANDS_OF_RECONCILIATION,),
    ),
    _step("reconcile_report", sends=("outbox-log",), reports=True),
    FunctionRow("log", "prove", mysql=("log",), reads_keys=(LEDGER_ROOTS,), reads_ledger_book=True),
    FunctionRow("log", "incident", mysql=("log",), sends=("outbox-log",)),
    FunctionRow(
        "log",
        "node_answers",
        layers=("orion", "base", "keys"),
        mysql=("log",),
        topics=(KafkaTrigger("node.answers", "log", 100),),
    ),
    relay("log", "outbox_relay", "log"),
)

# A row without its file would deploy a function that fails at its first call.
BOOKS = tuple(row for row in _ALL if (ROOT / "functions" / row.module / f"{row.file}.py").is_file())
