"""Every import contract of pyproject.toml is broken once, in a copy, to see that it bites."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = "layers/orion/python/orion"
CONTRACTS = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
]


@dataclass(frozen=True, slots=True)
class Breach:
    """A line appended to a file (made when missing), and the contract that must refuse it."""

    contract: str
    file: str
    line: str


BREACHES = [
    Breach("Imports point inward", f"{PRODUCT}/money/breach.py", "import orion.wallet"),
    Breach("Imports point inward", f"{PRODUCT}/chains/breach.py", "import orion.ledger"),
    Breach("Imports point inward", f"{PRODUCT}/wallet/breach.py", "import orion.user"),
    Breach("Imports point inward", f"{PRODUCT}/billing/breach.py", "import orion.adapters"),
    Breach("Imports point inward", f"{PRODUCT}/adapters/breach.py", "import orion.runtime"),
    Breach("Imports point inward", f"{PRODUCT}/ids.py", "import orion.money"),
    Breach("Imports point inward", f"{PRODUCT}/lending/__init__.py", "import orion.money"),
    Breach("Modules do not import each other", f"{PRODUCT}/user/breach.py", "import orion.billing"),
    Breach(
        "The ledger and the wallet do not import each other",
        f"{PRODUCT}/ledger/breach.py",
        "import orion.wallet",
    ),
    Breach(
        "Functions reach the product through their module and runtime",
        "functions/user/breach.py",
        "import orion.money",
    ),
    Breach("The product imports no infrastructure", f"{PRODUCT}/user/breach.py", "import aws_cdk"),
    Breach("The product imports no infrastructure", "functions/user/breach.py", "import infra"),
    Breach("The product imports no infrastructure", f"{PRODUCT}/ids.py", "import node_stacks"),
    Breach("The agents import no infrastructure", "node_stacks/agent/breach.py", "import infra"),
    *(
        Breach(
            "The domain does no input or output and reads no clock",
            f"{PRODUCT}/billing/breach.py",
            f"import {name}",
        )
        for name in ("boto3", "socket", "pymysql", "kafka", "time", "orion.runtime.clock")
    ),
    *(
        Breach(
            "Only what opens keys imports the code that holds private ones",
            file,
            "import orion.kms.keys",
        )
        for file in (
            f"{PRODUCT}/runtime/breach.py",
            f"{PRODUCT}/runtime/kms_fees.py",
            f"{PRODUCT}/kms/signing/executor.py",
            f"{PRODUCT}/kms/custody/breach.py",
            "functions/user/breach.py",
            "functions/kms/custody_export.py",
        )
    ),
    Breach(
        "Nothing behind the API imports a Kafka client", "functions/user/api.py", "import kafka"
    ),
    Breach(
        "Nothing behind the API imports a Kafka client",
        f"{PRODUCT}/runtime/http.py",
        "import orion.adapters.kafka.producer",
    ),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source that the contracts speak of, to be broken at will."""
    copied = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", copied)
    for folder in (PRODUCT, "functions", "infra", "node_stacks"):
        shutil.copytree(
            ROOT / folder,
            copied / folder,
            ignore=lambda _, names: [name for name in names if not _is_source(name)],
        )
    return copied


@pytest.fixture
def before(copy: Path) -> dict[str, str]:
    return verdicts(copy)


@pytest.fixture
def breached(copy: Path, before: dict[str, str], breach: Breach) -> Iterator[Path]:
    """The copy with the breach in it, mended afterwards. `before` saw the copy without it."""
    assert before[breach.contract] == "KEPT"
    file = copy / breach.file
    content = file.read_text() if file.exists() else None
    new_folder = not file.parent.exists()
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"{content or ''}\n{breach.line}\n")
    yield copy
    if content is not None:
        file.write_text(content)
    else:
        file.unlink()
    if new_folder:
        file.parent.rmdir()


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: f"{breach.file}: {breach.line}")
def test_a_breach_is_refused_by_the_contract_that_forbids_it(
    breached: Path, breach: Breach
) -> None:
    assert verdicts(breached)[breach.contract] == "BROKEN"


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_contract_is_broken_by_some_breach(contract: str) -> None:
    assert contract in {breach.contract for breach in BREACHES}


def _is_source(name: str) -> bool:
    return name.endswith(".py") or ("." not in name and name != "__pycache__")


def verdicts(tree: Path) -> dict[str, str]:
    """What lint-imports says of each contract of `tree`: KEPT or BROKEN."""
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-logo"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree / "layers" / "orion" / "python")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found = dict(re.findall(r"^(.+?) (KEPT|BROKEN)", done.stdout, flags=re.MULTILINE))
    assert set(found) == set(CONTRACTS), done.stdout + done.stderr
    assert (done.returncode != 0) == ("BROKEN" in found.values())
    return found
