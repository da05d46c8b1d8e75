"""What a person sees of a batch, and which counts the bench of a million accepts."""

import pytest

from infra.local.failure import StackFailure
from infra.local.wallets import Count, Progress
from tests.bench import million


def test_a_line_says_how_many_how_fast_and_how_much_longer() -> None:
    progress = Progress(1_000_000)
    progress.line(0.0, Count(0, 0))
    assert progress.line(10.0, Count(112_000, 100_000)) == (
        "100,000 of 1,000,000 wallets stored (112,000 told), 10,000/s, 1 min 30 s left"
    )
    assert progress.line(20.0, Count(1_000_000, 960_000)).endswith("86,000/s, 0 s left")
    assert progress.line(21.0, Count(1_000_000, 1_000_000)).endswith("all stored")


def test_the_rate_follows_the_last_seconds_and_not_the_whole_run() -> None:
    progress = Progress(1_000)
    steady = [progress.rate(float(second), 10 * second) for second in range(21)]
    assert steady[-1] == 10
    slower = [progress.rate(float(second), 160 + 2 * second) for second in range(21, 41)]
    assert slower[-1] == 2


def test_a_batch_that_stands_still_has_no_time_left_to_tell() -> None:
    progress = Progress(1_000)
    for second in range(30):
        progress.line(float(second), Count(500, 100))
    line = progress.line(30.0, Count(500, 100))
    assert line == "100 of 1,000 wallets stored (500 told), waiting"


@pytest.mark.parametrize("count", ["0", "9999", "15000", "1010000", "-10000", "x", ""])
def test_the_bench_refuses_a_count_that_is_no_number_of_groups(
    count: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(million.WALLETS, count)
    with pytest.raises(StackFailure):
        million.wanted_groups()


def test_the_bench_makes_a_hundred_groups_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(million.WALLETS, raising=False)
    assert len(million.wanted_groups()) == 100
    monkeypatch.setenv(million.WALLETS, "20000")
    assert million.wanted_groups() == range(1, 3)


def test_a_rate_is_measured_between_two_shares_of_all() -> None:
    seen = [(0.0, 0), *((float(second), 100 * second) for second in range(1, 101))]
    stored = million.Stored(seen)
    assert stored.rate(0.05, 0.15) == stored.rate(0.9, 1.0) == 100
    assert stored.took_s == 100.0
    with pytest.raises(StackFailure):
        million.Stored([(0.0, 0), (1.0, 10_000)]).rate(0.05, 0.15)
