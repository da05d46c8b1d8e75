"""When a delivery is tried again, and what its answers change."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from orion.billing.delivery import (
    ANSWER_WITHIN,
    FINISHED,
    MAX_ATTEMPTS,
    RETRY_AFTER_S,
    Delivery,
    DeliveryState,
    Outcome,
    Result,
    WebhookEvent,
    answered,
    due,
    enqueue,
    event_id,
    new_delivery,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
INVOICE, ENDPOINT = b"i" * 16, b"e" * 16


def first() -> Delivery:
    event = WebhookEvent(
        event_id(INVOICE, 1), INVOICE, b"m" * 16, 1, "invoice.created", "{}", NOW, "0" * 32
    )
    return enqueue(new_delivery(event, ENDPOINT, held=False), NOW)


def result(delivery: Delivery, outcome: Outcome, attempt: int | None = None) -> Result:
    number = delivery.attempt if attempt is None else attempt
    return Result(delivery.delivery_id, number, outcome, None, "timed_out")


def test_failures_are_retried_on_the_published_schedule_and_then_given_up() -> None:
    delivery, now, waits = first(), NOW, []
    while delivery.state not in FINISHED:
        failed = answered(delivery, result(delivery, Outcome.FAILED), now)
        if failed.state == DeliveryState.WAITING and failed.due_at is not None:
            waits.append(int((failed.due_at - now).total_seconds()))
            now = failed.due_at
            delivery = due(failed, now)
        else:
            delivery = failed
    assert waits == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert sum(waits) == timedelta(hours=75, minutes=35, seconds=5).total_seconds()
    assert (delivery.state, delivery.attempt) == (DeliveryState.GIVEN_UP, MAX_ATTEMPTS)


def test_an_event_keeps_its_identity_through_every_attempt() -> None:
    delivery = first()
    again = due(answered(delivery, result(delivery, Outcome.FAILED), NOW), NOW)
    assert again.attempt == 2
    assert (again.event_id, again.delivery_id) == (delivery.event_id, delivery.delivery_id)
    assert event_id(INVOICE, 1) == delivery.event_id != event_id(INVOICE, 2)


def test_a_repeated_answer_changes_nothing() -> None:
    delivery = first()
    once = answered(delivery, result(delivery, Outcome.DELIVERED), NOW)
    assert answered(once, result(delivery, Outcome.DELIVERED), NOW) is once
    assert answered(once, result(delivery, Outcome.FAILED), NOW) is once


def test_a_failure_of_an_earlier_attempt_changes_nothing() -> None:
    second = due(answered(first(), result(first(), Outcome.FAILED), NOW), NOW)
    assert answered(second, result(second, Outcome.FAILED, attempt=1), NOW) is second


def test_a_late_success_is_believed_even_when_given_up() -> None:
    lost = replace(first(), state=DeliveryState.GIVEN_UP)
    late = answered(lost, result(lost, Outcome.DELIVERED, attempt=3), NOW)
    assert late.state == DeliveryState.DELIVERED


def test_an_answer_that_never_comes_is_a_failed_attempt() -> None:
    delivery = first()
    assert delivery.due_at == NOW + ANSWER_WITHIN
    silent = due(delivery, NOW + ANSWER_WITHIN)
    assert (silent.state, silent.attempt, silent.last_error) == ("waiting", 1, "no_answer")
    assert silent.due_at == NOW + ANSWER_WITHIN + timedelta(seconds=RETRY_AFTER_S[0])
    assert due(silent, silent.due_at).attempt == 2
    last = replace(delivery, attempt=MAX_ATTEMPTS)
    assert due(last, NOW + ANSWER_WITHIN).state == DeliveryState.GIVEN_UP


@given(st.lists(st.tuples(st.sampled_from(Outcome), st.integers(1, 12)), max_size=40))
def test_no_answers_make_more_attempts_than_the_schedule_has(
    answers: list[tuple[Outcome, int]],
) -> None:
    delivery, delivered = first(), False
    for outcome, attempt in answers:
        delivery = answered(delivery, result(delivery, outcome, attempt), NOW)
        delivered |= outcome == Outcome.DELIVERED
        if delivery.state == DeliveryState.WAITING:
            delivery = due(delivery, NOW)
        assert delivery.attempt <= MAX_ATTEMPTS == len(RETRY_AFTER_S) + 1
        assert (delivery.due_at is None) == (delivery.state in FINISHED)
    assert delivered == (delivery.state == DeliveryState.DELIVERED)
