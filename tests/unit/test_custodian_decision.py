"""The custodian's decision: payments one to one, fees, rotations, versions, velocity."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.chains.spend import Operation, Payment
from orion.kms.custody.errors import ConflictRefused, StateChanged
from orion.kms.custody.model import (
    MAX_VERSIONS,
    RecordedEffect,
    RecordedVersion,
    Remembered,
    Step,
    Target,
    effect_id,
)
from orion.kms.custody.velocity import Window
from tests.engine.custodian_scene import NOW, PAYERS, Body, payout, rotation
from tests.unit.custodian_judging import ETH, ISSUERS, SHOP, asked, decided, reason, spend

OTHER = "0x" + "5b" * 20
TRON_SHOP = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"


def pay(units: int = 100, recipient: str = SHOP, **more: object) -> Body:
    return payout("ethereum", ETH, recipient, units, **more)


ONE = Payment(ETH, SHOP, 100)


def test_a_payment_as_instructed_is_signed_and_counted_once() -> None:
    decision = decided(asked(pay()), spend(ONE))

    assert decision.step is Step.FIRST
    assert decision.counted == {ETH: 100}


def test_two_equal_instructions_want_two_equal_payments() -> None:
    twins = asked(pay(), pay())

    assert decided(twins, spend(ONE, ONE)).counted == {ETH: 200}
    assert reason(twins, spend(ONE)) == "payment_missing"
    assert reason(twins, spend(Payment(ETH, SHOP, 200))) == "payment_missing"
    assert reason(twins, spend(ONE, ONE, ONE)) == "payment_extra"


@pytest.mark.parametrize(
    "payments,why",
    [
        ((), "payment_missing"),
        ((Payment(ETH, SHOP, 99),), "payment_missing"),
        ((Payment(ETH, SHOP, 101),), "payment_missing"),
        ((Payment(ETH, OTHER, 100),), "payment_missing"),
        ((Payment("USDT.ethereum", SHOP, 100),), "payment_missing"),
        ((Payment(ETH, SHOP, 60), Payment(ETH, SHOP, 40)), "payment_missing"),
        ((ONE, Payment(ETH, OTHER, 1)), "payment_extra"),
        ((ONE, ONE), "payment_extra"),
    ],
)
def test_whatever_is_paid_beside_the_instruction_is_refused(
    payments: tuple[Payment, ...], why: str
) -> None:
    assert reason(asked(pay()), spend(*payments)) == why


PAYMENTS = st.lists(
    st.builds(Payment, st.just(ETH), st.sampled_from([SHOP, OTHER]), st.integers(1, 3)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=30)
@given(PAYMENTS, PAYMENTS)
def test_only_the_same_payments_in_any_order_are_signed(
    wanted: list[Payment], paid: list[Payment]
) -> None:
    instructions = asked(*(pay(each.units, each.recipient) for each in wanted))
    same = sorted(wanted, key=repr) == sorted(paid, key=repr)

    if same:
        assert decided(instructions, spend(*paid)).step is Step.FIRST
    else:
        assert reason(instructions, spend(*paid)) in ("payment_missing", "payment_extra")
    for order in list(permutations(wanted))[:3]:
        assert decided(instructions, spend(*order)).effect == effect_id(instructions[::-1])


@pytest.mark.parametrize(
    "change,why",
    [
        ({"fee_max_units": 1}, "fee_too_high"),
        ({"fee_max_units": -1}, "fee_too_high"),
        ({"operation": Operation.ROTATE, "payments": ()}, "other_operation"),
        ({"owners_after": (SHOP,)}, "owners_change"),
        ({"messages": ()}, "wrong_count"),
        ({"messages": (bytes(31),)}, "not_a_digest"),
        ({"claims": ("a", "a")}, "repeated"),
        ({"messages": (bytes(32),) * 97}, "wrong_count"),
    ],
)
def test_a_transaction_that_does_more_is_refused(change: Body, why: str) -> None:
    assert reason(asked(pay()), spend(ONE, **change)) == why


def test_fees_are_summed_over_instructions_and_counted_at_their_highest() -> None:
    two = asked(pay(fee_max_units="3"), pay(recipient=OTHER, fee_max_units="4"))
    both = (ONE, Payment(ETH, OTHER, 100))

    assert decided(two, spend(*both, fee_max_units=7)).counted == {ETH: 207}
    assert reason(two, spend(*both, fee_max_units=8)) == "fee_too_high"


def test_more_facts_than_one_transaction_records_are_refused() -> None:
    claims = tuple(f"coin:{place}" for place in range(98))

    assert decided(asked(pay()), spend(ONE, claims=claims[:96])).step is Step.FIRST
    assert reason(asked(pay()), spend(ONE, claims=claims)) == "too_many_members"


OWNERS = ("0x01", "0x02", "0x03", "0x04", "0x05")


def test_a_rotation_leaves_exactly_the_target_sets_owners() -> None:
    wanted = asked(rotation("ethereum", ETH, None, 0))
    made = spend(operation=Operation.ROTATE, owners_after=OWNERS)

    decision = decided(wanted, made, target=Target("", OWNERS))
    assert decision.counted == {}
    others = ("0x01", "0x02", "0x03", "0x04", "0x06")
    assert reason(wanted, made, target=Target("", others)) == "owners_differ"
    assert reason(wanted, made, target=None) == "target_unknown"
    assert reason(wanted, spend(), target=Target("", OWNERS)) == "other_operation"
    paying = replace(made, payments=(ONE,))
    assert reason(wanted, paying, target=Target("", OWNERS)) == "payment_extra"


def recorded(*versions: str, claims: tuple[str, ...] = ("safe:1",)) -> Remembered:
    return Remembered(effect=RecordedEffect(claims, versions))


def test_a_next_version_keeps_every_claim_of_the_first_and_counts_nothing() -> None:
    wanted, made = asked(pay()), spend(ONE, version="bb" * 32, claims=("safe:1", "safe:2"))

    assert decided(wanted, made, recorded("aa" * 32)).step is Step.NEXT
    assert decided(wanted, made, recorded("aa" * 32)).counted == {}
    for kept in (("safe:3",), ("safe:1", "safe:3")):
        assert reason(wanted, made, recorded("aa" * 32, claims=kept)) == "claims_not_kept"
    assert reason(wanted, replace(made, claims=()), recorded("aa" * 32)) == "claims_not_kept"


def test_without_claims_every_earlier_version_must_be_dead() -> None:
    body = payout("tron", "TRX.tron", TRON_SHOP, 100)
    made = spend(Payment("TRX.tron", TRON_SHOP, 100), version="cc" * 32, claims=())
    before = recorded("aa" * 32, "bb" * 32, claims=())
    first, second = (ISSUERS.absent("tron", version * 32) for version in ("aa", "bb"))

    assert decided(asked(body, more={0: [first, second]}), made, before).step is Step.NEXT
    for known in ([], [first], [second]):
        with pytest.raises(ConflictRefused) as refused:
            decided(asked(body, more={0: known}), made, before)
        assert refused.value.reason == "earlier_version_alive"


TRON_BODY = payout("tron", "TRX.tron", TRON_SHOP, 100)
TRON_PAYMENT = Payment("TRX.tron", TRON_SHOP, 100)
NOW_MS = int(NOW.timestamp()) * 1_000


@pytest.mark.parametrize(
    "ahead_ms,why",
    [(-1, "expired"), (0, "expired"), (1, None), (660_000, None), (660_001, "expires_too_late")],
)
@pytest.mark.parametrize("next_version", [False, True])
def test_a_version_that_expires_does_so_soon(
    ahead_ms: int, why: str | None, next_version: bool
) -> None:
    failed = ISSUERS.failed("tron", "aa" * 32)
    wanted = asked(TRON_BODY, more={0: [failed]})
    made = spend(TRON_PAYMENT, version="bb" * 32, claims=(), expires_at_ms=NOW_MS + ahead_ms)
    before = recorded("aa" * 32, claims=()) if next_version else None

    if why is not None:
        assert reason(wanted, made, before) == why
        return
    decision = decided(wanted, made, before)
    assert decision.step is (Step.NEXT if next_version else Step.FIRST)
    assert decision.expires_at_ms == made.expires_at_ms


def test_a_recorded_version_is_signed_again_when_its_time_is_over() -> None:
    wanted = asked(TRON_BODY)
    made = spend(TRON_PAYMENT, claims=(), expires_at_ms=NOW_MS - 1)
    version = RecordedVersion(effect_id(wanted), NOW)
    again = Remembered(RecordedEffect((), (made.version,)), version)

    assert decided(wanted, made, again).step is Step.REPEAT


def test_a_next_version_without_claims_counts_like_a_first_one() -> None:
    failed = ISSUERS.failed("tron", "aa" * 32)
    made = spend(TRON_PAYMENT, version="bb" * 32, claims=())
    window = Window().added(900, NOW)
    known = recorded("aa" * 32, claims=())
    full = replace(known, windows={"TRX.tron": window.added(1, NOW)})

    wanted = asked(TRON_BODY, more={0: [failed]})
    assert decided(wanted, made, replace(known, windows={"TRX.tron": window})).counted == {
        "TRX.tron": 100
    }
    assert reason(wanted, made, full) == "cap_exceeded"


def test_a_version_that_was_recorded_while_it_was_read_is_looked_at_again() -> None:
    with pytest.raises(StateChanged):
        decided(asked(pay()), spend(ONE), recorded("aa" * 32))


@pytest.mark.parametrize(
    "expires_ms,final_ms,dead",
    [
        (-1, 0, True),
        (-1, 60_000, True),
        (-1, 60_001, False),
        (-1, 10**12, False),
        (0, 60_000, False),
        (59_000, 60_000, False),
    ],
)
def test_an_absence_counts_only_when_the_custodians_own_clock_agrees(
    expires_ms: int, final_ms: int, dead: bool
) -> None:
    absent = ISSUERS.absent("tron", "aa" * 32, valid_until=1, final_at=NOW_MS + final_ms)
    wanted = asked(TRON_BODY, more={0: [absent]})
    made = spend(TRON_PAYMENT, version="bb" * 32, claims=())
    known = Remembered(RecordedEffect((), ("aa" * 32,), {"aa" * 32: NOW_MS + expires_ms}))

    if dead:
        assert decided(wanted, made, known).step is Step.NEXT
    else:
        assert reason(wanted, made, known) == "earlier_version_alive"


@settings(max_examples=60)
@given(
    expiry=st.none() | st.integers(1, 20),
    valid_until=st.integers(0, 20),
    final_at=st.integers(0, 20),
)
def test_an_absence_counts_only_after_the_end_that_the_custodian_read_itself(
    expiry: int | None, valid_until: int, final_at: int
) -> None:
    absent = ISSUERS.absent("tron", "aa" * 32, valid_until=valid_until, final_at=final_at)
    wanted = asked(TRON_BODY, more={0: [absent]})
    made = spend(TRON_PAYMENT, version="bb" * 32, claims=())
    known = RecordedEffect((), ("aa" * 32,), {} if expiry is None else {"aa" * 32: expiry})

    if final_at > valid_until and (expiry is None or final_at > expiry):
        assert decided(wanted, made, Remembered(known)).step is Step.NEXT
    else:
        why = reason(wanted, made, Remembered(known))
        assert why == ("not_final" if final_at <= valid_until else "earlier_version_alive")


def test_a_failed_version_is_dead_and_no_other_one_with_it() -> None:
    made = spend(TRON_PAYMENT, version="cc" * 32, claims=())
    known = RecordedEffect((), ("aa" * 32, "bb" * 32), {"aa" * 32: 10**15, "bb" * 32: 10**15})
    first, second = (ISSUERS.failed("tron", version * 32) for version in ("aa", "bb"))

    dead = asked(TRON_BODY, more={0: [first, second]})
    assert decided(dead, made, Remembered(known)).step is Step.NEXT
    half = asked(TRON_BODY, more={0: [first]})
    assert reason(half, made, Remembered(known)) == "earlier_version_alive"


def test_where_claims_decide_a_failure_makes_no_room_for_another_claim() -> None:
    """A Safe's reverted execution can be tried again for ever with the same signatures."""
    failed = ISSUERS.failed("ethereum", "aa" * 32)
    made = spend(ONE, version="bb" * 32, claims=("safe:2",))

    wanted = asked(pay(), more={0: [failed]})
    assert reason(wanted, made, recorded("aa" * 32)) == "claims_not_kept"


