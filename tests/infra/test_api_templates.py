"""What the templates of the APIs must say: a REST API each lane, and one WebSocket API."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from infra.cloud.function_row import LANES
from infra.cloud.names import Stage
from infra.cloud.problems import GATEWAY_PROBLEMS
from infra.cloud.routes import api_routes
from infra.cloud.sockets import FUNCTION
from orion.runtime.routes import ROUTES

STAGE = Stage("prod")
Properties = Mapping[str, Any]


def of_type(template: Mapping[str, Any], kind: str) -> list[Properties]:
    return [each["Properties"] for each in template["Resources"].values() if each["Type"] == kind]


def of_all(apis: Mapping[str, Mapping[str, Any]], kind: str) -> list[Properties]:
    return [found for template in apis.values() for found in of_type(template, kind)]


def functions(template: Mapping[str, Any]) -> list[Properties]:
    return of_type(template, "AWS::Lambda::Function")


def test_no_request_waits_longer_than_ten_seconds(apis: Mapping[str, Any]) -> None:
    methods = of_all(apis, "AWS::ApiGateway::Method")
    assert {method["Integration"]["TimeoutInMillis"] for method in methods} == {10_000}


def test_strangers_may_register_only_slowly(apis: Mapping[str, Any]) -> None:
    for found in of_all(apis, "AWS::ApiGateway::Stage"):
        [registration] = [m for m in found["MethodSettings"] if m["HttpMethod"] == "POST"]
        assert registration["ResourcePath"] == "/~1v1~1merchants"
        assert registration["ThrottlingRateLimit"] <= 10


def test_each_lane_serves_every_route_by_functions_of_its_own(
    serverless: Mapping[str, Any], apis: Mapping[str, Any]
) -> None:
    for lane, template in apis.items():
        [api] = of_type(template, "AWS::ApiGateway::RestApi")
        assert api["Name"] == STAGE.stack(lane)
        methods = of_type(template, "AWS::ApiGateway::Method")
        served = [method for method in methods if method["HttpMethod"] != "ANY"]
        assert len(served) == len(ROUTES)
        called = {
            str(method["Integration"]["Uri"]["Fn::Join"][1][-1])
            .rpartition(":function:")[2]
            .removesuffix("/invocations")
            for method in served
        }
        # A name, because the function is another stack's: nothing but this test would notice.
        assert called <= {found["FunctionName"] for found in functions(serverless)}
        assert all(name.endswith(f"-{lane}") for name in called)
        allowed = of_type(template, "AWS::Lambda::Permission")
        assert called <= {permission["FunctionName"] for permission in allowed}


def test_large_answers_leave_the_gateway_compressed(apis: Mapping[str, Any]) -> None:
    for api in of_all(apis, "AWS::ApiGateway::RestApi"):
        assert api["MinimumCompressionSize"] <= 1024


def test_exactly_the_routes_without_a_scope_are_open(apis: Mapping[str, Any]) -> None:
    methods = of_all(apis, "AWS::ApiGateway::Method")
    guarded = [m for m in methods if m["AuthorizationType"] == "CUSTOM"]
    assert len(guarded) == len(LANES) * sum(route.scope is not None for route in ROUTES)
    assert all("AuthorizerId" in method for method in guarded)


def test_the_gateways_own_answers_are_problem_documents(apis: Mapping[str, Any]) -> None:
    answers = of_all(apis, "AWS::ApiGateway::GatewayResponse")
    statuses = {int(answer["StatusCode"]) for answer in answers}
    assert {401, 403, 404, 413, 429, 500, 503, 504} <= statuses
    for answer in answers:
        body = json.loads(answer["ResponseTemplates"]["application/json"])
        assert set(body) == {"type", "title", "status", "detail", "code", "trace_id", "retry"}
        assert body["status"] == int(answer["StatusCode"])
        header = answer["ResponseParameters"]["gatewayresponse.header.Content-Type"]
        assert header == "'application/problem+json'"
        header = answer["ResponseParameters"]["gatewayresponse.header.Strict-Transport-Security"]
        assert header == "'max-age=31536000'"


def test_no_trace_of_the_gateway_holds_a_url(apis: Mapping[str, Any]) -> None:
    stages = of_all(apis, "AWS::ApiGateway::Stage")
    assert [stage.get("TracingEnabled", False) for stage in stages] == [False] * len(LANES)


def test_whatever_the_gateway_answers_by_itself_is_deployed_when_it_changes() -> None:
    # Late: jsii starts its Node process at the first import.
    from infra.cloud.api import deployment_digest

    routes, first = api_routes(), GATEWAY_PROBLEMS[0]
    changes = (
        first,
        replace(first, headers={}),
        replace(first, status=402),
        replace(first, detail="another"),
    )
    digests = {deployment_digest(routes, [changed]) for changed in changes}
    assert len(digests) == len(changes)


def test_a_public_function_without_lanes_is_bounded_too(serverless: Mapping[str, Any]) -> None:
    name = STAGE.function(*FUNCTION.split("/"))
    [found] = [each for each in functions(serverless) if each["FunctionName"] == name]
    assert found["ReservedConcurrentExecutions"] == 30


def test_the_standard_lane_leaves_the_vip_lane_its_share(
    serverless: Mapping[str, Any], apis: Mapping[str, Any]
) -> None:
    rates = {
        found["Variables"]["lane"]: found["MethodSettings"][0]["ThrottlingRateLimit"]
        for found in of_all(apis, "AWS::ApiGateway::Stage")
    }
    assert rates["standard"] + rates["vip"] <= 10_000, "API Gateway: an account's limit a region"
    reserved = [
        found["ReservedConcurrentExecutions"]
        for found in functions(serverless)
        if "ReservedConcurrentExecutions" in found
    ]
    assert sum(reserved) <= 900, "Lambda: of 1,000 at least 100 stay unreserved"


def test_what_a_page_says_runs_no_function(serverless: Mapping[str, Any]) -> None:
    resources = serverless["Resources"]
    routes = {
        found["RouteKey"]: resources[found["Target"]["Fn::Join"][1][1]["Ref"]]["Properties"]
        for found in of_type(serverless, "AWS::ApiGatewayV2::Route")
    }
    kinds = {key: found["IntegrationType"] for key, found in routes.items()}
    assert kinds == {"$connect": "AWS_PROXY", "$disconnect": "AWS_PROXY", "$default": "MOCK"}


def test_new_connections_are_bounded_and_their_log_holds_no_invoice(
    serverless: Mapping[str, Any],
) -> None:
    [stage] = of_type(serverless, "AWS::ApiGatewayV2::Stage")
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] <= 100
    assert not stage["DefaultRouteSettings"]["DataTraceEnabled"]
    # A query is not among what API Gateway offers a log unless somebody asks for it.
    assert "query" not in stage["AccessLogSettings"]["Format"].lower()


def test_only_the_poster_may_speak_to_open_pages(serverless: Mapping[str, Any]) -> None:
    speaking = {
        role["RoleName"]
        for role in of_type(serverless, "AWS::IAM::Role")
        if "execute-api:ManageConnections" in json.dumps(role)
    }
    assert speaking == {STAGE.function("billing", "socket_poster")}
    assert STAGE.function(*FUNCTION.split("/")) not in speaking
