"""The WebSocket API of the checkout page: pages connect and leave, and what they say is swallowed.

One for both lanes: it carries no request of a merchant, and a page without it asks by itself.
"""

import json

from aws_cdk import Aws
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.cloud.exceptions import PUBLIC_SOCKET, SOCKET_STAGE, acknowledge
from infra.cloud.function_row import API_TIMEOUT_S
from infra.cloud.functions import Functions
from infra.cloud.names import Stage

FUNCTION = "billing/sockets"
NEW_PER_S = 100
NEW_BURST = 200
LOG_RETENTION_DAYS = 90

_ACCESS_LOG = {
    "request_id": "$context.requestId",
    "time": "$context.requestTimeEpoch",
    # Never the query: it holds the invoice's id, which is its page's secret.
    "route": "$context.routeKey",
    "status": "$context.status",
    "event": "$context.eventType",
    "ip": "$context.identity.sourceIp",
    "error": "$context.error.messageString",
}


class SocketApi(Construct):
    """The API first, so that a role may name it; then `serve` with the functions."""

    def __init__(self, scope: Construct, stage: Stage) -> None:
        super().__init__(scope, "Sockets")
        self._stage = stage
        self.api = apigateway.CfnApi(
            self,
            "Api",
            name=stage.stack("sockets"),
            protocol_type="WEBSOCKET",
            route_selection_expression="$request.body.action",
        )

    def connections_arn(self) -> str:
        """What a role must name to post to open connections."""
        return self._execute_arn(f"{SOCKET_STAGE}/POST/@connections/*")

    def serve(self, functions: Functions) -> apigateway.CfnStage:
        """Routes, integrations and the stage."""
        function = functions.made[(FUNCTION, None)]
        service = f"arn:{Aws.PARTITION}:apigateway:{Aws.REGION}:lambda"
        called = apigateway.CfnIntegration(
            self,
            "Called",
            api_id=self.api.ref,
            integration_type="AWS_PROXY",
            integration_uri=(
                f"{service}:path/2015-03-31/functions/{function.attr_arn}/invocations"
            ),
            timeout_in_millis=API_TIMEOUT_S * 1000,
        )
        swallowed = apigateway.CfnIntegration(
            self,
            "Swallowed",
            api_id=self.api.ref,
            integration_type="MOCK",
            template_selection_expression="200",
            request_templates={"200": json.dumps({"statusCode": 200})},
        )
        routes = [
            self._route("Connect", "$connect", called),
            self._route("Disconnect", "$disconnect", called),
            # What keeps a page's connection from idling; no function runs for it.
            self._route("Said", "$default", swallowed),
        ]
        lambda_.CfnPermission(
            self,
            "CallPermission",
            action="lambda:InvokeFunction",
            function_name=function.ref,
            principal="apigateway.amazonaws.com",
            source_arn=self._execute_arn("*/*"),
        )
        made = self._stage_of()
        for route in routes:
            made.node.add_dependency(route)
        return made

    def _route(
        self, name: str, key: str, integration: apigateway.CfnIntegration
    ) -> apigateway.CfnRoute:
        route = apigateway.CfnRoute(
            self,
            name,
            api_id=self.api.ref,
            route_key=key,
            authorization_type="NONE",
            target=f"integrations/{integration.ref}",
        )
        acknowledge(route, PUBLIC_SOCKET)
        return route

    def _stage_of(self) -> apigateway.CfnStage:
        log_group = logs.CfnLogGroup(
            self,
            "AccessLogs",
            log_group_name=f"/orion/{self._stage.name}/sockets",
            retention_in_days=LOG_RETENTION_DAYS,
        )
        return apigateway.CfnStage(
            self,
            "Stage",
            api_id=self.api.ref,
            stage_name=SOCKET_STAGE,
            auto_deploy=True,
            access_log_settings=apigateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=log_group.attr_arn, format=json.dumps(_ACCESS_LOG)
            ),
            default_route_settings=apigateway.CfnStage.RouteSettingsProperty(
                detailed_metrics_enabled=True,
                logging_level="ERROR",
                data_trace_enabled=False,
                throttling_rate_limit=NEW_PER_S,
                throttling_burst_limit=NEW_BURST,
            ),
        )

    def _execute_arn(self, rest: str) -> str:
        return (
            f"arn:{Aws.PARTITION}:execute-api:{Aws.REGION}:{Aws.ACCOUNT_ID}:{self.api.ref}/{rest}"
        )
