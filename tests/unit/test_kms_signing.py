"""What the signers read, decide and sign: pure rules, without engines."""

import base64
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.chains.spend import Curve, Operation, Payment, Spend, WalletKind
from orion.kms.errors import MalformedRequest
from orion.kms.signing import model, policy
from orion.kms.signing.errors import (
    BodyConflicts,
    CustodyAccountNotOnChain,
    FeeTooHigh,
    FloatExhausted,
    LimitMissing,
    NotASweep,
    RecipientNotOurs,
)
from orion.kms.signing.model import Reservation, SlotState
from orion.kms.signing.sweep import signed_messages
from tests.unit.kms_signing_keys import custody_set

TRACE = "ab" * 16
UNSIGNED = base64.b64encode(b"bytes").decode()
SWEEP: Mapping[str, object] = {
    "v": 1, "trace_id": TRACE, "group": 3, "unsigned": UNSIGNED, "indexes": [0, 9_999],
}  # fmt: skip
FEE: Mapping[str, object] = {"v": 1, "trace_id": TRACE, "unsigned": UNSIGNED, "groups": [1, 2]}
REFILL: Mapping[str, object] = {
    "v": 1, "trace_id": TRACE, "operation": "refilled", "id": "pay_1", "units": "7",
}  # fmt: skip
HANDOVER: Mapping[str, object] = {
    "v": 1, "trace_id": TRACE, "group": 3, "wallet": "warm", "unsigned": UNSIGNED,
}  # fmt: skip
EXPORT: Mapping[str, object] = {
    "v": 1, "trace_id": TRACE, "first_group": 0, "last_group": 9, "limit": 5,
    "after": {"group": 1, "wallet": "hot", "chain": "tron", "set": 4},
}  # fmt: skip


SEEN: Mapping[str, object] = {"v": 1, "trace_id": TRACE, "statement": {}}


def sets_body() -> dict[str, object]:
    keys = custody_set(4, WalletKind.HOT).keys
    row = {
        "set": 4,
        "purpose": "hot",
        "secp256k1": [key.hex() for key in keys.secp256k1],
        "ed25519": [key.hex() for key in keys.ed25519],
        "evidence": [{}],
    }
    return {"v": 1, "trace_id": TRACE, "sets": [row]}


def spend(**changes: object) -> Spend:
    fields: dict[str, object] = {
        "operation": Operation.PAY,
        "payments": (Payment("BTC.bitcoin", "hot", 5), Payment("BTC.bitcoin", "warm", 6)),
        "fee_max_units": 10,
        "claims": (),
        "version": "00",
        "curve": Curve.SECP256K1,
        "messages": (bytes(32), bytes(32)),
    }
    return Spend(**{**fields, **changes})  # type: ignore[arg-type]


OURS = policy.Destinations(frozenset({"hot", "warm"}), frozenset({"soon"}))


def check(found: Spend, cap_units: int = 10) -> None:
    policy.check_sweep(found, 2, len(found.messages), OURS, cap_units)


def test_a_sweep_to_the_groups_own_accounts_within_the_cap_is_signed() -> None:
    check(spend())


@pytest.mark.parametrize(
    "found, refusal",
    [
        (spend(operation=Operation.ROTATE), NotASweep),
        (spend(payments=()), NotASweep),
        (spend(payments=(Payment("BTC.bitcoin", "hot", 0),)), NotASweep),
        (spend(payments=(Payment("BTC.bitcoin", "hot", -1),)), NotASweep),
        (spend(messages=(bytes(32),)), NotASweep),
        (spend(messages=(bytes(32),) * 3), NotASweep),
        (spend(payments=(Payment("BTC.bitcoin", "else", 5),)), RecipientNotOurs),
        (
            spend(payments=(Payment("BTC.bitcoin", "hot", 5), Payment("BTC.bitcoin", "HOT", 1))),
            RecipientNotOurs,
        ),
        (spend(payments=(Payment("TRX.tron", "soon", 5),)), CustodyAccountNotOnChain),
        (spend(fee_max_units=11), FeeTooHigh),
        (spend(fee_max_units=-1), FeeTooHigh),
    ],
)
def test_a_sweep_that_does_anything_else_is_refused(found: Spend, refusal: type) -> None:
    with pytest.raises(refusal):
        check(found)


