"""`make bench`: its table of benches, and the form of a figure."""

import ast
import json
from pathlib import Path

import pytest

from tests.bench.__main__ import BENCHES, main
from tests.bench.figures import Figure, progress, quantile

FOLDER = Path(__file__).parents[1] / "bench"


def test_every_file_with_a_main_is_a_bench_of_its_own_name() -> None:
    measuring = {
        path.stem
        for path in FOLDER.glob("*.py")
        if path.stem != "__main__"
        and any(
            isinstance(node, ast.FunctionDef) and node.name == "main"
            for node in ast.parse(path.read_text()).body
        )
    }
    assert set(BENCHES) == measuring
    assert set(BENCHES.values()) == {f"tests.bench.{name}" for name in measuring}


@pytest.mark.parametrize("asked", [["nonsense"], ["wallets", "start"], [""]])
def test_a_name_that_is_no_bench_is_answered_by_one_line_naming_all(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(asked) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.count("\n") == 1
    assert all(name in seen.err for name in BENCHES)


def test_a_figure_is_one_json_object_beside_its_reference(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress("ledger", "half done")
    Figure(
        "ledger", "batch 8000", "transfers_per_s", 31_000.4, "1/s", 58_000, "LOAD DATA, same run"
    ).show()
    seen = capsys.readouterr()
    assert json.loads(seen.out) == {
        "bench": "ledger",
        "case": "batch 8000",
        "metric": "transfers_per_s",
        "value": 31_000,
        "unit": "1/s",
        "reference": 58_000,
        "reference_is": "LOAD DATA, same run",
        "ratio": 0.5345,
    }
    assert seen.out.count("\n") == 1
    assert seen.err == "[ledger] half done\n"


@pytest.mark.parametrize("reference", [0.0, -1.0, float("nan"), float("inf")])
def test_a_figure_without_a_measured_reference_is_refused(reference: float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        Figure("start", "warm", "seconds", 12.0, "s", reference, "nothing")


def test_the_95th_percentile_of_50_samples_is_the_48th() -> None:
    assert quantile([float(number) for number in range(50, 0, -1)], 0.95) == 48.0
    assert quantile([7.0], 0.5) == 7.0
