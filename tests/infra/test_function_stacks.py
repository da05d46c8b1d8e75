"""How the function table is divided into stacks, and what they may know of each other."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.cloud.function_row import BASE, FUNCTION_STACKS, SERVERLESS
from infra.cloud.function_table import FUNCTIONS
from infra.cloud.names import Stage

STAGE = Stage("prod")
RESOURCES_MAX = 300
Template = Mapping[str, Any]


def named(template: Template, kind: str, name: str) -> set[str]:
    return {
        resource["Properties"][name]
        for resource in template["Resources"].values()
        if resource["Type"] == kind
    }


def arns(part: object) -> Iterator[str]:
    """Every ARN that is written out: its parts that are known at synthesis, joined."""
    if isinstance(part, dict):
        if "Fn::Join" in part:
            words = part["Fn::Join"][1]
            yield "".join(word if isinstance(word, str) else "?" for word in words)
        for inner in part.values():
            yield from arns(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from arns(inner)


def test_every_stack_has_room_to_grow_below_the_500_resources_of_a_stack(assembly: Path) -> None:
    for path in assembly.glob("*.template.json"):
        assert len(json.loads(path.read_text())["Resources"]) <= RESOURCES_MAX, path.name


def test_no_stack_exports_or_imports_values(assembly: Path) -> None:
    # An exported value cannot change while somebody imports it.
    for path in assembly.glob("*.template.json"):
        template = json.loads(path.read_text())
        assert "Fn::ImportValue" not in json.dumps(template), path.name
        outputs = template.get("Outputs", {}).values()
        assert all("Export" not in output for output in outputs), path.name


def test_every_function_is_in_the_stack_of_its_row(function_stacks: Mapping[str, Template]) -> None:
    for stack, template in function_stacks.items():
        expected = {
            STAGE.function(row.module, row.file, lane)
            for row in FUNCTIONS
            if row.stack == stack
            for lane in (row.lanes or (None,))
        }
        assert named(template, "AWS::Lambda::Function", "FunctionName") == expected
        assert expected


def test_what_a_stack_names_of_another_one_is_made_there_under_that_name(
    function_stacks: Mapping[str, Template],
) -> None:
    made = {
        "sqs": ("AWS::SQS::Queue", "QueueName"),
        "sns": ("AWS::SNS::Topic", "TopicName"),
    }
    foreign = set()
    for stack, template in function_stacks.items():
        for arn in arns(template["Resources"]):
            found = re.fullmatch(r"arn:\?:(sqs|sns):\?:\?:(orion-prod-[a-z0-9-]+)", arn)
            if found is None:
                continue
            service, name = found.groups()
            assert name not in named(template, *made[service]), f"{stack}: {name} is its own"
            assert any(
                name in named(other, *made[service]) for other in function_stacks.values()
            ), name
            foreign.add((stack, name.removeprefix("orion-prod-")))
    assert {name for stack, name in foreign if stack == SERVERLESS} == {
        "webhooks",
        "webhooks-slow",
        "webhook-dispatch",
        "socket-messages",
        "alarms",
    }
    assert {stack for stack, name in foreign if name == "alarms"} == {
        stack for stack in FUNCTION_STACKS if stack != BASE
    }
    # Migrations run before another stack of functions is there.
    assert BASE not in {stack for stack, _ in foreign}


def test_the_base_waits_for_the_keys_only_and_all_other_stacks_of_functions_for_the_base(
    assembly: Path,
) -> None:
    artifacts = json.loads((assembly / "manifest.json").read_text())["artifacts"]
    assert FUNCTION_STACKS[0] == BASE
    for stack in FUNCTION_STACKS:
        waits_for = set(artifacts[stack]["dependencies"]) & {"keys", *FUNCTION_STACKS}
        assert waits_for == ({"keys"} if stack == BASE else {BASE})


def test_the_base_has_the_migrations_with_log_and_alarm_and_what_others_start_from(
    function_stacks: Mapping[str, Template],
) -> None:
    base = function_stacks[BASE]
    assert named(base, "AWS::Lambda::Function", "FunctionName") == {"orion-prod-arch-migrate"}
    assert named(base, "AWS::Logs::LogGroup", "LogGroupName") == {
        "/aws/lambda/orion-prod-arch-migrate"
    }
    assert named(base, "AWS::SNS::Topic", "TopicName") == {"orion-prod-alarms"}
    assert named(base, "AWS::CloudWatch::Alarm", "AlarmName") == {
        "orion-prod-arch-migrate-one-errors"
    }
    kinds = {resource["Type"] for resource in base["Resources"].values()}
    assert "AWS::ApiGateway::Account" in kinds
    assert kinds.isdisjoint({"AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::Scheduler::Schedule"})


def test_all_alarms_tell_one_topic(function_stacks: Mapping[str, Template]) -> None:
    topics = [named(each, "AWS::SNS::Topic", "TopicName") for each in function_stacks.values()]
    assert sorted(name for found in topics for name in found) == ["orion-prod-alarms"]
    for stack, template in function_stacks.items():
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::CloudWatch::Alarm":
                [told] = resource["Properties"]["AlarmActions"]
                by_name = "Fn::Join" in told and told["Fn::Join"][1][-1] == ":orion-prod-alarms"
                assert by_name != (stack == BASE)


def test_what_a_relay_leaves_alone_raises_an_alarm(
    function_stacks: Mapping[str, Template],
) -> None:
    found = {
        resource["Properties"]["MetricName"]: resource["Properties"]
        for resource in function_stacks[SERVERLESS]["Resources"].values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
        and resource["Properties"]["Namespace"] == "orion/outbox"
    }
    assert {name: alarm["EvaluationPeriods"] for name, alarm in found.items()} == {
        "Messages refused": 1,
        "Destinations refusing": 2,
        "Rows out of sight": 2,
    }
    for alarm in found.values():
        assert alarm["Dimensions"] == [{"Name": "stage", "Value": "prod"}]
        assert (alarm["Statistic"], alarm["Threshold"]) == ("Maximum", 0)