def test_on_solana_every_owner_signs_the_one_message_and_elsewhere_each_its_own() -> None:
    one = spend(curve=Curve.ED25519, messages=(b"whole",))
    assert signed_messages(one, 3) == (b"whole",) * 3
    assert signed_messages(spend(messages=(bytes(32),)), 3) == (bytes(32),)
    assert signed_messages(spend(), 2) == (bytes(32), bytes(32))


@pytest.mark.parametrize(
    "document",
    [None, {}, {"tron": "5"}, {"bitcoin": 5}, {"bitcoin": "05"}, {"bitcoin": "-1"}, {"bitcoin": ""},
     {"bitcoin": None}, {"bitcoin": "1" * 61}, {"bitcoin": "5.0"}, {"bitcoin": "\u0665"}],
)  # fmt: skip
def test_without_a_readable_limit_nothing_is_signed(document: Mapping[str, object] | None) -> None:
    with pytest.raises(LimitMissing):
        policy.limit_of(document, "bitcoin", "policy/sweep-fee-max")


def test_a_limit_is_decimal_text_and_zero_is_a_limit() -> None:
    assert policy.limit_of({"bitcoin": "0"}, "bitcoin", "p") == 0
    assert policy.limit_of({"bitcoin": "50000"}, "bitcoin", "p") == 50_000


def wanted(fee: int, body: bytes = b"b" * 32) -> Reservation:
    return Reservation("executor-ethereum", "1:7", bytes(32), body, fee)


def test_a_bump_of_one_nonce_counts_the_difference_only() -> None:
    assert policy.committed_after(wanted(100), None, 50, 150) == 150
    assert policy.committed_after(wanted(130), SlotState(b"b" * 32, 100), 150, 180) == 180
    assert policy.committed_after(wanted(90), SlotState(b"b" * 32, 130), 180, 180) == 180


def test_a_float_has_room_up_to_its_cap_and_not_one_unit_more() -> None:
    with pytest.raises(FloatExhausted):
        policy.committed_after(wanted(101), None, 50, 150)
    with pytest.raises(FloatExhausted):
        policy.committed_after(wanted(131), SlotState(b"b" * 32, 100), 150, 180)


def test_what_was_counted_before_is_signed_again_though_the_cap_has_fallen() -> None:
    assert policy.committed_after(wanted(100), SlotState(b"b" * 32, 100), 150, 10) == 150


def test_another_body_under_a_signed_nonce_is_refused_before_its_price_is_looked_at() -> None:
    with pytest.raises(BodyConflicts):
        policy.committed_after(wanted(1, b"c" * 32), SlotState(b"b" * 32, 100), 0, 1_000)


@given(st.integers(0, 10**30), st.integers(1, 10**30))
def test_a_refill_restores_at_most_what_was_used(committed: int, units: int) -> None:
    after = policy.committed_after_refill(committed, units)
    assert 0 <= after <= committed
    assert after == 0 or after + units == committed


def test_requests_of_the_agreed_form_are_read() -> None:
    assert model.sweep_request(SWEEP) == model.SweepRequest(3, b"bytes", (0, 9_999), TRACE)
    assert model.execution_request(FEE) == model.ExecutionRequest(b"bytes", (1, 2), TRACE)
    for text, nonce in (("7", 7), ("0", 0), (None, None)):
        request = model.safe_request({**FEE, "safe_nonce": text})
        assert request == model.ExecutionRequest(b"bytes", (1, 2), TRACE, nonce)
    assert model.refill(REFILL) == model.Refill("pay_1", 7, TRACE)
    assert model.handover_request(HANDOVER).kind is WalletKind.WARM
    assert model.sets_request(sets_body()).sets == (
        model.ProposedSet(custody_set(4, WalletKind.HOT), [{}]),
    )
    assert model.seen_request(SEEN) == model.SeenRequest({}, TRACE)
    assert model.export_request(EXPORT).after == model.Place(1, "hot", "tron", 4)
    assert model.export_request({**EXPORT, "after": None}).after is None


