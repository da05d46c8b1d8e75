"""The offline audit: which locked versions a vulnerability record covers."""

import json
from pathlib import Path

import pytest

from infra.setup import audit

LOCK = "left==1.4.0 \\\n    --hash=sha256:00\nright-hand==2.0 \\\n    --hash=sha256:00\n"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    file = tmp_path / "host.txt"
    file.write_text(LOCK)
    return file


def advise(folder: Path, **changes: object) -> Path:
    """A folder with one OSV record about `left`."""
    affected = {
        "package": {"ecosystem": "PyPI", "name": "Left"},
        "versions": changes.pop("versions", []),
        "ranges": [{"type": "ECOSYSTEM", "events": changes.pop("events", [])}],
    }
    record = {"id": "PYSEC-0000-1", "summary": "bad", "affected": [affected], **changes}
    advisories = folder / "advisories"
    advisories.mkdir(exist_ok=True)
    (advisories / "PYSEC-0000-1.json").write_text(json.dumps(record))
    return advisories


def test_a_version_that_a_record_lists_is_found(lock: Path, tmp_path: Path) -> None:
    found = audit.findings([lock], advise(tmp_path, versions=["1.3.0", "1.4.0"]))
    assert found == [audit.Finding("host.txt", "left", "1.4.0", "PYSEC-0000-1", "bad")]


@pytest.mark.parametrize(
    "events, covered",
    [
        ([{"introduced": "0"}], True),
        ([{"introduced": "0"}, {"fixed": "1.4.0"}], False),
        ([{"introduced": "0"}, {"fixed": "1.4.1"}], True),
        ([{"introduced": "0"}, {"fixed": "1.10.0"}], True),
        ([{"introduced": "1.4.0"}, {"last_affected": "1.4.0"}], True),
        ([{"introduced": "1.0"}, {"last_affected": "1.3.9"}], False),
        ([{"introduced": "1.5"}], False),
        ([{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "1.4"}, {"fixed": "1.5"}], True),
    ],
)
def test_a_range_covers_from_introduced_up_to_before_fixed(
    lock: Path, tmp_path: Path, events: list[dict[str, str]], covered: bool
) -> None:
    assert bool(audit.findings([lock], advise(tmp_path, events=events))) == covered


def test_a_withdrawn_record_finds_nothing(lock: Path, tmp_path: Path) -> None:
    advisories = advise(tmp_path, versions=["1.4.0"], withdrawn="2026-01-01T00:00:00Z")
    assert audit.findings([lock], advisories) == []


def test_an_unreadable_record_stops_the_audit(lock: Path, tmp_path: Path) -> None:
    advisories = advise(tmp_path)
    (advisories / "broken.json").write_text("{")
    with pytest.raises(audit.AdvisoryUnreadable):
        audit.findings([lock], advisories)


def test_an_audit_without_advisories_never_says_that_all_is_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("", str(tmp_path)):
        monkeypatch.setenv("ADVISORIES", folder)
        assert audit.main() == audit.NOT_RUN
        assert "NOT RUN" in capsys.readouterr().err


def test_the_real_locks_are_compared_and_a_finding_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADVISORIES", str(advise(tmp_path, versions=["1.4.0"])))
    assert audit.main() == 0
    record = json.loads((tmp_path / "advisories" / "PYSEC-0000-1.json").read_text())
    record["affected"][0]["package"]["name"] = "boto3"
    record["affected"][0]["ranges"][0]["events"] = [{"introduced": "0"}]
    (tmp_path / "advisories" / "PYSEC-0000-1.json").write_text(json.dumps(record))
    assert audit.main() == 1
    assert "boto3" in capsys.readouterr().out
