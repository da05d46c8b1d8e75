"""SSM parameters and secrets that the network, data and nodes stacks write in the cloud
(docs/contracts.md).
"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from infra.cloud.function_table import POSTGRES_PRINCIPALS
from infra.local.faucet import usdt_address
from infra.local.layout import Credentials
from infra.local.migrations import mysql_principals
from infra.local.stack import Stack
from infra.local.topics import load
from node_stacks.agent.commands.answer_key import answer_key

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

STAGE = "local"
BITCOIN_NODE = "bitcoin-1"
ETHEREUM_NODE = "ethereum-1"
# What orion.chains calls the networks of one's own.
_TRON_NETWORK = "private"
_SOLANA_NETWORK = "localnet"
_NOTHING = "none"
_PARALLEL = 8
_CONFIRMATIONS = {
    "bitcoin": {
        "settled": 2,
        "final": 3,
        "amounts": {"BTC.bitcoin": [{"from_units": "1000000000", "settled": 3}]},
    },
    "ethereum": {
        "settled": 3,
        "final": 5,
        "amounts": {"ETH.ethereum": [{"from_units": "100000000000000000000", "settled": 5}]},
    },
}

# Wide enough for benches and a fuzzer from one address; docs/api.md has those of a real stage.
_KEYED = {"window_s": 10, "key": 100_000, "merchant": 100_000}
_OPEN = {"window_s": 10, "address": 100_000}
_BY_CLASS = {
    "read": _KEYED,
    "write": _KEYED,
    "expensive": _KEYED,
    "open_read": _OPEN,
    "open_write": _OPEN,
    "refused": _OPEN,
}
QUOTAS = {"standard": _BY_CLASS, "vip": _BY_CLASS}

# Smallest native units: what one sweep may cost, and what a single-key signer may ever spend
# before it is refilled.
_SWEEP_FEE_MAX = {
    "bitcoin": "100000",
    "ethereum": "20000000000000000",
    "tron": "100000000",
    "solana": "10000000",
}
_EXECUTOR_FLOAT = {"ethereum": "1000000000000000000", "solana": "1000000000"}


def agent_state(stack: Stack, chain: str) -> Path:
    """The state folder of the agent beside this chain's node."""
    return stack.layout.data(f"agent-{chain}")


def parameters(stack: Stack) -> dict[str, str]:
    """Every parameter below `/orion/<stage>/` but the API's URLs, which the deployment writes."""
    mysql = {"host": stack.mariadb.host, "port": str(stack.mariadb.port)}
    region, account = stack.ministack.region, stack.ministack.account_id
    return {
        "kafka/bootstrap-servers": stack.kafka.bootstrap_servers,
        "kafka/ca-pem": stack.kafka.ca_pem,
        "kafka/ledger-partitions": str(_partitions("ledger.transfers")),
        "kafka/cluster-arn": f"arn:aws:kafka:{region}:{account}:cluster/orion-{STAGE}/"
        "00000000-0000-4000-8000-000000000000-1",
        "mysql/writer-host": mysql["host"],
        "mysql/writer-port": mysql["port"],
        "mysql/proxy-host": mysql["host"],
        "mysql/proxy-port": mysql["port"],
        "mysql/writer-ca-pem": stack.mariadb.ca_pem,
        "mysql/proxy-ca-pem": stack.mariadb.ca_pem,
        "postgres/host": stack.postgres.host,
        "postgres/port": str(stack.postgres.port),
        "postgres/ca-pem": stack.postgres.ca_pem,
        "memcached/servers": stack.memcached.servers,
        "network/vpc-id": _NOTHING,
        "network/subnet-ids": _NOTHING,
        "network/security-group-id": _NOTHING,
        "chains/networks": json.dumps(
            {
                "bitcoin": stack.btcd.network,
                "ethereum": str(stack.anvil.chain_id),
                "tron": _TRON_NETWORK,
                "solana": _SOLANA_NETWORK,
            }
        ),
        "chains/contracts": json.dumps({"USDT.ethereum": usdt_address()}),
        "policy/confirmations": json.dumps(_CONFIRMATIONS),
        "policy/rate-limits": json.dumps(QUOTAS),
        "policy/sweep-fee-max": json.dumps(_SWEEP_FEE_MAX),
        "policy/executor-float": json.dumps(_EXECUTOR_FLOAT),
        "rates/providers": json.dumps(dict(stack.ticker.base_urls)),
        "webhooks/allowed-private-networks": json.dumps(["127.0.0.0/8"]),
        f"nodes/{BITCOIN_NODE}/ws-url": stack.btcd.ws_url,
        f"nodes/{BITCOIN_NODE}/rpc-url": _NOTHING,
        f"nodes/{BITCOIN_NODE}/zmq-url": _NOTHING,
        f"nodes/{BITCOIN_NODE}/ipc-path": _NOTHING,
        f"nodes/{ETHEREUM_NODE}/ipc-path": str(stack.anvil.ipc_path),
        f"nodes/{ETHEREUM_NODE}/ws-url": _NOTHING,
        f"nodes/{ETHEREUM_NODE}/rpc-url": _NOTHING,
        f"nodes/{ETHEREUM_NODE}/zmq-url": _NOTHING,
        # As the setup of a node's host does with `--answer-key`.
        f"nodes/{BITCOIN_NODE}/answer-key": answer_key(agent_state(stack, "bitcoin")).public_text,
        f"nodes/{ETHEREUM_NODE}/answer-key": answer_key(agent_state(stack, "ethereum")).public_text,
    }