READERS = [
    (model.sweep_request, SWEEP),
    (model.execution_request, FEE),
    (model.safe_request, {**FEE, "safe_nonce": "7"}),
    (model.refill, REFILL),
    (model.handover_request, HANDOVER),
    (model.sets_request, sets_body()),
    (model.export_request, EXPORT),
    (model.seen_request, SEEN),
]


@pytest.mark.parametrize("read, body", READERS)
def test_a_missing_or_unknown_field_or_another_version_is_refused(
    read: object, body: Mapping[str, object]
) -> None:
    assert callable(read)
    spoiled: list[Mapping[str, object]] = [
        {name: value for name, value in body.items() if name != missing} for missing in body
    ]
    spoiled += [{**body, "more": 1}, {**body, "v": 2}, {**body, "v": True}, {}]
    spoiled += [{**body, "trace_id": "x"}]
    for bad in spoiled:
        with pytest.raises(MalformedRequest):
            read(bad)


@pytest.mark.parametrize(
    "read, body, field, bad",
    [
        (model.sweep_request, SWEEP, "group", bad) for bad in (-1, 2**31, True, "3", None)
    ] + [
        (model.sweep_request, SWEEP, "unsigned", bad)
        for bad in ("", "%%", "YQ", 5, None, "YQ==\n")
    ] + [
        (model.sweep_request, SWEEP, "indexes", bad)
        for bad in ([], [10_000], [-1], [True], ["0"], 5, None, [0] * 201)
    ] + [
        (model.execution_request, FEE, "groups", bad)
        for bad in ([], [1, 1], [-1], list(range(51)), "1")
    ] + [
        (model.safe_request, FEE, "safe_nonce", bad)
        for bad in (7, "-1", "07", "", str(2**64), True)
    ] + [
        (model.refill, REFILL, "units", bad) for bad in ("0", "-1", 7, "07", "1.0", None)
    ] + [
        (model.refill, REFILL, "id", bad) for bad in ("", "a b", "x" * 65, 5, "a\n")
    ] + [
        (model.handover_request, HANDOVER, "wallet", bad) for bad in ("cold", "HOT", 1, None)
    ] + [
        (model.export_request, EXPORT, "limit", bad) for bad in (0, 501, -1, True, "5")
    ] + [
        (model.export_request, EXPORT, "after", bad)
        for bad in ({}, 5, {"group": 1, "wallet": "hot", "chain": "", "set": 4},
                    {"group": 1, "wallet": "x", "chain": "tron", "set": 4})
    ] + [(model.export_request, EXPORT, "first_group", 10)]
)  # fmt: skip
def test_a_field_of_another_form_is_refused(
    read: object, body: Mapping[str, object], field: str, bad: object
) -> None:
    assert callable(read)
    with pytest.raises(MalformedRequest):
        read({**body, field: bad})


@pytest.mark.parametrize("curve", ["secp256k1", "ed25519"])
def test_a_set_has_five_keys_of_its_curves_length_in_lower_case_hex(curve: str) -> None:
    row = sets_body()["sets"]
    assert isinstance(row, list)
    good = row[0][curve]
    for bad in (
        good[:4], [*good, good[0]], [*good[:4], good[0].upper()], [*good[:4], good[0] + "00"],
        [*good[:4], 5], "x" * 5, None,
    ):  # fmt: skip
        with pytest.raises(MalformedRequest):
            model.sets_request({**sets_body(), "sets": [{**row[0], curve: bad}]})


@pytest.mark.parametrize("number", [0, 1_001, -1, True, "4", None])
def test_a_sets_number_is_one_that_every_chain_knows(number: object) -> None:
    row = sets_body()["sets"]
    assert isinstance(row, list)
    with pytest.raises(MalformedRequest):
        model.sets_request({**sets_body(), "sets": [{**row[0], "set": number}]})


def test_a_set_named_twice_is_refused() -> None:
    row = sets_body()["sets"]
    assert isinstance(row, list)
    with pytest.raises(MalformedRequest):
        model.sets_request({**sets_body(), "sets": [row[0], row[0]]})
