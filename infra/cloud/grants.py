"""What the role of one function may do, computed from its row of the function table."""

from collections.abc import Mapping, Sequence

from aws_cdk import Aws

from infra.cloud.function_row import FunctionRow
from infra.cloud.names import Stage
from infra.cloud.parameters import Parameters

Statement = dict[str, object]

TRACE = ("xray:PutTraceSegments", "xray:PutTelemetryRecords")
ENCRYPT = ("kms:Encrypt", "kms:GenerateDataKey", "kms:DescribeKey")
DECRYPT = ("kms:Decrypt", "kms:DescribeKey")
SIGN = ("kms:Sign", "kms:GetPublicKey", "kms:DescribeKey")
READ_PUBLIC = ("kms:GetPublicKey",)


def allow(actions: Sequence[str], resources: Sequence[str]) -> Statement:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


def trust(service: str) -> dict[str, object]:
    """Who may take the role: one AWS service."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": service},
                "Action": "sts:AssumeRole",
            }
        ],
    }


def _secret_arns(stage: Stage, row: FunctionRow) -> list[str]:
    names = [
        *(stage.mysql_secret(p) for p in row.mysql),
        *(stage.postgres_secret(p) for p in row.postgres),
        *(stage.kafka_secret(p) for p in row.kafka),
        *(stage.kafka_secret(t.principal) for t in row.topics),
    ]
    base = f"arn:{Aws.PARTITION}:secretsmanager:{Aws.REGION}:{Aws.ACCOUNT_ID}:secret"
    # Secrets Manager adds a hyphen and six characters to the name; nothing else may match.
    return [f"{base}:{name}-??????" for name in dict.fromkeys(names)]


def _mapping_statements(parameters: Parameters) -> list[Statement]:
    # Lambda's own Kafka poller runs under the function's role (AWS: "MSK permissions").
    return [
        allow(
            (
                "kafka:DescribeCluster",
                "kafka:DescribeClusterV2",
                "kafka:GetBootstrapBrokers",
                "kafka:ListScramSecrets",
            ),
            (parameters.value("kafka/cluster-arn"),),
        )
    ]


def _network_statement() -> Statement:
    # AWS accepts no resource for these calls (Lambda: "Required IAM permissions" of VPC functions).
    return allow(
        (
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
        ),
        ("*",),
    )


def statements(
    stage: Stage,
    row: FunctionRow,
    parameters: Parameters,
    *,
    log_group_arn: str,
    queue_arns: Mapping[str, str],
    audit_bucket_arn: str,
    ledger_book_arn: str,
    sockets_arn: str,
) -> list[Statement]:
    """All statements of one function's role."""
    found: list[Statement] = [
        allow(("logs:CreateLogStream", "logs:PutLogEvents"), (log_group_arn,)),
        allow(("ssm:GetParametersByPath", "ssm:GetParameters"), parameters.path_arns()),
        # X-Ray accepts no resource; Lambda refuses a traced function whose role lacks these.
        allow(TRACE, ("*",)),
    ]
    if row.makes_seeds:
        # KMS's random numbers belong to no key, so the call accepts no resource.
        found.append(allow(("kms:GenerateRandom",), ("*",)))
    secrets = _secret_arns(stage, row)
    if secrets:
        found.append(allow(("secretsmanager:GetSecretValue",), secrets))
        found.append(allow(("kms:Decrypt",), (parameters.value("keys/service-secrets-arn"),)))
    if row.topics:
        found.extend(_mapping_statements(parameters))
    if row.in_vpc or row.topics:
        found.append(_network_statement())
    if row.queue is not None:
        found.append(
            allow(
                ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
                (queue_arns[row.queue.queue],),
            )
        )
    if row.sends:
        found.append(
            allow(
                ("sqs:SendMessage", "sqs:GetQueueUrl"),
                [queue_arns[purpose] for purpose in row.sends],
            )
        )
    if row.posts_to_sockets:
        found.append(allow(("execute-api:ManageConnections",), (sockets_arn,)))
    uses = (
        (ENCRYPT, row.encrypts),
        (DECRYPT, row.decrypts),
        (SIGN, row.signs),
        (READ_PUBLIC, row.reads_keys),
    )
    for actions, purposes in uses:
        found.extend(allow(actions, (parameters.value(f"keys/{p}-arn"),)) for p in purposes)
    if row.writes_audit:
        found.append(allow(("s3:PutObject", "s3:GetObject"), (f"{audit_bucket_arn}/*",)))
        found.append(allow(("s3:ListBucket",), (audit_bucket_arn,)))
    found.extend(_ledger_book(row, ledger_book_arn))
    return found


def _ledger_book(row: FunctionRow, bucket_arn: str) -> list[Statement]:
    """Nobody deletes there and nobody passes the lock by: no row has these rights to give."""
    segments = (f"{bucket_arn}/segments/*",)
    found: list[Statement] = []
    if row.writes_ledger_book:
        found.append(allow(("s3:PutObject", "s3:GetObject"), segments))
        found.append(allow(("s3:ListBucket",), (bucket_arn,)))
    if row.reads_ledger_book:
        found.append(allow(("s3:GetObject", "s3:GetObjectVersion"), segments))
        found.append(allow(("s3:ListBucket", "s3:ListBucketVersions"), (bucket_arn,)))
    if row.writes_reports:
        found.append(allow(("s3:PutObject",), (f"{bucket_arn}/reports/*",)))
    return found
