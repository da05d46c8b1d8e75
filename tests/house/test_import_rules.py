"""Import rules that import-linter cannot express, each seen to bite on a broken tree."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = Path("layers/orion/python/orion")
DOMAIN = [
    *("user", "billing", "moneyin", "moneyout", "kms", "admin", "arch", "system_doctor"),
    *("system_security", "log", "ledger", "wallet", "chains", "money"),
]
# All that can load private keys, one by one: whoever joins them is a decision.
KEY_HOLDERS = [
    "functions.kms.address_pool",
    "functions.kms.create_group",
    "functions.kms.sweep_bitcoin",
    "functions.kms.sweep_ethereum",
    "functions.kms.sweep_solana",
    "functions.kms.sweep_tron",
    "functions.kms.tron_handover",
    "orion.kms.service",
    "orion.kms.signing.handover",
    "orion.kms.signing.named_accounts",
    "orion.kms.signing.sweep",
    "orion.runtime.kms",
    "orion.runtime.kms_sweeps",
]
CLOCK_READS = {"now", "utcnow", "today"}


def imported_names(file: Path) -> Iterator[str]:
    """Every module that `file` imports, at any depth, as a full dotted name."""
    for node in ast.walk(ast.parse(file.read_text(), filename=str(file))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def foreign_imports(root: Path) -> list[str]:
    """Imports of function files beyond their own module, orion.runtime and the standard library."""
    found = []
    for file in sorted((root / "functions").rglob("*.py")):
        own = file.relative_to(root / "functions").parts[0]
        allowed = (f"orion.{own}.", "orion.runtime.")
        found += [
            f"{file.relative_to(root)}: {name}"
            for name in imported_names(file)
            if not f"{name}.".startswith(allowed)
            and name.partition(".")[0] not in sys.stdlib_module_names
        ]
    return found


def clock_reads(root: Path) -> list[str]:
    """Calls such as datetime.now() and date.today() in the domain, where time is an argument."""
    files = [file for room in DOMAIN for file in sorted((root / PRODUCT / room).rglob("*.py"))]
    return [
        f"{file.relative_to(root)}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text(), filename=str(file)))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCK_READS
        and ast.unparse(node.func.value).rpartition(".")[2] in {"datetime", "date"}
    ]


def key_readers(root: Path) -> list[str]:
    """Modules beside orion.kms.keys that load it, directly or through others."""
    paths = [str(root), str(root / PRODUCT.parent)]
    sys.path[:0] = paths
    try:
        graph = grimp.build_graph("orion", "functions", "node_stacks", cache_dir=None)
    finally:
        del sys.path[: len(paths)]
    assert "orion.kms.keys" in graph.modules
    readers = graph.find_downstream_modules("orion.kms.keys", as_package=True)
    return sorted(reader for reader in readers if not reader.startswith("orion.kms.keys."))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree of the same shape, without a breach."""
    for name, text in {
        "functions/user/api.py": "import json\nfrom orion.runtime import http\n",
        "functions/kms/pool.py": "from orion.runtime.kms import pool\n",
        f"{PRODUCT}/user/model.py": "def due(now):\n    return now\n",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def test_functions_import_their_own_module_and_runtime_only() -> None:
    assert foreign_imports(ROOT) == []


@pytest.mark.parametrize(
    "line", ["import orion.billing", "from orion.kms import keys", "import boto3", "import infra"]
)
def test_a_function_that_imports_anything_else_is_found(tree: Path, line: str) -> None:
    assert foreign_imports(tree) == []
    (tree / "functions" / "user" / "api.py").write_text(f"def handler():\n    {line}\n")
    assert len(foreign_imports(tree)) == 1


def test_the_domain_takes_time_as_an_argument() -> None:
    assert clock_reads(ROOT) == []


@pytest.mark.parametrize(
    "call", ["datetime.now(UTC)", "datetime.datetime.utcnow()", "date.today()"]
)
def test_a_clock_read_in_the_domain_is_found(tree: Path, call: str) -> None:
    assert clock_reads(tree) == []
    (tree / PRODUCT / "user" / "model.py").write_text(f"def due():\n    return {call}\n")
    assert clock_reads(tree) == [f"{PRODUCT}/user/model.py:2"]


def test_only_what_opens_keys_can_load_private_ones_even_through_other_modules() -> None:
    assert key_readers(ROOT) == KEY_HOLDERS


def test_a_module_that_loads_private_keys_through_kms_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {
        # A whole package: without these files the project's own functions would be found as well.
        **dict.fromkeys(
            (f"functions/{room}__init__.py" for room in ("", "kms/", "user/")),
            "",
        ),
        "functions/kms/executor.py": "import orion.runtime.kms_calls\n",
        "functions/kms/pool.py": "import orion.runtime.kms\n",
        "functions/user/api.py": "import orion.runtime.user\n",
        "node_stacks/agent/__init__.py": "",
        f"{PRODUCT}/__init__.py": "",
        f"{PRODUCT}/kms/__init__.py": "",
        f"{PRODUCT}/kms/service.py": "import orion.kms.keys\n",
        f"{PRODUCT}/kms/keys/__init__.py": "",
        f"{PRODUCT}/runtime/__init__.py": "",
        f"{PRODUCT}/runtime/kms.py": "import orion.kms.service\n",
        f"{PRODUCT}/runtime/kms_calls.py": "import orion.kms\n",
        f"{PRODUCT}/runtime/user.py": "import orion.kms.service\n",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for name in ("orion", "functions", "node_stacks"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert key_readers(tmp_path) == [
        "functions.kms.pool",
        "functions.user.api",
        "orion.kms.service",
        "orion.runtime.kms",
        "orion.runtime.user",
    ]