def test_a_claim_that_a_next_version_adds_becomes_the_effects_own() -> None:
    made = spend(ONE, version="bb" * 32, claims=("safe:1", "safe:2"))

    assert decided(asked(pay()), made).taken == ("safe:1", "safe:2")
    assert decided(asked(pay()), made, recorded("aa" * 32)).taken == ("safe:2",)


SOLANA_SHOP = PAYERS["solana"]
SET_DIGEST = "ab" * 32


@pytest.mark.parametrize(
    "said,why",
    [
        (None, "held_missing"),
        ({"address": TRON_SHOP}, "about_another"),
        ({"set": "cd" * 32}, "about_another"),
        ({"network": "mainnet-beta"}, "other_chain"),
        ({"chain": "tron"}, "other_chain"),
        ({}, None),
    ],
)
def test_a_rotation_to_an_address_that_keys_do_not_make_wants_the_chains_word(
    said: Body | None, why: str | None
) -> None:
    body = rotation("solana", "SOL.solana", SOLANA_SHOP, 100)
    held = [ISSUERS.held("solana", SOLANA_SHOP, SET_DIGEST, **said)] if said is not None else []
    wanted = asked(body, more={0: held})
    made = spend(Payment("SOL.solana", SOLANA_SHOP, 100), claims=())
    target = Target(SOLANA_SHOP, OWNERS, SET_DIGEST)

    if why is None:
        assert decided(wanted, made, target=target).step is Step.FIRST
    else:
        assert reason(wanted, made, target=target) == why


