"""Enrols custody sets with the five custodians and registers them in kms.

    python -m infra.local.custody keys --stage STAGE
    python -m infra.local.custody enrol --stage STAGE --approver NAME --approver NAME
    python -m infra.local.custody settings --stage STAGE

`keys` prints every set's public keys, for people to compare; `enrol` has two people approve each
set and gives it to every custodian; `settings` prints the document that a custodian is deployed
with, for an account of its own. Each takes `--endpoint-url`, `--region`, and
`--custodian N=FUNCTION-ARN` for a custodian in another account. docs/operations/custody.md tells
when to run what.
"""

import argparse
import base64
import hashlib
import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

from infra.cloud.custody import (
    CURVES,
    CUSTODIANS,
    ENROLLED_PARAMETER,
    ENROLMENT,
    Custody,
    CustodySet,
    custodian_room,
    custody,
)
from infra.cloud.names import Stage
from infra.local.custody_settings import settings_document
from infra.local.deploy_aws import Account, DeployFailed, Json, Report
from orion.chains.spend import CustodyKeys, WalletKind
from orion.kms.custody.instruction import canonical
from orion.kms.custody.request import EnrolledSet
from orion.kms.custody.statements import STATEMENT_PREFIX

APPROVERS = 2
# Long enough for five cold custodians, short enough that a statement is no standing permission.
_VALID = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The operator's side of custody sets in one stage. `functions` names custodians that are
    elsewhere, by function ARN.
    """

    account: Account
    stage: Stage
    approvers: Sequence[str]
    report: Report
    functions: Mapping[int, str] = field(default_factory=dict)

    def described(self, each: CustodySet) -> Json:
        """A set with its public keys, as the custodians tell them. Raises DeployFailed."""
        with ThreadPoolExecutor(len(CUSTODIANS)) as asking:
            told = list(asking.map(lambda number: self._keys(number, each), CUSTODIANS))
        keys = {curve: [str(answer[curve]) for answer in told] for curve in CURVES}
        return {"set": each.number, "purpose": each.purpose, **keys}

    def enrol(self, each: CustodySet) -> Json:
        """Give one approved set to all custodians; a set that they have already stays as it is.
        Answers the set with its approvals. Raises DeployFailed.
        """
        described = self.described(each)
        evidence = [self._approval(set_digest(described), name) for name in self.approvers]
        approved = {**described, "evidence": evidence}
        with ThreadPoolExecutor(len(CUSTODIANS)) as asking:
            list(asking.map(lambda number: self._enrol(number, approved), CUSTODIANS))
        self.report(f"custody set {each.number}: {each.purpose}, enrolled with five custodians")
        return approved

    def register(self, sets: Sequence[Json]) -> None:
        """Tell kms of approved sets, which makes wallets with them. Raises DeployFailed."""
        function = self.stage.function("kms", "custody_sets")
        answer = self.account.invoke(function, registration(sets))
        if answer.get("outcome") != "registered":
            raise DeployFailed(f"{function}: {_said(answer)}")

    def enrol_and_register(self, sets: Sequence[CustodySet]) -> None:
        """All of them, and say so to the next deployment. Raises DeployFailed."""
        self.register([self.enrol(each) for each in sets])
        self.account.put_parameter(self.stage.parameter(ENROLLED_PARAMETER), _named(sets))

    def _keys(self, number: int, each: CustodySet) -> Json:
        return self._ask(number, "keys", {"operation": "public_keys", "set": each.number})

    def _enrol(self, number: int, approved: Json) -> None:
        self._ask(number, "enrolled", {"operation": "enrol", **approved})

    def _ask(self, number: int, outcome: str, request: Json) -> Json:
        function = self.functions.get(number, self.stage.stack(custodian_room(number)))
        traced = {"v": 1, "trace_id": secrets.token_hex(16), **request}
        answer = self.account.invoke(function, traced)
        if answer.get("outcome") != outcome:
            raise DeployFailed(f"custodian {number}: {_said(answer)}")
        return answer

    def _approval(self, digest: str, approver: str) -> Json:
        now = datetime.now(UTC)
        statement = canonical(
            {
                "kind": "approval",
                "instruction": digest,
                "approver": approver,
                "issued_at": now.isoformat(),
                "expires_at": (now + _VALID).isoformat(),
            }
        )
        signed = hashlib.sha256(STATEMENT_PREFIX + statement).digest()
        signature = self.account.sign_digest(self.stage.key_alias(ENROLMENT), signed)
        return {
            "statement": base64.b64encode(statement).decode(),
            "issuer": ENROLMENT,
            "signature": base64.b64encode(signature).decode(),
        }


def set_digest(described: Json) -> str:
    """What approvals of a set name, as custodians compute it."""
    secp256k1, ed25519 = (cast(Sequence[str], described[curve]) for curve in CURVES)
    keys = CustodyKeys(tuple(map(bytes.fromhex, secp256k1)), tuple(map(bytes.fromhex, ed25519)))
    number, purpose = cast(int, described["set"]), WalletKind(str(described["purpose"]))
    return EnrolledSet(number, purpose, keys).digest()


def registration(sets: Sequence[Json]) -> Json:
    """What the register of kms is asked for approved sets."""
    return {"v": 1, "trace_id": secrets.token_hex(16), "sets": list(sets)}


def enrol_all(account: Account, stage: Stage, approvers: Sequence[str], report: Report) -> None:
    """Enrol and register every set of infra/custody.toml, once; no-op while the sets are the same.
    Raises DeployFailed, also when nobody is there to approve.
    """
    sets = custody().sets
    name = stage.parameter(ENROLLED_PARAMETER)
    if account.parameters([name]).get(name) == _named(sets):
        return
    if len(set(approvers)) < APPROVERS:
        raise DeployFailed(
            "custody sets wait for two people: python -m infra.local.custody enrol"
            f" --stage {stage.name} --approver … --approver …, then deploy again"
        )
    Enrolment(account, stage, approvers, report).enrol_and_register(sets)


def _named(sets: Sequence[CustodySet]) -> str:
    return ",".join(f"{each.number}:{each.purpose}" for each in sets)


def _said(answer: Json) -> str:
    return f"{answer.get('outcome')} {answer.get('code')}: {answer.get('detail')}"


def _functions(given: Sequence[str]) -> Mapping[int, str]:
    found = {}
    for text in given:
        number, _, arn = text.partition("=")
        if number not in map(str, CUSTODIANS) or not arn.startswith("arn:"):
            raise DeployFailed(f"--custodian {text}: say N=FUNCTION-ARN, N from 1 to 5")
        found[int(number)] = arn
    return found


def _parser() -> argparse.ArgumentParser:
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument("--stage", required=True)
    place.add_argument("--endpoint-url")
    place.add_argument("--region", default="eu-west-1")
    place.add_argument("--custodian", action="append", default=[], metavar="N=FUNCTION-ARN")
    parser = argparse.ArgumentParser(prog="python -m infra.local.custody")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("keys", parents=[place], help="print every set's public keys")
    commands.add_parser("settings", parents=[place], help="print the custodians' settings")
    enrol = commands.add_parser("enrol", parents=[place], help="approve, enrol and register")
    enrol.add_argument("--approver", action="append", default=[], help="a person; two of them")
    return parser


def run(chosen: argparse.Namespace, sets: Custody) -> None:
    """One command. Raises DeployFailed."""
    account, stage = Account(chosen.endpoint_url, chosen.region, {}), Stage(chosen.stage)
    if chosen.command == "settings":
        print(settings_document(account, stage, sets))
        return
    approvers = chosen.approver if chosen.command == "enrol" else []
    enrolment = Enrolment(account, stage, approvers, print, _functions(chosen.custodian))
    if chosen.command == "keys":
        for each in sets.sets:
            described = enrolment.described(each)
            print(json.dumps({**described, "digest": set_digest(described)}))
        return
    if len(set(approvers)) < APPROVERS:
        raise DeployFailed("two different people approve a set: --approver twice")
    enrolment.enrol_and_register(sets.sets)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 with one line on standard error."""
    try:
        run(_parser().parse_args(arguments), custody())
    except DeployFailed as problem:
        print(f"custody: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
