"""The synthesized templates, made once a session in this process."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from infra.setup.tools import tool

Json = Mapping[str, object]
STAGE = "prod"


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloud assembly of a cloud stage, with cdk-nag as a condition of its synthesis."""
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{tool('node').parent}:{before}"
    os.environ["JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION"] = "1"
    # Late: jsii starts its Node process at the first import.
    from aws_cdk import App

    from infra.app import build

    output = tmp_path_factory.mktemp("cdk.out")
    build(App(outdir=str(output)), STAGE).synth()
    os.environ["PATH"] = before
    return output


@pytest.fixture(scope="session")
def function_stacks(assembly: Path) -> Mapping[str, Json]:
    """The templates of the function table's stacks by name."""
    from infra.cloud.function_row import FUNCTION_STACKS

    return {name: _template(assembly, name) for name in FUNCTION_STACKS}


@pytest.fixture(scope="session")
def serverless(function_stacks: Mapping[str, Json]) -> Json:
    """All stacks of the function table as one template: what a stage has that has no servers."""
    whole: dict[str, dict[str, object]] = {}
    for template in function_stacks.values():
        for section, rows in template.items():
            if isinstance(rows, dict):
                known = whole.setdefault(section, {})
                for name, row in rows.items():
                    assert known.setdefault(name, row) == row, f"{name} stands for two things"
    return whole


@pytest.fixture(scope="session")
def apis(assembly: Path) -> Mapping[str, Json]:
    """The template of each lane's API."""
    from infra.cloud.api import api_room
    from infra.cloud.function_row import LANES

    return {lane: _template(assembly, api_room(lane)) for lane in LANES}


@pytest.fixture(scope="session")
def keys(assembly: Path) -> Json:
    """The keys stack's template."""
    return _template(assembly, "keys")


@pytest.fixture(scope="session")
def custodians(assembly: Path) -> Mapping[int, Json]:
    """The five custodians' templates by number."""
    from infra.cloud.custody import CUSTODIANS, custodian_room

    return {number: _template(assembly, custodian_room(number)) for number in CUSTODIANS}


@pytest.fixture(scope="session")
def signing(assembly: Path) -> Json:
    """The template of the custodians' code signing."""
    return _template(assembly, "custodian-signing")


def _template(assembly: Path, room: str) -> Json:
    from infra.cloud.synth import template_path

    return cast(Json, json.loads(template_path(assembly, room).read_text()))
