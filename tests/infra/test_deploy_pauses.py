"""What a migration may ask to rest is there, and rests by being stopped."""

from pathlib import Path

from infra.cloud.function_table import function_row
from infra.local.deploy_pauses import PAUSES

ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS = ROOT / "infra" / "migrations"


def test_every_pause_is_of_a_migration_that_is_there_and_of_consumers_that_never_skip() -> None:
    assert PAUSES
    for file, names in PAUSES.items():
        assert (MIGRATIONS / file).is_file(), file
        for name in names:
            row = function_row(name)
            assert row.topics, f"{name} has no mapping whose records wait in Kafka"
            assert all(trigger.never_skips for trigger in row.topics), name


def test_every_pause_is_told_in_the_contracts() -> None:
    told = (ROOT / "docs" / "contracts.md").read_text()
    for file, names in PAUSES.items():
        migration = file.removeprefix("mysql/").partition("_")[0]
        [row] = [line for line in told.splitlines() if line.startswith(f"| {migration} |")]
        assert {name for name in names if f"`{name}`" in row} == set(names), migration
