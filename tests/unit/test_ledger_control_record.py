"""Control records and legs: what else travels on `ledger.transfers`, and nothing like it."""

import json
from datetime import UTC, datetime

import pytest

from orion.ids import fact_id
from orion.ledger.model import (
    AccountKey,
    Code,
    Handover,
    Leg,
    Purpose,
    Side,
    Takeover,
    leg_cause,
    leg_id,
)
from orion.ledger.transfer_record import (
    MalformedTransfer,
    handover_body,
    read_record,
    read_transfers,
    takeover_body,
    transfers_body,
)
from orion.records import canonical_json

TRACE = b"\xef" * 16
AT = datetime(2026, 11, 23, 10, 0, 0, 123_456, tzinfo=UTC)
HANDOVER = Handover(7, 2, TRACE)
TAKEOVER = Takeover(7, 2, AT, TRACE)
Body = dict[str, object]


def test_a_handover_is_read_as_it_was_written() -> None:
    body = handover_body(HANDOVER)
    assert body == {
        "v": 1, "trace_id": "ef" * 16, "handover": {"bucket": 7, "map_version": 2},
    }  # fmt: skip
    assert read_record(canonical_json(body)) == HANDOVER


def test_a_takeover_is_read_as_it_was_written() -> None:
    body = takeover_body(TAKEOVER)
    assert body == {
        "v": 1,
        "trace_id": "ef" * 16,
        "takeover": {"bucket": 7, "map_version": 2, "posted_at": "2026-11-23T10:00:00.123456Z"},
    }
    assert read_record(canonical_json(body)) == TAKEOVER


@pytest.mark.parametrize(
    "change",
    [
        {"bucket": 256}, {"bucket": -1}, {"bucket": True}, {"bucket": "7"}, {"map_version": 0},
        {"map_version": 2**32}, {"map_version": None}, {"more": 1},
    ],
)  # fmt: skip
@pytest.mark.parametrize("control", ["handover", "takeover"])
def test_a_control_record_of_another_form_is_refused(control: str, change: Body) -> None:
    body = handover_body(HANDOVER) if control == "handover" else takeover_body(TAKEOVER)
    row = json.loads(json.dumps(body[control]))
    with pytest.raises(MalformedTransfer) as caught:
        read_record(canonical_json(body | {control: row | change}))
    assert next(iter(change)) in str(caught.value.fields["field"])


@pytest.mark.parametrize(
    "posted_at",
    [
        "2026-11-23T10:00:00Z", "2026-11-23T10:00:00.123456+00:00", "2026-11-31T10:00:00.123456Z",
        "2026-11-23 10:00:00.123456Z", "2026-11-23T10:00:00.123456Z\n", 5, None,
    ],
)  # fmt: skip
def test_a_takeovers_moment_is_written_in_one_way(posted_at: object) -> None:
    body = takeover_body(TAKEOVER)
    body["takeover"] = {"bucket": 7, "map_version": 2, "posted_at": posted_at}
    with pytest.raises(MalformedTransfer) as caught:
        read_record(canonical_json(body))
    assert caught.value.fields["field"] == "posted_at"


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2}, {"trace_id": "x"}, {"transfers": []}, {"takeover": {}}, {"handover": None},
        {"handover": []},
    ],
)  # fmt: skip
def test_a_record_controls_one_thing_and_nothing_else(change: Body) -> None:
    with pytest.raises(MalformedTransfer):
        read_record(canonical_json(handover_body(HANDOVER) | change))


def test_who_asks_for_transfers_takes_no_control_record() -> None:
    for body in (handover_body(HANDOVER), takeover_body(TAKEOVER)):
        with pytest.raises(MalformedTransfer):
            read_transfers(canonical_json(body))


CUSTODY = AccountKey("system:bitcoin", Purpose.CUSTODY, "BTC.bitcoin")
LEG = Leg(
    leg_id(3, 12), 12, CUSTODY, Side.DEBIT, 500, leg_cause(3, 12, (17, 0), (18, 433)), 3, TRACE
)


def leg_body(**changes: object) -> Body:
    body = transfers_body([LEG.as_transfer()], TRACE)
    rows = json.loads(json.dumps(body["transfers"]))
    return body | {"transfers": [rows[0] | changes]}


@pytest.mark.parametrize("side", list(Side))
def test_a_leg_is_read_as_its_shard_wrote_it(side: Side) -> None:
    leg = Leg(LEG.id, 12, CUSTODY, side, 500, LEG.cause, 3, TRACE).as_transfer()
    assert read_record(canonical_json(transfers_body([leg], TRACE))) == (leg,)
    assert leg.code is Code.LEG


CAUSE = {"type": "leg", "shard": 3, "leg": 12, "first": [17, 0], "last": [18, 433]}


@pytest.mark.parametrize(
    "change",
    [
        {"type": "legs"}, {"shard": 4}, {"shard": -1}, {"shard": "3"}, {"leg": 13}, {"leg": True},
        {"first": [18, 434]}, {"first": [17]}, {"first": [17, 0, 0]}, {"first": [17, -1]},
        {"last": [0, 0]}, {"last": None}, {"more": 1},
    ],
)  # fmt: skip
def test_a_leg_says_what_it_sums_and_is_named_after_it(change: Body) -> None:
    assert read_record(canonical_json(leg_body(cause=CAUSE)))
    with pytest.raises(MalformedTransfer):
        read_record(canonical_json(leg_body(cause=CAUSE | change)))


@pytest.mark.parametrize("change", [{"id": fact_id("leg", 3, 13).hex()}, {"linked": True}])
def test_a_leg_of_another_name_or_in_a_chain_is_refused(change: Body) -> None:
    with pytest.raises(MalformedTransfer) as caught:
        read_record(canonical_json(leg_body(**change)))
    assert caught.value.fields["field"] == "id"
