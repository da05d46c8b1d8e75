"""The CDK app: `cdk synth`, `cdk deploy --all`. Context `stage` names the deployment (default
`dev`); `unsigned-custodians=yes` lets a stage's custodians do without code signing.
"""

import sys
from pathlib import Path

from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

ROOT = Path(__file__).resolve().parents[1]
# The route table is the product's; the app needs it and nothing else of the product.
sys.path[:0] = [str(ROOT), str(ROOT / "layers" / "orion" / "python")]

from infra.cloud.api import LaneApiStack  # noqa: E402
from infra.cloud.custodian import CustodianStack  # noqa: E402
from infra.cloud.custodian_signing import CustodianSigningStack  # noqa: E402
from infra.cloud.custody import CUSTODIANS, UNSIGNED_CONTEXT, custody  # noqa: E402
from infra.cloud.exceptions import APP, acknowledge  # noqa: E402
from infra.cloud.function_row import LANES  # noqa: E402
from infra.cloud.keys import KeysStack  # noqa: E402
from infra.cloud.names import Stage  # noqa: E402
from infra.cloud.serverless import function_stacks  # noqa: E402

DEFAULT_STAGE = "dev"


def build(app: App, stage_name: str, *, check: bool = True) -> App:
    """Add the stacks of one stage to `app`; environment-agnostic, so it synthesizes without an
    account.
    """
    stage = Stage(stage_name)
    unsigned = app.node.try_get_context(UNSIGNED_CONTEXT) == "yes"
    keys = KeysStack(app, stage)
    serverless = function_stacks(app, stage, keys)
    for lane in LANES:
        # It names the serverless stack's functions: all that stand behind the lanes.
        LaneApiStack(app, stage, lane).add_stack_dependency(serverless)
    CustodianSigningStack(app, stage)
    for number in CUSTODIANS:
        # They read parameters that a deployment writes; no dependency ties the accounts together.
        CustodianStack(app, stage, number, custody(), may_be_unsigned=unsigned)
    acknowledge(app, APP)
    if check:
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return app


def main() -> None:
    """What `cdk.json` runs."""
    app = App()
    build(app, str(app.node.try_get_context("stage") or DEFAULT_STAGE))
    app.synth()


if __name__ == "__main__":
    main()
