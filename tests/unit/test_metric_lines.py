"""Counts leave a function as lines in CloudWatch's embedded metric format."""

import json

import pytest

from orion.runtime.log import set_trace_id
from orion.runtime.metrics import count


def test_a_count_is_one_line_with_its_stage_as_dimension_and_the_trace_beside(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORION_STAGE", "dev")
    set_trace_id("ab" * 16)
    count("kms", "WalletsDerived", 1_000)
    line = json.loads(capsys.readouterr().out)
    [metrics] = line["_aws"]["CloudWatchMetrics"]
    assert metrics["Namespace"] == "orion/kms"
    assert metrics["Metrics"] == [{"Name": "WalletsDerived", "Unit": "Count"}]
    [dimensions] = metrics["Dimensions"]
    assert "stage" in dimensions
    assert "trace_id" not in dimensions
    assert (line["stage"], line["trace_id"], line["WalletsDerived"]) == ("dev", "ab" * 16, [1_000])
