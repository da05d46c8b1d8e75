"""A function finds everything it imports in the layers of its own row, and in nothing else.

The local AWS engine lets its own packages be seen by workers: a missing layer would show only in
the cloud.
"""

import pytest

from infra.cloud.function_table import DEPLOYED, FunctionRow
from infra.cloud.names import ROOT
from tests.house.test_layers import run_isolated

# What is looked up by name at run time, by the module of the function that may do so.
LATE = {
    "billing": "import orion.billing.payment_link\n"
    "from orion.chains import bitcoin, ethereum, solana, tron",
}


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
    done = run_isolated(list(row.layers), code)
    assert done.returncode == 0, done.stderr
