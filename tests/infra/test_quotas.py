"""The local stage's quotas are of the form that the functions read, and a deployment says what is
wrong with a stage's before it changes anything.
"""

import json
from typing import Any

import pytest

from infra.cloud.function_row import LANES
from infra.local.deploy_aws import DeployFailed
from infra.local.deploy_quotas import quota_remarks
from infra.local.seed import QUOTAS
from orion.runtime.rate_limits import read_quotas

NAME = "/orion/dev/policy/rate-limits"


def remarks(document: object) -> list[str]:
    return list(quota_remarks(NAME, json.dumps(document)))


def quotas() -> Any:
    return json.loads(json.dumps(QUOTAS))


def test_the_local_stage_has_quotas_for_each_lane() -> None:
    assert set(read_quotas(QUOTAS)) == set(LANES)
    assert remarks(QUOTAS) == []


def test_a_deployment_says_which_class_is_ignored_and_which_is_missing() -> None:
    document = quotas()
    document["vip"]["refusd"] = document["vip"].pop("refused")
    assert remarks(document) == [
        f"{NAME}: vip.refusd is no class of this code, and is ignored",
        f'{NAME}: vip has no row for refused, which is then {{"window_s": 600, "address": 60}}',
    ]


def test_a_deployment_stops_where_the_functions_would_and_says_where() -> None:
    document = quotas()
    document["vip"]["open_read"] = {"window_s": 10, "address": "600"}
    with pytest.raises(DeployFailed, match=f"{NAME}, at vip.open_read.address: a whole number"):
        remarks(document)
    document["vip"]["open_read"] = {"window_s": 10, "key": 600}
    with pytest.raises(DeployFailed, match=r"at vip\.open_read: the members are window_s, address"):
        remarks(document)
    del document["vip"]["open_read"]
    with pytest.raises(DeployFailed, match=r"at vip\.open_read: a lane needs this class"):
        remarks(document)


def test_a_deployment_stops_without_the_quotas_of_a_lane() -> None:
    with pytest.raises(DeployFailed, match="no quotas for these lanes: vip"):
        remarks({"standard": quotas()["standard"]})
    with pytest.raises(DeployFailed, match="is not a JSON object"):
        remarks([])
    with pytest.raises(DeployFailed, match="is not JSON"):
        quota_remarks(NAME, "none")
    with pytest.raises(DeployFailed, match=r"at vip: an object is wanted"):
        remarks({**quotas(), "vip": None})
