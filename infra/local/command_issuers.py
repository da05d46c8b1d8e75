"""Who may command the nodes' agents, and which commands (docs/books.md, "Commands to nodes")."""

import base64
import json
from collections.abc import Mapping, Sequence

from infra.cloud.function_table_books import COMMANDS_OF_RECONCILIATION
from infra.cloud.names import Stage
from infra.local.deploy_aws import Account

PARAMETER = "nodes/command-issuers"
_PREFIX = "node-commands-"
# By the purpose of the issuer's KMS key.
COMMANDS: Mapping[str, Sequence[str]] = {COMMANDS_OF_RECONCILIATION: ("balances",)}


def write_issuers(account: Account, stage: Stage) -> None:
    """The public keys as KMS gives them (SubjectPublicKeyInfo, RFC 5280). Raises DeployFailed."""
    rows = {
        purpose.removeprefix(_PREFIX): {
            "public_key": base64.b64encode(account.public_key(stage.key_alias(purpose))).decode(),
            "commands": list(commands),
        }
        for purpose, commands in COMMANDS.items()
    }
    text = json.dumps(rows, sort_keys=True, separators=(",", ":"))
    account.put_parameter(stage.parameter(PARAMETER), text)
