# ruff: noqa: SLF001 - what is corrected here is the engine's own.
"""Policies enforced as AWS documents them, where the engine differs.

Four corrections, each only
narrows or names what a request is about; the decision stays the engine's:

- `aws:PrincipalArn` of an assumed role is the role's ARN, not the session's (IAM User Guide, "AWS
  global condition context keys").
- A key that is named by an alias is authorised as the key (AWS KMS Developer Guide, "Controlling
  access to aliases").
- Moving or deleting an alias is authorised on the key that has it, making one on the key that gets
  it (AWS KMS Developer Guide, "Controlling access to aliases"; moving on the new key as well, which
  the engine cannot ask beside the first).
- `ssm:GetParametersByPath` is about the parameter path that it names (Service Authorization
  Reference, "Actions, resources, and condition keys for AWS Systems Manager").
"""

import json
import re
from importlib import import_module
from typing import Any

_ALIAS_CALLS = (".CreateAlias", ".UpdateAlias", ".DeleteAlias")
_SESSION = re.compile(r"arn:(aws[a-z-]*):sts::(\d{12}):assumed-role/([^/]+)/[^/]+")


def role_of(principal_arn: str) -> str:
    """The ARN of an assumed role's role; any other ARN as it is. Our roles have no path."""
    found = _SESSION.fullmatch(principal_arn)
    if found is None:
        return principal_arn
    return f"arn:{found[1]}:iam::{found[2]}:role/{found[3]}"


def correct() -> None:
    """Put the corrections in the place of the engine's own functions."""
    evaluator: Any = import_module("ministack.core.iam_evaluator")
    actions: Any = import_module("ministack.core.iam_actions")
    keys: Any = import_module("ministack.services.kms")
    condition_key = evaluator._resolve_condition_key
    resource_arn = actions.extract_resource_arn

    def resolve_condition_key(key: str, context: Any) -> Any:
        value = condition_key(key, context)
        return role_of(value) if key.lower() == "aws:principalarn" else value

    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query: dict[str, Any],
        region: str,
        account_id: str,
    ) -> str:
        found: str = resource_arn(service, method, path, headers, body, query, region, account_id)
        target = headers.get("x-amz-target", "")
        if service == "kms" and target.endswith(_ALIAS_CALLS):
            request = json.loads(body)
            named = "TargetKeyId" if target.endswith(".CreateAlias") else "AliasName"
            key = keys._resolve_key(str(request.get(named, "")))
            return str(key["Arn"]) if key else found
        if service == "kms" and ":alias/" in found:
            key = keys._resolve_key(found)
            return str(key["Arn"]) if key else found
        if service == "ssm" and target.endswith(".GetParametersByPath"):
            wanted = str(json.loads(body).get("Path", "")).rstrip("/")
            return f"arn:aws:ssm:{region}:{account_id}:parameter{wanted}"
        return found

    evaluator._resolve_condition_key = resolve_condition_key
    actions.extract_resource_arn = extract_resource_arn