def _partitions(topic: str) -> int:
    (found,) = (row.partitions for row in load().topics if row.name == topic)
    return found


def secrets(stack: Stack) -> dict[str, Credentials]:
    """Every secret by its full name. `arch` is the administrator of both databases."""
    found = {
        f"orion/{STAGE}/mysql/admin": stack.mariadb.admin,
        f"orion/{STAGE}/mysql/arch": stack.mariadb.admin,
        f"orion/{STAGE}/postgres/admin": stack.postgres.admin,
        f"orion/{STAGE}/postgres/arch": stack.postgres.admin,
        f"orion/{STAGE}/nodes/{BITCOIN_NODE}": stack.btcd.rpc,
        f"AmazonMSK_orion_{STAGE}_admin": stack.kafka.admin,
    }
    for principal in mysql_principals():
        found[f"orion/{STAGE}/mysql/{principal}"] = stack.mariadb.credentials(principal)
    for principal in POSTGRES_PRINCIPALS:
        if principal != "arch":
            login = stack.postgres.credentials(principal)
            found[f"orion/{STAGE}/postgres/{principal}"] = login
    for principal in stack.kafka.principals:
        found[f"AmazonMSK_orion_{STAGE}_{principal}"] = stack.kafka.credentials(principal)
    return found


def seed(stack: Stack) -> None:
    """Step of the stack: write all of them; safe to repeat, ports may have changed."""
    ssm = stack.ministack.client("ssm")
    vault = stack.ministack.client("secretsmanager")
    with ThreadPoolExecutor(_PARALLEL) as pool:
        written = [
            pool.submit(_put_parameter, ssm, name, value)
            for name, value in parameters(stack).items()
        ]
        written += [
            pool.submit(_put_secret, vault, name, value) for name, value in secrets(stack).items()
        ]
        for each in written:
            each.result()


def _put_parameter(ssm: "SSMClient", name: str, value: str) -> None:
    ssm.put_parameter(Name=f"/orion/{STAGE}/{name}", Value=value, Type="String", Overwrite=True)


def _put_secret(vault: "SecretsManagerClient", name: str, login: Credentials) -> None:
    content = json.dumps({"username": login.username, "password": login.password})
    try:
        vault.create_secret(Name=name, SecretString=content)
    except vault.exceptions.ResourceExistsException:
        vault.put_secret_value(SecretId=name, SecretString=content)
