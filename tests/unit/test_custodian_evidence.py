"""What a custodian believes: every part of a request altered, one at a time."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.errors import OrionError
from orion.ids import public_id
from orion.kms.custody.errors import CustodianRefusal
from orion.kms.custody.instruction import canonical, instruction_digest
from orion.kms.custody.request import read_sign
from orion.kms.custody.statements import read_evidence
from tests.engine.custodian_scene import (
    NETWORKS,
    NOW,
    PAYERS,
    Body,
    Issuers,
    rotation,
    sign_request,
)
from tests.unit.custodian_judging import (
    ISSUERS,
    KEYS,
    OTHER_MERCHANT,
    SPKI,
    expiry,
    judge,
    pay,
    refusal,
    statement_of,
)

INSTRUCTION = pay(wallet="warm")
REQUESTED = [
    ISSUERS.decision(INSTRUCTION, approvals=2),
    ISSUERS.certificate(INSTRUCTION["merchant"]),
    ISSUERS.request(INSTRUCTION),
    ISSUERS.approval(INSTRUCTION, "usr_a"),
    ISSUERS.approval(INSTRUCTION, "usr_b"),
    ISSUERS.absent("ethereum", "aa" * 32),
    ISSUERS.failed("ethereum", "aa" * 32),
]
STEPPED_UP = [
    ISSUERS.decision(INSTRUCTION, approvals=1),
    ISSUERS.step_up(INSTRUCTION),
    ISSUERS.approval(INSTRUCTION, "usr_a"),
]
ENTRIES: dict[str, Body] = {
    "request": {"instruction": INSTRUCTION, "evidence": REQUESTED},
    "step_up": {"instruction": INSTRUCTION, "evidence": STEPPED_UP},
}
# What stands in a field's place: nothing, another type, another value of the right type.
OTHER_VALUES: dict[str, list[object]] = {
    "v": [2, True, "1", None],
    "id": [public_id("pay", b"\7" * 16), "pay_x", 1],
    "purpose": ["refill", "rotation", "void", "gift", None],
    "merchant": [OTHER_MERCHANT, None, 5],
    "chain": ["tron", "bitcoin", "dogecoin", 1],
    "network": ["1", 31337, ""],
    "group": [8, -1, True, "7", 2**31],
    "wallet": ["hot", "cold", None],
    "set": [2, 0, "1"],
    "account": ["0x" + "ad" * 20, "", None, 7, "a" * 129],
    "asset": ["BTC.bitcoin", "USDT.ethereum", "EUR", "X"],
    "recipient": ["0x" + "5b" * 20, "0x" + "5A" * 20, None, "", 4],
    "units": ["701", "0700", "-1", 700, "7e2", "0", str(2**256)],
    "fee_max_units": ["1", "", 0, " 0"],
    "target_set": [3, 0, "3"],
    "created_at": ["2026-01-02T10:20:01+00:00", "2026-01-02T10:20:00+01:00", "now", 0],
}


def altered(entry: Body, place: tuple[Any, ...], value: object) -> Body:
    """A copy of `entry` with another value at one place, or without it (`...`)."""
    copy: Any = json.loads(json.dumps(entry))
    target = copy
    for step in place[:-1]:
        target = target[step]
    if value is ...:
        del target[place[-1]]
    else:
        target[place[-1]] = value
    return dict(copy)


def test_what_is_altered_below_is_accepted_as_it_is() -> None:
    for entry in ENTRIES.values():
        judge(entry)


@pytest.mark.parametrize("kind", ENTRIES)
@pytest.mark.parametrize("name", OTHER_VALUES)
def test_an_instruction_with_one_field_altered_is_refused(kind: str, name: str) -> None:
    for value in (*OTHER_VALUES[name], ..., [], {}):
        refusal(altered(ENTRIES[kind], ("instruction", name), value))


def test_every_field_of_an_instruction_is_altered_above() -> None:
    assert set(OTHER_VALUES) == set(INSTRUCTION)


@pytest.mark.parametrize("kind", ENTRIES)
def test_evidence_with_any_one_statement_missing_is_refused(kind: str) -> None:
    evidence = ENTRIES[kind]["evidence"]
    for place in range(len(evidence)):
        if statement_of(evidence[place])["kind"] not in ("absent", "failed"):
            refusal(altered(ENTRIES[kind], ("evidence", place), ...))


@pytest.mark.parametrize("kind", ENTRIES)
def test_every_part_of_every_statement_is_bound(kind: str) -> None:
    """Alter one field of one statement with its old signature: the signature no longer holds."""
    for place, entry in enumerate(ENTRIES[kind]["evidence"]):
        body = statement_of(entry)
        for name in body:
            for changed in ({**body, name: other(body[name])}, without(body, name)):
                statement = base64.b64encode(canonical(changed)).decode()
                found = refusal(altered(ENTRIES[kind], ("evidence", place, "statement"), statement))
                assert found.reason in ("bad_signature", "repeated"), (body["kind"], name)


@pytest.mark.parametrize("kind", ENTRIES)
def test_every_field_of_every_statement_is_read(kind: str) -> None:
    """Alter one field and sign again: then what it says must not fit, whatever the issuer says."""
    for place, entry in enumerate(ENTRIES[kind]["evidence"]):
        body, issuer = statement_of(entry), entry["issuer"]
        for name in body:
            for value in wrong_values(name, body["kind"]):
                again = ISSUERS.signed(issuer, {**body, name: value})
                refusal(altered(ENTRIES[kind], ("evidence", place), again))
            refusal(
                altered(
                    ENTRIES[kind], ("evidence", place), ISSUERS.signed(issuer, without(body, name))
                )
            )
        more = ISSUERS.signed(issuer, {**body, "note": "x"})
        assert refusal(altered(ENTRIES[kind], ("evidence", place), more)).reason == "unknown"


def test_every_field_of_what_holds_an_account_is_read() -> None:
    wanted = rotation("solana", "SOL.solana", PAYERS["solana"], 5)
    held = ISSUERS.held("solana", PAYERS["solana"], "ab" * 32)
    body, evidence = statement_of(held), ISSUERS.enough(wanted)
    judge({"instruction": wanted, "evidence": [*evidence, held]})

    for name in body:
        values = [value for value in wrong_values(name, "held") if (name, value) != ("address", "")]
        for changed in ({**body, name: value} for value in values):
            again = ISSUERS.signed("chain-finality", changed)
            refusal({"instruction": wanted, "evidence": [*evidence, again]})
        again = ISSUERS.signed("chain-finality", without(body, name))
        refusal({"instruction": wanted, "evidence": [*evidence, again]})
    for issuer in SPKI:
        if issuer != "chain-finality":
            forged = ISSUERS.signed(issuer, body)
            found = refusal({"instruction": wanted, "evidence": [*evidence, forged]})
            assert found.reason == "wrong_issuer"


@pytest.mark.parametrize("kind", ENTRIES)
@pytest.mark.parametrize("field", ["statement", "issuer", "signature"])
def test_every_part_of_an_envelope_is_needed_as_it_is(kind: str, field: str) -> None:
    others: list[object] = [..., "", 1, None, "AAAA", "not base 64", "policy", "step-up "]
    for place in range(len(ENTRIES[kind]["evidence"])):
        for value in others:
            refusal(altered(ENTRIES[kind], ("evidence", place, field), value))
        signature = base64.b64decode(ENTRIES[kind]["evidence"][place]["signature"])
        flipped = base64.b64encode(signature[:-1] + bytes([signature[-1] ^ 1])).decode()
        found = refusal(altered(ENTRIES[kind], ("evidence", place, "signature"), flipped))
        assert found.reason == "bad_signature"


@pytest.mark.parametrize("kind", ENTRIES)
def test_no_issuer_makes_the_statements_of_another(kind: str) -> None:
    issuers = [*SPKI, "merchant"]
    for place, entry in enumerate(ENTRIES[kind]["evidence"]):
        for issuer in issuers:
            if issuer != entry["issuer"]:
                forged = ISSUERS.signed(issuer, statement_of(entry))
                found = refusal(altered(ENTRIES[kind], ("evidence", place), forged))
                assert found.reason in ("wrong_issuer", "key_not_certified")


@pytest.mark.parametrize("kind", ENTRIES)
def test_evidence_for_one_instruction_is_none_for_an_equal_one(kind: str) -> None:
    twin = pay(wallet="warm")
    found = refusal({"instruction": twin, "evidence": ENTRIES[kind]["evidence"]})

    assert found.reason == "about_another"


@pytest.mark.parametrize("hours,valid", [(0, True), (0.99, True), (1, False), (24, False)])
def test_evidence_expires(hours: float, valid: bool) -> None:
    moment = NOW + timedelta(hours=hours)
    if valid:
        judge(ENTRIES["step_up"], moment)
    else:
        assert refusal(ENTRIES["step_up"], moment).reason == "not_valid_now"


def test_evidence_from_the_future_is_none_beyond_a_minute_of_skew() -> None:
    judge(ENTRIES["step_up"], NOW - timedelta(seconds=60))
    assert refusal(ENTRIES["step_up"], NOW - timedelta(seconds=61)).reason == "not_valid_now"


@pytest.mark.parametrize(
    "approvers,reason",
    [
        (["usr_a", "usr_a"], "same_approver"),
        (["usr_merchant", "usr_a"], "approver_is_requester"),
        (["usr_policy", "usr_a"], "approver_is_requester"),
        (["usr_a"], "approvals_missing"),
    ],
)
def test_approvals_are_by_different_people_and_none_by_the_requester(
    approvers: list[str], reason: str
) -> None:
    instruction = pay()
    evidence = [
        ISSUERS.decision(instruction, approvals=2, requested_by="usr_policy"),
        ISSUERS.step_up(instruction, user="usr_merchant"),
        *(
            ISSUERS.approval(instruction, who, expires_at=expiry(9 + place))
            for place, who in enumerate(approvers)
        ),
    ]

    assert refusal({"instruction": instruction, "evidence": evidence}).reason == reason


def test_a_warm_wallet_wants_a_person_whatever_the_policy_says() -> None:
    hot, warm = pay(), pay(wallet="warm")

    judge({"instruction": hot, "evidence": ISSUERS.enough(hot, approvals=0)})
    assert (
        refusal({"instruction": warm, "evidence": ISSUERS.enough(warm, approvals=0)}).reason
        == "approvals_missing"
    )


def test_a_rotation_wants_three_people() -> None:
    wanted = rotation("ethereum", "ETH.ethereum", None, 0)

    judge(ISSUERS.asked(wanted))
    two = ISSUERS.enough(wanted, approvals=2)
    assert refusal({"instruction": wanted, "evidence": two}).reason == "approvals_missing"


def test_a_refill_wants_a_decision_and_nothing_of_a_merchant() -> None:
    refill = pay(purpose="refill", merchant=None)
    decision = ISSUERS.decision(refill)

    judge({"instruction": refill, "evidence": [decision]})
    stepped = [decision, ISSUERS.step_up(refill)]
    assert refusal({"instruction": refill, "evidence": stepped}).reason == "not_wanted"


@pytest.mark.parametrize(
    "more,reason",
    [
        ({"network": "1"}, "other_chain"),
        ({"final_at": 1_000}, "not_final"),
        ({"final_at": 999}, "not_final"),
    ],
)
def test_an_absence_is_of_this_chain_and_final(more: Body, reason: str) -> None:
    instruction = pay()
    absent = ISSUERS.absent("ethereum", "aa" * 32, **more)
    elsewhere = ISSUERS.absent("tron", "aa" * 32)

    assert refusal(ISSUERS.asked(instruction, absent)).reason == reason
    assert refusal(ISSUERS.asked(instruction, elsewhere)).reason == "other_chain"


def test_a_certified_key_signs_for_its_own_merchant_only() -> None:
    instruction = pay()
    for certificate, request in (
        (ISSUERS.certificate(OTHER_MERCHANT), ISSUERS.request(instruction)),
        (
            ISSUERS.certificate(instruction["merchant"]),
            ISSUERS.request(instruction, merchant=OTHER_MERCHANT),
        ),
    ):
        evidence = [ISSUERS.decision(instruction), certificate, request]
        found = refusal({"instruction": instruction, "evidence": evidence})
        assert found.reason == "other_merchant"


def test_a_request_under_a_key_that_nobody_certified_is_none() -> None:
    instruction, thief = pay(), Issuers()
    evidence = [
        ISSUERS.decision(instruction),
        ISSUERS.certificate(instruction["merchant"]),
        thief.request(instruction),
    ]

    assert refusal({"instruction": instruction, "evidence": evidence}).reason == "bad_signature"


def test_a_statement_that_is_not_canonical_is_refused_though_it_is_signed() -> None:
    instruction = pay()
    body = statement_of(ISSUERS.decision(instruction))
    for written in (
        json.dumps(body).encode(),
        canonical(body) + b"\n",
        canonical(body).replace(b"{", b'{"approvals":3,', 1),
        b"[]",
        b"\xff",
        canonical({**body, "policy": "x"}).replace(b'"x"', b"1.0"),
    ):
        evidence = [ISSUERS.signed("policy-decisions", written), ISSUERS.step_up(instruction)]
        found = refusal({"instruction": instruction, "evidence": evidence})
        assert found.reason == "not_canonical"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["statement", "issuer", "v", "instruction"]), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=40)
@given(JSON_VALUES)
def test_whatever_is_sent_as_evidence_is_refused_by_name(value: Any) -> None:
    with pytest.raises(OrionError) as refused:
        read_evidence(value, KEYS, "evidence")
    assert isinstance(refused.value, CustodianRefusal)
    assert refused.value.part.startswith("evidence")


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from([*INSTRUCTION, "evidence", "operation"]), JSON_VALUES))
def test_whatever_is_sent_as_a_request_is_refused_by_name(body: Body) -> None:
    with pytest.raises(CustodianRefusal):
        read_sign(sign_request(b"\1", [body]), KEYS, NETWORKS)
    with pytest.raises(CustodianRefusal):
        read_sign(
            sign_request(b"\1", [{"instruction": {**INSTRUCTION, "x": 1, **body}, "evidence": []}]),
            KEYS,
            NETWORKS,
        )


@settings(max_examples=40)
@given(st.permutations(list(INSTRUCTION)))
def test_the_digest_does_not_depend_on_the_order_of_fields(names: list[str]) -> None:
    assert instruction_digest({name: INSTRUCTION[name] for name in names}) == instruction_digest(
        INSTRUCTION
    )


def without(body: Body, name: str) -> Body:
    return {key: value for key, value in body.items() if key != name}


def other(value: object) -> object:
    return value + 1 if isinstance(value, int) else f"{value}0"


def wrong_values(name: str, kind: str) -> Iterator[object]:
    """Values that must not pass in a field, though their issuer signed them."""
    yield from (None, [], {}, "", True)
    specific: dict[str, Callable[[], list[object]]] = {
        "kind": lambda: ["wish", "step_up_2"],
        "instruction": lambda: ["00" * 32, "AB" * 32, "ab"],
        "decision": lambda: ["deny", "ALLOW"],
        "approvals": lambda: [4, -1, "2", 3],
        "merchant": lambda: [OTHER_MERCHANT, "mer_"],
        "public_key": lambda: [
            base64.b64encode(bytes(31)).decode(),
            base64.b64encode(bytes(32)).decode(),
        ],
        "issued_at": lambda: ["2026-01-02T11:00:00+00:00", "2020-01-01T00:00:00+00:00", "x"],
        "expires_at": lambda: ["2026-01-02T10:19:00+00:00", "2030-01-01T00:00:00+00:00", 5],
        "approver": lambda: ["usr with space", "u" * 65],
        "chain": lambda: ["tron"],
        "network": lambda: ["1"],
        "final_at": lambda: [1_000, -1, 2**63] if kind == "absent" else ["1", -1, 2**63],
        "address": lambda: ["a" * 129, "\u00e9"],
        "set": lambda: ["AB" * 32, "ab", 3],
        "valid_until": lambda: [2_000, 3_000, "1"],
    }
    yield from specific.get(name, list)()
