"""What a function must know of its surroundings: SSM parameters and secrets, the same in the cloud
and on one machine.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from orion.errors import OrionError, Unavailable

if TYPE_CHECKING:
    from orion.adapters.kafka.config import KafkaConfig
    from orion.adapters.mysql.session import MySqlConfig
    from orion.adapters.postgres.config import PostgresConfig

POSTGRES_DATABASE = "orion"
NOTHING = "none"
# How long a single writer that is frozen or cut off can keep what its transaction locked. Behind
# the proxy it is not set: a session variable would pin the connection to one caller.
DIRECT_IDLE_S = 30
_SYSTEM_TRUST = "system"
# Tries in all, the first among them. botocore's `max_attempts` of a client's configuration counts
# the repeats only, and would make one more (botocore.args, `_compute_retry_max_attempts`).
AWS_TRIES = 3
# Of one try; what refuses at once is tried again within a second or two. A request has 10 s in all,
# so what hangs there is answered with 503 by its first try.
AWS_CLIENT = Config(
    connect_timeout=2,
    read_timeout=8,
    retries={"mode": "standard", "total_max_attempts": AWS_TRIES},
)


class MissingSetting(OrionError):
    """A parameter that a deployment must write is not there: see the table in docs/contracts.md."""

    code = "internal"


@dataclass(frozen=True, slots=True)
class Settings:
    """All parameters under `/orion/<stage>/`, read once a process."""

    stage: str
    values: Mapping[str, str]

    def text(self, name: str) -> str:
        """The value of `name`, for instance `kafka/bootstrap-servers`. Raises MissingSetting."""
        value = self.values.get(name)
        if value is None:
            raise MissingSetting("a deployment parameter is missing", parameter=name)
        return value

    def optional(self, name: str) -> str | None:
        """The value, or None where the parameter is absent or says `none`."""
        value = self.values.get(name, NOTHING)
        return None if value == NOTHING else value

    def number(self, name: str) -> int:
        """A whole number. Raises MissingSetting."""
        text = self.text(name)
        if not (text.isascii() and text.isdigit()):
            raise MissingSetting("a deployment parameter is not a whole number", parameter=name)
        return int(text)

    def document(self, name: str) -> Mapping[str, object]:
        """A JSON object. Raises MissingSetting."""
        try:
            body = json.loads(self.text(name))
        except ValueError as exc:
            raise MissingSetting("a deployment parameter is not JSON", parameter=name) from exc
        if not isinstance(body, dict):
            raise MissingSetting("a deployment parameter is not a JSON object", parameter=name)
        return cast(Mapping[str, object], body)

    def ca_pem(self, name: str) -> str | None:
        """A certificate authority as PEM; None means the system's own trust store."""
        value = self.text(name)
        return None if value == _SYSTEM_TRUST else value


def stage() -> str:
    """The stage this process serves, from its environment."""
    value = os.environ.get("ORION_STAGE")
    if not value:
        raise MissingSetting("the environment variable ORION_STAGE is not set")
    return value


@cache
def settings() -> Settings:
    """The parameters of this stage, read once. Raises Unavailable when SSM does not answer."""
    prefix = f"/orion/{stage()}/"
    try:
        pages = (
            boto3.client("ssm", config=AWS_CLIENT)
            .get_paginator("get_parameters_by_path")
            .paginate(Path=prefix, Recursive=True, PaginationConfig={"MaxItems": 500})
        )
        values = {
            row["Name"].removeprefix(prefix): row["Value"]
            for page in pages
            for row in page["Parameters"]
        }
    except (BotoCoreError, ClientError) as exc:
        raise Unavailable("the parameters of this stage cannot be read") from exc
    return Settings(stage(), values)


@cache
def _secret(name: str) -> tuple[str, str]:
    try:
        answer = boto3.client("secretsmanager", config=AWS_CLIENT).get_secret_value(SecretId=name)
        body = json.loads(answer["SecretString"])
        return str(body["username"]), str(body["password"])
    except (BotoCoreError, ClientError) as exc:
        raise Unavailable("a secret of this function cannot be read", secret=name) from exc
    except (KeyError, ValueError) as exc:
        raise MissingSetting("a secret is not of the agreed form", secret=name) from exc


def secret(name: str) -> Mapping[str, str]:
    """`{"username", "password"}` of a secret by name, read once a process."""
    username, password = _secret(name)
    return {"username": username, "password": password}


def mysql_config(principal: str, schema: str, *, direct: bool) -> "MySqlConfig":
    """Where `principal` finds `schema`: the writer itself for single-writer functions, whose
    sessions end when they idle for `DIRECT_IDLE_S`; else the proxy.
    """
    from orion.adapters.mysql.session import MySqlConfig

    known = settings()
    host = "mysql/writer" if direct else "mysql/proxy"
    login = secret(f"orion/{known.stage}/mysql/{principal}")
    return MySqlConfig(
        host=known.text(f"{host}-host"),
        port=known.number(f"{host}-port"),
        user=login["username"],
        password=login["password"],
        schema=schema,
        ca_pem=known.ca_pem(f"{host}-ca-pem"),
        idle_s=DIRECT_IDLE_S if direct else None,
    )


def postgres_config(principal: str) -> "PostgresConfig":
    """Where `principal` finds the external database."""
    from orion.adapters.postgres.config import PostgresConfig

    known = settings()
    login = secret(f"orion/{known.stage}/postgres/{principal}")
    return PostgresConfig(
        host=known.text("postgres/host"),
        port=known.number("postgres/port"),
        user=login["username"],
        password=login["password"],
        database=POSTGRES_DATABASE,
        ca_pem=known.ca_pem("postgres/ca-pem"),
    )


def kafka_config(principal: str) -> "KafkaConfig":
    """How `principal` reaches the brokers. Only relays ask."""
    from orion.adapters.kafka.config import KafkaConfig

    known = settings()
    login = secret(f"AmazonMSK_orion_{known.stage}_{principal}")
    return KafkaConfig(
        bootstrap_servers=known.text("kafka/bootstrap-servers"),
        username=login["username"],
        password=login["password"],
        ca_pem=known.ca_pem("kafka/ca-pem"),
    )
