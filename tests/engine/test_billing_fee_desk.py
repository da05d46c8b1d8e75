"""Plans and referrals on a real database: what operators set, and what merchants see of it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier
from typing import Any

import pytest

from orion.adapters.mysql.billing import MySqlBillingStore
from orion.billing.fees.calls import Assigning, Referring, read_call
from orion.billing.fees.desk import MAX_DEPTH, FeeDesk
from orion.billing.fees.errors import (
    ReferralCycle,
    ReferralExists,
    ReferralTooDeep,
    UnknownMerchant,
)
from orion.errors import OrionError
from orion.ids import public_id
from tests.engine.billing_scene import MERCHANT, TRACE, scene_of
from tests.engine.fees_scene import MINE, STANDARD, FeesScene, fees_scene_of

pytestmark = pytest.mark.engine

ME = public_id("mer", MERCHANT)
WHO = {"by": "ann", "reason": "agreed"}


@pytest.fixture
def scene(mysql_admin: Any) -> Iterator[FeesScene]:
    found = fees_scene_of(mysql_admin, scene_of(mysql_admin))
    found.prepare(wallets=4)
    found.register(*(bytes([number]) * 16 for number in range(1, 105)))
    yield found
    found.close()


def desk(scene: FeesScene) -> FeeDesk:
    return FeeDesk(MySqlBillingStore(scene.database()), lambda: scene.now)


def assigning(plan: object, **whose: str) -> Assigning:
    call = read_call({"action": "assign", "plan": plan, **(whose or {"merchant": ME}), **WHO})
    assert isinstance(call, Assigning)
    return call


def referring(merchant: int, referrer: int) -> Referring:
    return Referring(bytes([merchant]) * 16, bytes([referrer]) * 16, "ann", "agreed")


def test_a_plan_is_in_force_from_its_assignment_on_and_its_history_stays(
    scene: FeesScene,
) -> None:
    desk(scene).assign(assigning(STANDARD, lane="standard"), TRACE)
    first = scene.invoice("k1")
    vip = {**STANDARD, "name": "vip", "tiers": [{"from": "0", "bps": 20}]}
    desk(scene).assign(assigning(vip), TRACE)
    second = scene.invoice("k2")
    desk(scene).assign(assigning(None), TRACE)
    third = scene.invoice("k3")
    found = scene.rows("SELECT invoice_id, subject, bps FROM orion_billing.invoice_fee")
    assert set(found) == {
        (first, "lane:standard", 100),
        (second, MINE, 20),
        (third, "lane:standard", 100),
    }
    history = "SELECT number, plan_id IS NULL, set_by FROM orion_billing.fee_assignment"
    assert scene.rows(f"{history} WHERE subject = %s ORDER BY number", MINE) == [
        (1, 0, "ann"),
        (2, 1, "ann"),
    ]


def test_the_same_plan_again_is_no_new_row_and_no_new_deed(scene: FeesScene) -> None:
    for _ in range(2):
        answer = desk(scene).assign(assigning(STANDARD), TRACE)
        assert (answer["outcome"], answer["number"]) == ("assigned", 1)
    assert desk(scene).assign(assigning(None, lane="vip"), TRACE)["number"] == 0
    [event] = scene.outbox("kafka:audit.events")[-1:]
    assert (event["action"], event["actor"], event["subject"]) == ("fee_plan.assigned", "ann", ME)
    assert event["details"]["reason"] == "agreed"
    deeds = [one["action"] for one in scene.outbox("kafka:audit.events")]
    assert deeds.count("fee_plan.assigned") == 1


def test_a_merchant_sees_his_plan_and_his_volume(scene: FeesScene) -> None:
    nothing = desk(scene).shown(MERCHANT, "standard")
    assert nothing["plan"] is None
    assert nothing["referred_by"] is None
    desk(scene).assign(assigning(STANDARD), TRACE)
    desk(scene).refer(Referring(MERCHANT, b"r" * 16, "ann", "agreed"), TRACE)
    day = scene.now.date() - timedelta(days=1)
    scene.rows(
        "INSERT INTO orion_billing.fee_volume VALUES (%s, %s, 'USD', 1086960, 0),"
        " (%s, %s, 'CNY', 0, 3), (%s, %s, 'CNY', 0, -1)",
        MERCHANT, day, MERCHANT, day, MERCHANT, day - timedelta(days=1),
    )  # fmt: skip
    assert desk(scene).shown(MERCHANT, "standard") == {
        "plan": {**STANDARD, "reporting": {"USD": "0.92"}},
        "subject": ME,
        "bps": 80,
        "volume": "10000.03",
        "unvalued": 2,
        "currency": "EUR",
        "from": "2025-12-03",
        "to": "2026-01-01",
        "referred_by": public_id("mer", b"r" * 16),
    }


def test_a_referral_is_stored_once_and_never_changed(scene: FeesScene) -> None:
    for _ in range(2):
        assert desk(scene).refer(referring(1, 2), TRACE)["outcome"] == "stored"
    with pytest.raises(ReferralExists):
        desk(scene).refer(referring(1, 3), TRACE)
    assert scene.rows("SELECT referrer_id FROM orion_billing.referral") == [(b"\x02" * 16,)]
    deeds = [one["action"] for one in scene.outbox("kafka:audit.events")]
    assert deeds.count("referral.stored") == 1


def test_nobody_is_referred_by_or_refers_whom_no_merchant_is(scene: FeesScene) -> None:
    for merchant, referrer, field in ((1, 200, "referrer"), (200, 1, "merchant")):
        with pytest.raises(UnknownMerchant) as refused:
            desk(scene).refer(referring(merchant, referrer), TRACE)
        assert refused.value.fields["field"] == field
    assert scene.rows("SELECT 1 FROM orion_billing.referral") == []
    assert scene.outbox("kafka:audit.events")[-1]["action"] != "referral.stored"
    scene.register(b"\xc8" * 16)
    assert desk(scene).refer(referring(1, 200), TRACE)["outcome"] == "stored"


def test_a_plan_of_nobodys_own_is_refused_and_taking_one_away_never_is(scene: FeesScene) -> None:
    nobody = public_id("mer", b"n" * 16)
    with pytest.raises(UnknownMerchant) as refused:
        desk(scene).assign(assigning(STANDARD, merchant=nobody), TRACE)
    assert refused.value.fields["field"] == "merchant"
    for table in ("fee_assignment", "fee_plan"):
        assert scene.rows(f"SELECT 1 FROM orion_billing.{table}") == []
    scene.assign(f"merchant:{(b'n' * 16).hex()}")
    assert desk(scene).assign(assigning(None, merchant=nobody), TRACE)["number"] == 2


def test_referrals_never_close_a_circle_however_long(scene: FeesScene) -> None:
    for merchant in range(1, 9):
        desk(scene).refer(referring(merchant, merchant + 1), TRACE)
    for referrer in range(1, 9):
        with pytest.raises(ReferralCycle):
            desk(scene).refer(referring(9, referrer), TRACE)
    desk(scene).refer(referring(9, 10), TRACE)


def test_a_line_of_referrals_has_an_end(scene: FeesScene) -> None:
    # The referrer and those above him are at most as many as are walked up.
    for merchant in range(2, MAX_DEPTH + 1):
        scene.refer(bytes([merchant]) * 16, bytes([merchant + 1]) * 16)
    desk(scene).refer(referring(100, 2), TRACE)
    with pytest.raises(ReferralTooDeep):
        desk(scene).refer(referring(101, 100), TRACE)


def at_once(works: list[Callable[[], object]]) -> list[OrionError | None]:
    start = Barrier(len(works))

    def run(work: Callable[[], object]) -> OrionError | None:
        start.wait()
        try:
            work()
        except OrionError as refused:
            return refused
        return None

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def test_two_who_refer_each_other_at_once_close_no_circle(scene: FeesScene) -> None:
    one, other = desk(scene), desk(scene)
    for number in range(10, 40, 2):
        found = at_once(
            [
                partial(one.refer, referring(number, number + 1), TRACE),
                partial(other.refer, referring(number + 1, number), TRACE),
            ]
        )
        assert [type(each) for each in found if each] == [ReferralCycle]
    assert len(scene.rows("SELECT 1 FROM orion_billing.referral")) == 15


def test_two_operators_at_once_leave_a_history_without_gaps(scene: FeesScene) -> None:
    plans = [{**STANDARD, "name": f"plan-{number}"} for number in range(2)]
    desks = [desk(scene), desk(scene)]
    for _ in range(10):
        assert at_once(
            [partial(d.assign, assigning(p), TRACE) for d, p in zip(desks, plans, strict=True)]
        ) == [None, None]
    numbers = scene.rows("SELECT number FROM orion_billing.fee_assignment ORDER BY number")
    assert [number for (number,) in numbers] == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 2
