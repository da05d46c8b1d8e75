"""What a running stack says of itself through its SSM parameters: names as in the cloud."""

import json
from functools import cache
from typing import cast

import boto3

from infra.local.stack import Stack

STAGE = "local"


def parameter(stack: Stack, name: str) -> str:
    """The value of `/orion/local/<name>`."""
    return _read(tuple(sorted(stack.ministack.environment().items())), f"/orion/{STAGE}/{name}")


@cache
def _session(environment: tuple[tuple[str, str], ...]) -> boto3.Session:
    known = dict(environment)
    return boto3.Session(
        aws_access_key_id=known["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=known["AWS_SECRET_ACCESS_KEY"],
        region_name=known["AWS_DEFAULT_REGION"],
    )


def _read(environment: tuple[tuple[str, str], ...], name: str) -> str:
    client = _session(environment).client("ssm", endpoint_url=dict(environment)["AWS_ENDPOINT_URL"])
    return client.get_parameter(Name=name)["Parameter"]["Value"]


def standard_url(stack: Stack) -> str:
    """Base URL of the standard lane's API."""
    return parameter(stack, "api/standard-url")


def confirmations_settled(stack: Stack, chain: str) -> int:
    """Blocks, that of inclusion among them, after which an invoice of this chain settles."""
    policy = json.loads(parameter(stack, "policy/confirmations"))
    return cast(int, policy[chain]["settled"])