def test_what_holds_an_account_is_said_to_such_rotations_only() -> None:
    held = [ISSUERS.held("ethereum", SHOP, SET_DIGEST)]
    turn = asked(rotation("ethereum", ETH, None, 0), more={0: held})
    made = spend(operation=Operation.ROTATE, owners_after=OWNERS)

    assert reason(turn, made, target=Target("", OWNERS, SET_DIGEST)) == "not_wanted"
    assert reason(asked(pay(), more={0: held}), spend(ONE)) == "not_wanted"


def test_an_effect_has_a_limited_number_of_versions() -> None:
    full = [f"{place:064x}" for place in range(MAX_VERSIONS)]

    assert decided(asked(pay()), spend(ONE), recorded(*full[:-1])).step is Step.NEXT
    assert reason(asked(pay()), spend(ONE), recorded(*full)) == "too_many_versions"


def test_a_recorded_version_is_signed_again_with_evidence_of_its_time() -> None:
    wanted = asked(pay())
    version = RecordedVersion(effect_id(wanted), NOW + timedelta(minutes=59))
    again = Remembered(RecordedEffect(("safe:1",), ("aa" * 32,)), version)
    late = NOW + timedelta(days=400)

    assert decided(wanted, spend(ONE), again, now=late).step is Step.REPEAT
    assert reason(wanted, spend(ONE), now=late) == "not_valid_now"
    never = replace(again, version=replace(version, recorded_at=NOW - timedelta(hours=2)))
    assert reason(wanted, spend(ONE), never, now=late) == "not_valid_now"


def test_a_version_belongs_to_one_effect() -> None:
    version = RecordedVersion(effect_id(asked(pay())), NOW)

    assert (
        reason(asked(pay()), spend(ONE), Remembered(version=version)) == "version_of_other_effect"
    )
