"""When a delivery is tried again, and what its answers change."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.billing.delivery import (
    ANSWER_WITHIN,
    ATTEMPTS_OF_ONE_DELIVERY,
    ENDPOINT_DELETED,
    ENDPOINT_DISABLED,
    FINISHED,
    MAX_ATTEMPTS,
    RETRY_AFTER_S,
    Delivery,
    DeliveryState,
    Outcome,
    Result,
    WebhookEvent,
    answered,
    enqueue,
    event_id,
    last_attempt,
    new_delivery,
    redelivered,
    unanswered,
)
from orion.billing.errors import AttemptLimit, DeliveryUnderWay
from orion.billing.webhook_pace import Lane

NOW = datetime(2026, 1, 1, tzinfo=UTC)
INVOICE, ENDPOINT = b"i" * 16, b"e" * 16


def again(delivery: Delivery) -> Delivery:
    return enqueue(delivery, Lane.FAST, NOW)


def first() -> Delivery:
    event = WebhookEvent(
        event_id(INVOICE, 1), INVOICE, b"m" * 16, 1, "invoice.created", "{}", NOW, "0" * 32
    )
    return again(new_delivery(event, ENDPOINT, held=False))


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
            delivery = enqueue(failed, Lane.FAST, now)
        else:
            delivery = failed
    assert waits == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert sum(waits) == timedelta(hours=75, minutes=35, seconds=5).total_seconds()
    assert (delivery.state, delivery.attempt) == (DeliveryState.GIVEN_UP, MAX_ATTEMPTS)


def test_an_event_keeps_its_identity_through_every_attempt() -> None:
    delivery = first()
    second = again(answered(delivery, result(delivery, Outcome.FAILED), NOW))
    assert second.attempt == 2
    assert (second.event_id, second.delivery_id) == (delivery.event_id, delivery.delivery_id)
    assert event_id(INVOICE, 1) == delivery.event_id != event_id(INVOICE, 2)


def test_a_repeated_answer_changes_nothing() -> None:
    delivery = first()
    once = answered(delivery, result(delivery, Outcome.DELIVERED), NOW)
    assert answered(once, result(delivery, Outcome.DELIVERED), NOW) is once
    assert answered(once, result(delivery, Outcome.FAILED), NOW) is once


def test_a_failure_of_an_earlier_attempt_changes_nothing() -> None:
    second = again(answered(first(), result(first(), Outcome.FAILED), NOW))
    assert answered(second, result(second, Outcome.FAILED, attempt=1), NOW) is second


def test_a_late_success_is_believed_even_when_given_up() -> None:
    lost = replace(first(), state=DeliveryState.GIVEN_UP)
    late = answered(lost, result(lost, Outcome.DELIVERED, attempt=3), NOW)
    assert late.state == DeliveryState.DELIVERED


def test_an_answer_that_never_comes_is_a_failed_attempt() -> None:
    delivery = first()
    assert delivery.due_at == NOW + ANSWER_WITHIN
    silent = unanswered(delivery, NOW + ANSWER_WITHIN)
    assert (silent.state, silent.attempt, silent.last_error) == ("waiting", 1, "no_answer")
    assert silent.due_at == NOW + ANSWER_WITHIN + timedelta(seconds=RETRY_AFTER_S[0])
    assert again(silent).attempt == 2
    last = replace(delivery, attempt=MAX_ATTEMPTS)
    assert unanswered(last, NOW + ANSWER_WITHIN).state == DeliveryState.GIVEN_UP


@given(st.lists(st.tuples(st.sampled_from(Outcome), st.integers(1, 12)), max_size=40))
def test_no_answers_make_more_attempts_than_the_schedule_has(
    answers: list[tuple[Outcome, int]],
) -> None:
    delivery, delivered = first(), False
    for outcome, attempt in answers:
        delivery = answered(delivery, result(delivery, outcome, attempt), NOW)
        delivered |= outcome == Outcome.DELIVERED
        if delivery.state == DeliveryState.WAITING:
            delivery = again(delivery)
        assert delivery.attempt <= MAX_ATTEMPTS == len(RETRY_AFTER_S) + 1
        assert (delivery.due_at is None) == (delivery.state in FINISHED)
    assert delivered == (delivery.state == DeliveryState.DELIVERED)


def delivered() -> Delivery:
    return answered(first(), result(first(), Outcome.DELIVERED), NOW)


def test_a_redelivery_is_a_new_attempt_of_the_same_event_with_a_schedule_of_its_own() -> None:
    asked = redelivered(delivered(), NOW)
    assert (asked.state, asked.due_at, asked.ordinary) == (DeliveryState.WAITING, NOW, False)
    delivery, waits = again(asked), []
    assert (delivery.attempt, delivery.event_id) == (2, first().event_id)
    while (failed := answered(delivery, result(delivery, Outcome.FAILED), NOW)).due_at is not None:
        waits.append(int((failed.due_at - NOW).total_seconds()))
        delivery = again(failed)
    assert waits == list(RETRY_AFTER_S)
    assert failed.state == DeliveryState.GIVEN_UP


def test_a_repeated_answer_from_before_is_not_the_redeliverys() -> None:
    for asked in (redelivered(delivered(), NOW), again(redelivered(delivered(), NOW))):
        assert answered(asked, result(asked, Outcome.DELIVERED, attempt=1), NOW) is asked
    asked = again(redelivered(delivered(), NOW))
    assert answered(asked, result(asked, Outcome.DELIVERED), NOW).state == DeliveryState.DELIVERED


def test_a_waiting_one_is_only_brought_forward() -> None:
    waiting = answered(first(), result(first(), Outcome.FAILED), NOW)
    later = NOW + timedelta(seconds=1)
    assert redelivered(waiting, later) == replace(waiting, due_at=later)


@pytest.mark.parametrize("state", [DeliveryState.HELD, DeliveryState.QUEUED])
def test_what_is_on_its_way_is_not_sent_a_second_time(state: DeliveryState) -> None:
    with pytest.raises(DeliveryUnderWay):
        redelivered(replace(first(), state=state), NOW)


def test_redeliveries_end() -> None:
    with pytest.raises(AttemptLimit):
        redelivered(replace(delivered(), attempt=ATTEMPTS_OF_ONE_DELIVERY), NOW)
    last = replace(first(), attempt=ATTEMPTS_OF_ONE_DELIVERY, schedule_from=95)
    failed = answered(last, result(last, Outcome.FAILED), NOW)
    assert failed.state == DeliveryState.GIVEN_UP


def closing() -> Delivery:
    return last_attempt(first(), ENDPOINT_DISABLED)


def test_closing_leaves_what_is_out_where_it_is() -> None:
    assert closing() == replace(first(), closing=ENDPOINT_DISABLED)
    assert last_attempt(closing(), ENDPOINT_DELETED) == closing(), "the first reason stays"


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.REFUSED, None])
def test_what_was_out_when_its_endpoint_closed_ends_for_that_reason(
    outcome: Outcome | None,
) -> None:
    out = closing()
    ended = unanswered(out, NOW) if outcome is None else answered(out, result(out, outcome), NOW)
    assert (ended.state, ended.last_error) == (DeliveryState.GIVEN_UP, ENDPOINT_DISABLED)
    assert (ended.due_at, ended.finished_at, ended.closing) == (None, NOW, None)


def test_a_success_counts_after_the_endpoint_was_closed() -> None:
    done = answered(closing(), result(first(), Outcome.DELIVERED), NOW)
    assert (done.state, done.last_error, done.closing) == (DeliveryState.DELIVERED, None, None)


def test_an_earlier_failure_does_not_end_what_is_out_at_a_closed_endpoint() -> None:
    out = last_attempt(again(unanswered(first(), NOW)), ENDPOINT_DISABLED)
    assert answered(out, result(out, Outcome.FAILED, attempt=1), NOW) is out


def test_a_redelivery_after_a_closing_is_tried_again_like_any_other() -> None:
    ended = unanswered(closing(), NOW)
    asked = again(redelivered(ended, NOW))
    assert answered(asked, result(asked, Outcome.FAILED), NOW).state == DeliveryState.WAITING
