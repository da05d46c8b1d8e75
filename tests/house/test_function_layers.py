"""A function finds everything it imports in the layers of its own row, and in nothing else.

The local AWS engine lets its own packages be seen by workers: a missing layer would show only in
the cloud.
"""

import pytest

from infra.cloud.function_row import FunctionRow
from infra.cloud.function_table import DEPLOYED
from infra.cloud.names import ROOT
from tests.house.test_import_rules import KEY_HOLDERS
from tests.house.test_layers import run_isolated

# What is looked up by name at run time, by the module of the function that may do so.
LATE = {
    "billing": "import orion.billing.payment_link\n"
    "from orion.chains import bitcoin, ethereum, solana, tron",
}
# What a function of the reconciliation imports when it is called, for the books that it reads.
_EXTERNAL = "import orion.adapters.postgres.reconciled_book, orion.adapters.postgres.session\n"
_SEGMENTS = "import orion.adapters.aws.reconciled_segments, orion.runtime.ledger_book\n"
CALLED = {
    "log/reconcile_plan": _EXTERNAL + _SEGMENTS,
    "log/book_roots": _EXTERNAL + _SEGMENTS,
    "log/reconcile_compare": _EXTERNAL + _SEGMENTS,
    "log/reconcile_causes": "import orion.adapters.mysql.reconciled_causes\n"
    "import orion.adapters.mysql.reconciled_statements\n",
    "log/reconcile_sums": _EXTERNAL + "import orion.adapters.mysql.reconciled_sums\n",
    "log/reconcile_report": "from orion.adapters.aws.reconciled_segments import S3ReportStore\n",
}
SEALED = (
    "import ctypes\n"
    "assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0, 'another process may read its memory'\n"
)
NEEDS_NO_SEAL = "outbox_relay"  # Has neither keys nor evidence, and no right to any KMS key.


@pytest.mark.parametrize("row", DEPLOYED, ids=lambda row: row.name)
def test_a_function_imports_with_the_layers_of_its_row_alone(row: FunctionRow) -> None:
    path = ROOT / "functions" / row.module / f"{row.file}.py"
    code = (
        "import os, runpy\n"
        "os.environ.update(ORION_STAGE='x', ORION_LANE='standard', AWS_DEFAULT_REGION='x')\n"
        f"found = runpy.run_path({str(path)!r})\n"
        "assert callable(found['handler'])\n"
    )
    if "ethereum" in row.layers:
        code += LATE.get(row.module, "")
    code += CALLED.get(row.name, "")
    if row.module == "kms" and row.file != NEEDS_NO_SEAL:
        code += SEALED
    done = run_isolated(list(row.layers), code)
    assert done.returncode == 0, done.stderr


def test_private_derivation_is_attached_where_keys_are_opened_and_nowhere_else() -> None:
    carrying = {
        f"functions.{row.module}.{row.file}" for row in DEPLOYED if "orion_kms" in row.layers
    }
    assert carrying == {name for name in KEY_HOLDERS if name.startswith("functions.")}
