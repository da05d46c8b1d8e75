"""Deploys the stacks of a stage with `cdk deploy`, runs the migrations before any function that
needs them is deployed, and what must follow every deployment (docs/contracts.md, "Deployments").

    python -m infra.local.deploy --stage STAGE [--endpoint-url URL] [--region REGION] [--var FOLDER]
        [--unsigned-custodians]

With an endpoint URL the CDK and every client speak with that engine, and the lanes' URLs are those
of its REST APIs. Without one they speak with AWS, where the edge stack writes the URLs.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from infra.cloud.api import api_room
from infra.cloud.custody import CUSTODIANS, custodian_room, custody
from infra.cloud.function_row import BASE, FUNCTION_STACKS, LANES, SERVERLESS
from infra.cloud.function_table import topic_principals
from infra.cloud.handler_files import missing_handlers
from infra.cloud.names import ROOT, Stage, logical
from infra.cloud.outputs import (
    API_OUTPUT,
    AUDIT_BUCKET_OUTPUT,
    LEDGER_BOOK_BUCKET_OUTPUT,
    SOCKETS_OUTPUT,
    STAGE_OUTPUT,
    WALLET_BATCH_OUTPUT,
    WALLET_GROUP_OUTPUT,
)
from infra.cloud.synth import (
    SynthFailed,
    assembly_digest,
    cdk_environment,
    synthesize,
    template_path,
)
from infra.local.command_issuers import write_issuers
from infra.local.custody import enrol_all
from infra.local.custody_settings import check_code_signing, settings_document, write_settings
from infra.local.deploy_aws import (
    Account,
    DeployFailed,
    Report,
    missing_parameters,
    write_secret_arns,
)
from infra.local.deploy_pauses import pause, resume
from infra.local.deploy_quotas import check_quotas
from infra.setup.tools import tool

DEPLOYED_DIGEST = "deployment/inputs"
FIRST_GROUP = 0
FIRST_WALLETS = 1_000
DEFAULT_REGION = "eu-west-1"
_CDK_TIMEOUT_S = 900
_BOOTSTRAP_STACK = "CDKToolkit"
_TELLING = ("failed", "error", "rolled back", "❌")


@dataclass(frozen=True, slots=True)
class Outputs:
    """What others need of a deployment. The pollers read the templates of `assembly`."""

    assembly: Path
    api_ids: Mapping[str, str]
    api_urls: Mapping[str, str]
    audit_bucket: str
    ledger_book_bucket: str
    wallet_group_arn: str
    wallet_batch_arn: str


def deploy(
    endpoint_url: str | None,
    stage: str,
    var: Path,
    *,
    region: str = DEFAULT_REGION,
    account_id: str | None = None,
    environment: Mapping[str, str] | None = None,
    approvers: Sequence[str] = (),
    unsigned_custodians: bool = False,
    report: Report = print,
) -> Outputs:
    """Bring the stage to what the clone says; nothing is uploaded when nothing changed.

    `environment` carries credentials for the CDK. `approvers` are the two people in whose names
    custody sets are enrolled that are not yet; without them such a stage gets no wallets. Only with
    `unsigned_custodians` may custodians run code that nobody signed. Raises DeployFailed.
    """
    named = Stage(stage)
    absent = missing_handlers()
    if absent:
        raise DeployFailed(f"functions without code: {', '.join(absent)}")
    account = Account(endpoint_url, region, environment or {})
    write_secret_arns(account, named, topic_principals())
    check_code_signing(account, named, unsigned=unsigned_custodians)
    check_quotas(account, named, report)
    assembly = _synthesized(stage, var, report, unsigned_custodians=unsigned_custodians)
    bodies = _templates(assembly)
    missing = sorted({name for each in bodies for name in missing_parameters(account, each, named)})
    if missing:
        raise DeployFailed(f"these SSM parameters must exist first: {', '.join(missing)}")
    digest_name = named.parameter(DEPLOYED_DIGEST)
    outputs = _outputs(account, named)
    known = account.parameters([digest_name]).get(digest_name, "")
    # The settings of other templates may speak of keys that are not there yet.
    same = known.startswith(f"{assembly_digest(assembly)}-")
    if outputs and same and known == _deployed(assembly, _settings(account, named)):
        report("deploy: nothing changed")
        _migrate(account, named, report)
    else:
        cdk = Cdk(endpoint_url, region, environment or {}, assembly, var, report)

        def migrate() -> None:
            pause(account, named, report)
            _migrate(account, named, report)

        settings = deploy_stacks(cdk, account, named, account_id, migrate)
        outputs = _outputs(account, named)
        for body in bodies:
            account.apply_reserved_concurrency(body)
            account.apply_bucket_protection(body, outputs)
        account.put_parameter(digest_name, _deployed(assembly, settings))
    resume(account, named, report)
    api_ids = {lane: outputs[API_OUTPUT.format(lane=logical(lane))] for lane in LANES}
    found = Outputs(
        assembly=assembly,
        api_ids=api_ids,
        api_urls=_write_urls(account, named, endpoint_url, api_ids, outputs[STAGE_OUTPUT]),
        audit_bucket=outputs[AUDIT_BUCKET_OUTPUT],
        ledger_book_bucket=outputs[LEDGER_BOOK_BUCKET_OUTPUT],
        wallet_group_arn=outputs[WALLET_GROUP_OUTPUT],
        wallet_batch_arn=outputs[WALLET_BATCH_OUTPUT],
    )
    _write_socket_urls(account, named, endpoint_url, outputs)
    _after(account, named, found, approvers, report)
    return found


def _synthesized(stage: str, var: Path, report: Report, *, unsigned_custodians: bool) -> Path:
    begun = time.monotonic()
    output = (var / "cdk.out").absolute()
    try:
        assembly = synthesize(stage, output, unsigned_custodians=unsigned_custodians)
    except SynthFailed as exc:
        raise DeployFailed(f"cdk synth: {exc}") from exc
    report(f"deploy: synthesized in {time.monotonic() - begun:.1f} s")
    return assembly


def _templates(assembly: Path) -> list[Mapping[str, object]]:
    """Of the stacks of functions."""
    paths = [template_path(assembly, name) for name in FUNCTION_STACKS]
    return [cast(Mapping[str, object], json.loads(path.read_text("utf-8"))) for path in paths]


def _outputs(account: Account, stage: Stage) -> Mapping[str, str]:
    """Of the stacks of functions and the lanes' APIs; empty while any of them is missing."""
    rooms = (*FUNCTION_STACKS, *(api_room(lane) for lane in LANES))
    found = [account.stack_outputs(stage.stack(room)) for room in rooms]
    if any(each is None for each in found):
        return {}
    return {name: value for each in found if each is not None for name, value in each.items()}


