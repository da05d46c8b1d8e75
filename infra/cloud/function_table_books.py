"""The rows of the functions that post to the ledger, and keep, compare and show the three books
(docs/ledger.md; docs/books.md, "Who writes and reads what").
"""

from infra.cloud.function_row import FunctionRow, KafkaTrigger, Layer, in_stack, relay

# Who signs the roots of the log book, and who asks the nodes' agents for balances.
LEDGER_ROOTS = "ledger-roots"
COMMANDS_OF_RECONCILIATION = "node-commands-reconciliation"

# What makes or checks signatures needs the library that they come from.
SIGNATURES: tuple[Layer, ...] = ("keys",)

# A range is at most 100,000 entries, read from a database or unpacked from segments.
RANGE_TIMEOUT_S = 300
RANGE_MEMORY_MB = 1024
# What arrives in this time becomes one segment a shard, instead of one a record; docs/scale.md,
# "Three books", has the arithmetic.
SEGMENT_WINDOW_S = 10
# Passing the barrier of a growing ledger may wait for each sending relay in turn.
GROWTH_TIMEOUT_S = 420


def _grows(file: str, *, every_minute: bool = False) -> FunctionRow:
    return FunctionRow(
        "billing",
        file,
        timeout_s=GROWTH_TIMEOUT_S,
        mysql=("ledger",),
        sends=("outbox-ledger",),
        every_minute=every_minute,
    )


def _step(
    file: str,
    *,
    external: bool = False,
    segments: bool = False,
    sends: tuple[str, ...] = (),
    reports: bool = False,
) -> FunctionRow:
    """A step of the reconciliation: it reads the ledger and those of the other books that it
    compares, and writes none.
    """
    return FunctionRow(
        "log",
        file,
        layers=(
            "orion",
            "base",
            *(("postgres",) if external else ()),
            # The report's adapter stands in one file with the reader of segments.
            *(SIGNATURES if segments or reports else ()),
        ),
        memory_mb=RANGE_MEMORY_MB,
        timeout_s=RANGE_TIMEOUT_S,
        mysql=("log",),
        postgres=("book-auditor",) if external else (),
        sends=sends,
        reads_keys=(LEDGER_ROOTS,) if segments else (),
        reads_ledger_book=segments,
        writes_reports=reports,
    )


BOOKS: tuple[FunctionRow, ...] = in_stack(
    "books",
    FunctionRow(
        "billing",
        "ledger_writer",
        memory_mb=1024,
        mysql=("ledger",),
        sends=("outbox-ledger",),
        topics=(KafkaTrigger("ledger.transfers", "ledger", 1000),),
    ),
    relay("billing", "ledger_outbox_relay", "ledger"),
    FunctionRow(
        "billing",
        "ledger_statements",
        mysql=("ledger",),
        topics=(KafkaTrigger("ledger.posted", "ledger", 100),),
    ),
    # It only shows, so it may change nothing.
    FunctionRow("billing", "statement", mysql=("statements",)),
    _grows("shard_map"),
    # What it changes it tells through the outbox.
    FunctionRow("billing", "asset_freeze", mysql=("ledger",), sends=("outbox-ledger",)),
    _grows("ledger_watch", every_minute=True),
    FunctionRow(
        "log",
        "ledger_segments",
        layers=("orion", "base", *SIGNATURES),
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
    _step("reconcile_plan", external=True, segments=True),
    _step("book_roots", external=True, segments=True),
    _step("reconcile_compare", external=True, segments=True),
    _step("reconcile_causes"),
    _step("reconcile_sums", external=True),
    # Asks the chains, and compares with MySQL only.
    FunctionRow(
        "log",
        "reconcile_balances",
        layers=("orion", "base", *SIGNATURES),
        memory_mb=RANGE_MEMORY_MB,
        timeout_s=RANGE_TIMEOUT_S,
        mysql=("log",),
        sends=("outbox-log",),
        signs=(COMMANDS_OF_RECONCILIATION,),
    ),
    _step("reconcile_report", sends=("outbox-log",), reports=True),
    FunctionRow(
        "log",
        "prove",
        layers=("orion", "base", *SIGNATURES),
        mysql=("log",),
        reads_keys=(LEDGER_ROOTS,),
        reads_ledger_book=True,
    ),
    FunctionRow("log", "incident", mysql=("log",), sends=("outbox-log",)),
    FunctionRow(
        "log",
        "node_answers",
        layers=("orion", "base", *SIGNATURES),
        mysql=("log",),
        topics=(KafkaTrigger("node.answers", "log", 100),),
    ),
    relay("log", "outbox_relay", "log"),
)
