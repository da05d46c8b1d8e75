"""The document that every custodian is deployed with: whose evidence it believes, on which
networks, which floats it refills, and how much it signs for in a day.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import cast

from infra.cloud.custody import ISSUERS, Custody
from infra.cloud.names import Stage
from infra.local.deploy_aws import Account, DeployFailed
from orion.chains import base58
from orion.chains.ethereum.keccak import keccak256
from orion.chains.registry import chain
from orion.money import asset

PARAMETER = "custodian/settings"
# The last bytes of an Ed25519 key's SubjectPublicKeyInfo (RFC 8410) are the key itself.
_ED25519_BYTES = 32
# And those of a secp256k1 key's (RFC 5480) are the two coordinates of its uncompressed point.
_POINT_BYTES = 64
CODE_SIGNING = "custodian/code-signing-arn"
# What a deployment writes once and then leaves to whoever names an invoker.
INVOKER = "custodian/invoker-arn"
# AWS Systems Manager: a standard parameter's value; Lambda allows as much for all variables.
_SIZE_MAX_BYTES = 4096 - 512


def settings_document(account: Account, stage: Stage, custody: Custody) -> str:
    """JSON text of `custodian/settings`, the same at each repeat. Raises DeployFailed."""
    names = {name: stage.parameter(f"chains/{name}") for name in ("networks", "contracts")}
    known = account.parameters(list(names.values()))
    missing = [name for name in names.values() if name not in known]
    if missing:
        raise DeployFailed(f"these SSM parameters must exist first: {', '.join(missing)}")
    networks, contracts = (
        cast(Mapping[str, str], json.loads(known[names[name]]))
        for name in ("networks", "contracts")
    )
    document = {
        "evidence_keys": evidence_keys(account, stage),
        "networks": networks,
        "contracts": _canonical(contracts, networks),
        "floats": {name: address for name, address in floats(account, stage) if name in networks},
        "velocity": {purpose: dict(caps) for purpose, caps in custody.velocity.items()},
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    if len(text) > _SIZE_MAX_BYTES:
        raise DeployFailed(f"the custodians' settings have {len(text)} of {_SIZE_MAX_BYTES} bytes")
    return text


def evidence_keys(account: Account, stage: Stage) -> Mapping[str, str]:
    """Each issuer's public key as base64 of its SubjectPublicKeyInfo (RFC 5280), as KMS gives it.
    Raises DeployFailed.
    """
    return {
        issuer: base64.b64encode(account.public_key(stage.key_alias(issuer))).decode()
        for issuer in ISSUERS
    }


def floats(account: Account, stage: Stage) -> Sequence[tuple[str, str]]:
    """Chain and address of the executor and of the fee payer, as records carry addresses. Raises
    DeployFailed.
    """
    point = account.public_key(stage.key_alias("executor-ethereum"))[-_POINT_BYTES:]
    # An Ethereum account's address: the Yellow Paper, appendix F.
    executor = "0x" + keccak256(point)[12:].hex()
    return (("ethereum", executor), ("solana", _solana_fee_payer(account, stage)))


def _solana_fee_payer(account: Account, stage: Stage) -> str:
    payer = account.public_key(stage.key_alias("fee-payer-solana"))[-_ED25519_BYTES:]
    return base58.encode(payer)


def _canonical(contracts: Mapping[str, str], networks: Mapping[str, str]) -> Mapping[str, str]:
    """Contracts as records carry them; people write Ethereum's with a checksum in the case."""
    found = {}
    for code, address in contracts.items():
        name = asset(code).chain or ""
        found[code] = chain(name).canonical_address(address, networks[name])
    return found


def write_settings(account: Account, stage: Stage, custody: Custody, text: str) -> None:
    """The parameters that the custodians' stacks and the kms functions read. An invoker that is
    named stays. Raises DeployFailed.
    """
    account.put_parameter(stage.parameter(PARAMETER), text)
    rows = [
        {
            "first_group": each.first,
            "last_group": each.last,
            "hot": each.hot,
            "warm": each.warm,
        }
        for each in custody.groups
    ]
    account.put_parameter(stage.parameter("custody/groups"), json.dumps(rows))
    payer = _solana_fee_payer(account, stage)
    account.put_parameter(stage.parameter("custody/solana-fee-payer"), payer)
    invoker = stage.parameter(INVOKER)
    if invoker not in account.parameters([invoker]):
        account.put_parameter(invoker, "none")


def check_code_signing(account: Account, stage: Stage, *, unsigned: bool) -> None:
    """Let custodians without code signing through only where the deployment says so. Raises
    DeployFailed.
    """
    name = stage.parameter(CODE_SIGNING)
    found = account.parameters([name]).get(name, "none")
    if found != "none":
        return
    if not unsigned:
        raise DeployFailed(
            f"{name} names no code-signing configuration: deploy custodian-signing first"
            " (docs/operations/custody.md); a stage whose custodians may run unsigned code is"
            " deployed with --unsigned-custodians"
        )
    account.put_parameter(name, found)
