"""The two REST APIs, one a lane: routes from the product's own table, all proxied to functions of
that lane.

Each is a stack of its own: a stack has at most 500 resources (CloudFormation quotas), and every
route is several. They name the serverless stack's functions, which is deployed before them.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Aws, CfnOutput, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.cloud.exceptions import PUBLIC_METHOD, acknowledge
from infra.cloud.function_row import API_TIMEOUT_S
from infra.cloud.names import Stage, logical
from infra.cloud.outputs import API_OUTPUT
from infra.cloud.problems import GATEWAY_PROBLEMS, GatewayProblem, problem_template
from infra.cloud.routes import ApiRoute, api_routes

API_STAGE = "live"
AUTHORIZER = "user/authorizer"
AUTHORIZER_TTL_S = 60  # A key that was withdrawn works for at most this long.
LOG_RETENTION_DAYS = 90
COMPRESSED_FROM_BYTES = 1024

_ACCESS_LOG = {
    "request_id": "$context.requestId",
    "time": "$context.requestTimeEpoch",
    "method": "$context.httpMethod",
    # The route, never the path: a checkout path holds the invoice's id, which is its secret.
    "route": "$context.resourcePath",
    "status": "$context.status",
    "bytes": "$context.responseLength",
    "latency_ms": "$context.responseLatency",
    "integration_ms": "$context.integrationLatency",
    "merchant": "$context.authorizer.principalId",
    "ip": "$context.identity.sourceIp",
    "error": "$context.error.responseType",
}


@dataclass(frozen=True, slots=True)
class Throttle:
    """Requests a second and burst of one lane's stage.

    The account allows 10,000 a second and a burst of 5,000 in a region for all APIs together
    (API Gateway quotas), so the standard lane leaves the VIP lane's share free.
    """

    rate_per_s: int
    burst: int


THROTTLES: Mapping[str, Throttle] = {
    "standard": Throttle(rate_per_s=6000, burst=3000),
    "vip": Throttle(rate_per_s=3000, burst=1500),
}
REGISTRATION_PATH = "/v1/merchants"
REGISTRATION = Throttle(rate_per_s=5, burst=20)


class LaneApiStack(Stack):
    """One lane's API and nothing else."""

    def __init__(self, scope: Construct, stage: Stage, lane: str) -> None:
        room = api_room(lane)
        super().__init__(scope, room, stack_name=stage.stack(room))
        lane_api = LaneApi(self, stage, lane)
        CfnOutput(self, API_OUTPUT.format(lane=logical(lane)), value=lane_api.api.ref)


def api_room(lane: str) -> str:
    """The stack of a lane, within its stage."""
    return f"api-{lane}"


def deployment_digest(routes: Sequence[ApiRoute], problems: Sequence[GatewayProblem]) -> str:
    """Changes with whatever a deployment shows: it is a snapshot, and only a new id makes one."""
    shape = json.dumps(
        [
            [[r.method, r.path, r.function, r.public] for r in routes],
            [
                [p.response_type, p.status, problem_template(p), p.response_parameters()]
                for p in problems
            ],
            API_TIMEOUT_S,
            AUTHORIZER_TTL_S,
        ],
        sort_keys=True,
    )
    return hashlib.sha256(shape.encode()).hexdigest()[:12]


