"""The stacks deployed on one machine use only what the local AWS engine provisions."""

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from infra.setup.tools import tool

# The engine's own table of resource types; CloudFormation's own and metadata need no provisioning.
PROGRAM = (
    "import json;from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS;"
    "print(json.dumps(sorted(_RESOURCE_HANDLERS)))"
)


def test_every_resource_type_is_one_that_the_local_engine_provisions(
    serverless: Mapping[str, Any],
    keys: Mapping[str, Any],
    custodians: Mapping[int, Mapping[str, Any]],
    apis: Mapping[str, Mapping[str, Any]],
) -> None:
    # One unknown type would make the engine refuse the whole template.
    run = subprocess.run(
        [str(tool("ministack-python")), "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    provisioned = set(json.loads(run.stdout.splitlines()[-1]))
    used = {
        resource["Type"]
        for template in (serverless, keys, *custodians.values(), *apis.values())
        for resource in template["Resources"].values()
    }
    assert used <= provisioned


def test_what_the_local_engine_lacks_is_in_a_stack_of_its_own(
    signing: Mapping[str, Any], custodians: Mapping[int, Mapping[str, Any]]
) -> None:
    types = {resource["Type"] for resource in signing["Resources"].values()}
    assert "AWS::Lambda::CodeSigningConfig" in types
    for template in custodians.values():
        assert "AWS::Lambda::CodeSigningConfig" not in json.dumps(template)
