"""Whether the functions that are about to be deployed can read their stage's quotas: one that they
refuse would make every counted route answer `internal` (docs/api.md, "Rate limits").
"""

import json
from collections.abc import Mapping, Sequence
from typing import cast

from infra.cloud.function_row import LANES
from infra.cloud.names import Stage
from infra.local.deploy_aws import Account, DeployFailed, Report
from orion.runtime.rate_limits import COUNTED, DEFAULTS, PARAMETER, MalformedQuotas, read_quotas


def check_quotas(account: Account, stage: Stage, report: Report) -> None:
    """Report what is ignored or missing in the stage's document. Raises DeployFailed."""
    name = stage.parameter(PARAMETER)
    text = account.parameters([name]).get(name)
    if text is None:
        raise DeployFailed(f"these SSM parameters must exist first: {name}")
    for remark in quota_remarks(name, text):
        report(f"deploy: {remark}")


def quota_remarks(name: str, text: str) -> Sequence[str]:
    """What people should know of a document that will do, and that stands in the parameter `name`.
    Raises DeployFailed where it will not.
    """
    try:
        document = json.loads(text)
    except ValueError as exc:
        raise DeployFailed(f"{name} is not JSON: {exc}") from exc
    if not isinstance(document, dict):
        raise DeployFailed(f"{name} is not a JSON object")
    lanes = cast(Mapping[str, Mapping[str, object]], document)
    absent = [lane for lane in LANES if lane not in lanes]
    if absent:
        raise DeployFailed(f"{name} has no quotas for these lanes: {', '.join(absent)}")
    try:
        read_quotas(lanes)
    except MalformedQuotas as exc:
        where = exc.fields.get("place")
        raise DeployFailed(f"{name}, at {where}: {exc.detail}") from exc
    known = {each.value for each in COUNTED}
    ignored = [
        f"{name}: {lane}.{each} is no class of this code, and is ignored"
        for lane, classes in lanes.items()
        for each in sorted(classes.keys() - known)
    ]
    missing = [
        f"{name}: {lane} has no row for {each.value}, which is then {json.dumps(row)}"
        for lane, classes in lanes.items()
        for each, row in DEFAULTS.items()
        if each.value not in classes
    ]
    return [*ignored, *missing]
