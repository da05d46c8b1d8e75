"""An agent's settings.

Node.toml for what is the same everywhere, SSM and Secrets Manager for the rest.

Only this node's own names and the stage's are read, so the host's role may be bound to them.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from node_stacks.agent.commands.command import Issuer, read_issuers
from node_stacks.agent.errors import SettingsMissing
from node_stacks.agent.kafka import KafkaSettings

_NOTHING = "none"
_REQUIRED = ("kafka/bootstrap-servers", "kafka/ca-pem", "chains/networks")
_ENDPOINTS = ("rpc-url", "ws-url", "zmq-url", "ipc-path")
_ISSUERS = "nodes/command-issuers"


@dataclass(frozen=True, slots=True)
class NodeFile:
    """The rows of a node.toml."""

    chain: str
    name: str
    reorg_depth_max: int
    silence_s: int
    traces: bool
    head_age_s_max: int


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """A user name and a password."""

    username: str
    password: str


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """All that one agent is told. `endpoints` holds only what the node has; without `issuers` it
    takes no commands.
    """

    file: NodeFile
    network: str
    endpoints: Mapping[str, str]
    rpc: Credentials | None
    kafka: KafkaSettings
    issuers: Mapping[str, Issuer]


def read_node_file(path: Path) -> NodeFile:
    """Raises SettingsMissing."""
    try:
        row = tomllib.loads(path.read_text(encoding="utf-8"))
        return NodeFile(
            chain=row["chain"],
            name=row["name"],
            reorg_depth_max=row["reorg_depth_max"],
            silence_s=row["silence_s"],
            traces=row.get("traces", False),
            head_age_s_max=row["health"]["head_age_s_max"],
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError) as exc:
        raise SettingsMissing("node.toml cannot be read", cause=str(exc)) from exc


def read_settings(file: NodeFile, stage: str) -> AgentSettings:
    """Ask SSM and Secrets Manager, as the environment's AWS settings say.

    Raises SettingsMissing.
    """
    names = [f"/orion/{stage}/{name}" for name in _REQUIRED]
    places = {f"/orion/{stage}/nodes/{file.name}/{name}": name for name in _ENDPOINTS}
    issuers = f"/orion/{stage}/{_ISSUERS}"
    try:
        answer = boto3.client("ssm").get_parameters(Names=[*names, *places, issuers])
    except (BotoCoreError, ClientError) as exc:
        raise SettingsMissing("SSM does not answer", cause=str(exc)) from exc
    found = {row["Name"]: row["Value"] for row in answer["Parameters"]}
    absent = [name for name in names if name not in found]
    if absent:
        raise SettingsMissing("parameters are missing", names=", ".join(absent))
    servers, ca_pem, networks = (found[name] for name in names)
    network = json.loads(networks).get(file.chain)
    if not isinstance(network, str):
        raise SettingsMissing("chains/networks does not name this chain", chain=file.chain)
    endpoints = {
        name: found[place]
        for place, name in places.items()
        if found.get(place, _NOTHING) != _NOTHING
    }
    principal = f"agent-{file.chain}"
    user = _secret(f"AmazonMSK_orion_{stage}_{principal}")
    needs_rpc = "rpc-url" in endpoints or ("ws-url" in endpoints and file.chain == "bitcoin")
    return AgentSettings(
        file=file,
        network=network,
        endpoints=endpoints,
        rpc=_secret(f"orion/{stage}/nodes/{file.name}") if needs_rpc else None,
        kafka=KafkaSettings(
            bootstrap_servers=servers,
            username=user.username,
            password=user.password,
            ca_pem=None if ca_pem == "system" else ca_pem,
        ),
        issuers=read_issuers(
            None if (known := found.get(issuers, _NOTHING)) == _NOTHING else known
        ),
    )


def _secret(name: str) -> Credentials:
    try:
        text = boto3.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
        body = json.loads(text)
        return Credentials(body["username"], body["password"])
    except (BotoCoreError, ClientError, ValueError, KeyError, TypeError) as exc:
        raise SettingsMissing("a secret cannot be read", name=name) from exc
