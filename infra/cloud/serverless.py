"""The serverless stack: what a stage has that has no servers, made from the function table. Only
the lanes' APIs are stacks of their own (infra/cloud/api.py).
"""

from aws_cdk import Aws, CfnDeletionPolicy, CfnOutput, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.cloud.alarms import Alarms
from infra.cloud.api import API_STAGE
from infra.cloud.consumers import Consumers
from infra.cloud.exceptions import API_LOGGING, LOCKED, NO_RESOURCE, acknowledge, own_prefix
from infra.cloud.functions import Functions
from infra.cloud.grants import trust
from infra.cloud.locked_buckets import AUDIT_LOCK_DAYS, LEDGER_BOOK_LOCK_DAYS, LockedBucket
from infra.cloud.names import Stage
from infra.cloud.outputs import (
    AUDIT_BUCKET_OUTPUT,
    LEDGER_BOOK_BUCKET_OUTPUT,
    RECONCILIATION_OUTPUT,
    SOCKETS_OUTPUT,
    STAGE_OUTPUT,
    WALLET_BATCH_OUTPUT,
    WALLET_GROUP_OUTPUT,
)
from infra.cloud.parameters import Parameters
from infra.cloud.queues import Queues
from infra.cloud.schedules import Schedules
from infra.cloud.sockets import SocketApi
from infra.cloud.workflows import Workflows


class ServerlessStack(Stack):
    """Reads what other stacks wrote to SSM; writes nothing that the edge owns."""

    def __init__(self, scope: Construct, stage: Stage) -> None:
        super().__init__(scope, "serverless", stack_name=stage.stack("serverless"))
        parameters = Parameters(self, stage)
        queues = Queues(self, stage)
        audit = LockedBucket(self, stage, "audit", AUDIT_LOCK_DAYS)
        ledger_book = LockedBucket(self, stage, "ledger-book", LEDGER_BOOK_LOCK_DAYS)
        sockets = SocketApi(self, stage)
        functions = Functions(
            self,
            stage,
            parameters,
            queues,
            audit.bucket,
            ledger_book.bucket,
            sockets.connections_arn(),
        )
        for locked in (audit, ledger_book):
            acknowledge(locked, LOCKED)
        own = (audit.bucket, ledger_book.bucket, sockets.api)
        own_ids = (self.get_logical_id(resource) for resource in own)
        acknowledge(functions, {**NO_RESOURCE, **own_prefix(stage.name, *own_ids)})
        consumers = Consumers(self, parameters, queues, functions)
        workflows = Workflows(self, stage, functions)
        acknowledge(workflows, NO_RESOURCE)
        Schedules(self, stage, functions, workflows)
        account = self._api_logging()
        sockets.serve(functions).node.add_dependency(account)
        Alarms(self, stage, queues, functions, consumers, workflows)
        CfnOutput(self, STAGE_OUTPUT, value=API_STAGE)
        CfnOutput(self, SOCKETS_OUTPUT, value=sockets.api.ref)
        CfnOutput(self, WALLET_GROUP_OUTPUT, value=workflows.made["wallet-group"].ref)
        CfnOutput(self, WALLET_BATCH_OUTPUT, value=workflows.made["wallet-batch"].ref)
        CfnOutput(self, RECONCILIATION_OUTPUT, value=workflows.made["reconciliation"].ref)
        CfnOutput(self, AUDIT_BUCKET_OUTPUT, value=audit.bucket.ref)
        CfnOutput(self, LEDGER_BOOK_BUCKET_OUTPUT, value=ledger_book.bucket.ref)

    def _api_logging(self) -> apigateway.CfnAccount:
        """API Gateway logs through one role an account and region; the last stage deployed names
        it.
        """
        role = iam.CfnRole(
            self,
            "ApiLoggingRole",
            assume_role_policy_document=trust("apigateway.amazonaws.com"),
            managed_policy_arns=[
                f"arn:{Aws.PARTITION}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
            ],
        )
        acknowledge(role, API_LOGGING)
        account = apigateway.CfnAccount(self, "ApiLogging", cloud_watch_role_arn=role.attr_arn)
        for resource in (role, account):
            # Another stage of the account may still log through it.
            resource.cfn_options.deletion_policy = CfnDeletionPolicy.RETAIN_EXCEPT_ON_CREATE
            resource.cfn_options.update_replace_policy = CfnDeletionPolicy.RETAIN
        return account