def _settings(account: Account, stage: Stage) -> str:
    return settings_document(account, stage, custody())


def _deployed(assembly: Path, settings: str) -> str:
    """What tells two deployments apart: the templates, and what is pinned in the custodians."""
    return f"{assembly_digest(assembly)}-{hashlib.sha256(settings.encode()).hexdigest()[:16]}"


def deploy_stacks(
    cdk: "Cdk",
    account: Account,
    stage: Stage,
    account_id: str | None,
    migrate: Callable[[], None],
) -> str:
    """Keys first: the custodians are deployed with the public keys of who gives evidence. Beside
    them the base: the others of functions tell its topic of alarms, and it has the migrations,
    which `migrate` runs before any other function is changed. Then the serverless stack: the lanes'
    APIs call its functions. Answers the custodians' settings; where `migrate` raises, nothing after
    it is deployed.
    """
    if account.stack_outputs(_BOOTSTRAP_STACK) is None:
        place = [f"aws://{account_id}/{cdk.region}"] if account_id else []
        cdk.run("bootstrap", ["bootstrap", *place])
    cdk.deploy(["keys", BASE])
    migrate()
    settings = _settings(account, stage)
    write_settings(account, stage, custody(), settings)
    cdk.deploy([*(custodian_room(number) for number in CUSTODIANS), SERVERLESS])
    others = [name for name in FUNCTION_STACKS if name not in (BASE, SERVERLESS)]
    cdk.deploy([*others, *(api_room(lane) for lane in LANES)])
    return settings


@dataclass(frozen=True, slots=True)
class Cdk:
    """The CDK's command line over one assembly, speaking with one account or engine."""

    endpoint_url: str | None
    region: str
    environment: Mapping[str, str]
    assembly: Path
    var: Path
    report: Report

    def deploy(self, rooms: Sequence[str]) -> None:
        """Bring these stacks to what the assembly says, side by side. Raises DeployFailed."""
        options = ["--exclusively", "--require-approval", "never", "--progress", "events"]
        side_by_side = ["--concurrency", str(len(rooms))]
        self.run(f"deploy {rooms[-1]}", ["deploy", *rooms, *options, *side_by_side])

    def run(self, what: str, arguments: Sequence[str]) -> None:
        """One command; its output goes to the log. Raises DeployFailed with what tells most."""
        variables = {**cdk_environment(), **self.environment, "AWS_REGION": self.region}
        variables["AWS_DEFAULT_REGION"] = self.region
        if self.endpoint_url is not None:
            variables["AWS_ENDPOINT_URL"] = self.endpoint_url
        log = self.var / "logs" / "deploy.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        begun = time.monotonic()
        with log.open("a", encoding="utf-8") as sink:
            start = sink.tell()
            run = subprocess.run(
                [str(tool("cdk")), *arguments, "--app", str(self.assembly)],
                cwd=ROOT,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                timeout=_CDK_TIMEOUT_S,
                check=False,
            )
        if run.returncode != 0:
            raise DeployFailed(f"cdk {what}: {_telling(log, start)}; log: {log}")
        self.report(f"deploy: cdk {what} in {time.monotonic() - begun:.1f} s")


