"""What the templates of the function table must say, whatever makes them and however they are
divided.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.cloud.function_table import DEPLOYED, FUNCTIONS
from infra.cloud.names import ROOT, Stage
from infra.local.poller_template import mappings

STAGE = Stage("prod")
WILDCARD_ACTIONS = {
    # AWS accepts no resource for these.
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "kms:GenerateRandom",
}
Properties = Mapping[str, Any]


def of_type(template: Mapping[str, Any], kind: str) -> dict[str, Properties]:
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def functions(template: Mapping[str, Any]) -> dict[str, Properties]:
    found = of_type(template, "AWS::Lambda::Function").values()
    return {properties["FunctionName"]: properties for properties in found}


def statements(template: Mapping[str, Any], function: str) -> Iterator[Properties]:
    roles = of_type(template, "AWS::IAM::Role").values()
    [role] = [role for role in roles if role.get("RoleName") == function]
    for policy in role["Policies"]:
        yield from policy["PolicyDocument"]["Statement"]


def granted(template: Mapping[str, Any], function: str) -> str:
    return json.dumps(list(statements(template, function)))


def names_of(module: str, file: str) -> list[str]:
    [row] = [row for row in FUNCTIONS if (row.module, row.file) == (module, file)]
    return [STAGE.function(module, file, lane) for lane in (row.lanes or (None,))]


# What talks to merchants' servers, to exchanges and to the gateway's public side.
STRANGERS = ("webhook_sender", "webhook_sender_slow", "rates_fetch", "socket_poster")
ALL_NAMES = [name for row in FUNCTIONS for name in names_of(row.module, row.file)]


def test_every_row_of_the_table_is_a_function_and_there_is_no_other(
    serverless: Mapping[str, Any],
) -> None:
    assert sorted(functions(serverless)) == sorted(ALL_NAMES)


def test_every_handler_file_of_the_table_exists_and_every_file_is_in_the_table() -> None:
    on_disk = {
        f"{path.parent.name}/{path.stem}"
        for path in (ROOT / "functions").glob("*/*.py")
        if path.stem != "__init__"
    }
    assert on_disk == {row.name for row in DEPLOYED}


def test_every_asset_holds_the_file_that_its_handler_names(
    serverless: Mapping[str, Any], assembly: Path
) -> None:
    # An engine that is not AWS deploys a function without code and says nothing.
    for name, properties in functions(serverless).items():
        key = properties["Code"]["S3Key"]
        asset = assembly / f"asset.{key.removesuffix('.zip')}"
        file = properties["Handler"].removesuffix(".handler") + ".py"
        if asset.is_dir():
            held = sorted(path.name for path in asset.iterdir())
        else:
            held = zipfile.ZipFile(assembly / f"asset.{key}").namelist()
        assert file in held, name
        folders = {"migrations", "checkout", "merchant", "pay", "problems", "shared"}
        assert set(held) <= {file, *folders}, f"{name} carries {held}"


def test_every_function_has_a_time_out_memory_and_a_log_group_that_forgets(
    serverless: Mapping[str, Any],
) -> None:
    groups = of_type(serverless, "AWS::Logs::LogGroup")
    for name, properties in functions(serverless).items():
        assert properties["Timeout"] <= 900, name
        assert properties["MemorySize"] >= 256, name
        group = groups[properties["LoggingConfig"]["LogGroup"]["Ref"]]
        assert group["LogGroupName"] == f"/aws/lambda/{name}"
        assert group["RetentionInDays"] > 0
    assert all(group["RetentionInDays"] > 0 for group in groups.values())


def test_no_function_behind_the_api_runs_longer_than_ten_seconds(
    serverless: Mapping[str, Any],
) -> None:
    for row in FUNCTIONS:
        if row.lanes:
            for name in names_of(row.module, row.file):
                assert functions(serverless)[name]["Timeout"] == 10


def test_a_function_is_in_the_vpc_by_a_condition_that_cloudformation_decides(
    serverless: Mapping[str, Any],
) -> None:
    condition = serverless["Conditions"]["InVpc"]
    assert "SsmNetworkVpcId" in json.dumps(condition)
    assert '"none"' in json.dumps(condition)
    outside = {name for name, found in functions(serverless).items() if "VpcConfig" not in found}
    files = (*STRANGERS, "merchant_pages")
    assert outside == {name for file in files for name in names_of("billing", file)}
    for name in set(ALL_NAMES) - outside:
        branches = functions(serverless)[name]["VpcConfig"]["Fn::If"]
        assert branches[0] == "InVpc"
        assert branches[2] == {"Ref": "AWS::NoValue"}


def test_what_calls_strangers_holds_no_credential_of_a_database_or_a_broker(
    serverless: Mapping[str, Any],
) -> None:
    for file in STRANGERS:
        [name] = names_of("billing", file)
        text = granted(serverless, name)
        for word in ("secretsmanager", "mysql", "postgres", "AmazonMSK", "kafka:", "ec2:"):
            assert word not in text, (file, word)


def test_a_cloud_stage_gives_webhooks_no_private_network(
    serverless: Mapping[str, Any], keys: Mapping[str, Any]
) -> None:
    for template in (serverless, keys):
        assert "allowed-private-networks" not in json.dumps(template)


def test_a_function_reads_only_the_secrets_of_its_row(serverless: Mapping[str, Any]) -> None:
    for row in FUNCTIONS:
        allowed = {
            *(STAGE.mysql_secret(p) for p in row.mysql),
            *(STAGE.postgres_secret(p) for p in row.postgres),
            *(STAGE.kafka_secret(p) for p in row.kafka),
            *(STAGE.kafka_secret(t.principal) for t in row.topics),
        }
        for name in names_of(row.module, row.file):
            found = set()
            for statement in statements(serverless, name):
                if "secretsmanager:GetSecretValue" in statement["Action"]:
                    for arn in statement["Resource"]:
                        found.add(arn["Fn::Join"][1][-1].removeprefix(":secret:"))
            assert found == {f"{secret}-??????" for secret in allowed}, name


def test_a_relay_alone_among_functions_without_topics_reads_kafka_credentials(
    serverless: Mapping[str, Any],
) -> None:
    for row in FUNCTIONS:
        for name in names_of(row.module, row.file):
            reads = "AmazonMSK" in granted(serverless, name)
            assert reads == (row.file.endswith("outbox_relay") or bool(row.topics)), name


def test_a_function_may_do_what_its_own_settings_and_code_demand(
    serverless: Mapping[str, Any],
) -> None:
    # What AWS refuses at creation or at the first call, and a lenient engine does not.
    for name, properties in functions(serverless).items():
        if properties.get("TracingConfig", {}).get("Mode") == "Active":
            assert "xray:PutTraceSegments" in granted(serverless, name), name
    for name in functions(serverless):
        makes_seeds = name == STAGE.function("kms", "create_group", None)
        assert ("kms:GenerateRandom" in granted(serverless, name)) == makes_seeds, name
    [writer] = names_of("log", "audit_writer")
    assert "s3:ListBucket" in granted(serverless, writer)


def test_a_wildcard_resource_stands_only_where_aws_accepts_no_other(
    serverless: Mapping[str, Any],
) -> None:
    for role in of_type(serverless, "AWS::IAM::Role").values():
        for policy in role.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                resources = statement["Resource"]
                if "*" in resources or resources == "*":
                    assert set(statement["Action"]) <= WILDCARD_ACTIONS
                assert not any(action.endswith("*") for action in statement["Action"])


def test_every_queue_has_dead_letters_and_a_bounded_number_of_receives(
    serverless: Mapping[str, Any],
) -> None:
    queues = of_type(serverless, "AWS::SQS::Queue")
    dead = {name for name, found in queues.items() if found["QueueName"].endswith("-dead")}
    for name in set(queues) - dead:
        redrive = queues[name]["RedrivePolicy"]
        assert redrive["deadLetterTargetArn"]["Fn::GetAtt"][0] in dead
        assert 1 <= redrive["maxReceiveCount"] <= 10
    assert len(dead) * 2 == len(queues)


def test_every_dead_letter_queue_and_every_kafka_mapping_has_an_alarm(
    serverless: Mapping[str, Any],
) -> None:
    alarms = json.dumps(list(of_type(serverless, "AWS::CloudWatch::Alarm").values()))
    for name, found in of_type(serverless, "AWS::SQS::Queue").items():
        assert (f'"{name}"' in alarms) == found["QueueName"].endswith("-dead")
    for mapping in mappings(serverless):
        assert f'"{mapping.logical_id}"' in alarms


def test_a_queues_messages_stay_hidden_while_their_function_may_run(
    serverless: Mapping[str, Any],
) -> None:
    queues = of_type(serverless, "AWS::SQS::Queue")
    resources = serverless["Resources"]
    for found in of_type(serverless, "AWS::Lambda::EventSourceMapping").values():
        if "Topics" in found:
            continue
        queue = queues[found["EventSourceArn"]["Fn::GetAtt"][0]]
        function = resources[found["FunctionName"]["Ref"]]["Properties"]
        assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
        assert found["ScalingConfig"]["MaximumConcurrency"] >= 2


def test_every_kafka_mapping_states_its_window_group_and_rule(
    serverless: Mapping[str, Any],
) -> None:
    found = mappings(serverless)
    expected = {(trigger.topic, row.name) for row in FUNCTIONS for trigger in row.topics}
    assert len(found) == len(expected)
    assert len({mapping.group for mapping in found}) == len(found), "AWS wants groups unique"
    for name, properties in of_type(serverless, "AWS::Lambda::EventSourceMapping").items():
        if "Topics" in properties:
            assert 0 <= properties["MaximumBatchingWindowInSeconds"] <= 10, name
            assert properties["ProvisionedPollerConfig"]["MinimumPollers"] >= 1, name
            assert properties["StartingPosition"] == "TRIM_HORIZON", name


def test_only_the_log_book_waits_for_more_records(serverless: Mapping[str, Any]) -> None:
    waiting = {found.group for found in mappings(serverless) if found.window_s > 0}
    assert waiting <= {"orion-log-ledger-segments"}


def test_records_about_money_are_never_skipped_and_others_are_set_aside_with_a_bound(
    serverless: Mapping[str, Any],
) -> None:
    for mapping in mappings(serverless):
        if mapping.topic.startswith(("chain.", "ledger.")) or mapping.topic == "moneyin.deposits":
            assert mapping.never_skips, mapping.topic
            assert mapping.dead_letter_topic is None
            assert not mapping.bisect
        else:
            module = mapping.function.split("-")[2]
            assert 1 <= mapping.retries_max <= 50, mapping.topic
            assert mapping.bisect
            assert mapping.dead_letter_topic == f"dead-letter.{module}"


def test_every_relay_runs_on_its_queue_and_every_minute(serverless: Mapping[str, Any]) -> None:
    scheduled = json.dumps(list(of_type(serverless, "AWS::Scheduler::Schedule").values()))
    for row in FUNCTIONS:
        if row.file.endswith("outbox_relay"):
            assert row.queue is not None
            assert row.queue.queue == f"outbox-{row.mysql[0]}"
            assert row.queue.concurrency_max == 2
            [name] = names_of(row.module, row.file)
            [logical_id] = [
                key
                for key, found in of_type(serverless, "AWS::Lambda::Function").items()
                if found["FunctionName"] == name
            ]
            assert f'"{logical_id}"' in scheduled


def test_private_derivation_travels_only_with_what_opens_seeds_and_chain_keys(
    serverless: Mapping[str, Any],
) -> None:
    layers = of_type(serverless, "AWS::Lambda::LayerVersion")
    secret = {name for name, found in layers.items() if "kms" in found["LayerName"]}
    carriers = {
        name
        for name, found in functions(serverless).items()
        if secret & {layer["Ref"] for layer in found["Layers"]}
    }
    opening = (
        *("create_group", "address_pool", "tron_handover"),
        *(f"sweep_{chain}" for chain in ("bitcoin", "ethereum", "tron", "solana")),
    )
    assert carriers == {name for file in opening for name in names_of("kms", file)}


def test_a_machine_calls_only_its_own_functions_and_a_map_starts_only_its_own_children(
    serverless: Mapping[str, Any],
) -> None:
    roles = of_type(serverless, "AWS::IAM::Role").values()
    machines = of_type(serverless, "AWS::StepFunctions::StateMachine").values()
    assert {machine["StateMachineName"] for machine in machines} == {
        STAGE.stack("wallet-group"),
        STAGE.stack("wallet-batch"),
        STAGE.stack("reconciliation"),
    }
    for machine in machines:
        name = machine["StateMachineName"]
        [role] = [role for role in roles if role.get("RoleName") == name]
        [document] = [each["PolicyDocument"] for each in role["Policies"]]
        called = [row for row in document["Statement"] if "lambda:InvokeFunction" in row["Action"]]
        substitutions = machine["DefinitionSubstitutions"]
        assert [row["Resource"] for row in called] == [list(substitutions.values())]
        assert all(f"${{{key}}}" in machine["DefinitionString"] for key in substitutions)
        distributed = '"DISTRIBUTED"' in machine["DefinitionString"]
        starting = [
            row for row in document["Statement"] if "states:StartExecution" in row["Action"]
        ]
        assert bool(starting) == distributed, name
        for row in document["Statement"]:
            if any(action.startswith("states:") for action in row["Action"]):
                [arn] = row["Resource"]
                kind = arn["Fn::Join"][1][-1].removesuffix("/*")
                assert kind in (f":stateMachine:{name}", f":execution:{name}")
