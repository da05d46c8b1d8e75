"""The local stack's steps that deploy the templates and start one poller for each of their Kafka
mappings.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.cloud.function_row import FUNCTION_STACKS
from infra.cloud.names import ROOT
from infra.cloud.synth import template_path
from infra.local.deploy import deploy
from infra.local.deploy_aws import DeployFailed
from infra.local.failure import StackFailure
from infra.local.poller import READY
from infra.local.poller_template import KafkaMapping, mappings, read_template
from infra.local.programs import Program
from infra.local.stack import Stack

STAGE = "local"
# Nobody else is there to approve the custody sets of one machine.
APPROVERS = ("machine-1", "machine-2")
_STARTS_AT_ONCE = 4


def deploy_step(stack: Stack) -> None:
    """Deploy keys, custodians and all functions to the AWS engine. Raises StackFailure."""
    try:
        deploy(
            stack.ministack.url,
            STAGE,
            stack.var,
            region=stack.ministack.region,
            account_id=stack.ministack.account_id,
            environment=stack.ministack.environment(),
            approvers=APPROVERS,
            # The engine has no code-signing configurations.
            unsigned_custodians=True,
            report=lambda line: stack.report(f"  {line}"),
        )
    except DeployFailed as exc:
        raise StackFailure(f"{exc}; to mend: read it, then make up again") from exc


def program(stack: Stack, template: Path, found: KafkaMapping) -> Program:
    """The poller of one mapping."""
    return Program(
        name=f"poller-{found.group.removeprefix('orion-')}",
        argv=(
            sys.executable,
            "-m",
            "infra.local.poller",
            "--template",
            str(template),
            "--mapping",
            found.logical_id,
        ),
        env={
            **stack.ministack.environment(),
            # Two arenas: glibc would keep one a thread, some 20 MB a poller.
            "MALLOC_ARENA_MAX": "2",
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "layers" / "orion" / "python"))),
            "PYTHONUNBUFFERED": "1",
        },
        cwd=ROOT,
        ready=READY,
    )


def pollers_step(stack: Stack) -> None:
    """Start all pollers side by side; no-op for those that run. Raises StackFailure."""
    templates = [template_path(stack.var / "cdk.out", name) for name in FUNCTION_STACKS]
    wanted = [
        program(stack, template, found)
        for template in templates
        for found in mappings(read_template(template))
    ]
    with ThreadPoolExecutor(max_workers=_STARTS_AT_ONCE) as starts:
        list(starts.map(stack.run_program, wanted))