def _telling(log: Path, start: int) -> str:
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode("utf-8", "replace").splitlines()
    said = [line.strip() for line in lines if any(word in line.lower() for word in _TELLING)]
    return " | ".join(said[-3:])[:1000] or "no reason given"


def _write_urls(
    account: Account,
    stage: Stage,
    endpoint_url: str | None,
    api_ids: Mapping[str, str],
    api_stage: str,
) -> Mapping[str, str]:
    """`api/<lane>-url`: written for an engine without host names, else read from what the edge
    wrote.
    """
    names = {lane: stage.parameter(f"api/{lane}-url") for lane in api_ids}
    if endpoint_url is None:
        known = account.parameters(list(names.values()))
        return {lane: known[name] for lane, name in names.items() if name in known}
    urls = {
        lane: f"{endpoint_url}/restapis/{api_id}/{api_stage}/_user_request_"
        for lane, api_id in api_ids.items()
    }
    for lane, url in urls.items():
        account.put_parameter(names[lane], url)
    return urls


def _write_socket_urls(
    account: Account, stage: Stage, endpoint_url: str | None, outputs: Mapping[str, str]
) -> None:
    """`sockets/management-url` is always the API's own address. `sockets/url`, the public one, is
    written where the edge wrote none.
    """
    api_id, api_stage = outputs[SOCKETS_OUTPUT], outputs[STAGE_OUTPUT]
    if endpoint_url is None:
        own = f"https://{api_id}.execute-api.{account.region}.amazonaws.com/{api_stage}"
    else:
        own = f"{endpoint_url}/_aws/execute-api/{api_id}/{api_stage}"
    account.put_parameter(stage.parameter("sockets/management-url"), own)
    public = stage.parameter("sockets/url")
    if endpoint_url is not None or public not in account.parameters([public]):
        # https becomes wss, http becomes ws.
        account.put_parameter(public, "ws" + own.removeprefix("http"))


def _migrate(account: Account, stage: Stage, report: Report) -> None:
    """What is due, and the principals with their rights. Raises DeployFailed."""
    begun = time.monotonic()
    migrated = account.invoke(stage.function("arch", "migrate"))
    applied = migrated.get("applied")
    count = len(applied) if isinstance(applied, list) else 0
    report(f"deploy: {count} migrations in {time.monotonic() - begun:.1f} s")


def _after(
    account: Account, stage: Stage, found: Outputs, approvers: Sequence[str], report: Report
) -> None:
    write_issuers(account, stage)
    begun = time.monotonic()
    enrol_all(account, stage, approvers, report)
    report(f"deploy: custody in {time.monotonic() - begun:.1f} s")
    begun = time.monotonic()
    account.make_wallets(found.wallet_group_arn, FIRST_GROUP, FIRST_WALLETS, report)
    report(f"deploy: wallets in {time.monotonic() - begun:.1f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Deploy one stage and print the lanes' URLs."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.deploy")
    parser.add_argument("--stage", default="dev")
    parser.add_argument("--endpoint-url")
    parser.add_argument("--region", default=DEFAULT_REGION)
    parser.add_argument("--account")
    parser.add_argument("--unsigned-custodians", action="store_true")
    parser.add_argument("--var", type=Path, default=ROOT / "var" / "deploy")
    chosen = parser.parse_args(arguments)
    try:
        found = deploy(
            chosen.endpoint_url,
            chosen.stage,
            chosen.var,
            region=chosen.region,
            account_id=chosen.account,
            unsigned_custodians=chosen.unsigned_custodians,
        )
    except DeployFailed as problem:
        print(f"deploy failed: {problem}", file=sys.stderr)
        return 1
    for lane, url in found.api_urls.items():
        print(lane, url)
    return 0


if __name__ == "__main__":
    sys.exit(main())
