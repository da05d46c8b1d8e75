"""The stacks of the function table, with what only one of them has: a locked bucket, the WebSocket
API, the account's logging of APIs. The lanes' APIs are stacks of their own (infra/cloud/api.py).
"""

from aws_cdk import Aws, CfnDeletionPolicy, CfnOutput, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.cloud.api import API_STAGE
from infra.cloud.exceptions import (
    API_LOGGING,
    LOCKED,
    acknowledge,
    own_connections,
    own_objects,
)
from infra.cloud.function_row import BASE, SERVERLESS
from infra.cloud.function_stack import FunctionStack
from infra.cloud.functions import Holdings
from infra.cloud.grants import trust
from infra.cloud.locked_buckets import AUDIT_LOCK_DAYS, LEDGER_BOOK_LOCK_DAYS, LockedBucket
from infra.cloud.names import Stage
from infra.cloud.outputs import (
    AUDIT_BUCKET_OUTPUT,
    LEDGER_BOOK_BUCKET_OUTPUT,
    SOCKETS_OUTPUT,
    STAGE_OUTPUT,
)
from infra.cloud.sockets import SocketApi


def function_stacks(scope: Construct, stage: Stage, keys: Stack) -> FunctionStack:
    """All of them, after `keys`, whose ARNs they read from parameters. The base is before the
    others: it has the topic of alarms and the account's logging, and the migrations, which run
    before the others are deployed. Answers the serverless one, which the lanes' APIs call.
    """
    base = _base(scope, stage)
    base.add_stack_dependency(keys)
    serverless = _serverless(scope, stage)
    plain = (FunctionStack(scope, stage, "webhooks"), FunctionStack(scope, stage, "wallets"))
    for stack in plain:
        stack.fill(Holdings())
    for stack in (serverless, *plain, _sockets(scope, stage), _books(scope, stage)):
        stack.add_stack_dependency(base)
    return serverless


def _base(scope: Construct, stage: Stage) -> FunctionStack:
    stack = FunctionStack(scope, stage, BASE)
    stack.fill(Holdings())
    _api_logging(stack)
    return stack


def _serverless(scope: Construct, stage: Stage) -> FunctionStack:
    stack = FunctionStack(scope, stage, SERVERLESS)
    audit = LockedBucket(stack.home, stage, "audit", AUDIT_LOCK_DAYS)
    acknowledge(audit, LOCKED)
    functions = stack.fill(Holdings(audit=audit.bucket))
    named = {"*": "The writer names its objects by topic, partition and offset."}
    acknowledge(functions, own_objects(stack.get_logical_id(audit.bucket), named))
    CfnOutput(stack, STAGE_OUTPUT, value=API_STAGE)
    CfnOutput(stack, AUDIT_BUCKET_OUTPUT, value=audit.bucket.ref)
    return stack


def _sockets(scope: Construct, stage: Stage) -> FunctionStack:
    stack = FunctionStack(scope, stage, "sockets")
    sockets = SocketApi(stack.home, stage)
    functions = stack.fill(Holdings(sockets_arn=sockets.connections_arn()))
    acknowledge(functions, own_connections(stack.get_logical_id(sockets.api)))
    sockets.serve(functions)
    CfnOutput(stack, SOCKETS_OUTPUT, value=sockets.api.ref)
    return stack


def _books(scope: Construct, stage: Stage) -> FunctionStack:
    stack = FunctionStack(scope, stage, "books")
    book = LockedBucket(stack.home, stage, "ledger-book", LEDGER_BOOK_LOCK_DAYS)
    acknowledge(book, LOCKED)
    functions = stack.fill(Holdings(ledger_book=book.bucket))
    named = {
        "segments/*": "Segments are named by shard and number.",
        "reports/*": "Reports are named by date and run.",
    }
    acknowledge(functions, own_objects(stack.get_logical_id(book.bucket), named))
    CfnOutput(stack, LEDGER_BOOK_BUCKET_OUTPUT, value=book.bucket.ref)
    return stack


def _api_logging(stack: FunctionStack) -> None:
    """API Gateway logs through one role an account and region; the last stage deployed names it."""
    role = iam.CfnRole(
        stack,
        "ApiLoggingRole",
        assume_role_policy_document=trust("apigateway.amazonaws.com"),
        managed_policy_arns=[
            f"arn:{Aws.PARTITION}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
        ],
    )
    acknowledge(role, API_LOGGING)
    account = apigateway.CfnAccount(stack, "ApiLogging", cloud_watch_role_arn=role.attr_arn)
    for resource in (role, account):
        # Another stage of the account may still log through it.
        resource.cfn_options.deletion_policy = CfnDeletionPolicy.RETAIN_EXCEPT_ON_CREATE
        resource.cfn_options.update_replace_policy = CfnDeletionPolicy.RETAIN
