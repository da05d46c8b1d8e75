"""The demo's report: the books and the chain must say the same, to the last place."""

import json
from pathlib import Path

from demos.first_light import report
from demos.first_light.customers import text, units
from demos.first_light.story import Told


def told(ledger: str, chain: str) -> Told:
    return Told("BTC.bitcoin", "inv_1", {"invoice created": 1234}, ledger, chain, "a.png")


def test_one_satoshi_of_difference_is_a_failure() -> None:
    stories = [told("0.00041667", "0.00041667"), told("0.00041667", "0.00041668")]
    assert report.unequal(stories) == ["BTC.bitcoin"]
    assert "NO" in report.table(stories)


def test_unknown_is_not_zero() -> None:
    assert report.unequal([told("absent", "0.00000000")]) == ["BTC.bitcoin"]


def test_the_report_has_the_published_form(tmp_path: Path) -> None:
    report.write([told("0.1", "0.1")], tmp_path / "var" / "report.json")
    assert json.loads((tmp_path / "var" / "report.json").read_text()) == {
        "stories": [
            {
                "asset": "BTC.bitcoin",
                "invoice_id": "inv_1",
                "stages_ms": {"invoice created": 1234},
                "ledger_balance": "0.1",
                "chain_balance": "0.1",
                "screenshot": "a.png",
            }
        ]
    }


def test_the_storys_own_reading_of_amounts_is_exact() -> None:
    assert (units("0.00041667", 8), text(41_667, 8)) == (41_667, "0.00041667")
    assert (units("12", 6), text(12_000_001, 6)) == (12_000_000, "12.000001")
