"""Custody sets as custodians keep them: enrolled once, by two people, with their own keys."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orion.chains.spend import Curve, WalletKind
from orion.kms.custody.errors import CustodianRefusal
from orion.kms.custody.request import EnrolledSet
from tests.engine.custodian_scene import TRACE, Aws, Body, Custodians, Issuers, payout, sign_request

pytestmark = pytest.mark.engine
SHOP, ETH = "0x" + "5a" * 20, "ETH.ethereum"


class Clock:
    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 2, 10, 20, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def custodians(aws_engine: Any, clock: Clock) -> Custodians:
    return Custodians(Aws(aws_engine), Issuers(now=clock))


def reason(call: Any, request: Body) -> str:
    with pytest.raises(CustodianRefusal) as refused:
        call(request)
    return refused.value.reason


def sign_with(custodians: Custodians, **more: object) -> Body:
    asked = custodians.issuers.asked(payout("ethereum", ETH, SHOP, 5, **more))
    return sign_request(b"\1", [asked])


def test_a_set_is_not_used_before_it_is_enrolled(custodians: Custodians) -> None:
    assert reason(custodians.service(4).sign, sign_with(custodians)) == "not_enrolled"


def test_a_set_is_enrolled_once_whatever_is_said_later(
    custodians: Custodians, clock: Clock
) -> None:
    enrol = custodians.service(1).enrol
    first, spare = custodians.sets[1], custodians.sets[3]
    request = custodians.enrol_request(first)
    other = replace(spare, set_no=1)

    assert enrol(request) == first
    clock.moment += timedelta(days=30)
    assert enrol(request) == first
    assert reason(enrol, custodians.enrol_request(other)) == "already_enrolled"
    colder = replace(first, purpose=WalletKind.WARM)
    assert reason(enrol, custodians.enrol_request(colder)) == "already_enrolled"


def test_an_enrolment_without_this_custodians_own_keys_is_refused(custodians: Custodians) -> None:
    spare = custodians.sets[3]
    for curve in Curve:
        keys = spare.keys.of(curve)
        swapped = replace(spare.keys, **{curve.value: (keys[1], keys[0], *keys[2:])})
        wrong = custodians.enrol_request(EnrolledSet(3, spare.purpose, swapped))
        assert reason(custodians.service(1).enrol, wrong) == "own_keys_differ"
        # The others' places are as they were, so only people could notice.
        assert custodians.service(5).enrol(custodians.enrol_request(spare)) == spare


def test_approvals_of_another_set_enrol_nothing(custodians: Custodians) -> None:
    request = custodians.enrol_request(custodians.sets[1])
    forged = {**custodians.enrol_request(custodians.sets[3]), "evidence": request["evidence"]}

    assert reason(custodians.service(2).enrol, forged) == "about_another"
    for field in ("secp256k1", "ed25519"):
        doubled = [request[field][0], *request[field][:4]]
        assert reason(custodians.service(2).enrol, {**request, field: doubled}) == "repeated"
        assert reason(custodians.service(2).enrol, {**request, field: doubled[:4]}) == "wrong_count"
    off_curve = ["02" + "ff" * 32, *request["secp256k1"][1:]]
    assert reason(custodians.service(2).enrol, {**request, "secp256k1": off_curve}) == "not_a_key"


def test_a_hot_wallet_uses_no_warm_set_and_the_other_way_round(custodians: Custodians) -> None:
    service = custodians.service(3)
    for set_no in (1, 2):
        service.enrol(custodians.enrol_request(custodians.sets[set_no]))

    assert reason(service.sign, sign_with(custodians, set=2)) == "other_purpose"
    assert reason(service.sign, sign_with(custodians, wallet="warm")) == "other_purpose"


def test_a_set_whose_kms_keys_are_others_is_not_used(
    custodians: Custodians, aws_engine: Any
) -> None:
    """The stored set names a key that KMS does not have any more under its alias."""
    aws, service = custodians.aws, custodians.service(5)
    service.enrol(custodians.enrol_request(custodians.sets[1]))
    alias = f"alias/orion/{custodians.stage}/custodian-5/set-1/ed25519"
    fresh = aws.kms.create_key(KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")
    aws.kms.update_alias(AliasName=alias, TargetKeyId=fresh["KeyMetadata"]["KeyId"])

    assert reason(custodians.service(5).sign, sign_with(custodians)) == "own_keys_differ"


def test_public_keys_of_a_set_without_keys_are_refused(custodians: Custodians) -> None:
    asked = {"v": 1, "trace_id": TRACE, "operation": "public_keys", "set": 77}

    assert reason(custodians.service(1).public_keys, asked) == "kms_refused"
    assert reason(custodians.service(1).public_keys, {**asked, "set": 0}) == "not_a_number"
    assert reason(custodians.service(1).public_keys, {**asked, "more": 0}) == "unknown"
