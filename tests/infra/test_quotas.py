"""The local stage's quotas are of the form that the functions read."""

from infra.cloud.function_row import LANES
from infra.local.seed import QUOTAS
from orion.runtime.rate_limits import read_quotas


def test_the_local_stage_has_quotas_for_each_lane() -> None:
    assert set(read_quotas(QUOTAS)) == set(LANES)