class LaneApi(Construct):
    """One lane: its REST API, authorizer, methods, gateway problems, deployment and stage."""

    def __init__(self, scope: Construct, stage: Stage, lane: str) -> None:
        super().__init__(scope, logical("api", lane))
        self._stage = stage
        self._lane = lane
        self.api = apigateway.CfnRestApi(
            self,
            "Api",
            name=stage.stack(lane),
            endpoint_configuration=apigateway.CfnRestApi.EndpointConfigurationProperty(
                types=["REGIONAL"]
            ),
            minimum_compression_size=COMPRESSED_FROM_BYTES,
        )
        self._resources: dict[str, str] = {"": self.api.attr_root_resource_id}
        self._authorizer = self._make_authorizer()
        routes = api_routes()
        described = [*self._methods(routes), *self._gateway_problems()]
        self._allow_calls(routes)
        self._deploy(described, routes)

    def _make_authorizer(self) -> apigateway.CfnAuthorizer:
        authorizer = apigateway.CfnAuthorizer(
            self,
            "Authorizer",
            name=self._stage.stack(f"authorizer-{self._lane}"),
            rest_api_id=self.api.ref,
            type="REQUEST",
            authorizer_uri=self._invocation(AUTHORIZER),
            identity_source="method.request.header.Authorization",
            authorizer_result_ttl_in_seconds=AUTHORIZER_TTL_S,
        )
        lambda_.CfnPermission(
            self,
            "AuthorizerPermission",
            action="lambda:InvokeFunction",
            function_name=self._function(AUTHORIZER),
            principal="apigateway.amazonaws.com",
            source_arn=self._execute_arn(f"authorizers/{authorizer.ref}"),
        )
        return authorizer

    def _methods(self, routes: tuple[ApiRoute, ...]) -> list[apigateway.CfnMethod]:
        made = [self._method(route.path, route.method, route) for route in routes]
        served: dict[str, ApiRoute] = {}
        for route in routes:
            served.setdefault(route.path, route)
        # The function answers 405 itself; without this API Gateway would say "not found".
        made.extend(self._method(path, "ANY", route) for path, route in served.items())
        return made

    def _method(self, path: str, verb: str, route: ApiRoute) -> apigateway.CfnMethod:
        guarded = verb != "ANY" and not route.public
        method = apigateway.CfnMethod(
            self,
            logical(verb.lower(), path or "root"),
            rest_api_id=self.api.ref,
            resource_id=self._resource(path),
            http_method=verb,
            authorization_type="CUSTOM" if guarded else "NONE",
            authorizer_id=self._authorizer.ref if guarded else None,
            integration=apigateway.CfnMethod.IntegrationProperty(
                type="AWS_PROXY",
                integration_http_method="POST",
                uri=self._invocation(route.function),
                timeout_in_millis=API_TIMEOUT_S * 1000,
            ),
        )
        if not guarded:
            acknowledge(method, PUBLIC_METHOD)
        return method

    def _resource(self, path: str) -> str:
        """Id of the resource at `path`, such as /v1/invoices/{invoice_id}; parents come first."""
        path = path.rstrip("/")
        if path not in self._resources:
            parent, _, part = path.rpartition("/")
            resource = apigateway.CfnResource(
                self,
                logical("path", path),
                rest_api_id=self.api.ref,
                parent_id=self._resource(parent),
                path_part=part,
            )
            self._resources[path] = resource.ref
        return self._resources[path]

    def _gateway_problems(self) -> list[apigateway.CfnGatewayResponse]:
        return [
            apigateway.CfnGatewayResponse(
                self,
                logical("problem", problem.response_type.lower()),
                rest_api_id=self.api.ref,
                response_type=problem.response_type,
                status_code=str(problem.status),
                response_parameters=problem.response_parameters(),
                response_templates={"application/json": problem_template(problem)},
            )
            for problem in GATEWAY_PROBLEMS
        ]

    def _allow_calls(self, routes: tuple[ApiRoute, ...]) -> None:
        for name in dict.fromkeys(route.function for route in routes):
            lambda_.CfnPermission(
                self,
                logical(name, "permission"),
                action="lambda:InvokeFunction",
                function_name=self._function(name),
                principal="apigateway.amazonaws.com",
                source_arn=self._execute_arn("*/*/*"),
            )

    def _deploy(self, described: Sequence[Construct], routes: tuple[ApiRoute, ...]) -> None:
        digest = deployment_digest(routes, GATEWAY_PROBLEMS)
        deployment = apigateway.CfnDeployment(self, f"Deployment{digest}", rest_api_id=self.api.ref)
        for part in described:
            deployment.node.add_dependency(part)
        log_group = logs.CfnLogGroup(
            self,
            "AccessLogs",
            log_group_name=f"/orion/{self._stage.name}/api-{self._lane}",
            retention_in_days=LOG_RETENTION_DAYS,
        )
        throttle = THROTTLES[self._lane]
        apigateway.CfnStage(
            self,
            "Stage",
            rest_api_id=self.api.ref,
            deployment_id=deployment.ref,
            stage_name=API_STAGE,
            variables={"lane": self._lane},
            # X-Ray keeps whole URLs, and a checkout path holds the invoice's id, which is its
            # secret. The functions write traces of their own, by their names.
            tracing_enabled=False,
            access_log_setting=apigateway.CfnStage.AccessLogSettingProperty(
                destination_arn=log_group.attr_arn, format=json.dumps(_ACCESS_LOG)
            ),
            method_settings=[
                apigateway.CfnStage.MethodSettingProperty(
                    resource_path="/*",
                    http_method="*",
                    metrics_enabled=True,
                    logging_level="ERROR",
                    data_trace_enabled=False,
                    throttling_rate_limit=throttle.rate_per_s,
                    throttling_burst_limit=throttle.burst,
                ),
                # Open to everyone, and each call makes something that stays.
                apigateway.CfnStage.MethodSettingProperty(
                    resource_path="/" + REGISTRATION_PATH.replace("/", "~1"),
                    http_method="POST",
                    metrics_enabled=True,
                    logging_level="ERROR",
                    data_trace_enabled=False,
                    throttling_rate_limit=REGISTRATION.rate_per_s,
                    throttling_burst_limit=REGISTRATION.burst,
                ),
            ],
        )

    def _invocation(self, function: str) -> str:
        base = f"arn:{Aws.PARTITION}:lambda:{Aws.REGION}:{Aws.ACCOUNT_ID}:function"
        arn = f"{base}:{self._function(function)}"
        service = f"arn:{Aws.PARTITION}:apigateway:{Aws.REGION}:lambda"
        return f"{service}:path/2015-03-31/functions/{arn}/invocations"

    def _function(self, name: str) -> str:
        """The name of this lane's function of a row such as `billing/api`."""
        module, _, file = name.partition("/")
        return self._stage.function(module, file, self._lane)

    def _execute_arn(self, rest: str) -> str:
        return (
            f"arn:{Aws.PARTITION}:execute-api:{Aws.REGION}:{Aws.ACCOUNT_ID}:{self.api.ref}/{rest}"
        )
