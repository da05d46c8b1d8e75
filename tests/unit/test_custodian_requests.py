"""What a custodian refuses in instructions, requests and settings, whatever the evidence."""

import pytest

from orion.kms.custody.errors import CustodianMisconfigured, CustodianRefusal
from orion.kms.custody.evidence import check_enrolment
from orion.kms.custody.request import read_sign
from orion.kms.custody.settings import read_settings
from orion.kms.custody.statements import read_evidence
from tests.engine.custodian_scene import (
    NETWORKS,
    NOW,
    Body,
    rotation,
    settings_text,
    sign_request,
    void,
)
from tests.unit.custodian_judging import (
    ISSUERS,
    KEYS,
    OTHER_MERCHANT,
    SHOP,
    SPKI,
    expiry,
    pay,
    refusal,
)


@pytest.mark.parametrize(
    "change",
    [
        {"evidence_keys": {}},
        {"evidence_keys": {**SPKI, "merchant": SPKI["step-up"]}},
        {"evidence_keys": dict.fromkeys(SPKI, SPKI["step-up"])},
        {"evidence_keys": {**SPKI, "step-up": "AAAA"}},
        {"evidence_keys": {**SPKI, "step-up": "?"}},
        {"velocity": {"hot": {}}},
        {"velocity": {"hot": {}, "warm": {"EUR": "1"}}},
        {"velocity": {"hot": {}, "warm": {"BTC.bitcoin": 1}}},
        {"contracts": {"USDT.ethereum": "0x12"}},
        {"contracts": {"USDT.nowhere": SHOP}},
        {"contracts": {"USDT.ethereum": "0x" + "5A" * 20}},
        {"networks": {"bitcoin": "nonet"}},
        {"networks": {"dogecoin": "main"}},
        {"evidence_keys": {name: key for name, key in SPKI.items() if name != "custody-enrolment"}},
        {"floats": None},
        {"floats": {"ethereum": "0x12"}},
        {"floats": {"ethereum": "0x" + "5A" * 20}},
        {"floats": {"nowhere": SHOP}},
        {"floats": {"ethereum": 5}},
        {"extra": 1},
    ],
)
def test_a_deployment_with_unusable_settings_does_not_start(change: Body) -> None:
    read_settings(settings_text(ISSUERS))
    with pytest.raises(CustodianMisconfigured):
        read_settings(settings_text(ISSUERS, **change))


@pytest.mark.parametrize(
    "change,why",
    [
        ({"network": "1"}, "other_network"),
        ({"asset": "BTC.bitcoin"}, "asset_of_other_chain"),
        ({"merchant": None}, "merchant_differs"),
        ({"purpose": "refill"}, "merchant_differs"),
        ({"target_set": 3}, "target_differs"),
        ({"recipient": None}, "recipient_missing"),
        ({"units": "0"}, "units_zero"),
        ({"recipient": "0x" + "5A" * 20}, "recipient_not_canonical"),
        ({"recipient": "0x5a"}, "recipient_malformed"),
        ({"set": 0}, "not_a_number"),
        ({"v": 2}, "unknown_version"),
        ({"group": 2**31}, "not_a_number"),
        ({"units": str(2**256)}, "not_units"),
    ],
)
def test_an_instruction_that_contradicts_itself_is_refused_whatever_its_evidence(
    change: Body, why: str
) -> None:
    assert refusal(ISSUERS.asked(pay() | change)).reason == why


@pytest.mark.parametrize(
    "change,why",
    [
        ({"asset": "USDT.ethereum"}, "not_native"),
        ({"recipient": SHOP}, "recipient_given"),
        ({"units": "1"}, "units_given"),
        ({"target_set": 1}, "target_is_source"),
        ({"target_set": None}, "target_differs"),
        ({"merchant": OTHER_MERCHANT}, "merchant_differs"),
    ],
)
def test_a_rotation_in_place_says_nothing_else(change: Body, why: str) -> None:
    wanted = rotation("ethereum", "ETH.ethereum", None, 0) | change

    assert refusal(ISSUERS.asked(wanted)).reason == why


def test_one_request_is_about_one_account_and_no_instruction_twice() -> None:
    one = ISSUERS.asked(pay())
    other_places: list[Body] = [{"group": 8}, {"wallet": "warm"}, {"set": 3}]

    def together(*entries: Body) -> str:
        with pytest.raises(CustodianRefusal) as refused:
            read_sign(sign_request(b"\1", entries), KEYS, NETWORKS)
        return refused.value.reason

    for change in other_places:
        assert together(one, ISSUERS.asked(pay() | change)) == "other_account"
    refill = pay(purpose="refill", merchant=None)
    assert together(one, ISSUERS.asked(refill)) == "other_account"
    assert together(one, one) == "repeated"
    turns = [ISSUERS.asked(rotation("ethereum", "ETH.ethereum", None, 0)) for _ in range(2)]
    assert together(*turns) == "repeated"
    voids = [ISSUERS.asked(void("ethereum", "ETH.ethereum")) for _ in range(2)]
    assert together(*voids) == "repeated"
    assert together(*[one] * 51) == "wrong_count"
    assert together() == "wrong_count"


def test_an_enrolment_wants_two_people_about_this_very_set() -> None:
    digest, moments = "ab" * 32, (NOW,)

    def judged(*entries: Body) -> None:
        check_enrolment(digest, read_evidence(list(entries), KEYS, "evidence"), moments, "evidence")

    first, second = (ISSUERS.enrolment(digest, who) for who in ("usr_a", "usr_b"))
    judged(first, second)
    later = ISSUERS.enrolment(digest, "usr_a", expires_at=expiry(30))
    expired = ISSUERS.enrolment(digest, "usr_b", issued_at=expiry(-90), expires_at=expiry(-30))
    for entries, why in (
        ((first,), "approvals_missing"),
        ((first, later), "same_approver"),
        ((first, second, ISSUERS.enrolment(digest, "usr_c")), "approvals_missing"),
        ((first, ISSUERS.enrolment("cd" * 32, "usr_b")), "about_another"),
        ((first, ISSUERS.approval(digest, "usr_b")), "wrong_issuer"),
        ((first, second, ISSUERS.absent("tron", "aa" * 32)), "not_wanted"),
        ((first, expired), "not_valid_now"),
    ):
        with pytest.raises(CustodianRefusal) as refused:
            judged(*entries)
        assert refused.value.reason == why


def test_statements_are_counted_and_measured() -> None:
    instruction = pay()
    long = ISSUERS.statement("step-up", "step_up", user="u" * 4_000)
    many = [ISSUERS.absent("ethereum", f"{place:04x}") for place in range(50)]

    assert refusal({"instruction": instruction, "evidence": many}).reason == "wrong_count"
    assert refusal({"instruction": instruction, "evidence": [long]}).reason == "not_base64"
    assert refusal({"instruction": instruction, "evidence": []}).reason == "wrong_count"
