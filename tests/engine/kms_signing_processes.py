"""The functions of kms as processes of their own, over a deployed stage."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tests.engine.custodian_scene import settings_text
from tests.engine.kms_scene import aws_client
from tests.engine.kms_signing_scene import (
    CAPS,
    FEE_PAYER,
    FLOAT_LAMPORTS,
    FLOAT_WEI,
    ISSUERS,
    NETWORKS,
    ROOT,
    Call,
    Stage,
)

# Runs functions the way Lambda does and prints what each answered or raised.
DRIVER = """
import importlib.util, json, sys, traceback
def load(path):
    spec = importlib.util.spec_from_file_location(path.replace("/", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
for path, event in json.loads(sys.argv[1]):
    try:
        print(json.dumps(load(path).handler(event, None)), flush=True)
    except Exception as exc:
        print("RAISED", type(exc).__name__, flush=True)
        traceback.print_exception(exc, file=sys.stdout)
"""


def deployed(stage: Stage, aws_engine: Any, mysql_admin: Any) -> dict[str, str]:
    """The environment of the stage's functions, after parameters, secret and queue are written."""
    ssm = aws_client(aws_engine, "ssm")
    parameters = {
        "mysql/proxy-host": mysql_admin.host,
        "mysql/proxy-port": str(mysql_admin.port),
        "mysql/proxy-ca-pem": mysql_admin.ca_pem,
        "chains/networks": json.dumps(dict(NETWORKS)),
        "chains/contracts": "{}",
        "policy/sweep-fee-max": json.dumps({chain: str(cap) for chain, cap in CAPS.items()}),
        "policy/executor-float": json.dumps(
            {"ethereum": str(FLOAT_WEI), "solana": str(FLOAT_LAMPORTS)}
        ),
        "custody/solana-fee-payer": FEE_PAYER,
        "custodian/settings": settings_text(ISSUERS),
    }
    for name, value in parameters.items():
        ssm.put_parameter(
            Name=f"/orion/{stage.name}/{name}", Value=value, Type="String", Overwrite=True
        )
    login = mysql_admin.credentials("kms")
    vault = aws_client(aws_engine, "secretsmanager")
    name = f"orion/{stage.name}/mysql/kms"
    content = json.dumps({"username": login.username, "password": login.password})
    if not vault.list_secrets(Filters=[{"Key": "name", "Values": [name]}])["SecretList"]:
        vault.create_secret(Name=name, SecretString=content)
    aws_client(aws_engine, "sqs").create_queue(QueueName=f"orion-{stage.name}-outbox-kms")
    return {
        **aws_engine.environment(),
        "ORION_STAGE": stage.name,
        "ORION_LOG_LEVEL": "DEBUG",
        "PYTHONPATH": str(ROOT / "layers/orion/python"),
        "PATH": os.environ["PATH"],
    }


def started(
    environment: Mapping[str, str], calls: Sequence[Call], *, before: str = ""
) -> subprocess.Popen[bytes]:
    """A process that calls functions one after the other; its output is a pipe. `before` is code
    that runs in it first.
    """
    return subprocess.Popen(
        [sys.executable, "-c", before + DRIVER, json.dumps(list(calls))],
        cwd=ROOT,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def ran(environment: Mapping[str, str], calls: Sequence[Call], *, before: str = "") -> bytes:
    """All that the functions wrote, answers included."""
    with started(environment, calls, before=before) as process:
        output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output.decode()
    return output


def answers(output: bytes) -> list[dict[str, Any]]:
    """What the functions answered, in order."""
    return [json.loads(line) for line in output.splitlines() if line.startswith(b'{"outcome"')]
