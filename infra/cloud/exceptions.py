"""cdk-nag and CloudFormation findings that stand, each with its reason; any other fails the
synthesis.
"""

from collections.abc import Mapping

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct

# The stage of every API, in its paths and in the names of what it allows.
SOCKET_STAGE = "live"

APP: Mapping[str, str] = {
    "AwsSolutions-L1": "One Python version for tests and functions; a decision moves the constant.",
    "AwsSolutions-APIG2": "Functions read bodies strictly and answer typed problems.",
    "AwsSolutions-APIG3": "The edge stack owns the hosts and associates the web ACL.",
    "AwsSolutions-COG4": "Merchants hold API keys, checked by a Lambda authorizer.",
    # The validator takes the name of an SSM parameter for its value.
    "CloudFormation-Validate::F3031": "Subnets and security group are values of SSM parameters.",
    "CloudFormation-Validate::E1150": "The security group is the value of an SSM parameter.",
}
LOCKED: Mapping[str, str] = {
    "AwsSolutions-S1": "Object access is in CloudTrail's data events; logs of logs would not end.",
}
NO_RESOURCE: Mapping[str, str] = {
    "AwsSolutions-IAM5[Resource::*]": (
        "AWS accepts no resource for network interfaces, log delivery and tracing."
    ),
}
API_LOGGING: Mapping[str, str] = {
    "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/"
    "AmazonAPIGatewayPushToCloudWatchLogs]": "AWS's own policy for its own logging role.",
}
PUBLIC_METHOD: Mapping[str, str] = {
    "AwsSolutions-APIG4": "Public in the route table, or an ANY method that reaches no handler.",
}

PUBLIC_SOCKET: Mapping[str, str] = {
    "AwsSolutions-APIG4": "Open to everyone who knows an invoice's id, as the page itself.",
}


def own_parameters(stage_name: str) -> Mapping[str, str]:
    """Wildcards that end inside one stage's parameters."""
    parameters = (
        f"arn:<AWS::Partition>:ssm:<AWS::Region>:<AWS::AccountId>:parameter/orion/{stage_name}/*"
    )
    return {
        f"AwsSolutions-IAM5[Resource::{parameters}]": "Functions read their stage's parameters."
    }


def own_objects(bucket_logical_id: str, places: Mapping[str, str]) -> Mapping[str, str]:
    """Wildcards that end inside a bucket or its folders; `places` has the reason of each."""
    return {
        f"AwsSolutions-IAM5[Resource::<{bucket_logical_id}.Arn>/{place}]": reason
        for place, reason in places.items()
    }


def own_connections(sockets_logical_id: str) -> Mapping[str, str]:
    """Wildcards that end inside the connections of the stage's WebSocket API."""
    return {
        f"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:execute-api:<AWS::Region>:"
        f"<AWS::AccountId>:<{sockets_logical_id}>/{SOCKET_STAGE}/POST/@connections/*]": (
            "AWS names connections."
        ),
    }


def own_children(machine_name: str) -> Mapping[str, str]:
    """The executions that one state machine starts for the items of its own distributed map."""
    executions = (
        f"arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:{machine_name}/*"
    )
    return {
        f"AwsSolutions-IAM5[Resource::{executions}]": "AWS names a map's children by random ids."
    }


def acknowledge(scope: IConstruct, reasons: Mapping[str, str]) -> None:
    """Put `reasons` on record for everything below `scope`."""
    validations = Validations.of(scope)
    for rule, reason in reasons.items():
        validations.acknowledge(Acknowledgment(id=rule, reason=reason))
